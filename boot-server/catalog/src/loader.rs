//! A directory being loaded: what both layouts share.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::files::{Root, Unreadable};
use super::layout::Layout;
use super::matching::Group;
use super::problem::{Problem, Severity};
use super::profile::Profile;
use super::requirements::Names;
use super::unavailable::ProfileError;

/// Position of a group's reference to its profile.
#[derive(Debug, Clone)]
pub struct Place {
    /// Path of the group's file.
    pub path: Arc<Path>,
    /// Text of the group's file.
    pub text: Arc<str>,
    /// Line, counted from 1; 0 when it is not known.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
}

/// A group, and where it was found.
#[derive(Debug)]
pub(super) struct FoundGroup {
    pub(super) group: Group,
    pub(super) place: Place,
}

/// A directory being loaded.
pub(super) struct Loader<'a> {
    pub(super) root: &'a Root,
    pub(super) names: Names,
    pub(super) problems: Vec<Problem>,
}

impl Loader<'_> {
    pub(super) fn error(&mut self, path: &Path, message: impl Into<String>, help: &str) {
        let problem = Problem::of_file(Severity::Error, path, message, help);
        self.problems.push(problem.of_rule("unreadable"));
    }

    /// Reads a file; every obstacle except a missing file is an error.
    pub(super) fn read(&mut self, file: &str) -> Result<Vec<u8>, Unreadable> {
        let read = self.root.read_bytes(file);
        if let Err(error @ Unreadable::Other { .. }) = &read {
            let path = self.root.path_of(file);
            self.error(
                &path,
                error.to_string(),
                "make it a readable file, or remove it",
            );
        }
        read
    }

    /// Reads JSON. As Go does, bytes that are not UTF-8 are replaced.
    pub(super) fn read_json(&mut self, file: &str) -> Result<String, Unreadable> {
        let bytes = self.read(file)?;
        Ok(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        })
    }

    pub(super) fn names(&mut self, folder: &str) -> Vec<String> {
        self.root.names(folder).unwrap_or_else(|error| {
            let path = self.root.path_of(folder);
            self.error(
                &path,
                error.to_string(),
                "make it a readable folder in the data directory",
            );
            Vec::new()
        })
    }
}

pub(super) type Profiles = BTreeMap<Arc<str>, Result<Arc<Profile>, ProfileError>>;

/// Reports an unavailable profile that groups refer to: once, at the first of them.
pub(super) fn dangling(
    loader: &mut Loader<'_>,
    named_by: &FoundGroup,
    layout: Layout,
    error: &Unreadable,
) {
    let Place {
        path,
        text,
        line,
        column,
    } = &named_by.place;
    let file = loader
        .root
        .path_of(&layout.profile_file(&named_by.group.profile_id));
    let word = layout.profile_word();
    let help = format!("create {}, or refer to an existing {word}", file.display());
    let message = format!("group `{}`: {error}", named_by.group.name);
    let problem = Problem::of_file(Severity::Warning, path, message, help);
    let problem = problem.of_rule("missing-profile");
    loader
        .problems
        .push(problem.at(Arc::clone(text), *line, *column));
}
