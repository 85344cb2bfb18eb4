//! The data directory of bootcfg 0.1 and 0.2: `config.yaml`, `specs/<id>/spec.json`, `cloud/`,
//! `ignition/`.

pub(super) mod groups_file;
mod shape;
pub mod spec;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::Unreadable;
use super::layout::Layout;
use super::loader::{FoundGroup, Loader, Profiles, dangling};
use super::problem::{Problem, Severity};
use super::profile::Profile;
use super::unavailable::ProfileError;

/// Loads groups and specs. The groups file may be outside of the directory.
pub(super) fn load(
    loader: &mut Loader<'_>,
    groups_file: Option<&Path>,
) -> (Vec<FoundGroup>, Profiles) {
    let (path, read) = match groups_file {
        Some(path) => (
            path.to_owned(),
            std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}")),
        ),
        None => (
            loader.root.path_of("config.yaml"),
            loader
                .root
                .read_text("config.yaml")
                .map_err(|error| error.to_string()),
        ),
    };
    let groups = match read {
        Ok(text) => {
            let (groups, problems) = groups_file::parse(&path, &text.into(), &mut loader.names);
            loader.problems.extend(problems);
            groups
        }
        Err(message) => {
            let others = groups_files(loader);
            let help = match others.first() {
                Some(other) => format!("name the groups file instead: {}", other.display()),
                None => {
                    "name the data directory, which holds `config.yaml` and `specs/`".to_owned()
                }
            };
            loader.error(&path, message, &help);
            Vec::new()
        }
    };
    let mut named: BTreeMap<&Arc<str>, &FoundGroup> = BTreeMap::new();
    for found in &groups {
        named.entry(&found.group.profile_id).or_insert(found);
    }
    let folders = loader.names("specs").into_iter();
    let folders = folders.filter(|name| loader.root.names(&format!("specs/{name}")).is_ok());
    let folders: Vec<Arc<str>> = folders.map(Arc::from).collect();
    let ids: BTreeSet<&Arc<str>> = folders.iter().chain(named.keys().copied()).collect();
    let profiles = ids
        .into_iter()
        .map(|id| {
            (
                Arc::clone(id),
                read_spec(loader, id, named.get(id).copied()),
            )
        })
        .collect();
    (groups, profiles)
}

/// Returns the files in the directory that may be groups files.
fn groups_files(loader: &Loader<'_>) -> Vec<PathBuf> {
    let names = loader.root.names(".").unwrap_or_default().into_iter();
    names
        .filter(|name| name.ends_with(".yaml") || name.ends_with(".yml"))
        .filter(|name| {
            let text = loader.root.read_text(name).unwrap_or_default();
            text.lines().any(|line| line.starts_with("groups:"))
        })
        .map(|name| loader.root.path_of(&name))
        .collect()
}

fn read_spec(
    loader: &mut Loader<'_>,
    id: &Arc<str>,
    named_by: Option<&FoundGroup>,
) -> Result<Arc<Profile>, ProfileError> {
    let file = Layout::Bootcfg.profile_file(id);
    let path = loader.root.path_of(&file);
    let text = loader
        .read_json(&file)
        .inspect_err(|error| match (error, named_by) {
            (Unreadable::Other { .. }, _) => {}
            (_, Some(group)) => dangling(loader, group, Layout::Bootcfg, error),
            (_, None) => {
                let help = "remove the folder, or add the file";
                let problem = Problem::of_file(Severity::Warning, &path, error.to_string(), help);
                loader.problems.push(problem.of_rule("missing-profile"));
            }
        })?;
    let (profile, problems) = spec::parse(&path, &text, id, named_by.is_some());
    loader.problems.extend(problems);
    profile
        .map(Arc::new)
        .map_err(|error| ProfileError::Invalid { file, error })
}
