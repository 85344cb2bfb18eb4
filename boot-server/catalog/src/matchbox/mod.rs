//! The data directory of bootcfg 0.3 and later and of matchbox: `groups/<id>.json`,
//! `profiles/<id>.json`, `cloud/`, `ignition/`, `generic/`.

mod group_file;
mod profile_file;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::files::Unreadable;
use super::layout::Layout;
use super::loader::{FoundGroup, Loader, Profiles, dangling};
use super::profile::Profile;
use super::unavailable::ProfileError;

/// Loads groups and profiles: the files `*.json` of the two folders.
pub(super) fn load(loader: &mut Loader<'_>) -> (Vec<FoundGroup>, Profiles) {
    let mut groups = Vec::new();
    let all: BTreeSet<String> = ids(loader, "groups").into_iter().collect();
    for id in &all {
        let file = format!("groups/{id}.json");
        let Some(text) = read(loader, &file) else {
            continue;
        };
        let path = loader.root.path_of(&file);
        let (group, problems) = group_file::parse(&path, text.into(), id, &all, &mut loader.names);
        loader.problems.extend(problems);
        groups.extend(group);
    }
    let mut named: BTreeMap<&Arc<str>, &FoundGroup> = BTreeMap::new();
    for found in &groups {
        named.entry(&found.group.profile_id).or_insert(found);
    }
    let there: Vec<Arc<str>> = ids(loader, "profiles").into_iter().map(Arc::from).collect();
    let all: BTreeSet<&Arc<str>> = there.iter().chain(named.keys().copied()).collect();
    let profiles = all
        .into_iter()
        .map(|id| {
            (
                Arc::clone(id),
                read_profile(loader, id, named.get(id).copied()),
            )
        })
        .collect();
    (groups, profiles)
}

/// Returns the names before `.json` in a folder.
fn ids(loader: &mut Loader<'_>, folder: &str) -> Vec<String> {
    let names = loader.names(folder).into_iter();
    names
        .filter_map(|name| Some(name.strip_suffix(".json")?.to_owned()))
        .collect()
}

/// Reads a file that was listed; none for a folder and for a file that is gone by now. What cannot be read is
/// told.
fn read(loader: &mut Loader<'_>, file: &str) -> Option<String> {
    match loader.read_json(file) {
        Ok(text) => Some(text),
        Err(error @ Unreadable::Outside(_)) => {
            let path = loader.root.path_of(file);
            loader.error(&path, error.to_string(), "put the file itself there");
            None
        }
        Err(Unreadable::Missing(_) | Unreadable::Folder(_) | Unreadable::Other { .. }) => None,
    }
}

fn read_profile(
    loader: &mut Loader<'_>,
    id: &Arc<str>,
    named_by: Option<&FoundGroup>,
) -> Result<Arc<Profile>, ProfileError> {
    let file = Layout::Matchbox.profile_file(id);
    let path = loader.root.path_of(&file);
    let text = loader
        .read_json(&file)
        .inspect_err(|error| match (error, named_by) {
            (Unreadable::Other { .. }, _) | (Unreadable::Folder(_), None) => {}
            (_, Some(group)) => dangling(loader, group, Layout::Matchbox, error),
            (_, None) => loader.error(&path, error.to_string(), "put the file itself there"),
        })?;
    let (profile, problems) = profile_file::parse(&path, &text, id, named_by.is_some());
    loader.problems.extend(problems);
    profile
        .map(Arc::new)
        .map_err(|error| ProfileError::Invalid { file, error })
}
