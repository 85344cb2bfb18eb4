//! Everything that is wrong in a data directory, at once: what `boot-server check` reports.
//!
//! Each group's configs are rendered with that group's own metadata, so that what is found here is
//! what its machines would meet.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::bootcfg::groups_file::{self, Place};
use super::bootcfg::spec::{self, Spec};
use super::cloud_config;
use super::data_dir::{ignition_metadata, read_inside};
use super::ignition::{self, Language};
use super::matching::{Group, Groups};
use super::problem::{Problem, Severity};
use super::template::{self, Metadata};

/// Checks a data directory in the bootcfg layout; `groups_path` is `<root>/config.yaml` when
/// absent. With `assets`, kernels and initrds under `/assets/` must be there.
pub fn check(root: &Path, groups_path: Option<&Path>, assets: Option<&Path>) -> Vec<Problem> {
    let groups_path = groups_path.map_or_else(|| root.join("config.yaml"), Path::to_owned);
    load(root, &groups_path, assets).1
}

/// Reads the groups and checks everything they lead to.
pub(super) fn load(
    root: &Path,
    groups_path: &Path,
    assets: Option<&Path>,
) -> (Groups, Vec<Problem>) {
    let text = match fs::read_to_string(groups_path) {
        Ok(text) => text,
        Err(error) => {
            let help = "name the data directory that has `config.yaml` and `specs/`";
            let message = format!("cannot be read: {error}");
            let problem = Problem::of_file(Severity::Error, groups_path, message, help);
            return (Groups::default(), vec![problem]);
        }
    };
    let file = groups_file::parse(groups_path, &text);
    let mut checker = Checker {
        root,
        assets,
        problems: file.problems,
        configs_seen: BTreeSet::new(),
    };
    for id in checker.spec_ids(&file.places) {
        let named_at = file.places.iter().find(|place| place.spec_id == id);
        let Some(spec) = checker.spec(&id, named_at.map(|place| (groups_path, &*text, place)))
        else {
            continue;
        };
        for group in file.groups.iter().filter(|group| group.spec_id == id) {
            checker.configs(group, &id, &spec);
        }
    }
    (file.groups, checker.problems)
}

struct Checker<'a> {
    root: &'a Path,
    assets: Option<&'a Path>,
    problems: Vec<Problem>,
    /// Problems of configs already told, so that a file shared by many groups is told once.
    configs_seen: BTreeSet<(PathBuf, String)>,
}

