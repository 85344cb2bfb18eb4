//! Everything that is wrong in a data directory, at once: what `boot-server check` reports.
//!
//! Each group's configs are rendered with that group's own metadata, so that what is found here is
//! what its machines would meet.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;

use go_template::Budget;

use super::Labels;
use super::files::Root;
use super::ignition::InvalidIgnition;
use super::load::{self, Source};
use super::matching::Group;
use super::nocloud::InvalidCloudInitData;
use super::problem::{Problem, Severity, place_of};
use super::profile::Profile;
use super::snapshot::{Folder, Layout, Snapshot};
use super::template::{Why, format_mistake};
use super::unavailable::InvalidConfig;

/// Labels that the first iPXE script sends for each machine: bootcfg's, and with `arch` matchbox's since 0.11.
const SENT_LABELS: [&str; 6] = ["uuid", "mac", "domain", "hostname", "serial", "arch"];

/// Returns the names of labels that the first script of a layout sends.
fn sent_labels(layout: Layout) -> &'static [&'static str] {
    match layout {
        Layout::Bootcfg => SENT_LABELS.get(..5).unwrap_or_default(),
        Layout::Matchbox => &SENT_LABELS,
    }
}

/// The folders that files are served from.
#[derive(Debug, Clone, Copy, Default)]
pub struct Folders<'a> {
    /// The folder served as `/assets/`, where it is known.
    pub assets: Option<&'a Path>,
    /// The folder served as `/images/`, which bootcfg 0.1 had.
    pub images: Option<&'a Path>,
}

impl<'a> Folders<'a> {
    /// Returns the folders for one assets folder; bootcfg 0.1 served it as `/images/`.
    fn of_assets(assets: Option<&'a Path>, layout: Layout) -> Folders<'a> {
        let images = assets.filter(|_| layout == Layout::Bootcfg);
        Folders { assets, images }
    }
}

/// Checks a data directory. With `assets`, kernels and initrds under `/assets/` must be there, and those
/// under `/images/` in bootcfg's layout.
pub fn check(source: &Source, assets: Option<&Path>) -> Vec<Problem> {
    check_by(source, |layout| Folders::of_assets(assets, layout))
}

/// Checks a data directory and that its kernels and initrds are in the folders that a server has.
pub fn check_served(source: &Source, folders: Folders<'_>) -> Vec<Problem> {
    check_by(source, |_| folders)
}

fn check_by<'a>(source: &Source, folders: impl FnOnce(Layout) -> Folders<'a>) -> Vec<Problem> {
    let (snapshot, mut problems) = load::load_first(source);
    if let Ok(root) = Root::open(&source.root) {
        let mut checker = Checker::new(&root, &snapshot);
        checker.no_group(&problems);
        checker.profiles(Some(folders(snapshot.layout)));
        checker.configs();
        checker.unsent();
        checker.unused();
        problems.append(&mut checker.problems);
    }
    problems
}

/// Checks a loaded directory without rendering a config: profiles that boot nothing, missing assets, unused
/// files.
pub fn files(root: &Root, snapshot: &Snapshot, assets: Option<&Path>) -> Vec<Problem> {
    let mut checker = Checker::new(root, snapshot);
    checker.no_group(&[]);
    checker.profiles(assets.map(|_| Folders::of_assets(assets, snapshot.layout)));
    checker.unused();
    checker.problems
}

/// Returns the labels and the query of a machine that is what a group requires, and nothing else.
pub fn labels_of(group: &Group, layout: Layout) -> (Labels, String) {
    let mut labels = Labels::default();
    if layout == Layout::Matchbox {
        labels
            .0
            .extend(SENT_LABELS.map(|key| (key.to_owned(), String::new())));
    }
    let required = group.require.iter();
    labels
        .0
        .extend(required.map(|(key, value)| (key.to_owned(), value.to_owned())));
    (labels, group.require.text().replace(',', "&"))
}

