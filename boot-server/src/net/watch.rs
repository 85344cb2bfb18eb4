//! Reloads the data directory when its files change, once no process is writing to it.
//!
//! The kernel's notes of changes become [`Change`]s; [`Settling`] decides by them when to load. Reading of
//! files is not a change; replacing the directory itself, or any symbolic link on the way to it, is. On a
//! file system of another host, where the kernel notes nothing, the files are looked at now and then.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{Instant, interval, sleep_until};
use tracing::{error, warn};

use super::settling::{Change, LIMIT, Settling, Step};
use crate::catalog::data_dir::{DataDir, Demand, Reload};
use crate::catalog::stamp::Stamp;

/// Interval at which the path is checked to still lead to the same directory.
const LOOK: Duration = Duration::from_secs(2);
/// The time for which a file system of another host must show the same contents.
const REMOTE_SETTLE: Duration = Duration::from_secs(2);

/// Watches a data directory.
pub(super) struct DataDirWatcher {
    data_dir: Arc<DataDir>,
    watcher: RecommendedWatcher,
    notes: mpsc::Receiver<()>,
    watched: Arc<Watched>,
    /// Devices and inodes of the roots that are watched.
    identity: Vec<Option<(u64, u64)>>,
    /// The last state seen of a file system of another host.
    remote: Option<Stamp>,
    /// True if an operator requested a reload.
    asked_for: bool,
}

/// State shared by the thread that reads the kernel's notifications and the watcher.
#[derive(Debug)]
struct Watched {
    roots: Vec<PathBuf>,
    /// Folders below the roots that hold no configuration, such as assets.
    ignored: Vec<PathBuf>,
    settling: Mutex<Settling>,
}

impl Watched {
    fn settling(&self) -> MutexGuard<'_, Settling> {
        self.settling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if what is served may be made of this file, or somebody who writes it is about to change one that
    /// is.
    fn concerns(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if self.roots.iter().any(|root| root == path) {
            return true;
        }
        let Some(below) = self
            .roots
            .iter()
            .find_map(|root| path.strip_prefix(root).ok())
        else {
            return false;
        };
        if self.ignored.iter().any(|folder| path.starts_with(folder)) {
            return false;
        }
        if below.components().any(|part| part.as_os_str() == ".git") {
            // git holds it while it changes the files around it.
            return name == "index.lock";
        }
        !is_editors(&name)
    }

    /// Returns the changes that a note of the kernel tells.
    fn changes(&self, event: &Event) -> Vec<Change> {
        // The queue overflowed: anything may have happened.
        if event.need_rescan() || event.paths.is_empty() {
            return vec![Change::Other];
        }
        let concerned = |path: &&PathBuf| self.concerns(path);
        let one = |change: fn(PathBuf) -> Change| {
            event
                .paths
                .iter()
                .filter(concerned)
                .cloned()
                .map(change)
                .collect()
        };
        let mut changes: Vec<Change> = match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => one(Change::Closed),
            EventKind::Access(_) => return Vec::new(),
            EventKind::Create(CreateKind::Folder) => one(Change::Folder),
            EventKind::Create(_) => one(created),
            EventKind::Modify(ModifyKind::Data(_)) => one(Change::Writing),
            EventKind::Modify(ModifyKind::Name(RenameMode::From)) | EventKind::Remove(_) => {
                one(Change::Gone)
            }
            EventKind::Modify(ModifyKind::Name(RenameMode::To)) => one(appeared),
            EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => match &event.paths[..] {
                [from, to] if self.concerns(to) => vec![Change::Renamed(from.clone(), to.clone())],
                _ => Vec::new(),
            },
            _ => one(|_| Change::Other),
        };
        let is_replaced = matches!(
            event.kind,
            EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))
        ) && event.paths.iter().any(|path| self.roots.contains(path));
        if is_replaced {
            changes.push(Change::Replaced);
        }
        changes
    }
}

/// A file of an editor's own, which may be open as long as the editor is.
fn is_editors(name: &str) -> bool {
    let swap = name.starts_with('.')
        && [".swp", ".swo", ".swx"]
            .iter()
            .any(|end| name.ends_with(end));
    let is_lock = name.starts_with(".#") || (name.starts_with('#') && name.ends_with('#'));
    // NFS keeps a removed file that is still open under such a name.
    swap || is_lock || name.ends_with('~') || name.starts_with(".nfs")
}

