//! Reader of lines that another process appends to a file.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::untrusted::Folder;

/// Maximum number of bytes per read; the rest follows with the next read.
const READ_LIMIT_BYTES: u64 = 1 << 20;

/// Maximum length of a line that is kept.
const LINE_LIMIT_BYTES: usize = 16 << 20;

/// Position in a growing file.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    at: u64,
    /// Beginning of an incomplete line, at most [`LINE_LIMIT_BYTES`].
    open: Vec<u8>,
}

impl Tail {
    /// Starts at the beginning of the file, which need not exist yet.
    #[must_use]
    pub fn at_start(path: PathBuf) -> Tail {
        Tail {
            path,
            at: 0,
            open: Vec::new(),
        }
    }

    /// Starts at the current end of the file.
    #[must_use]
    pub fn at_end(path: PathBuf) -> Tail {
        let at = path.metadata().map_or(0, |file| file.len());
        Tail {
            at,
            ..Tail::at_start(path)
        }
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the complete lines since the last call, without line ends. An unreadable file has none.
    pub fn lines(&mut self) -> Vec<Vec<u8>> {
        let Ok(fresh) = self.fresh() else {
            return Vec::new();
        };
        self.at += fresh.len() as u64;
        let mut lines = Vec::new();
        for byte in fresh {
            match byte {
                b'\n' => lines.push(std::mem::take(&mut self.open)),
                _ if self.open.len() < LINE_LIMIT_BYTES => self.open.push(byte),
                _ => {}
            }
        }
        lines
    }

    fn fresh(&self) -> std::io::Result<Vec<u8>> {
        let folder = Folder::open(self.path.parent().unwrap_or(Path::new(".")))?;
        let name = Path::new(self.path.file_name().unwrap_or_default());
        let mut file = folder.file(name, u64::MAX)?;
        file.seek(SeekFrom::Start(self.at))?;
        let mut fresh = Vec::new();
        file.take(READ_LIMIT_BYTES).read_to_end(&mut fresh)?;
        Ok(fresh)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::*;

    #[test]
    fn lines_come_once_and_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut tail = Tail::at_start(path.clone());
        assert!(tail.lines().is_empty());
        let mut file = File::create(&path).unwrap();
        file.write_all(b"one\ntw").unwrap();
        assert_eq!(tail.lines(), [b"one"]);
        assert!(tail.lines().is_empty());
        file.write_all(b"o\n\nthr").unwrap();
        assert_eq!(tail.lines(), [&b"two"[..], b""]);
        let mut later = Tail::at_end(path);
        file.write_all(b"ee\n").unwrap();
        assert_eq!(later.lines(), [b"ee"]);
        assert_eq!(tail.lines(), [b"three"]);
        assert!(tail.open.is_empty());
    }
}