/// Loads a data directory, and adds what its machines would meet to the problems.
pub fn load_and_render(source: &Source) -> (Snapshot, Vec<Problem>) {
    let (snapshot, mut problems) = load::load_first(source);
    if let Ok(root) = Root::open(&source.root) {
        let mut checker = Checker::new(&root, &snapshot);
        checker.no_group(&problems);
        checker.profiles(None);
        checker.configs();
        checker.unsent();
        problems.append(&mut checker.problems);
    }
    (snapshot, problems)
}

/// Renders a directory's configs, and returns the templates that take more than a render may: errors of a reload.
pub fn over_budget(source: &Source, snapshot: &Snapshot) -> Vec<Problem> {
    let Ok(root) = Root::open(&source.root) else {
        return Vec::new();
    };
    let mut checker = Checker::new(&root, snapshot);
    checker.demands = Demands::WithinBudget;
    checker.configs();
    checker.problems
}

/// Steps of all renders of a check together. A check that took longer would keep the next state out of force;
/// each render by itself is bounded too.
const MOST_STEPS: u64 = 100_000_000;
/// Rendered bytes that are checked in the time of a step.
const BYTES_A_STEP: usize = 64;

/// Rules that rendered configs are checked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Demands {
    /// Everything that a machine would meet.
    All,
    /// The budget of a render.
    WithinBudget,
}

struct Checker<'a> {
    root: &'a Root,
    snapshot: &'a Snapshot,
    problems: Vec<Problem>,
    /// Problems of configs reported so far, so that a file shared by many groups is reported once.
    told: HashSet<(Folder, String, String)>,
    demands: Demands,
    /// Templates that take more than a render may, which are not tried again.
    over_budget: HashSet<(Folder, Arc<str>)>,
    steps: u64,
}