/// A new regular file is being written by its creator; a link is complete at once.
fn created(path: PathBuf) -> Change {
    let in_writing = |found: &Metadata| found.is_file() && found.nlink() == 1;
    match std::fs::symlink_metadata(&path) {
        Ok(found) if in_writing(&found) => Change::Writing(path),
        Ok(_) => Change::Appeared(path),
        Err(_) => Change::Gone(path),
    }
}

fn appeared(path: PathBuf) -> Change {
    match path.is_dir() && !path.is_symlink() {
        true => Change::Folder(path),
        false => Change::Appeared(path),
    }
}

impl DataDirWatcher {
    /// Begins to watch. Changes in `ignored` folders do not count.
    ///
    /// # Errors
    /// The kernel's; mostly its limit on watches.
    pub(super) fn new(
        data_dir: Arc<DataDir>,
        ignored: impl IntoIterator<Item = PathBuf>,
    ) -> io::Result<DataDirWatcher> {
        let absolute = |paths: Vec<PathBuf>| -> io::Result<Vec<PathBuf>> {
            paths.iter().map(std::path::absolute).collect()
        };
        let watched = Arc::new(Watched {
            roots: absolute(data_dir.watched())?,
            ignored: absolute(ignored.into_iter().collect())?,
            settling: Mutex::default(),
        });
        // One waiting note is enough: it represents all changes until it is taken.
        let (sender, notes) = mpsc::channel(1);
        let shared = Arc::clone(&watched);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let changes = event.map_or_else(
                |error| {
                    // Some change was missed, so look.
                    warn!(%error, "cannot watch the data directory");
                    vec![Change::Other]
                },
                |event| shared.changes(&event),
            );
            if changes.is_empty() {
                return;
            }
            let now = Instant::now();
            let mut settling = shared.settling();
            for change in changes {
                settling.handle(now, change);
            }
            drop(settling);
            // Full: a note is waiting already.
            let _ = sender.try_send(());
        });
        let mut this = DataDirWatcher {
            data_dir,
            watcher: watcher.map_err(io::Error::other)?,
            notes,
            identity: Vec::new(),
            remote: None,
            asked_for: false,
            watched,
        };
        this.watch_roots()?;
        for parent in this.watched.roots.iter().filter_map(|root| root.parent()) {
            let mode = RecursiveMode::NonRecursive;
            this.watcher.watch(parent, mode).map_err(io::Error::other)?;
        }
        this.data_dir.watch();
        Ok(this)
    }

    fn watch_roots(&mut self) -> io::Result<()> {
        self.identity = identity(&self.watched.roots);
        for root in self.watched.roots.iter().filter(|root| root.is_dir()) {
            // It may be another folder of that name by now.
            let _ = self.watcher.unwatch(root);
            let mode = RecursiveMode::Recursive;
            self.watcher.watch(root, mode).map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// Loads the directory after each change, for ever.
    pub(super) async fn serve(mut self) -> io::Result<()> {
        let mut looks = interval(LOOK);
        let data_dir = Arc::clone(&self.data_dir);
        loop {
            let now = Instant::now();
            let step = self.watched.settling().poll(now);
            let until = match step {
                Step::Load => {
                    self.load(&[], true).await;
                    continue;
                }
                Step::LoadUnfinished(files) => {
                    self.load(&files, false).await;
                    continue;
                }
                Step::Wait(until) => until,
                Step::Idle => now + LIMIT,
            };
            tokio::select! {
                note = self.notes.recv() => if note.is_none() {
                    return Err(io::Error::other("the file watcher ended"));
                },
                () = data_dir.asked_for() => {
                    self.asked_for = true;
                    self.watched.settling().handle(Instant::now(), Change::Other);
                }
                _ = looks.tick() => self.look().await,
                () = sleep_until(until) => {}
            }
        }
    }

    /// Looks for what the kernel does not tell: another directory behind the same path, changes made by
    /// other hosts.
    async fn look(&mut self) {
        if identity(&self.watched.roots) != self.identity {
            self.watched
                .settling()
                .handle(Instant::now(), Change::Replaced);
        }
        let data_dir = Arc::clone(&self.data_dir);
        let look = move || data_dir.is_remote().then(|| data_dir.stamp());
        let seen = tokio::task::spawn_blocking(look).await.unwrap_or_default();
        let last = std::mem::replace(&mut self.remote, seen);
        if last.is_some() && last != seen {
            self.watched
                .settling()
                .handle(Instant::now(), Change::Other);
        }
    }

    /// Loads the directory. `files` are still being written, when they have been for too long.
    async fn load(&mut self, files: &[PathBuf], must_be_still: bool) {
        if identity(&self.watched.roots) != self.identity
            && let Err(error) = self.watch_roots()
        {
            error!(%error, "no longer watching the data directory: send SIGHUP to reload it");
        }
        if !must_be_still {
            let files: Vec<String> = files
                .iter()
                .map(|file| file.display().to_string())
                .collect();
            let seconds = LIMIT.as_secs();
            warn!(
                files = files.join(", "),
                "the data directory has been changing for {seconds} s: loaded as it is"
            );
        }
        let demand = Demand {
            settle: must_be_still.then_some(REMOTE_SETTLE),
            asked_for: self.asked_for,
        };
        // Changes from now on are of the next state, unless this one is not taken for their sake.
        let before = std::mem::take(&mut *self.watched.settling());
        let askers = self.data_dir.take_askers();
        let data_dir = Arc::clone(&self.data_dir);
        // `reload_as` itself reports the result.
        match tokio::task::spawn_blocking(move || data_dir.reload_as(demand)).await {
            Ok(Reload::Moving) => {
                self.data_dir.put_askers_back(askers);
                let mut settling = self.watched.settling();
                let since = std::mem::replace(&mut *settling, before);
                settling.merge(since, Instant::now());
            }
            Ok(Reload::InForce | Reload::Refused(_)) => self.asked_for = false,
            Err(error) => error!(%error, "loading the data directory"),
        }
    }
}

impl Drop for DataDirWatcher {
    fn drop(&mut self) {
        self.data_dir.unwatch();
    }
}

/// Device and inode behind each path; another one is another file.
fn identity(paths: &[PathBuf]) -> Vec<Option<(u64, u64)>> {
    let found = paths.iter().map(|path| std::fs::metadata(path).ok());
    found
        .map(|found| found.map(|found| (found.dev(), found.ino())))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::symlink;

    use boot_server_events::BootEvent;
    use tokio::time::timeout_at;

    use super::*;
    use crate::catalog::data_dir::Source;
    use crate::event_sink::EventSink;

    const GROUP: &str = r#"{"id":"a","profile":"p"}"#;

    fn data(folder: &Path) {
        fs::create_dir_all(folder.join("groups")).unwrap();
        fs::create_dir_all(folder.join("profiles")).unwrap();
        fs::write(folder.join("groups/a.json"), GROUP).unwrap();
        fs::write(folder.join("profiles/p.json"), r#"{"id":"p"}"#).unwrap();
    }

    struct Running {
        shared: Arc<super::Watched>,
        data_dir: Arc<DataDir>,
        events: mpsc::Receiver<boot_server_events::Event>,
        task: tokio::task::JoinHandle<io::Result<()>>,
    }

    fn watch(root: &Path) -> Running {
        let (sink, events) = EventSink::channel();
        let (data_dir, _) = DataDir::open(Source::of(root), Some(sink)).unwrap();
        let data_dir = Arc::new(data_dir);
        let watcher = DataDirWatcher::new(Arc::clone(&data_dir), []).unwrap();
        let shared = Arc::clone(&watcher.watched);
        let task = tokio::spawn(watcher.serve());
        Running {
            shared,
            data_dir,
            events,
            task,
        }
    }

    impl Running {
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
                let groups = self.data_dir.snapshot().groups.len();
                if result.is_in_force().then_some(groups).ok_or(()) == wanted {
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

    /// Waits until the watcher knows that this many files are being written.
    async fn known_in_writing(watched: &super::Watched, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while watched.settling().writing().len() != count {
            assert!(Instant::now() < deadline, "{:?}", watched.settling());
            tokio::task::yield_now().await;
        }
    }

    /// A state that lasts this long is not the end of a change.
    const SILENCE: Duration = Duration::from_millis(300);

    #[tokio::test]
    async fn file_open_for_writing_is_not_loaded_before_it_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("data");
        data(&root);
        fs::create_dir(root.join("cloud")).unwrap();
        let whole = r#"{"id":"a","profile":"p","metadata":{"role":"database"}}"#;
        for stop in [0, 1, 22, whole.len() - 1, whole.len()] {
            let mut watched = watch(&root);
            let path = root.join("groups/a.json");
            fs::remove_file(root.join("groups/b.json")).ok();
            let mut file = fs::File::create(&path).unwrap();
            file.write_all(&whole.as_bytes()[..stop]).unwrap();
            // Another file that is whole must not make the first one count.
            fs::write(root.join("groups/b.json"), GROUP).unwrap();
            known_in_writing(&watched.shared, 1).await;
            let early = tokio::time::timeout(SILENCE, watched.events.recv()).await;
            assert!(early.is_err(), "stopped at {stop}: {early:?}");
            assert_eq!(watched.data_dir.snapshot().groups.len(), 1);
            file.write_all(&whole.as_bytes()[stop..]).unwrap();
            drop(file);
            watched.groups(Ok(2)).await;
            watched.task.abort();
            fs::remove_file(root.join("groups/b.json")).unwrap();
        }
    }

    #[tokio::test]
    async fn directory_below_a_link_that_is_swapped_is_noticed_and_watched() {
        let dir = tempfile::tempdir().unwrap();
        let [first, second] = ["first", "second"].map(|name| dir.path().join(name));
        data(&first.join("config"));
        data(&second.join("config"));
        fs::write(second.join("config/groups/b.json"), GROUP).unwrap();
        let link = dir.path().join("current");
        symlink("first", &link).unwrap();
        let mut watched = watch(&link.join("config"));
        symlink("second", dir.path().join("new")).unwrap();
        fs::rename(dir.path().join("new"), &link).unwrap();
        watched.groups(Ok(2)).await;
        fs::write(second.join("config/groups/c.json"), GROUP).unwrap();
        watched.groups(Ok(3)).await;
        watched.task.abort();
    }

    #[tokio::test]
    async fn reload_that_is_asked_for_waits_for_the_writer_too() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("data");
        data(&root);
        let mut watched = watch(&root);
        let mut file = fs::File::create(root.join("groups/a.json")).unwrap();
        known_in_writing(&watched.shared, 1).await;
        let loaded = watched.data_dir.ask_for_reload().unwrap();
        let early = tokio::time::timeout(SILENCE, watched.events.recv()).await;
        assert!(early.is_err(), "{early:?}");
        file.write_all(GROUP.as_bytes()).unwrap();
        drop(file);
        watched.groups(Ok(1)).await;
        let told = tokio::task::spawn_blocking(move || loaded.recv());
        assert!(told.await.unwrap().is_err(), "nothing is sent");
        watched.task.abort();
    }

    #[test]
    fn reading_is_no_change() {
        let read = EventKind::Access(AccessKind::Open(AccessMode::Read));
        let event = Event::new(read).add_path("/data/groups/a.json".into());
        assert_eq!(shared("/data").changes(&event), []);
        let elsewhere = Event::new(EventKind::Any).add_path("/other".into());
        assert_eq!(shared("/data").changes(&elsewhere), []);
    }

    fn shared(root: &str) -> super::Watched {
        super::Watched {
            roots: vec![root.into()],
            ignored: vec!["/data/assets".into()],
            settling: Mutex::default(),
        }
    }

    #[test]
    fn files_of_editors_of_git_and_of_assets_do_not_concern_the_directory() {
        let watched = shared("/data");
        for (path, concerns) in [
            ("/data", true),
            ("/data/groups/a.json", true),
            ("/data/groups/.a.json.AbC123", true),
            ("/data/..data", true),
            ("/data/.git/index.lock", true),
            ("/data/.git/index", false),
            ("/data/.git/objects/ab/cd", false),
            ("/data/groups/.a.json.swp", false),
            ("/data/groups/a.json~", false),
            ("/data/groups/.#a.json", false),
            ("/data/assets/vmlinuz", false),
            ("/other/groups/a.json", false),
        ] {
            assert_eq!(watched.concerns(Path::new(path)), concerns, "{path}");
        }
    }
}
