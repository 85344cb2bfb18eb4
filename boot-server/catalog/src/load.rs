//! From the files of a data directory to a [`Snapshot`], with everything that is wrong on the way.
//!
//! What does not parse is an error: the directory is not served (or the last good one goes on being
//! served). What only some machines will miss is a warning.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

pub use super::loader::Place;
pub use super::source::Source;

use super::changes::Changes;
use super::files::{Root, Unreadable};
use super::layout::{Folder, Layout};
use super::loader::{FoundGroup, Loader, Profiles};
use super::matching::{Group, Groups};
use super::nocloud::UserDataKind;
use super::problem::{Problem, Severity, place_of};
use super::profile::Profile;
use super::requirements::{Names, Requirements};
use super::snapshot::Snapshot;
use super::template::ConfigText;
use super::translations::{self, Translations};
use super::unavailable::ConfigError;
use super::{bootcfg, ignition, matchbox, raw_text};

/// Loaded directory for inspection: content, positions and problems.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Content of the directory; to be served only when no problem is an error.
    pub snapshot: Snapshot,
    /// Position of each group, indexed by [`Group::number`].
    pub places: Vec<Place>,
    /// Problems found while loading.
    pub problems: Vec<Problem>,
}

impl From<Problem> for Loaded {
    fn from(problem: Problem) -> Loaded {
        Loaded {
            problems: vec![problem],
            ..Loaded::default()
        }
    }
}

/// Loads a directory anew. The snapshot is to be served only when no problem is an error; that nothing is
/// left in the directory is one, because a directory is emptied in passing while it is replaced.
pub(super) fn load(source: &Source) -> (Snapshot, Vec<Problem>) {
    let loaded = survey_by(source, Empty::Refused, &Changes::default());
    (loaded.snapshot, loaded.problems)
}

impl Snapshot {
    /// Loads a data directory. It is fit to be served only when no problem is an error.
    pub fn load(source: &Source) -> (Snapshot, Vec<Problem>) {
        load(source)
    }

    /// Loads a data directory as it will be after these changes.
    pub fn load_changed(source: &Source, changes: &Changes) -> (Snapshot, Vec<Problem>) {
        let loaded = survey_by(source, Empty::Accepted, changes);
        (loaded.snapshot, loaded.problems)
    }
}

/// Loads a directory for the first time.
pub(super) fn load_first(source: &Source) -> (Snapshot, Vec<Problem>) {
    let loaded = survey(source);
    (loaded.snapshot, loaded.problems)
}

/// Loads a directory, and keeps the positions of its groups.
pub fn survey(source: &Source) -> Loaded {
    survey_by(source, Empty::Accepted, &Changes::default())
}

/// Returns the layout of a directory, if it is a data directory.
#[must_use]
pub fn layout_of(source: &Source) -> Option<Layout> {
    let root = Root::open(&source.root).ok()?;
    layout(source, &root, Empty::Accepted).ok()
}

/// Meaning of an empty directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Empty {
    /// An empty directory is accepted: Terraform fills matchbox's through the server, and starts with an empty
    /// one.
    Accepted,
    /// An empty directory is an error.
    Refused,
}

fn survey_by(source: &Source, empty: Empty, changes: &Changes) -> Loaded {
    let root = match Root::open(&source.root) {
        Ok(root) => root.with_changes(changes),
        Err(error) => {
            let message = format!("cannot be read: {error}");
            let help = "name the data directory: one with `config.yaml` and `specs/`, or with \
                        `groups/` and `profiles/`";
            let problem = Problem::of_file(Severity::Error, &source.root, message, help);
            let problem = problem.of_rule("unreadable");
            return problem.into();
        }
    };
    let layout = match layout(source, &root, empty) {
        Ok(layout) => layout,
        Err(problem) => return (*problem).into(),
    };
    let mut loader = Loader {
        root: &root,
        names: Names::default(),
        problems: Vec::new(),
    };
    let (groups, profiles) = match layout {
        Layout::Bootcfg => bootcfg::load(&mut loader, source.groups_file.as_deref()),
        Layout::Matchbox => matchbox::load(&mut loader),
    };
    same_requirements(&groups, &mut loader.problems);
    let configs = configs(&mut loader, layout, &profiles);
    let mut places = Vec::with_capacity(groups.len());
    let groups = groups.into_iter().enumerate().map(|(number, found)| {
        places.push(found.place);
        Group {
            number,
            ..found.group
        }
    });
    let mut snapshot = Snapshot {
        layout,
        groups: Groups::new(groups),
        profiles,
        configs,
        translations: Translations::of(source.ignition),
    };
    translations::translate(&mut snapshot, &root, &mut loader.problems);
    Loaded {
        snapshot,
        places,
        problems: loader.problems,
    }
}

