//! Files that a configuration brings in: read, or named as not read.
//!
//! Paths are tried as they are written, then in the folder of the file that names them: a configuration is
//! often imported from a copy of its folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::gather::Gathered;

/// Maximum depth of nested includes.
const MAX_DEPTH: usize = 16;
/// Maximum number of files read for one source.
const MAX_FILES: usize = 4096;
/// The largest file that is read.
const MAX_BYTES: u64 = 16 << 20;

/// The files that are being read, each brought in by the one before it.
#[derive(Debug, Default)]
pub(super) struct Includes {
    open: Vec<PathBuf>,
    read: usize,
}

/// Reasons that a file is not included.
#[derive(Debug, thiserror::Error)]
enum IncludeError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the file includes itself")]
    Itself,
    #[error("includes nest more than {MAX_DEPTH} deep")]
    TooDeep,
    #[error("more than {MAX_FILES} files are included")]
    TooMany,
    #[error("not a regular file")]
    NotRegular,
    #[error("larger than 16 MiB")]
    TooLarge,
}

impl Includes {
    /// Returns the files that the file `path` brings in. Without a name (standard input) relative paths are
    /// those of the working directory.
    pub(super) fn of(path: &Path) -> Includes {
        Includes {
            open: vec![fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())],
            read: 0,
        }
    }

    /// Reads a file that is named at `place`, and lets `import` look at it. A file that is not read is noted.
    pub(super) fn file<T>(
        &mut self,
        place: &str,
        written: &str,
        gathered: &mut Gathered,
        import: impl FnOnce(&mut Includes, &Path, &str, &mut Gathered) -> T,
    ) -> Option<T> {
        let path = self.find(written);
        match self.begin(&path) {
            Ok(text) => {
                let imported = import(self, &path, &text, gathered);
                self.open.pop();
                Some(imported)
            }
            Err(why) => {
                gathered.skip(place, format!("ignored include `{written}`: {why}"));
                None
            }
        }
    }

    /// Returns the names of the files in a folder that is named at `place`, sorted. A folder that is not read
    /// is noted.
    pub(super) fn folder(
        &self,
        place: &str,
        written: &str,
        gathered: &mut Gathered,
    ) -> Vec<String> {
        let folder = self.find(written);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                gathered.skip(place, format!("ignored include `{written}`: {error}"));
                return Vec::new();
            }
        };
        let files = entries.flatten().map(|entry| entry.path());
        let mut files: Vec<String> = files
            .filter(|path| path.is_file())
            .map(|path| path.to_string_lossy().into_owned())
            .collect();
        files.sort();
        files
    }

    fn find(&self, written: &str) -> PathBuf {
        let path = PathBuf::from(written);
        if path.is_absolute() {
            return path;
        }
        let beside = self
            .open
            .last()
            .and_then(|file| file.parent())
            .map(|folder| folder.join(&path));
        beside.filter(|path| path.exists()).unwrap_or(path)
    }

    fn begin(&mut self, path: &Path) -> Result<String, IncludeError> {
        let real = fs::canonicalize(path)?;
        if self.open.contains(&real) {
            return Err(IncludeError::Itself);
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(IncludeError::TooDeep);
        }
        self.read += 1;
        if self.read > MAX_FILES {
            return Err(IncludeError::TooMany);
        }
        let metadata = fs::metadata(&real)?;
        if !metadata.is_file() {
            return Err(IncludeError::NotRegular);
        }
        if metadata.len() > MAX_BYTES {
            return Err(IncludeError::TooLarge);
        }
        let bytes = fs::read(&real)?;
        self.open.push(real);
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}
