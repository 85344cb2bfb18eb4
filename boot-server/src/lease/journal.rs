//! The lease file: one JSON line for each change, the last line of an address counts.
//!
//! Lines are written before their leases are given, so a killed server has promised nothing that its
//! file does not say. The file is rewritten without what is superseded when it is opened, and again
//! whenever it has grown to several times what counts, or is found to be lost or changed by others:
//! the server's memory is what the file is to say. Invalid lines are skipped and kept in a copy: a server
//! with all leases but one serves more machines than one that does not start.
//!
//! Writes are handed to the kernel: a killed server loses nothing. Whether they are waited for until
//! the disk has them, so that a host may lose its power too, is [`Durability`].

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::damage::{Damage, LeaseFile, parse};
use super::error::{ForeignChange, JournalError, Rewritten};
use super::lock::{Lock, beside};
use super::record::LeaseRecord;
use super::store::LeaseStore;
use crate::state_file::{self, StateFileError};

/// The file is not rewritten below this many lines.
const COMPACT_AT_LEAST: usize = 10_000;
/// The file is rewritten when it has this many lines for each that counts.
const COMPACT_RATIO: usize = 4;
/// Copies of files with invalid lines that may be made in one second.
const MAX_COPIES_PER_SECOND: u32 = 16;

/// Failures that stored leases survive.
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
    /// Damage found when the file was opened.
    damage: Option<Damage>,
    /// Time of the last write before the file was opened.
    written: Option<SystemTime>,
    /// Function that waits for the disk.
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
        let bytes = state_file::read_own(path)?.unwrap_or_default();
        let written = fs::symlink_metadata(path).and_then(|there| there.modified());
        let LeaseFile { current, invalid } = parse(&bytes);
        let damage = (!invalid.is_empty()).then(|| Damage {
            path: path.to_owned(),
            copy: keep_copy(path, &bytes),
            invalid,
        });
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
                damage,
                written: written.ok(),
                sync: File::sync_data,
                _lock: lock,
            },
            records,
        ))
    }

    /// Returns the time of the last write before the file was opened.
    pub fn written(&self) -> Option<SystemTime> {
        self.written
    }

    /// Returns the damage found when the file was opened: lines that are skipped.
    pub fn damage(&self) -> Option<&Damage> {
        self.damage.as_ref()
    }

    /// Replaces the records of the file; the next commit rewrites the file.
    pub fn amend(&mut self, records: Vec<LeaseRecord>) {
        for record in records {
            self.current.insert(record.address, record);
            self.torn = true;
        }
    }

    fn write(&mut self) -> io::Result<Option<ForeignChange>> {
        let lost = self.is_lost();
        let has_grown =
            self.lines > COMPACT_AT_LEAST && self.lines > COMPACT_RATIO * self.current.len();
        if let Some(lost) = lost.filter(|_| !self.torn) {
            self.rewrite()?;
            return Ok(Some(lost));
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

    /// Returns the change that another program made to the file, if any.
    fn is_lost(&self) -> Option<ForeignChange> {
        let Ok(there) = fs::symlink_metadata(&self.path) else {
            return Some(ForeignChange::Removed);
        };
        // The server's own file is open, so that no other file has its inode.
        if identity(&there) != self.identity {
            return Some(ForeignChange::Replaced);
        }
        (there.len() != self.len).then_some(ForeignChange::Edited)
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

    fn commit(&mut self) -> Result<Option<Rewritten>, JournalError> {
        let result = self.write();
        if result.is_err() {
            self.torn = true;
            self.pending.clear();
        }
        let path = || self.path.clone();
        match result {
            Ok(change) => Ok(change.map(|change| Rewritten {
                path: path(),
                change,
            })),
            Err(source) => Err(JournalError::Io {
                path: path(),
                source,
            }),
        }
    }

    fn shift(&mut self, seconds: i64) {
        for record in self.current.values_mut() {
            if record.expires != 0 {
                record.expires = record.expires.saturating_add_signed(seconds).max(1);
            }
        }
        // The whole file changes.
        self.torn = true;
        self.pending.clear();
    }
}

/// Returns the leases in a file, by address, which may be in use by a server at the same time.
///
/// # Errors
/// [`JournalError`]; also when the file does not exist.
pub fn read_leases(path: &Path) -> Result<Vec<LeaseRecord>, JournalError> {
    Ok(read_lease_file(path)?.current.into_values().collect())
}

/// Returns the leases in a file, and its invalid lines.
///
/// # Errors
/// [`JournalError`]; also when the file does not exist.
pub fn read_lease_file(path: &Path) -> Result<LeaseFile, JournalError> {
    let bytes = state_file::read(path)?.ok_or_else(|| JournalError::Io {
        path: path.to_owned(),
        source: io::ErrorKind::NotFound.into(),
    })?;
    Ok(parse(&bytes))
}

/// Saves a copy of a file with invalid lines, before the file is rewritten without them.
fn keep_copy(path: &Path, bytes: &[u8]) -> Result<PathBuf, io::Error> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.map_or(0, |since| since.as_secs());
    // Two starts in one second: another name.
    for number in 0..MAX_COPIES_PER_SECOND {
        let copy = match number {
            0 => beside(path, &format!(".bad-{now}")),
            number => beside(path, &format!(".bad-{now}-{number}")),
        };
        match state_file::create_new(&copy) {
            Ok(mut file) => {
                file.write_all(bytes)?;
                file.sync_all()?;
                return Ok(copy);
            }
            Err(StateFileError::Io { source, .. })
                if source.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
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
    let mut file = state_file::replace(&next)?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&next, path)?;
    // The name too: without it, the disk may still have the old file after a loss of power.
    File::open(folder_of(path))?.sync_all()?;
    Ok((file, text.len() as u64))
}
