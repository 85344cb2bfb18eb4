//! Everything that is wrong in a data directory, at once: what `boot-server check` reports.
//!
//! Each group's configs are rendered with that group's own metadata, so that what is found here is
//! what its machines would meet.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use super::Labels;
use super::files::Root;
use super::load::{self, Source};
use super::matching::Group;
use super::problem::{Problem, Severity};
use super::profile::Profile;
use super::snapshot::{Folder, Layout, Snapshot};

/// What the first iPXE script sends of each machine.
const SENT_LABELS: [&str; 5] = ["uuid", "mac", "domain", "hostname", "serial"];

/// Checks a data directory. With `assets`, kernels and initrds under `/assets/` must be there.
pub fn check(source: &Source, assets: Option<&Path>) -> Vec<Problem> {
    let (snapshot, mut problems) = load::load(source);
    if let Ok(root) = Root::open(&source.root) {
        let mut checker = Checker::new(&root, &snapshot);
        checker.profiles(assets);
        checker.configs();
        checker.unused();
        problems.append(&mut checker.problems);
    }
    problems
}

/// What there is to say of a loaded directory without rendering a config: profiles that boot nothing,
/// assets that are not there, files that nothing names.
pub fn files(root: &Root, snapshot: &Snapshot, assets: Option<&Path>) -> Vec<Problem> {
    let mut checker = Checker::new(root, snapshot);
    checker.profiles(assets);
    checker.unused();
    checker.problems
}

/// The labels and the query of a machine that is what a group requires, and nothing else.
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
pub(super) fn load_and_render(source: &Source) -> (Snapshot, Vec<Problem>) {
    let (snapshot, mut problems) = load::load(source);
    if let Ok(root) = Root::open(&source.root) {
        let mut checker = Checker::new(&root, &snapshot);
        checker.profiles(None);
        checker.configs();
        problems.append(&mut checker.problems);
    }
    (snapshot, problems)
}

struct Checker<'a> {
    root: &'a Root,
    snapshot: &'a Snapshot,
    problems: Vec<Problem>,
    /// Problems of configs already told, so that a file shared by many groups is told once.
    told: HashSet<(Folder, String, String)>,
}

impl<'a> Checker<'a> {
    fn new(root: &'a Root, snapshot: &'a Snapshot) -> Checker<'a> {
        Checker {
            root,
            snapshot,
            problems: Vec::new(),
            told: HashSet::new(),
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

    fn profiles(&mut self, assets: Option<&Path>) {
        let snapshot = self.snapshot;
        for profile in snapshot.profiles.values().flatten() {
            self.boot(profile, assets);
        }
    }

    fn boot(&mut self, profile: &Profile, assets: Option<&Path>) {
        let file = self.snapshot.layout.profile_file(&profile.id);
        let Some(boot) = &profile.boot else {
            // matchbox's own examples have profiles for configs alone.
            if self.snapshot.layout == Layout::Bootcfg {
                let help =
                    "add \"boot\": {\"kernel\": …}, unless its machines never boot by network";
                self.warn(
                    "no-boot",
                    &file,
                    "it has no `boot`, so its machines are answered 404",
                    help,
                );
            }
            return;
        };
        if boot.kernel.is_empty() {
            let help = "add \"kernel\": \"/assets/…\" or a URL";
            self.warn("no-kernel", &file, "its `boot` has no `kernel`", help);
        }
        let Some(assets) = assets else { return };
        for written in std::iter::once(&boot.kernel).chain(boot.initrd.iter().flatten()) {
            let Some(asset) = asset_of(written) else {
                continue;
            };
            let asset_file = assets.join(asset);
            if !asset_file.is_file() {
                let message = format!("there is no asset `/assets/{asset}`");
                let help = format!("put it to {}", asset_file.display());
                let path = self.root.path_of(&file);
                let text = self.root.read_text(&file).unwrap_or_default();
                let problem = Problem::of_file(Severity::Warning, &path, message, help);
                let problem = problem.of_rule("missing-asset");
                self.problems.push(problem.at_first(&text, written));
            }
        }
    }

    /// Renders what each group's machines would be served.
    fn configs(&mut self) {
        let snapshot = self.snapshot;
        for group in snapshot.groups.iter() {
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

    fn config(&mut self, group: &Group, folder: Folder, file: &std::sync::Arc<str>) {
        let path = self.root.path_of(&format!("{}/{file}", folder.name()));
        let (labels, query) = labels_of(group, self.snapshot.layout);
        let rendered = self.snapshot.rendered(folder, file, group, &labels, &query);
        let (error, place, text, help) = match rendered {
            Err(error) => {
                let help = "configs are Go templates; the values are the group's `metadata`";
                (error, None, String::new(), help)
            }
            Ok(text) => match self.snapshot.finished(folder, file, text.clone()) {
                Ok(_) => return,
                Err(error) => {
                    let help = match (folder, self.snapshot.layout) {
                        (Folder::Cloud, _) => {
                            "begin with a line `#cloud-config` and go on in YAML, or write a script \
                             that begins with `#!`"
                        }
                        (_, Layout::Bootcfg) => {
                            "write Ignition JSON, or version 1 in a file named *.yaml"
                        }
                        (_, Layout::Matchbox) => "write Ignition JSON",
                    };
                    (error.to_string(), error.place(), text, help)
                }
            },
        };
        if !self.told.insert((folder, file.to_string(), error.clone())) {
            return;
        }
        let message = format!("for group `{}`: {error}", group.name);
        let problem = Problem::of_file(Severity::Warning, &path, message, help);
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
                let message = format!("no group names this {word}");
                let help = "name it in a group, or remove it";
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
                    let message = format!("no {word} names this file");
                    let help = format!("name it as `{}` in a {word}, or remove it", folder.key());
                    self.warn(
                        "unused-config",
                        &format!("{}/{name}", folder.name()),
                        message,
                        help,
                    );
                }
            }
        }
        if layout == Layout::Matchbox {
            for folder in ["groups", "profiles"] {
                for name in self.root.names(folder).unwrap_or_default() {
                    if !name.ends_with(".json") {
                        let help = "name it *.json, or remove it";
                        self.warn(
                            "unread-file",
                            &format!("{folder}/{name}"),
                            "this file is not read",
                            help,
                        );
                    }
                }
            }
        }
    }
}

/// The asset that a kernel or initrd as written is, when it is ours: iPXE options may stand before
/// it, and GRUB's way to name a server.
pub fn asset_of(written: &str) -> Option<&str> {
    let word = written.split_whitespace().last()?;
    let path = match word.strip_prefix("(http;") {
        Some(grub) => grub.split_once(')')?.1,
        None => word,
    };
    let asset = path.strip_prefix("/assets/")?;
    // A name with iPXE settings in it is known only to the machine.
    (!asset.contains("${")).then_some(asset)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(rack: &str) -> String {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/http");
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
        assert_eq!(asset_of("http://other/assets/k"), None);
        assert_eq!(asset_of("/assets/${arch}/k"), None);
    }
}
