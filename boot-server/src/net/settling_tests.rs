//! Writers that stop at every byte, in virtual time: only the old state or the new one is ever loaded.

use std::collections::BTreeMap;
use std::fs;

use super::*;

/// Less than [`LIMIT`], and longer than any pause.
const LONG: Duration = Duration::from_secs(50);

/// A directory in memory, what is loaded of it, and the time.
struct Directory {
    files: BTreeMap<PathBuf, Vec<u8>>,
    loaded: Vec<BTreeMap<PathBuf, Vec<u8>>>,
    unfinished: Vec<Vec<PathBuf>>,
    settling: Settling,
    now: Instant,
}

impl Directory {
    fn new(files: BTreeMap<PathBuf, Vec<u8>>) -> Directory {
        Directory {
            files,
            loaded: Vec::new(),
            unfinished: Vec::new(),
            settling: Settling::default(),
            now: Instant::now(),
        }
    }

    fn tell(&mut self, change: Change) {
        self.settling.handle(self.now, change);
    }

    /// Time passes, and the watcher does what it is told to.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            match self.settling.poll(self.now) {
                Step::Wait(next) if next <= until => self.now = next,
                Step::Load => {
                    self.settling = Settling::default();
                    self.loaded.push(self.files.clone());
                }
                Step::LoadUnfinished(files) => {
                    self.settling = Settling::default();
                    self.unfinished.push(files);
                }
                Step::Idle | Step::Wait(_) => break,
            }
        }
        self.now = until;
    }

    /// Writes up to this byte, and holds the file open.
    fn write_until(&mut self, path: &Path, content: &[u8], end: usize) {
        self.files.insert(path.to_owned(), content[..end].to_vec());
        self.tell(Change::Writing(path.to_owned()));
    }

    fn close(&mut self, path: &Path) {
        self.tell(Change::Closed(path.to_owned()));
    }

    fn rename(&mut self, from: &Path, to: &Path) {
        let content = self.files.remove(from).unwrap();
        self.files.insert(to.to_owned(), content);
        let (from, to) = (from.to_owned(), to.to_owned());
        self.tell(Change::Gone(from.clone()));
        self.tell(Change::Appeared(to.clone()));
        self.tell(Change::Renamed(from, to));
    }

    fn remove(&mut self, path: &Path) {
        self.files.remove(path);
        self.tell(Change::Gone(path.to_owned()));
    }
}

/// Ways of replacing a file: in place, beside it, or after removing it.
#[derive(Debug, Clone, Copy)]
enum Way {
    InPlace,
    Beside,
    RenamedWhileOpen,
    RemovedFirst,
}

const WAYS: [Way; 4] = [
    Way::InPlace,
    Way::Beside,
    Way::RenamedWhileOpen,
    Way::RemovedFirst,
];

/// Replaces a file, and stops for long at one byte of it.
fn replace(directory: &mut Directory, way: Way, path: &Path, new: &[u8], stop: usize) {
    let beside = path.with_extension("tmp");
    let short = Duration::from_millis(30);
    match way {
        Way::InPlace => {
            directory.write_until(path, new, stop);
            directory.pass(LONG);
            directory.write_until(path, new, new.len());
            directory.close(path);
        }
        Way::Beside => {
            directory.write_until(&beside, new, stop);
            directory.pass(LONG);
            directory.write_until(&beside, new, new.len());
            directory.close(&beside);
            directory.rename(&beside, path);
        }
        Way::RenamedWhileOpen => {
            directory.write_until(&beside, new, 0);
            directory.rename(&beside, path);
            directory.write_until(path, new, stop);
            directory.pass(LONG);
            directory.write_until(path, new, new.len());
            directory.close(path);
        }
        Way::RemovedFirst => {
            directory.remove(path);
            // The kernel may run others in between.
            directory.pass(short * 20);
            directory.write_until(path, new, stop);
            directory.pass(LONG);
            directory.write_until(path, new, new.len());
            directory.close(path);
        }
    }
    directory.pass(Duration::from_secs(5));
}

