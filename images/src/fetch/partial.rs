//! Partial download: the bytes received, and the server's validator of the file. It survives the process, so
//! that the next one resumes it. One process at a time uses it.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::FetchError;

/// A file that is being fetched.
#[derive(Debug)]
pub struct Partial {
    path: PathBuf,
    note_path: PathBuf,
    file: File,
    len: u64,
    note: Note,
}

/// Metadata of a partial download.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    url: String,
    /// An `ETag` or a `Last-Modified`, for `If-Range`.
    validator: Option<String>,
}

impl Partial {
    /// Opens the partial download of `url` in `folder`; waits while another process uses it.
    ///
    /// # Errors
    /// [`FetchError::File`].
    pub fn open(folder: &Path, url: &str) -> Result<Partial, FetchError> {
        let name: String = hex::encode(Sha256::digest(url)).chars().take(32).collect();
        let path = folder.join(format!("{name}.part"));
        let error = |source| FetchError::File {
            path: path.clone(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(error)?;
        let file = loop {
            let file = File::options()
                .create(true)
                .append(true)
                .open(&path)
                .map_err(error)?;
            file.lock().map_err(error)?;
            // Whoever had it may have finished it, and it is another file's by now.
            let ours = file.metadata().map_err(error)?;
            if std::fs::metadata(&path).is_ok_and(|there| there.ino() == ours.ino()) {
                break file;
            }
        };
        let note_path = folder.join(format!("{name}.json"));
        let fresh = Note {
            url: url.to_owned(),
            validator: None,
        };
        let note = std::fs::read(&note_path)
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .filter(|note: &Note| note.url == url);
        let len = file.metadata().map_err(error)?.len();
        let mut partial = Partial {
            path,
            note_path,
            file,
            len,
            note: note.unwrap_or(fresh),
        };
        if partial.note.validator.is_none() {
            partial.restart(None)?;
        }
        Ok(partial)
    }

    /// Returns the number of bytes received.
    #[must_use]
    #[expect(
        clippy::len_without_is_empty,
        reason = "a file on disk, not a collection"
    )]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Returns the path of the partial file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the server's validator of the file; none when the download must restart.
    #[must_use]
    pub fn validator(&self) -> Option<&str> {
        self.note.validator.as_deref().filter(|_| self.len > 0)
    }

    /// Throws away what there is; what comes now has this validator.
    ///
    /// # Errors
    /// [`FetchError::File`].
    pub fn restart(&mut self, validator: Option<String>) -> Result<(), FetchError> {
        self.file.set_len(0).map_err(|e| self.error(e))?;
        self.len = 0;
        self.note.validator = validator;
        let text = serde_json::to_vec(&self.note).map_err(|e| self.error(e.into()))?;
        std::fs::write(&self.note_path, text).map_err(|source| FetchError::File {
            path: self.note_path.clone(),
            source,
        })
    }

    /// Adds what has come.
    ///
    /// # Errors
    /// [`FetchError::File`]; then nothing of it is left, so that a disk that is full does not stay so.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        if let Err(source) = self.file.write_all(bytes) {
            let error = self.error(source);
            self.remove();
            return Err(error);
        }
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Brings it to disk.
    ///
    /// # Errors
    /// [`FetchError::File`].
    pub fn sync(&self) -> Result<(), FetchError> {
        self.file.sync_all().map_err(|e| self.error(e))
    }

    /// Abandons the download: it must not be resumed.
    pub fn discard(self) {
        self.remove();
    }

    /// Forgets what is known of it, after the file itself has been moved away.
    pub fn moved(self) {
        let _ = std::fs::remove_file(&self.note_path);
    }

    fn remove(&self) {
        // A remaining partial file is restarted the next time, or removed by `gc`.
        let _ = std::fs::remove_file(&self.path);
        let _ = std::fs::remove_file(&self.note_path);
    }

    fn error(&self, source: std::io::Error) -> FetchError {
        FetchError::File {
            path: self.path.clone(),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "http://host/file";

    #[test]
    fn what_was_begun_is_found_again_with_its_validator() {
        let folder = tempfile::tempdir().unwrap();
        let mut partial = Partial::open(folder.path(), URL).unwrap();
        partial.restart(Some("\"tag\"".into())).unwrap();
        partial.append(b"abc").unwrap();
        drop(partial);
        let again = Partial::open(folder.path(), URL).unwrap();
        assert_eq!((again.len(), again.validator()), (3, Some("\"tag\"")));
        let other = Partial::open(folder.path(), "http://host/other").unwrap();
        assert_eq!(other.len(), 0);
    }

    #[test]
    fn what_the_server_would_not_know_again_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let mut partial = Partial::open(folder.path(), URL).unwrap();
        partial.restart(None).unwrap();
        partial.append(b"abc").unwrap();
        drop(partial);
        assert_eq!(Partial::open(folder.path(), URL).unwrap().len(), 0);
    }

    #[test]
    fn one_at_a_time_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let first = Partial::open(folder.path(), URL).unwrap();
        let other = File::options().append(true).open(first.path()).unwrap();
        assert!(other.try_lock().is_err());
        drop(first);
        assert!(other.try_lock().is_ok());
    }

    #[test]
    fn who_waited_for_a_file_that_was_finished_meanwhile_does_not_write_into_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = Partial::open(folder.path(), URL).unwrap();
        first.append(b"abc").unwrap();
        let (path, object) = (first.path().to_owned(), folder.path().join("object"));
        std::thread::scope(|scope| {
            let second = scope.spawn(|| {
                let mut second = Partial::open(folder.path(), URL).unwrap();
                second.append(b"def").unwrap();
            });
            std::fs::rename(&path, &object).unwrap();
            first.moved();
            second.join().unwrap();
        });
        assert_eq!(std::fs::read(object).unwrap(), b"abc");
        assert_eq!(std::fs::read(path).unwrap(), b"def");
    }
}