impl<'a> Checker<'a> {
    fn new(root: &'a Root, snapshot: &'a Snapshot) -> Checker<'a> {
        Checker {
            root,
            snapshot,
            problems: Vec::new(),
            told: HashSet::new(),
            demands: Demands::All,
            over_budget: HashSet::new(),
            steps: 0,
        }
    }

    fn warn(
        &mut self,
        rule: &'static str,
        file: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let path = self.root.path_of(file);
        let problem = Problem::of_file(Severity::Warning, &path, message, help);
        self.problems.push(problem.of_rule(rule));
    }

    /// Reports a directory that serves no machine, unless its errors explain that already.
    fn no_group(&mut self, problems: &[Problem]) {
        let errors = problems.iter().any(|p| p.severity == Severity::Error);
        if errors || !self.snapshot.groups.is_empty() {
            return;
        }
        let file = match self.snapshot.layout {
            Layout::Bootcfg => "config.yaml",
            Layout::Matchbox => "groups",
        };
        let below: Vec<String> = match self.snapshot.layout {
            Layout::Bootcfg => Vec::new(),
            Layout::Matchbox => self.folders_of_groups(),
        };
        let message = "no groups found: every request is answered 404";
        let help = match below.first() {
            None => "add a group".to_owned(),
            Some(folder) => format!(
                "move the files of `{folder}` to `groups` (files in subfolders are not read), or make `groups` a symbolic link to that folder"
            ),
        };
        self.warn("no-group", file, message, help);
    }

    /// Folders in `groups` that have JSON files.
    fn folders_of_groups(&self) -> Vec<String> {
        let names = self.root.names("groups").unwrap_or_default().into_iter();
        let folders = names.map(|name| format!("groups/{name}"));
        folders
            .filter(|folder| {
                let inside = self.root.names(folder).unwrap_or_default();
                self.root.is_folder(folder) && inside.iter().any(|name| name.ends_with(".json"))
            })
            .collect()
    }

    /// Groups that require a label which nothing sends.
    fn unsent(&mut self) {
        for (group, label) in unsent_labels(self.root, self.snapshot) {
            let message = format!(
                "unreachable group: `{}` requires the label `{label}`, which no boot script or config URL sends",
                group.name
            );
            let help = unsent_help(&label);
            let file = match self.snapshot.layout {
                Layout::Bootcfg => "config.yaml".to_owned(),
                Layout::Matchbox => "groups".to_owned(),
            };
            self.warn("unsent-label", &file, message, help);
        }
    }

    fn profiles(&mut self, folders: Option<Folders<'_>>) {
        let snapshot = self.snapshot;
        for profile in snapshot.profiles.values().flatten() {
            self.boot(profile, folders);
        }
    }

    fn boot(&mut self, profile: &Profile, folders: Option<Folders<'_>>) {
        let file = self.snapshot.layout.profile_file(&profile.id);
        let Some(boot) = &profile.boot else {
            // matchbox's own examples have profiles for configs alone.
            if self.snapshot.layout == Layout::Bootcfg {
                let help = "add \"boot\": {\"kernel\": …}, unless these machines never boot from the network";
                self.warn(
                    "no-boot",
                    &file,
                    "missing `boot`: boot requests of its machines are answered 404",
                    help,
                );
            }
            return;
        };
        if boot.kernel.is_empty() {
            let help = "add \"kernel\": \"/assets/…\" or a URL";
            self.warn("no-kernel", &file, "missing `kernel` in `boot`", help);
        }
        let Some(folders) = folders else { return };
        for written in std::iter::once(&boot.kernel).chain(boot.initrd.iter().flatten()) {
            let Some((message, help)) = missing(written, folders, self.snapshot.layout) else {
                continue;
            };
            let path = self.root.path_of(&file);
            let text = self.root.read_text(&file).unwrap_or_default();
            let problem = Problem::of_file(Severity::Warning, &path, message, help);
            let problem = problem.of_rule("missing-asset");
            self.problems.push(problem.at_first(&text, written));
        }
    }

    /// Renders what each group's machines would be served.
    fn configs(&mut self) {
        let snapshot = self.snapshot;
        for (number, group) in snapshot.groups.iter().enumerate() {
            if self.steps > MOST_STEPS {
                let rest = snapshot.groups.len() - number;
                let message = format!(
                    "cannot check the configs of {rest} groups: the templates before them took more than {MOST_STEPS} steps"
                );
                let help = "simplify the templates that take the most steps";
                let problem =
                    Problem::of_file(Severity::Warning, &self.root.path_of(""), message, help);
                self.problems.push(problem.of_rule("template-failed"));
                return;
            }
            let Ok(profile) = snapshot.profile(&group.profile_id) else {
                continue;
            };
            for folder in Folder::ALL {
                if let Some(file) = folder.file(profile)
                    && let Some(Ok(_)) = snapshot.configs.get(&(folder, file.clone()))
                {
                    self.config(group, folder, file);
                }
            }
        }
    }

    fn config(&mut self, group: &Group, folder: Folder, file: &Arc<str>) {
        let key = (folder, Arc::clone(file));
        if self.over_budget.contains(&key) {
            return;
        }
        let (labels, query) = labels_of(group, self.snapshot.layout);
        let budget = Budget::default();
        let rendered = self
            .snapshot
            .rendered_within(folder, file, group, &labels, &query, budget);
        match rendered {
            Ok((text, steps)) => {
                self.steps += 1 + steps + (text.len() / BYTES_A_STEP) as u64;
                if self.demands == Demands::All {
                    self.rendered(group, folder, file, text);
                }
            }
            Err(unrendered) => {
                let why = unrendered.template().map(|error| &error.why);
                let place = unrendered.template().and_then(|error| error.place);
                let is_over = why == Some(&Why::OverBudget);
                if is_over {
                    self.steps += budget.steps;
                    self.over_budget.insert(key);
                } else if self.demands == Demands::WithinBudget {
                    return;
                }
                let (severity, help) = match is_over {
                    true => (
                        Severity::Error,
                        "the template exceeds its budget of steps or output: avoid nested loops",
                    ),
                    false => (
                        Severity::Warning,
                        "configs are Go templates; their values come from the group's `metadata`",
                    ),
                };
                let source = format!("{}/{file}", folder.name());
                let source = self.root.read_text(&source).unwrap_or_default();
                self.tell(
                    severity,
                    group,
                    folder,
                    file,
                    unrendered,
                    (place, source),
                    help,
                );
            }
        }
    }

    /// Looks at a rendered text as the machines that read it would.
    fn rendered(&mut self, group: &Group, folder: Folder, file: &Arc<str>, text: String) {
        let source = format!("{}/{file}", folder.name());
        let source = || self.root.read_text(&source).unwrap_or_default();
        if let Some(mistake) = format_mistake(&text)
            && let source = source()
            && format_mistake(&source).is_none()
        {
            let error = format!("{}/{file}, rendered: `{mistake}`", folder.name());
            let help =
                "give each verb of `printf` a value of its type: %v takes any, %.0f a number";
            let place = place_of(&source, "printf");
            self.tell(
                Severity::Warning,
                group,
                folder,
                file,
                error,
                (place, source),
                help,
            );
        }
        let profile = self.snapshot.profile(&group.profile_id);
        let is_seed = folder == Folder::Cloud && profile.is_ok_and(|one| one.seed().is_some());
        let finished = match is_seed {
            true => InvalidCloudInitData::check(&text).map_err(InvalidConfig::from),
            false => {
                let finished = self.snapshot.finished(folder, file, text.clone());
                finished.map(|_| ())
            }
        };
        let error = match finished {
            // The load has reported every error of a translator.
            Ok(_) | Err(InvalidConfig::Ignition(InvalidIgnition::Refused(_))) => return,
            Err(error) => error,
        };
        let help = match (folder, self.snapshot.layout) {
            (Folder::Cloud, _) if is_seed => {
                "start the file with a line that cloud-init knows, such as `#cloud-config`, `#!` or `## template: jinja`"
            }
            (Folder::Cloud, _) => {
                "start the file with the line `#cloud-config` followed by YAML, or with `#!` for a script"
            }
            (_, Layout::Bootcfg) => "write Ignition JSON, or version 1 in a file named *.yaml",
            (_, Layout::Matchbox) => {
                "write Ignition JSON, a Butane config or a Container Linux Config"
            }
        };
        let place = (error.place(), text);
        self.tell(Severity::Warning, group, folder, file, error, place, help);
    }

    /// Reports a mistake of a config, once for all groups.
    #[expect(clippy::too_many_arguments, reason = "a problem has that many parts")]
    fn tell(
        &mut self,
        severity: Severity,
        group: &Group,
        folder: Folder,
        file: &Arc<str>,
        error: impl std::fmt::Display,
        (place, text): (Option<(usize, usize)>, String),
        help: &str,
    ) {
        let error = error.to_string();
        if !self.told.insert((folder, file.to_string(), error.clone())) {
            return;
        }
        let path = self.root.path_of(&format!("{}/{file}", folder.name()));
        let message = format!("for group `{}`: {error}", group.name);
        let problem = Problem::of_file(severity, &path, message, help);
        let (line, column) = place.unwrap_or_default();
        self.problems.push(problem.at(text, line, column));
    }

    /// Files that nothing leads to: forgotten ones, or misspelt.
    fn unused(&mut self) {
        let snapshot = self.snapshot;
        let layout = snapshot.layout;
        let word = layout.profile_word();
        let named: HashSet<&str> = snapshot.groups.iter().map(|g| &*g.profile_id).collect();
        for profile in snapshot.profiles.values().flatten() {
            if !named.contains(&*profile.id) {
                let message = format!("unused {word} (no group refers to it)");
                let help = "refer to it in a group, or remove it";
                self.warn(
                    "unused-profile",
                    &layout.profile_file(&profile.id),
                    message,
                    help,
                );
            }
        }
        for folder in Folder::ALL {
            if folder == Folder::Generic && layout == Layout::Bootcfg {
                continue;
            }
            let used: BTreeSet<&str> = snapshot
                .profiles
                .values()
                .flatten()
                .filter_map(|profile| folder.file(profile).map(|file| &**file))
                .collect();
            for name in self.root.names(folder.name()).unwrap_or_default() {
                let below = format!("{name}/");
                if !used.contains(&*name) && !used.iter().any(|file| file.starts_with(&below)) {
                    let file = format!("{}/{name}", folder.name());
                    let message = match self.root.is_folder(&file) {
                        true => format!("unused folder (no {word} refers to a file in it)"),
                        false => format!("unused file (no {word} refers to it)"),
                    };
                    let help = format!(
                        "refer to it as `{}` in a {word}, or remove it",
                        folder.key()
                    );
                    self.warn("unused-config", &file, message, help);
                }
            }
        }
        if layout == Layout::Matchbox {
            for folder in ["groups", "profiles"] {
                for name in self.root.names(folder).unwrap_or_default() {
                    let file = format!("{folder}/{name}");
                    if self.root.is_folder(&file) {
                        let help = format!("move its files to `{folder}`, or remove it");
                        self.warn("unread-file", &file, "this folder is not read", help);
                    } else if !name.ends_with(".json") {
                        let help = "name it *.json, or remove it";
                        self.warn("unread-file", &file, "this file is not read", help);
                    }
                }
            }
        }
    }
}

