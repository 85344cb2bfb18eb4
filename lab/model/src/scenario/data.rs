//! Checks that a scenario's data directory has the files that the scenario, its groups and its specs or profiles
//! name. The content of the files is under test and not checked here.

use std::fs;
use std::path::{Path, PathBuf};

use boot_server_catalog::check;
use boot_server_catalog::load::Source as Catalog;
use boot_server_catalog::problem::{Problem as CatalogProblem, Severity};
use miette::SourceOffset;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::draft::Draft;
use super::problem::{Located, Problem, Source, Wrong, nearest, one_of};

/// Relevant part of `config.yaml`.
#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    name: Spanned<String>,
    spec: Spanned<String>,
}

/// Relevant part of `specs/<id>/spec.json`.
#[derive(Deserialize)]
struct Spec {
    #[serde(default)]
    cloud_id: String,
    #[serde(default)]
    ignition_id: String,
}

/// Returns the problems in other files of `data`; problems in the scenario's own lines are added to `scenario`.
pub(super) fn check(data: &Path, draft: &Draft, scenario: &Source) -> Vec<Problem> {
    if !data.is_dir() {
        let what = format!("data directory not found: {}", data.display());
        let help = "a scenario has a folder `data` with config.yaml, specs/, cloud/ and ignition/";
        return vec![Problem::nowhere(what, help)];
    }
    named_files(data, draft, scenario);
    let path = data.join("config.yaml");
    if !path.exists() && data.join("groups").is_dir() {
        return matchbox(data, draft, scenario);
    }
    let config = match fs::read_to_string(&path) {
        Ok(text) => Source::new(&path, text),
        Err(error) => {
            let what = format!("cannot read {}: {error}", path.display());
            return vec![Problem::nowhere(
                what,
                "it contains the groups of the boot config service",
            )];
        }
    };
    let mut problems = Vec::new();
    match serde_saphyr::from_str::<Config>(config.text()) {
        Ok(groups) => {
            let names: Vec<&str> = groups
                .groups
                .iter()
                .map(|it| it.name.value.as_str())
                .collect();
            named_groups(&names, "data/config.yaml", draft, scenario);
            for group in &groups.groups {
                problems.extend(spec(data, &group.spec, &config));
            }
        }
        Err(error) => {
            let at = error
                .location()
                .map_or(0, |at| offset(&config, at.line(), at.column()));
            let what = error.without_snippet().to_string();
            let help = "it must have `api_version: v1alpha1` and a list `groups` with name, spec, require and metadata";
            config.wrong(at..at, "here", Wrong::new(what, help));
        }
    }
    let mut all = config.into_problems();
    all.append(&mut problems);
    if all.is_empty() && scenario.is_sound() {
        all = refused(data);
    }
    all
}

/// Returns the problems of a directory in matchbox's layout, whose loader finds missing profiles and configs too.
fn matchbox(data: &Path, draft: &Draft, scenario: &Source) -> Vec<Problem> {
    let (snapshot, problems) = check::load_and_render(&Catalog::of(data.to_owned()));
    let names: Vec<&str> = snapshot.groups.iter().map(|group| &*group.name).collect();
    named_groups(&names, "data/groups", draft, scenario);
    let is_told = |problem: &CatalogProblem| {
        let is_missing = ["missing-profile", "missing-config"].contains(&problem.rule);
        is_missing || problem.severity == Severity::Error
    };
    problems.into_iter().filter(is_told).map(told).collect()
}

/// Returns the problems for which the boot server would refuse this directory.
fn refused(data: &Path) -> Vec<Problem> {
    let (_, problems) = check::load_and_render(&Catalog::of(data.to_owned()));
    let errors = problems
        .into_iter()
        .filter(|problem| problem.severity == Severity::Error);
    errors.map(told).collect()
}

fn told(problem: CatalogProblem) -> Problem {
    let line = problem
        .line
        .map_or_else(String::new, |line| format!(", line {line}"));
    let what = format!("{}{line}: {}", problem.path.display(), problem.message);
    Problem::nowhere(what, problem.help)
}

/// Checks that the files which the scenario expects exist.
fn named_files(data: &Path, draft: &Draft, scenario: &Source) {
    for expect in draft.nodes.iter().filter_map(|node| node.expect.as_ref()) {
        for (folder, name) in [
            ("cloud", &expect.cloud_config),
            ("ignition", &expect.ignition),
            ("generic", &expect.generic_config),
        ] {
            if let Some(name) = name
                && let Some(wrong) = missing(data, folder, &name.value)
            {
                scenario.wrong(name.at.clone(), "no such file", wrong);
            }
        }
    }
}

/// Checks that the groups which the scenario expects exist.
fn named_groups(names: &[&str], place: &str, draft: &Draft, scenario: &Source) {
    let known = || names.iter().copied();
    for expect in draft.nodes.iter().filter_map(|node| node.expect.as_ref()) {
        let names: [Option<&Located<String>>; 2] =
            [expect.group.as_ref(), expect.boot_group.as_ref()];
        for name in names.into_iter().flatten() {
            if known().any(|group| group == name.value) {
                continue;
            }
            let help = match nearest(&name.value, known()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("{place} has {}", one_of(known())),
            };
            let what = format!("unknown group: `{}`", name.value);
            scenario.wrong(name.at.clone(), "unknown", Wrong::new(what, help));
        }
    }
}

/// Checks the spec that a group names, and the files that the spec names.
fn spec(data: &Path, id: &Spanned<String>, config: &Source) -> Vec<Problem> {
    let path: PathBuf = data.join("specs").join(&id.value).join("spec.json");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            let start = offset(config, id.referenced.line(), id.referenced.column());
            let what = format!("cannot read spec `{}`: {error}", id.value);
            let help = format!("expected path: {}", path.display());
            config.wrong(
                start..start + id.value.len(),
                "this spec",
                Wrong::new(what, help),
            );
            return Vec::new();
        }
    };
    let source = Source::new(&path, text);
    match serde_json::from_str::<Spec>(source.text()) {
        Ok(spec) => {
            for (folder, name) in [("cloud", &spec.cloud_id), ("ignition", &spec.ignition_id)] {
                if !name.is_empty()
                    && let Some(wrong) = missing(data, folder, name)
                {
                    let at = source.text().find(&format!("\"{name}\"")).unwrap_or(0);
                    source.wrong(at..at + name.len() + 2, "no such file", wrong);
                }
            }
        }
        Err(error) => {
            let at = offset(&source, error.line() as u64, error.column() as u64);
            let help = "a spec is a JSON object with id, boot, cloud_id and ignition_id";
            source.wrong(at..at, "here", Wrong::new(error.to_string(), help));
        }
    }
    source.into_problems()
}

/// Returns the problem if `data/<folder>/<name>` is not a file.
fn missing(data: &Path, folder: &str, name: &str) -> Option<Wrong> {
    let path = data.join(folder).join(name);
    if path.is_file() {
        return None;
    }
    let mut there: Vec<String> = fs::read_dir(data.join(folder))
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    there.sort();
    let there = || there.iter().map(String::as_str);
    let help = match nearest(name, there()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("data/{folder}/ has {}", one_of(there())),
    };
    Some(Wrong::new(
        format!("file not found: {}", path.display()),
        help,
    ))
}

/// Returns the byte offset of a line and column, counted from 1.
fn offset(source: &Source, line: u64, column: u64) -> usize {
    let (line, column) = (line.max(1) as usize, column.max(1) as usize);
    SourceOffset::from_location(source.text(), line, column).offset()
}
