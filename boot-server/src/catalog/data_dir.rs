//! An open data directory: held in memory, loaded anew when it is told to.
//!
//! Each request is answered from the [`Snapshot`] that is in force when it comes. A new one takes its
//! place at once and whole, and only when it has no error; else the last good one stays.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

pub use super::load::Source;
use super::problem::{Problem, Severity};
pub use super::snapshot::{Layout, Refusal, ServedConfig, Snapshot};
use super::{BootCatalog, Labels, Selection, check, load};
use crate::event::{BootEvent, EventSink};

/// A data directory that is served.
#[derive(Debug)]
pub struct DataDir {
    source: Source,
    events: Option<EventSink>,
    snapshot: ArcSwap<Snapshot>,
    /// Held while the directory is loaded, so that an older state never replaces a newer one.
    loading: Mutex<()>,
}

impl DataDir {
    /// Opens a data directory. Also returns the warnings that [`check`](check::check) has of what its
    /// machines would meet.
    ///
    /// # Errors
    /// All problems of the directory, when at least one is an error.
    pub fn open(
        source: Source,
        events: Option<EventSink>,
    ) -> Result<(DataDir, Vec<Problem>), Vec<Problem>> {
        let (snapshot, problems) = check::load_and_render(&source);
        if problems.iter().any(|p| p.severity == Severity::Error) {
            return Err(problems);
        }
        let data_dir = DataDir {
            source,
            events,
            snapshot: ArcSwap::from_pointee(snapshot),
            loading: Mutex::new(()),
        };
        Ok((data_dir, problems))
    }

    /// What is in force now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// The paths whose changes are changes of what is served.
    pub fn watched(&self) -> Vec<PathBuf> {
        let groups_file = self.source.groups_file.clone();
        std::iter::once(self.source.root.clone())
            .chain(groups_file)
            .collect()
    }

    /// Loads the directory anew; a state with errors leaves the last good one in force. Tells the
    /// outcome as an event and in the log. Reads files: not for an async task.
    ///
    /// # Errors
    /// All problems, when at least one is an error.
    pub fn reload(&self) -> Result<(), Vec<Problem>> {
        let _one_at_a_time = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        let (snapshot, problems) = load::load(&self.source);
        let errors: Vec<String> = problems
            .iter()
            .filter(|problem| problem.severity == Severity::Error)
            .map(ToString::to_string)
            .collect();
        let result = match errors.is_empty() {
            true => Ok(format!(
                "{} groups and {} {}s from {}",
                snapshot.groups.len(),
                snapshot.profiles.len(),
                snapshot.layout.profile_word(),
                self.source.root.display()
            )),
            false => Err(errors.join("; ")),
        };
        match &result {
            Ok(what) => {
                self.snapshot.store(Arc::new(snapshot));
                tracing::info!("{what}");
                for warning in &problems {
                    tracing::warn!("{warning}");
                }
            }
            Err(why) => tracing::error!("the last good state stays in force: {why}"),
        }
        let failed = result.is_err();
        if let Some(events) = &self.events {
            events.emit(BootEvent::Reloaded { result });
        }
        match failed {
            true => Err(problems),
            false => Ok(()),
        }
    }
}

impl BootCatalog for DataDir {
    fn select(&self, labels: &Labels) -> Result<Selection, String> {
        self.snapshot.load().select(labels)
    }
}

#[cfg(test)]
#[path = "data_dir_tests.rs"]
mod tests;