/// Returns the labels that groups require and that no first script sends, nor anything in the directory: a
/// config URL in a kernel option, or a unit that asks again. Each with its group.
pub fn unsent_labels<'a>(root: &Root, snapshot: &'a Snapshot) -> Vec<(&'a Group, String)> {
    // `platform` is what `/boot.ipxe?platform=${platform}` adds.
    let is_sent = |label: &str| {
        let label = label.to_ascii_lowercase();
        label == "platform" || sent_labels(snapshot.layout).contains(&label.as_str())
    };
    let groups = snapshot.groups.iter();
    let required = groups.flat_map(|group| {
        let labels = group.require.iter();
        labels.map(move |(label, value)| (&**group, label, value))
    });
    // An empty value is met by a machine that does not send the label.
    let unsent: Vec<(&Group, &str)> = required
        .filter(|(_, label, value)| !value.is_empty() && !is_sent(label))
        .map(|(group, label, _)| (group, label))
        .collect();
    if unsent.is_empty() {
        return Vec::new();
    }
    let texts = texts(root, snapshot);
    let mentioned = |label: &str| {
        let sent = ["?", "&", "/"].map(|before| format!("{before}{label}="));
        texts
            .iter()
            .any(|text| sent.iter().any(|sent| text.contains(sent)))
    };
    let labels: BTreeSet<&str> = unsent.iter().map(|(_, label)| *label).collect();
    let silent: BTreeSet<&str> = labels
        .into_iter()
        .filter(|label| !mentioned(label))
        .collect();
    let unsent = unsent
        .into_iter()
        .filter(|(_, label)| silent.contains(label));
    unsent
        .map(|(group, label)| (group, label.to_owned()))
        .collect()
}

