//! Decides when a data directory may be loaded: when no process is writing to it any more.
//!
//! Pure: takes what happened to files and the time, and owns neither. Call [`Settling::handle`] for each
//! change, then [`Settling::poll`] for what to do until the next one. A
//! load begins with a new one.
//!
//! A file that was created or modified and not yet closed is being written, and so is the whole directory. The
//! loaders would not notice: YAML that is cut at a line is valid, and a group that is not there yet leaves its
//! machines to the default group.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

/// A pause this long ends the change of one file.
pub(super) const PAUSE: Duration = Duration::from_millis(50);
/// The pause that ends a change of several files: a copy over a network has gaps between its files.
pub(super) const COPY_PAUSE: Duration = Duration::from_millis(500);
/// The pause after which a file that is gone does not come back: git and some editors replace a file by
/// removing it first. New folders wait as long, because the first files in them may have come unseen.
pub(super) const GONE_PAUSE: Duration = Duration::from_secs(1);
/// The time after which a change that does not end is loaded as it is.
pub(super) const LIMIT: Duration = Duration::from_secs(60);

/// Something that happened to a file or folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// The file was created or modified by a process that has it open.
    Writing(PathBuf),
    /// Whoever wrote it has closed it.
    Closed(PathBuf),
    /// The name appeared in one step: a rename, a link.
    Appeared(PathBuf),
    /// A new folder has got this name.
    Folder(PathBuf),
    /// The name disappeared: removed, or about to be renamed.
    Gone(PathBuf),
    /// The first name was renamed to the second. Follows its `Gone` and `Appeared`.
    Renamed(PathBuf, PathBuf),
    /// Another folder has taken the place of the data directory.
    Replaced,
    /// Any other change, such as its permissions, or one that was missed.
    Other,
}

/// The next thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// No change is pending.
    Idle,
    /// Changes are under way: ask again at this time, or after the next change.
    Wait(Instant),
    /// All changes have ended.
    Load,
    /// The change lasts longer than [`LIMIT`]; these files are still being written.
    LoadUnfinished(Vec<PathBuf>),
}

/// The changes since the last load.
#[derive(Debug, Default)]
pub(super) struct Settling {
    /// Files that a process has open for writing.
    writing: BTreeSet<PathBuf>,
    /// Files that were there and are not.
    gone: BTreeSet<PathBuf>,
    /// Files that changed.
    changed: BTreeSet<PathBuf>,
    /// Folders are new.
    folders: bool,
    /// Last path that lost its name, and the files being written there.
    left: Option<(PathBuf, Vec<PathBuf>)>,
    /// Time of the first change and of the last.
    since: Option<(Instant, Instant)>,
}

impl Settling {
    /// Takes notice of a change.
    pub(super) fn handle(&mut self, now: Instant, change: Change) {
        let first = self.since.map_or(now, |(first, _)| first);
        self.since = Some((first, now));
        match change {
            Change::Writing(path) => {
                self.there(&path);
                self.writing.insert(path);
            }
            Change::Closed(path) => {
                self.writing.remove(&path);
                self.there(&path);
            }
            Change::Appeared(path) => self.there(&path),
            Change::Folder(path) => {
                self.there(&path);
                self.folders = true;
            }
            Change::Gone(path) => {
                let below = |file: &PathBuf| file.starts_with(&path);
                let (left, stay) = std::mem::take(&mut self.writing)
                    .into_iter()
                    .partition(below);
                self.writing = stay;
                self.left = Some((path.clone(), Vec::from_iter::<BTreeSet<_>>(left)));
                self.gone.insert(path);
            }
            Change::Renamed(from, to) => {
                if let Some((path, files)) = self.left.take_if(|(path, _)| *path == from) {
                    let files = files
                        .iter()
                        .filter_map(|file| file.strip_prefix(&path).ok());
                    self.writing.extend(files.map(|file| joined(&to, file)));
                }
                // A temporary file that got its name in the end is not missed.
                self.gone.remove(&from);
                self.there(&to);
            }
            Change::Replaced => {
                self.writing.clear();
                self.gone.clear();
                self.folders = true;
            }
            Change::Other => {}
        }
    }

    /// Returns the files that a process has open for writing.
    #[cfg(test)]
    pub(super) fn writing(&self) -> &BTreeSet<PathBuf> {
        &self.writing
    }

    fn there(&mut self, path: &Path) {
        self.gone.remove(path);
        self.changed.insert(path.to_owned());
    }

    /// Tells what to do at this time.
    pub(super) fn poll(&self, now: Instant) -> Step {
        let Some((first, last)) = self.since else {
            return Step::Idle;
        };
        let limit = first + LIMIT;
        if now >= limit {
            return Step::LoadUnfinished(self.writing.iter().cloned().collect());
        }
        if !self.writing.is_empty() {
            return Step::Wait(limit);
        }
        let pause = match () {
            () if self.folders || !self.gone.is_empty() => GONE_PAUSE,
            () if self.changed.len() > 1 => COPY_PAUSE,
            () => PAUSE,
        };
        match last + pause {
            quiet if now >= quiet => Step::Load,
            quiet => Step::Wait(quiet.min(limit)),
        }
    }

    /// Adds what changed while a load was tried that came to nothing.
    pub(super) fn merge(&mut self, later: Settling, now: Instant) {
        self.writing.extend(later.writing);
        self.gone.extend(later.gone);
        self.changed.extend(later.changed);
        self.folders |= later.folders;
        self.left = later.left;
        self.since = Some((self.since.map_or(now, |(first, _)| first), now));
    }
}

/// `Path::join` without the slash that an empty path would leave.
fn joined(path: &Path, below: &Path) -> PathBuf {
    match below.as_os_str().is_empty() {
        true => path.to_owned(),
        false => path.join(below),
    }
}

#[cfg(test)]
#[path = "settling_tests.rs"]
mod tests;
