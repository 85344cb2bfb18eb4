//! Open data directory: held in memory, reloaded on request.
//!
//! Each request is answered from the [`Snapshot`] that is in force when it comes. A new one takes its
//! place at once and whole, and only when it has no error; else the last good one stays.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use tokio::sync::Notify;

use super::change::Pending;
use crate::event_sink::EventSink;
use boot_server_catalog::matching::Group;
use boot_server_catalog::problem::{Problem, Severity};
pub use boot_server_catalog::snapshot::{Layout, Refusal, ServedConfig, Snapshot};
pub use boot_server_catalog::source::Source;
use boot_server_catalog::stamp::{Compare, Stamp, is_remote};
use boot_server_catalog::{BootCatalog, Labels, Selection, check};
use boot_server_events::{BootEvent, ReloadOutcome};

/// A data directory that is served.
#[derive(Debug)]
pub struct DataDir {
    source: Source,
    events: Option<EventSink>,
    snapshot: ArcSwap<Snapshot>,
    /// Held while the directory is loaded, so that an older state never replaces a newer one.
    pub(super) loading: Mutex<()>,
    /// Changes that wait to be made.
    pub(super) changes: Mutex<Vec<Pending>>,
    /// Largest share of the groups, in percent, that a change may take away without a reload being asked for.
    max_groups_lost: Option<u8>,
    /// Callers that wait for the end of a reload; `None` while nobody watches the directory.
    asked: Mutex<Option<Vec<mpsc::Sender<()>>>>,
    /// Wakes the watcher of the directory when a reload is requested.
    wake: Notify,
}

/// Conditions that a new state must meet before it replaces the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// Files that change while they are read are no state. The time for which a file system of another host
    /// must show the same.
    pub settle: Option<Duration>,
    /// True if an operator requested the reload, which may then remove any number of groups.
    pub asked_for: bool,
}

