//! The lease file: one JSON line for each change, the last line of an address counts.
//!
//! Lines are written before their leases are given, so a killed server has promised nothing that its
//! file does not say. The file is rewritten without what is superseded when it is opened, and again
//! whenever it has grown to several times what counts, or is found to be lost or changed by others:
//! the server's memory is what the file is to say.
//!
//! Writes are handed to the kernel: a killed server loses nothing. Whether they are waited for until
//! the disk has them, so that a host may lose its power too, is [`Durability`].

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::lock::{Lock, beside};
use super::{LeaseRecord, LeaseStore};

/// The file is not rewritten below this many lines.
const COMPACT_AT_LEAST: usize = 10_000;
/// The file is rewritten when it has this many lines for each that counts.
const COMPACT_RATIO: usize = 4;

/// Why the lease file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It could not be read or written.
    #[error("lease file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// Another server uses it.
    #[error("lease file {path} is in use by another boot-server; each needs a file of its own")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A line in the middle is no lease. A cut last line is forgiven: its lease was not given.
    #[error("lease file {path}, line {line}: {source}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Line number from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// What kept leases survive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// The death of the server. A host that loses its power may lose the last seconds.
    #[default]
    Death,
    /// The loss of power as well: each commit waits for the disk.
    PowerLoss,
}

/// An open lease file.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Device and inode of the file.
    identity: (u64, u64),
    /// Length that the file has as long as only we write it.
    len: u64,
    current: BTreeMap<Ipv4Addr, LeaseRecord>,
    /// Lines taken and not yet written.
    pending: Vec<u8>,
    lines: usize,
    /// A write failed: the file must be rewritten before it is appended to.
    torn: bool,
    durability: Durability,
    /// How the disk is waited for.
    pub(super) sync: fn(&File) -> io::Result<()>,
    _lock: Lock,
}

impl Journal {
    /// Opens the file, making it and its folder when there is none; returns the leases in it.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn open(
        path: &Path,
        durability: Durability,
    ) -> Result<(Journal, Vec<LeaseRecord>), JournalError> {
        let io = |source| JournalError::Io {
            path: path.to_owned(),
            source,
        };
        make_folder(path).map_err(io)?;
        let lock = Lock::take(path)?;
        let current = read(path)?;
        let (file, len) = rewrite(path, &current).map_err(io)?;
        let identity = identity(&file.metadata().map_err(io)?);
        let records = current.values().cloned().collect();
        let lines = current.len();
        Ok((
            Journal {
                path: path.to_owned(),
                file,
                identity,
                len,
                current,
                pending: Vec::new(),
                lines,
                torn: false,
                durability,
                sync: File::sync_data,
                _lock: lock,
            },
            records,
        ))
    }

    fn write(&mut self) -> io::Result<Option<String>> {
        let lost = self.is_lost();
        let has_grown =
            self.lines > COMPACT_AT_LEAST && self.lines > COMPACT_RATIO * self.current.len();
        if let Some(lost) = lost.filter(|_| !self.torn) {
            self.rewrite()?;
            return Ok(Some(format!("it {lost}, and was written anew")));
        }
        if self.torn || has_grown {
            self.rewrite()?;
        } else if !self.pending.is_empty() {
            self.file.write_all(&self.pending)?;
            self.len += self.pending.len() as u64;
            self.pending.clear();
            if self.durability == Durability::PowerLoss {
                (self.sync)(&self.file)?;
            }
        }
        Ok(None)
    }

    fn rewrite(&mut self) -> io::Result<()> {
        make_folder(&self.path)?;
        (self.file, self.len) = rewrite(&self.path, &self.current)?;
        self.identity = identity(&self.file.metadata()?);
        self.lines = self.current.len();
        self.pending.clear();
        self.torn = false;
        Ok(())
    }

    /// What happened to the file, when others did something to it.
    fn is_lost(&self) -> Option<&'static str> {
        let Ok(there) = fs::metadata(&self.path) else {
            return Some("was removed");
        };
        // Ours is open, so that its inode is nobody else's.
        if identity(&there) != self.identity {
            return Some("was replaced");
        }
        (there.len() != self.len).then_some("was changed by others")
    }
}

impl LeaseStore for Journal {
    fn keep(&mut self, record: LeaseRecord) {
        // Writing to memory, and a record is always JSON.
        if serde_json::to_writer(&mut self.pending, &record).is_err() {
            self.torn = true;
        }
        self.pending.push(b'\n');
        self.current.insert(record.address, record);
        self.lines += 1;
    }

    fn commit(&mut self) -> Result<Option<String>, String> {
        let result = self.write();
        if result.is_err() {
            self.torn = true;
            self.pending.clear();
        }
        let path = self.path.display();
        result
            .map(|warning| warning.map(|warning| format!("lease file {path}: {warning}")))
            .map_err(|error| format!("lease file {path}: {error}"))
    }
}

/// The leases in a file, by address, which may be in use by a server at the same time.
///
/// # Errors
/// [`JournalError`]; also when there is no file.
pub fn read_leases(path: &Path) -> Result<Vec<LeaseRecord>, JournalError> {
    if let Err(source) = fs::metadata(path) {
        let path = path.to_owned();
        return Err(JournalError::Io { path, source });
    }
    Ok(read(path)?.into_values().collect())
}

fn read(path: &Path) -> Result<BTreeMap<Ipv4Addr, LeaseRecord>, JournalError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(source) => {
            let path = path.to_owned();
            return Err(JournalError::Io { path, source });
        }
    };
    parse(&bytes).map_err(|(line, source)| JournalError::Line {
        path: path.to_owned(),
        line,
        source,
    })
}

/// The last record of each address; or the line that is none, and why.
pub(super) fn parse(
    bytes: &[u8],
) -> Result<BTreeMap<Ipv4Addr, LeaseRecord>, (usize, serde_json::Error)> {
    let mut current = BTreeMap::new();
    for (number, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        match serde_json::from_slice::<LeaseRecord>(line) {
            Ok(record) => {
                current.insert(record.address, record);
            }
            Err(_) if !line.ends_with(b"\n") => {}
            Err(source) => return Err((number + 1, source)),
        }
    }
    Ok(current)
}

fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

fn make_folder(path: &Path) -> io::Result<()> {
    fs::create_dir_all(folder_of(path))
}

fn folder_of(path: &Path) -> &Path {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Puts a new file in the old one's place and returns it, open at its end, and its length.
fn rewrite(path: &Path, current: &BTreeMap<Ipv4Addr, LeaseRecord>) -> io::Result<(File, u64)> {
    let next = beside(path, ".new");
    let mut text = Vec::new();
    for record in current.values() {
        serde_json::to_writer(&mut text, record)?;
        text.push(b'\n');
    }
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .open(&next)?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&next, path)?;
    // The name too: without it, the disk may still have the old file after a loss of power.
    File::open(folder_of(path))?.sync_all()?;
    Ok((file, text.len() as u64))
}