/// Advice on how a label of `unsent_labels` gets sent.
pub fn unsent_help(label: &str) -> String {
    format!(
        "chain machines to /boot.ipxe?{label}=VALUE, or require a label that the script sends: {}",
        SENT_LABELS.join(", ")
    )
}

/// Everything in a directory that may have the URL of a config in it.
fn texts(root: &Root, snapshot: &Snapshot) -> Vec<String> {
    let mut texts = Vec::new();
    for profile in snapshot.profiles.values().flatten() {
        if let Some(settings) = &profile.settings {
            texts.extend(settings.options.iter().cloned());
            texts.extend(settings.initrd.iter().cloned());
        }
    }
    for folder in Folder::ALL {
        for name in root.names(folder.name()).unwrap_or_default() {
            let bytes = root.read_bytes(&format!("{}/{name}", folder.name()));
            texts.extend(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    for group in snapshot.groups.iter() {
        texts.extend(group.metadata.values().map(ToString::to_string));
    }
    texts
}

/// Returns the path that a kernel or initrd as written has on a server: iPXE options may stand before it, and
/// GRUB's way to name a server. None when only the machine knows it.
fn path_of(written: &str) -> Option<&str> {
    let word = written.split_whitespace().last()?;
    let path = match word.strip_prefix("(http;") {
        Some(grub) => grub.split_once(')')?.1,
        None => word,
    };
    (!path.contains("${")).then_some(path)
}

/// Returns the asset path of a kernel or initrd as written, if this server serves it.
pub fn asset_of(written: &str) -> Option<&str> {
    let path = path_of(written)?;
    path.strip_prefix("/assets/")
        .or_else(|| path.strip_prefix("/images/"))
}

/// Mistake in a kernel or initrd that a server of these folders cannot serve, and its remedy.
fn missing(written: &str, folders: Folders<'_>, layout: Layout) -> Option<(String, String)> {
    /// Paths that the service answers itself, without a file.
    const ENDPOINTS: [&str; 9] = [
        "/boot.ipxe",
        "/cloud",
        "/generic",
        "/grub",
        "/ignition",
        "/ipxe",
        "/metadata",
        "/nbp/",
        "/nocloud/",
    ];
    let path = path_of(written).filter(|path| path.starts_with('/') && path.len() > 1)?;
    let is_image = path.starts_with("/images/");
    let folder = match (path.starts_with("/assets/"), is_image) {
        (true, _) => folders.assets?,
        // Whether bootcfg 0.1's flag is used is known where the folders are.
        (_, true)
            if folders.images.is_none()
                && folders.assets.is_none()
                && layout == Layout::Bootcfg =>
        {
            return None;
        }
        (_, true) if folders.images.is_some() => folders.images?,
        _ if !is_image && ENDPOINTS.iter().any(|known| path.starts_with(known)) => return None,
        _ if !is_image && written.contains("(http;") => return None,
        _ => {
            let help = match is_image {
                true => "start the server with --images-path DIR (bootcfg 0.1), or write /assets/…",
                false => "write /assets/… for a file in the assets folder, or an absolute URL",
            };
            return Some((
                format!("unknown path: `{path}` (no endpoint serves it)"),
                help.to_owned(),
            ));
        }
    };
    let asset_file = folder.join(asset_of(written)?);
    let message = || format!("asset not found: `{path}`");
    let help = || format!("copy the file to {}", asset_file.display());
    (!asset_file.is_file()).then(|| (message(), help()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(rack: &str) -> String {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/conformance/http");
        let rack = tests.join(rack);
        let problems = check(&Source::of(&rack), Some(&tests.join("assets")));
        let told: Vec<String> = problems
            .iter()
            .map(|p| p.to_string().replace(&*rack.to_string_lossy(), "rack"))
            .collect();
        told.join("\n")
    }

    #[test]
    fn the_rack_of_the_conformance_vectors_has_exactly_these_problems() {
        insta::assert_snapshot!(told("bootcfg-rack"));
    }

    #[test]
    fn the_rack_in_the_matchbox_layout_has_exactly_these_problems() {
        insta::assert_snapshot!(told("matchbox-rack"));
    }

    #[test]
    fn an_asset_is_found_behind_options_and_grubs_server() {
        assert_eq!(asset_of("--name main /assets/a"), Some("a"));
        assert_eq!(asset_of("(http;matchbox.foo:8080)/assets/k"), Some("k"));
        assert_eq!(asset_of("/images/k"), Some("k"));
        assert_eq!(asset_of("http://other/assets/k"), None);
        assert_eq!(asset_of("/assets/${arch}/k"), None);
    }

    #[test]
    fn kernel_that_no_path_serves_is_told_and_one_of_another_server_not() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("k"), "").unwrap();
        let here = Some(folder.path());
        let of = |assets, images| Folders { assets, images };
        let told = |written, folders, layout| {
            missing(written, folders, layout).map(|(message, _)| message)
        };
        let none = of(None, None);
        for layout in [Layout::Bootcfg, Layout::Matchbox] {
            for fine in [
                "/assets/k",
                "http://h/images/k",
                "tftp://h/k",
                "k",
                "/boot/${arch}/k",
                "/generic?x=1",
                "--name a /assets/k",
            ] {
                assert_eq!(told(fine, none, layout), None, "{fine}");
                assert_eq!(told(fine, of(here, here), layout), None, "{fine}");
            }
            for unserved in ["/kernels/k", "--name a /image/k", "/asset/k", "/vmlinuz"] {
                assert!(told(unserved, none, layout).is_some(), "{unserved}");
            }
            assert!(told("/assets/no", of(here, None), layout).is_some());
            assert!(told("/images/no", of(None, here), layout).is_some());
            assert!(told("/images/k", of(here, None), layout).is_some());
            assert_eq!(told("/images/k", of(None, here), layout), None);
        }
        assert_eq!(told("/images/k", none, Layout::Bootcfg), None);
        assert!(told("/images/k", none, Layout::Matchbox).is_some());
    }

    fn rules(files: &[(&str, &str)]) -> Vec<(&'static str, String)> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let problems = check(&Source::of(folder.path()), None);
        problems
            .into_iter()
            .map(|p| (p.rule, p.message + " / " + &p.help))
            .collect()
    }

    const PROFILE: (&str, &str) = (
        "profiles/p.json",
        r#"{"id":"p","boot":{"kernel":"/assets/k","args":["u=http://h/ignition?uuid=${uuid}&os=installed"]}}"#,
    );

    #[test]
    fn selector_of_an_absent_label_is_not_told() {
        let group = r#"{"id":"a","profile":"p","selector":{"rack":""}}"#;
        assert_eq!(rules(&[("groups/a.json", group), PROFILE]), []);
    }

    #[test]
    fn selector_that_nothing_sends_is_told_and_one_of_a_config_url_not() {
        let group = |selector| -> Vec<(&'static str, String)> {
            let group = format!(r#"{{"id":"a","profile":"p","selector":{{"{selector}":"x"}}}}"#);
            rules(&[("groups/a.json", &group), PROFILE])
        };
        for sent in ["uuid", "arch", "os", "platform", "serial"] {
            assert_eq!(group(sent), [], "{sent}");
        }
        for unsent in ["rack", "buildarch", "asset"] {
            let [(rule, text)] = &group(unsent)[..] else {
                panic!("{unsent}")
            };
            assert!(*rule == "unsent-label" && text.contains(unsent), "{text}");
        }
        // bootcfg's script has no `arch`.
        let config = "api_version: v1alpha1\ngroups:\n  - spec: p\n    require: {arch: arm64}\n";
        let spec = r#"{"id":"p","boot":{"kernel":"/assets/k"}}"#;
        let told = rules(&[("config.yaml", config), ("specs/p/spec.json", spec)]);
        assert!(matches!(&told[..], [("unsent-label", _)]), "{told:?}");
    }

    #[test]
    fn directory_that_serves_nobody_is_told_with_the_folder_of_its_groups() {
        let group = r#"{"id":"a","profile":"p"}"#;
        let told = rules(&[("groups/etcd/a.json", group), PROFILE]);
        let nobody = told.iter().find(|(rule, _)| *rule == "no-group").unwrap();
        assert!(nobody.1.contains("`groups/etcd`"), "{nobody:?}");
        let folder = told
            .iter()
            .find(|(rule, _)| *rule == "unread-file")
            .unwrap();
        assert!(folder.1.starts_with("this folder"), "{folder:?}");
        assert!(
            rules(&[PROFILE])
                .iter()
                .any(|(rule, _)| *rule == "no-group")
        );
        let empty = "api_version: v1alpha1\ngroups: []\n";
        assert!(
            rules(&[("config.yaml", empty)])
                .iter()
                .any(|(rule, _)| *rule == "no-group")
        );
        assert!(rules(&[]).iter().any(|(rule, _)| *rule == "no-group"));
    }
}