/// Detects the layout of the directory.
fn layout(source: &Source, root: &Root, empty: Empty) -> Result<Layout, Box<Problem>> {
    if let Some(layout) = source.layout {
        return Ok(layout);
    }
    let there = |names: [&'static str; 2]| names.into_iter().find(|name| root.has(name));
    let bootcfg = match source.groups_file {
        Some(_) => Some("a groups file"),
        None => there(["config.yaml", "specs"]),
    };
    let (message, help) = match (bootcfg, there(["groups", "profiles"])) {
        (Some(_), None) => return Ok(Layout::Bootcfg),
        (None, Some(_)) => return Ok(Layout::Matchbox),
        (Some(bootcfg), Some(matchbox)) => (
            format!("ambiguous layout: `{bootcfg}` (bootcfg) beside `{matchbox}` (matchbox)"),
            "choose one: `layout = \"bootcfg\"` or `layout = \"matchbox\"`",
        ),
        (None, None) if empty == Empty::Accepted && is_empty(root) => {
            return Ok(Layout::Matchbox);
        }
        (None, None) => (
            "not a data directory".to_owned(),
            "a bootcfg directory has `config.yaml` and `specs/`, a matchbox directory has `groups/` and `profiles/`",
        ),
    };
    let problem = Problem::of_file(Severity::Error, &source.root, message, help);
    Err(Box::new(problem.of_rule("layout")))
}

/// True if neither groups nor profiles are in a directory yet: nothing but the folder of assets, and configs that were
/// put first.
fn is_empty(root: &Root) -> bool {
    let known = ["assets", "generic", "ignition", "lost+found"];
    let names = root.names(".").unwrap_or_default();
    names.iter().all(|name| known.contains(&name.as_str()))
}

fn same_requirements(groups: &[FoundGroup], problems: &mut Vec<Problem>) {
    let mut seen: BTreeMap<&Requirements, &str> = BTreeMap::new();
    for FoundGroup { group, place } in groups {
        let Some(first) = seen.get(&group.require) else {
            seen.insert(&group.require, &group.name);
            continue;
        };
        let (rule, same) = match group.require.is_empty() {
            true => ("several-defaults", "no labels, like"),
            false => ("same-requirements", "the same labels as"),
        };
        let message = format!(
            "unreachable group: `{}` requires {same} group `{first}`",
            group.name
        );
        let help = "add a requirement that sets the group apart, or remove it";
        let problem = Problem::of_file(Severity::Warning, &place.path, message, help);
        problems.push(
            problem
                .of_rule(rule)
                .at(Arc::clone(&place.text), place.line, place.column),
        );
    }
}

type Configs = BTreeMap<(Folder, Arc<str>), Result<ConfigText, ConfigError>>;

/// Reads and parses every config that a profile names.
fn configs(loader: &mut Loader<'_>, layout: Layout, profiles: &Profiles) -> Configs {
    let mut configs = Configs::new();
    for profile in profiles.values().flatten() {
        for folder in Folder::ALL {
            let Some(id) = folder.file(profile) else {
                continue;
            };
            let key = (folder, Arc::clone(id));
            if configs.contains_key(&key) {
                continue;
            }
            let config = config(loader, layout, profile, folder, id);
            configs.insert(key, config);
        }
    }
    configs
}

fn config(
    loader: &mut Loader<'_>,
    layout: Layout,
    profile: &Profile,
    folder: Folder,
    id: &str,
) -> Result<ConfigText, ConfigError> {
    let file = format!("{}/{id}", folder.name());
    let path = loader.root.path_of(&file);
    let read = loader.read(&file).map(raw_text::from_bytes);
    let text = read.inspect_err(|error| {
        if !matches!(error, Unreadable::Other { .. }) {
            let named_in = layout.profile_file(&profile.id);
            let help = match error {
                Unreadable::Missing(_) => format!("create {}", path.display()),
                _ => "name a file in the data directory".to_owned(),
            };
            let named_at = loader.root.path_of(&named_in);
            let problem = Problem::of_file(Severity::Warning, &named_at, error.to_string(), help);
            let text = loader.root.read_text(&named_in).unwrap_or_default();
            let id = serde_json::Value::from(id).to_string();
            let (line, column) = place_of(&text, &id).unwrap_or_default();
            let problem = problem.of_rule("missing-config");
            loader.problems.push(problem.at(text, line, column));
        }
    })?;
    let mut broken = |rule, error: &dyn fmt::Display, place: Option<(usize, usize)>, help: &str| {
        let (line, column) = place.unwrap_or_default();
        let problem = Problem::of_file(Severity::Error, &path, error.to_string(), help);
        let problem = problem.of_rule(rule);
        loader
            .problems
            .push(problem.at(text.as_str(), line, column));
    };
    if layout == Layout::Matchbox && folder == Folder::Ignition && ignition::is_raw(id) {
        if let Err(
            error @ (ignition::InvalidIgnition::Json(_) | ignition::InvalidIgnition::ByteOrderMark),
        ) = ignition::json_only(&text)
        {
            let help = "write Ignition JSON";
            broken("ignition-syntax", &error, error.place(), help);
            return Err(ConfigError::Ignition { file, error });
        }
        return Ok(ConfigText::Plain(text.into()));
    }
    // cloud-init renders it in the machine: both languages write `{{`.
    if folder == Folder::Cloud && UserDataKind::of(&text) == Some(UserDataKind::Jinja) {
        return Ok(ConfigText::Plain(text.into()));
    }
    ConfigText::parse(&text, layout.missing_key()).map_err(|error| {
        let help = "configs are Go templates; their values come from the group's `metadata`";
        broken("template-syntax", &error, error.place, help);
        ConfigError::Template { file, error }
    })
}