/// Result of loading a data directory.
#[derive(Debug)]
pub enum Reload {
    /// The new state is in force.
    InForce,
    /// The last good one stays in force, for these reasons.
    Refused(Vec<Problem>),
    /// Files changed while they were read: nothing is reported, and the last valid state is kept.
    Moving,
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
            changes: Mutex::default(),
            max_groups_lost: None,
            asked: Mutex::new(None),
            wake: Notify::new(),
        };
        Ok((data_dir, problems))
    }

    /// Keeps a change that takes away more than this share of the groups out of force until a reload is asked
    /// for.
    pub fn with_max_groups_lost(mut self, percent: Option<u8>) -> DataDir {
        self.max_groups_lost = percent;
        self
    }

    /// Keeps the layout of the present state for all later ones, whatever folders there are.
    pub fn with_layout_kept(mut self) -> DataDir {
        self.source.layout = Some(self.current().layout);
        self
    }

    /// Returns the path of the directory.
    pub fn root(&self) -> &Path {
        &self.source.root
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    /// Asks whoever watches the directory to load it once nobody is writing it. What is returned ends when
    /// that is done; `None` when nobody watches.
    pub fn ask_for_reload(&self) -> Option<mpsc::Receiver<()>> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let (sender, receiver) = mpsc::channel();
        asked.as_mut()?.push(sender);
        self.wake.notify_one();
        Some(receiver)
    }

    /// Declares that the caller watches the directory, and loads it when [`DataDir::asked_for`] returns.
    pub fn watch(&self) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.get_or_insert_default();
    }

    /// Waits until a reload is requested.
    pub async fn asked_for(&self) {
        self.wake.notified().await;
    }

    /// Takes the callers that wait for a reload. Dropping a sender tells its caller that the reload has ended.
    pub fn take_askers(&self) -> Vec<mpsc::Sender<()>> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// True if the files are on a file system of another host, whose changes the kernel does not tell.
    pub fn is_remote(&self) -> bool {
        self.watched().iter().any(|path| is_remote(path))
    }

    /// Takes those back whose reload has to be tried again.
    pub fn put_askers_back(&self, askers: Vec<mpsc::Sender<()>>) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(asked) = asked.as_mut() {
            asked.extend(askers);
        }
    }

    /// Declares that the directory is no longer watched.
    pub fn unwatch(&self) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        *asked = None;
    }

    /// Returns the state of the files now. Reads files: not for an async task.
    pub fn stamp(&self) -> Stamp {
        Stamp::take(&self.source, Compare::Metadata)
    }

    /// Returns the current snapshot.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Returns the same for a short time, without counting whoever has the snapshot.
    pub fn current(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// Returns the paths whose changes affect what is served.
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
        let demand = Demand {
            settle: None,
            asked_for: true,
        };
        match self.reload_as(demand) {
            Reload::InForce | Reload::Moving => Ok(()),
            Reload::Refused(problems) => Err(problems),
        }
    }

    /// Reloads for a state that meets a demand.
    pub fn reload_as(&self, demand: Demand) -> Reload {
        let _one_at_a_time = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        let compare = match self.is_remote() {
            true => Compare::Content,
            false => Compare::Metadata,
        };
        let stamp = || demand.settle.map(|_| Stamp::take(&self.source, compare));
        let before = stamp();
        let (snapshot, mut problems) = Snapshot::load(&self.source);
        if let (Some(settle), Compare::Content) = (demand.settle, compare) {
            std::thread::sleep(settle);
        }
        if stamp() != before {
            return Reload::Moving;
        }
        if !demand.asked_for {
            problems.extend(self.too_many_lost(&snapshot));
        }
        if problems.iter().all(|p| p.severity != Severity::Error) {
            problems.extend(check::over_budget(&self.source, &snapshot));
        }
        let errors: Vec<String> = problems
            .iter()
            .filter(|problem| problem.severity == Severity::Error)
            .map(ToString::to_string)
            .collect();
        let result = match errors.is_empty() {
            true => ReloadOutcome::InForce(self.told(&snapshot)),
            false => ReloadOutcome::Refused(errors.join("; ")),
        };
        match &result {
            ReloadOutcome::InForce(what) => {
                self.put_in_force(snapshot);
                tracing::info!("{what}");
                for warning in &problems {
                    tracing::warn!("{warning}");
                }
            }
            ReloadOutcome::Refused(why) => tracing::error!("keeping the last valid data: {why}"),
        }
        let failed = !result.is_in_force();
        self.tell(result);
        match failed {
            true => Reload::Refused(problems),
            false => Reload::InForce,
        }
    }

    /// Describes a state in a few words.
    pub(super) fn told(&self, snapshot: &Snapshot) -> String {
        format!(
            "{} groups and {} {}s from {}",
            snapshot.groups.len(),
            snapshot.profile_count(),
            snapshot.layout.profile_word(),
            self.source.root.display()
        )
    }

    /// Answers from this state from now on. The caller holds `loading`.
    pub(super) fn put_in_force(&self, snapshot: Snapshot) {
        self.snapshot.store(Arc::new(snapshot));
    }

    pub(super) fn tell(&self, result: ReloadOutcome) {
        if let Some(events) = &self.events {
            events.emit(BootEvent::Reloaded { result });
        }
    }

    /// Returns a problem if a state lacks more groups of the current one than a change may remove. A missing folder of
    /// groups is never a change that somebody made to machines: an unmounted file system looks like that.
    fn too_many_lost(&self, new: &Snapshot) -> Option<Problem> {
        let old = self.snapshot.load();
        let groups = self.source.root.join("groups");
        if new.groups.is_empty() && !old.groups.is_empty() && !groups.is_dir() {
            let message = format!(
                "folder not found: the {} groups in it would be lost",
                old.groups.len()
            );
            let help = "reload by SIGHUP when this is meant, or put the folder back";
            return Some(Problem::of_file(Severity::Error, &groups, message, help));
        }
        let most = usize::from(self.max_groups_lost?);
        let names: HashSet<&str> = new.groups.iter().map(|group| &*group.name).collect();
        let kept = |group: &&Arc<Group>| names.contains(&*group.name);
        let (count, kept) = (old.groups.len(), old.groups.iter().filter(kept).count());
        let lost = count - kept;
        if lost * 100 <= count * most {
            return None;
        }
        let message =
            format!("refused reload: {lost} of {count} groups would disappear (limit {most} %)");
        let help = "send SIGHUP to accept the change, or raise http.max_groups_lost";
        let root = &self.source.root;
        Some(Problem::of_file(Severity::Error, root, message, help))
    }
}

impl BootCatalog for DataDir {
    fn select(&self, labels: &Labels) -> Result<Selection, Refusal> {
        self.snapshot.load().select(labels)
    }
}

#[cfg(test)]
#[path = "data_dir_tests.rs"]
mod tests;
