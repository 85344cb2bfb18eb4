//! The lease file: one JSON line for each change, the last line of an address counts.
//!
//! A line is written before its lease is given, so a killed server has promised nothing that its
//! file does not say. The file is rewritten without what is superseded when it is opened, and again
//! whenever it has grown to several times what counts.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

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

/// An open lease file.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    current: BTreeMap<Ipv4Addr, LeaseRecord>,
    lines: usize,
    /// A write failed in the middle of a line: the file must be rewritten before it is appended to.
    torn: bool,
}

impl Journal {
    /// Opens the file, making it and its folder when there is none; returns the leases in it.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn open(path: &Path) -> Result<(Journal, Vec<LeaseRecord>), JournalError> {
        let io = |source| JournalError::Io {
            path: path.to_owned(),
            source,
        };
        if let Some(folder) = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            fs::create_dir_all(folder).map_err(io)?;
        }
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(io(error)),
        };
        let mut current = BTreeMap::new();
        for (number, line) in text.split_inclusive('\n').enumerate() {
            match serde_json::from_str::<LeaseRecord>(line) {
                Ok(record) => {
                    current.insert(record.address, record);
                }
                Err(_) if !line.ends_with('\n') => {}
                Err(source) => {
                    let path = path.to_owned();
                    return Err(JournalError::Line {
                        path,
                        line: number + 1,
                        source,
                    });
                }
            }
        }
        let file = rewrite(path, &current).map_err(io)?;
        let records = current.values().copied().collect();
        let lines = current.len();
        Ok((
            Journal {
                path: path.to_owned(),
                file,
                current,
                lines,
                torn: false,
            },
            records,
        ))
    }

    fn append(&mut self, record: LeaseRecord) -> io::Result<()> {
        if self.torn
            || self.lines > COMPACT_AT_LEAST && self.lines > COMPACT_RATIO * self.current.len()
        {
            self.file = rewrite(&self.path, &self.current)?;
            self.lines = self.current.len();
            self.torn = false;
        }
        let mut line = serde_json::to_vec(&record)?;
        line.push(b'\n');
        self.file
            .write_all(&line)
            .inspect_err(|_| self.torn = true)?;
        self.current.insert(record.address, record);
        self.lines += 1;
        Ok(())
    }
}

impl LeaseStore for Journal {
    fn keep(&mut self, record: LeaseRecord) -> Result<(), String> {
        self.append(record)
            .map_err(|error| format!("{}: {error}", self.path.display()))
    }
}

/// Puts a new file in the old one's place and returns it, open at its end.
fn rewrite(path: &Path, current: &BTreeMap<Ipv4Addr, LeaseRecord>) -> io::Result<File> {
    let mut next = path.as_os_str().to_owned();
    next.push(".new");
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
    Ok(file)
}