fn example_files() -> Vec<BTreeMap<PathBuf, Vec<u8>>> {
    fn read(folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => read(&path, files),
                false => drop(files.insert(path.clone(), fs::read(&path).unwrap())),
            }
        }
    }
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let folders = fs::read_dir(examples).unwrap();
    let folders = folders.map(|entry| entry.unwrap().path());
    folders
        .filter(|path| path.is_dir())
        .map(|folder| {
            let mut files = BTreeMap::new();
            read(&folder, &mut files);
            files
        })
        .collect()
}

#[test]
fn writer_that_stops_at_any_byte_of_any_example_loads_only_whole_states() {
    let mut stops = 0;
    for files in example_files() {
        for (path, old) in &files {
            // Only this file changes: the others need not be copied for each byte.
            let old = BTreeMap::from([(path.clone(), old.clone())]);
            let mut new = old[path].clone();
            new.extend_from_slice(b"# edited\n");
            let whole = BTreeMap::from([(path.clone(), new.clone())]);
            for (way, stop) in WAYS
                .into_iter()
                .flat_map(|way| (0..=new.len()).map(move |stop| (way, stop)))
            {
                let mut directory = Directory::new(old.clone());
                replace(&mut directory, way, path, &new, stop);
                let place = format!("{}: {way:?} stopped at {stop}", path.display());
                assert!(directory.unfinished.is_empty(), "{place}");
                assert_eq!(directory.loaded.last(), Some(&whole), "{place}");
                let partial = directory
                    .loaded
                    .iter()
                    .find(|state| **state != old && **state != whole);
                assert_eq!(partial, None, "{place}");
                stops += 1;
            }
        }
    }
    assert!(stops > 10_000, "{stops}");
}

#[test]
fn copy_of_several_files_with_gaps_is_one_state() {
    let mut directory = Directory::new(BTreeMap::new());
    for name in ["groups/a.json", "profiles/p.json", "cloud/c.yaml"] {
        directory.write_until(Path::new(name), b"text", 4);
        directory.close(Path::new(name));
        // The first file ends a change by itself: nobody knows that others follow.
        directory.pass(PAUSE - Duration::from_millis(1));
    }
    directory.write_until(Path::new("cloud/d.yaml"), b"text", 4);
    directory.close(Path::new("cloud/d.yaml"));
    directory.pass(LONG);
    assert_eq!(directory.loaded.len(), 1);
    assert_eq!(directory.loaded[0].len(), 4);
}

#[test]
fn change_without_end_is_loaded_once_at_the_limit_and_named() {
    let mut directory = Directory::new(BTreeMap::new());
    let path = Path::new("config.yaml");
    directory.write_until(path, b"text", 2);
    directory.pass(LIMIT - Duration::from_millis(1));
    assert_eq!((directory.loaded.len(), directory.unfinished.len()), (0, 0));
    directory.pass(Duration::from_millis(1));
    assert_eq!(directory.unfinished, [[path.to_owned()]]);
    directory.write_until(path, b"text", 4);
    directory.close(path);
    directory.pass(LONG);
    assert_eq!(directory.loaded.len(), 1);
}

#[test]
fn folder_renamed_while_a_file_in_it_is_written_waits_for_the_file() {
    let mut directory = Directory::new(BTreeMap::new());
    directory.write_until(Path::new("new/c.yaml"), b"text", 2);
    let (from, to) = (PathBuf::from("new"), PathBuf::from("cloud"));
    directory.tell(Change::Gone(from.clone()));
    directory.tell(Change::Folder(to.clone()));
    directory.tell(Change::Renamed(from, to));
    directory.pass(LONG);
    assert_eq!(directory.loaded.len(), 0);
    directory.close(Path::new("cloud/c.yaml"));
    directory.pass(Duration::from_secs(5));
    assert_eq!(directory.loaded.len(), 1);
}

#[test]
fn file_moved_out_or_removed_while_it_is_written_is_waited_for_no_longer() {
    let mut directory = Directory::new(BTreeMap::new());
    directory.write_until(Path::new("cloud/a"), b"text", 2);
    directory.remove(Path::new("cloud/a"));
    directory.pass(GONE_PAUSE);
    assert_eq!(directory.loaded, [BTreeMap::new()]);
}
