//! Loads the data directory anew when its files change.
//!
//! Changes are gathered until they pause, so that a copy of many files is one new state. Reading of
//! files is not a change; replacing the directory itself, or a symbolic link to it, is.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{error, warn};

use crate::catalog::data_dir::DataDir;

/// A pause this long ends a change.
const PAUSE: Duration = Duration::from_millis(50);
/// A change that does not pause is loaded after this time, and what follows once more.
const LONGEST: Duration = Duration::from_millis(500);

/// Watches a data directory.
pub(super) struct DataDirWatcher {
    data_dir: Arc<DataDir>,
    watcher: RecommendedWatcher,
    changes: mpsc::Receiver<()>,
    roots: Vec<PathBuf>,
    replaced: Arc<AtomicBool>,
}

impl DataDirWatcher {
    /// Begins to watch.
    ///
    /// # Errors
    /// The kernel's; mostly its limit on watches.
    pub(super) fn new(data_dir: Arc<DataDir>) -> io::Result<DataDirWatcher> {
        let roots = data_dir.watched();
        let roots: Vec<PathBuf> = roots
            .iter()
            .map(std::path::absolute)
            .collect::<io::Result<_>>()?;
        // One waiting note is enough: it stands for all changes until it is taken.
        let (sender, changes) = mpsc::channel(1);
        let replaced = Arc::new(AtomicBool::new(false));
        let (known, flag) = (roots.clone(), Arc::clone(&replaced));
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            match &event {
                Ok(event) if !is_change(event, &known) => return,
                Ok(event) if event.paths.iter().any(|path| known.contains(path)) => {
                    flag.store(true, Ordering::Relaxed);
                }
                Ok(_) => {}
                // Some change was missed, so look.
                Err(error) => warn!(%error, "watching the data directory"),
            }
            // Full: a note is waiting already.
            let _ = sender.try_send(());
        });
        let mut this = DataDirWatcher {
            data_dir,
            watcher: watcher.map_err(io::Error::other)?,
            changes,
            roots,
            replaced,
        };
        this.watch_roots()?;
        for parent in this.roots.iter().filter_map(|root| root.parent()) {
            let mode = RecursiveMode::NonRecursive;
            this.watcher.watch(parent, mode).map_err(io::Error::other)?;
        }
        Ok(this)
    }

    fn watch_roots(&mut self) -> io::Result<()> {
        for root in self.roots.iter().filter(|root| root.is_dir()) {
            // It may be another folder of that name by now.
            let _ = self.watcher.unwatch(root);
            let mode = RecursiveMode::Recursive;
            self.watcher.watch(root, mode).map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// Loads the directory after each change, for ever.
    pub(super) async fn serve(mut self) -> io::Result<()> {
        while self.changes.recv().await.is_some() {
            let latest = Instant::now() + LONGEST;
            while let Ok(Some(())) = timeout_at(latest, timeout(PAUSE, self.changes.recv()))
                .await
                .unwrap_or(Ok(None))
            {}
            if self.replaced.swap(false, Ordering::Relaxed)
                && let Err(error) = self.watch_roots()
            {
                error!(%error, "the data directory is no longer watched: reload by SIGHUP");
            }
            let data_dir = Arc::clone(&self.data_dir);
            // The outcome is told by `reload` itself.
            let loaded = tokio::task::spawn_blocking(move || data_dir.reload().is_ok()).await;
            if let Err(error) = loaded {
                error!(%error, "loading the data directory");
            }
        }
        Err(io::Error::other("the watcher of files ended"))
    }
}

/// True when what is served may be another now.
fn is_change(event: &Event, roots: &[PathBuf]) -> bool {
    let written = AccessKind::Close(AccessMode::Write);
    let of_interest = |path: &Path| roots.iter().any(|root| path.starts_with(root));
    match event.kind {
        EventKind::Access(kind) if kind != written => false,
        // The queue overflowed: anything may have happened.
        _ if event.need_rescan() || event.paths.is_empty() => true,
        _ => event.paths.iter().any(|path| of_interest(path)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::catalog::data_dir::Source;
    use crate::event::{self, BootEvent, EventSink};

    const GROUP: &str = r#"{"id":"a","profile":"p"}"#;

    fn data(folder: &Path) {
        fs::create_dir_all(folder.join("groups")).unwrap();
        fs::create_dir_all(folder.join("profiles")).unwrap();
        fs::write(folder.join("groups/a.json"), GROUP).unwrap();
        fs::write(folder.join("profiles/p.json"), r#"{"id":"p"}"#).unwrap();
    }

    struct Watched {
        data_dir: Arc<DataDir>,
        events: mpsc::Receiver<event::Event>,
        task: tokio::task::JoinHandle<io::Result<()>>,
    }

    fn watch(root: &Path) -> Watched {
        let (sink, events) = EventSink::channel();
        let (data_dir, _) = DataDir::open(Source::of(root), Some(sink)).unwrap();
        let data_dir = Arc::new(data_dir);
        let watcher = DataDirWatcher::new(Arc::clone(&data_dir)).unwrap();
        let task = tokio::spawn(watcher.serve());
        Watched {
            data_dir,
            events,
            task,
        }
    }

    impl Watched {
        /// Waits for a state with this many groups, or for one that is not in force.
        async fn groups(&mut self, wanted: Result<usize, ()>) {
            let deadline = Instant::now() + Duration::from_secs(20);
            loop {
                let event = timeout_at(deadline, self.events.recv()).await;
                let event = event.unwrap_or_else(|_| {
                    panic!("{:?} groups", self.data_dir.snapshot().groups.len())
                });
                let BootEvent::Reloaded { result } = event.unwrap().what else {
                    continue;
                };
                let found = result.map(|_| self.data_dir.snapshot().groups.len());
                if found.map_err(|_| ()) == wanted {
                    return;
                }
            }
        }
    }

    #[tokio::test]
    async fn edits_new_folders_and_broken_files_are_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("data");
        data(&root);
        let mut watched = watch(&root);
        fs::write(root.join("groups/b.json"), GROUP).unwrap();
        watched.groups(Ok(2)).await;
        fs::create_dir(root.join("cloud")).unwrap();
        fs::write(root.join("groups/b.json"), "{").unwrap();
        watched.groups(Err(())).await;
        assert_eq!(watched.data_dir.snapshot().groups.len(), 2);
        fs::remove_file(root.join("groups/b.json")).unwrap();
        watched.groups(Ok(1)).await;
        watched.task.abort();
    }

    #[tokio::test]
    async fn another_directory_in_its_place_is_noticed_and_watched() {
        let dir = tempfile::tempdir().unwrap();
        let [first, second, link] = ["first", "second", "data"].map(|name| dir.path().join(name));
        data(&first);
        data(&second);
        fs::write(second.join("groups/b.json"), GROUP).unwrap();
        symlink(&first, &link).unwrap();
        let mut watched = watch(&link);
        symlink(&second, dir.path().join("new")).unwrap();
        fs::rename(dir.path().join("new"), &link).unwrap();
        watched.groups(Ok(2)).await;
        fs::write(second.join("groups/c.json"), GROUP).unwrap();
        watched.groups(Ok(3)).await;
        watched.task.abort();
    }

    #[test]
    fn reading_is_no_change() {
        let read = EventKind::Access(AccessKind::Open(AccessMode::Read));
        let event = Event::new(read).add_path("/data/groups/a.json".into());
        assert!(!is_change(&event, &["/data".into()]));
        let elsewhere = Event::new(EventKind::Any).add_path("/other".into());
        assert!(!is_change(&elsewhere, &["/data".into()]));
    }
}