impl Checker<'_> {
    fn warn(&mut self, path: &Path, message: impl Into<String>, help: impl Into<String>) {
        self.problems
            .push(Problem::of_file(Severity::Warning, path, message, help));
    }

    /// The specs that groups name, and those that are only there.
    fn spec_ids(&self, places: &[Place]) -> BTreeSet<String> {
        let folders = fs::read_dir(self.root.join("specs")).into_iter().flatten();
        let present = folders
            .flatten()
            .filter(|entry| entry.path().is_dir())
            .filter_map(|entry| entry.file_name().into_string().ok());
        let named = places.iter().map(|place| place.spec_id.clone());
        present.chain(named).collect()
    }

    fn spec(&mut self, id: &str, named_at: Option<(&Path, &str, &Place)>) -> Option<Spec> {
        let file = format!("specs/{id}/spec.json");
        let path = self.root.join(&file);
        let text = match read_inside(self.root, &file) {
            Ok(text) => text,
            Err(error) => {
                let help = format!("create {}, or name a spec that is there", path.display());
                match named_at {
                    Some((groups_path, text, place)) => {
                        let message = format!("group `{}`: {error}", place.group);
                        self.problems.push(
                            Problem::of_file(Severity::Warning, groups_path, message, help).at(
                                text,
                                place.line,
                                place.column,
                            ),
                        );
                    }
                    None => self.warn(&path, error, "remove the folder, or add the file"),
                }
                return None;
            }
        };
        for (key, known) in spec::unknown_keys(&text) {
            let message = format!("key `{key}` means nothing here and is ignored");
            let help = format!("known keys are {}", known.join(", "));
            self.problems.push(
                Problem::of_file(Severity::Warning, &path, message, help)
                    .at_first(&text, &format!("\"{key}\"")),
            );
        }
        match spec::parse(&text) {
            Ok(spec) => {
                self.spec_contents(id, &path, &text, &spec);
                Some(spec)
            }
            Err(error) => {
                let help = "a spec is {\"id\", \"boot\": {\"kernel\", \"initrd\": [], \"cmdline\": \
                            {}}, \"cloud_id\", \"ignition_id\"}";
                self.problems.push(
                    Problem::of_file(Severity::Error, &path, error.to_string(), help).at(
                        &text,
                        error.line(),
                        error.column(),
                    ),
                );
                None
            }
        }
    }

    fn spec_contents(&mut self, id: &str, path: &Path, text: &str, spec: &Spec) {
        if spec.id != id {
            let message = format!("its id is `{}`, its folder `{id}`", spec.id);
            let help = format!("write \"id\": \"{id}\"; groups refer to the folder's name");
            self.problems.push(
                Problem::of_file(Severity::Warning, path, message, help).at_first(text, "\"id\""),
            );
        }
        let Some(boot) = &spec.boot else {
            let help = "add \"boot\": {\"kernel\": …}, unless its machines never boot by network";
            return self.warn(
                path,
                "it has no `boot`, so its machines are answered 404",
                help,
            );
        };
        if boot.kernel.is_empty() {
            let help = "add \"kernel\": \"/assets/…\" or a URL";
            self.warn(path, "its `boot` has no `kernel`", help);
        }
        let Some(assets) = self.assets else { return };
        for file in std::iter::once(&boot.kernel).chain(boot.initrd.iter().flatten()) {
            let Some(asset) = file.strip_prefix("/assets/") else {
                continue;
            };
            // A name with iPXE settings in it is known only to the machine.
            if !asset.contains("${") && !assets.join(asset).is_file() {
                let message = format!("there is no asset `{file}`");
                let help = format!("put it to {}", assets.join(asset).display());
                self.problems.push(
                    Problem::of_file(Severity::Warning, path, message, help).at_first(text, file),
                );
            }
        }
    }

    fn configs(&mut self, group: &Group, id: &str, spec: &Spec) {
        if !spec.cloud_id.is_empty() {
            let rendered = self.rendered("cloud", &spec.cloud_id, &group.metadata, group, id);
            if let Some((path, text)) = rendered
                && let Err(error) = cloud_config::check(&text)
            {
                let help = "begin with a line `#cloud-config` and go on in YAML, or write a script \
                            that begins with `#!`";
                self.config_problem(path, group, &text, &error.to_string(), error.place(), help);
            }
        }
        if !spec.ignition_id.is_empty() {
            let query: Vec<String> = group
                .require
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            let metadata = ignition_metadata(&group.metadata, &query.join("&"));
            let rendered = self.rendered("ignition", &spec.ignition_id, &metadata, group, id);
            if let Some((path, text)) = rendered
                && let Err(error) = ignition::to_json(&text, Language::of_file(&spec.ignition_id))
            {
                let help = "write Ignition JSON, or version 1 in a file named *.yaml";
                self.config_problem(path, group, &text, &error.to_string(), error.place(), help);
            }
        }
    }

    fn rendered(
        &mut self,
        folder: &str,
        file: &str,
        metadata: &Metadata,
        group: &Group,
        spec_id: &str,
    ) -> Option<(PathBuf, String)> {
        let file = format!("{folder}/{file}");
        let path = self.root.join(&file);
        let text = match read_inside(self.root, &file) {
            Ok(text) => text,
            Err(error) => {
                let spec_path = self.root.join(format!("specs/{spec_id}/spec.json"));
                let help = format!("create {}", path.display());
                if self.configs_seen.insert((path, error.clone())) {
                    self.warn(&spec_path, error, help);
                }
                return None;
            }
        };
        match template::render(&text, metadata) {
            Ok(rendered) => Some((path, rendered)),
            Err(error) => {
                let help = "configs are Go templates; the values are the group's `metadata`";
                self.config_problem(path, group, &text, &error.to_string(), error.place, help);
                None
            }
        }
    }

    fn config_problem(
        &mut self,
        path: PathBuf,
        group: &Group,
        text: &str,
        error: &str,
        place: Option<(usize, usize)>,
        help: &str,
    ) {
        if !self.configs_seen.insert((path.clone(), error.to_owned())) {
            return;
        }
        let message = format!("for group `{}`: {error}", group.name);
        let problem = Problem::of_file(Severity::Warning, &path, message, help);
        let (line, column) = place.unwrap_or_default();
        self.problems.push(problem.at(text, line, column));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rack_of_the_conformance_vectors_has_exactly_these_problems() {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/http");
        let rack = tests.join("bootcfg-rack");
        let problems = check(&rack, None, Some(&tests.join("assets")));
        let told: Vec<String> = problems
            .iter()
            .map(|p| p.to_string().replace(&*rack.to_string_lossy(), "rack"))
            .collect();
        insta::assert_snapshot!(told.join("\n"));
    }
}
