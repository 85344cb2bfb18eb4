//! Files of a data directory, and nothing outside of it: neither by `..` nor by a symbolic link.
//!
//! Links are followed as long as they are relative and stay inside, as those of a Kubernetes ConfigMap do
//! (see [`beneath`]).

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Dir, Mode, OFlags, openat};
use rustix::io::Errno;

use super::beneath;
use super::changes::Changes;

/// The largest file that is read; configs are a few kilobytes.
const MAX_BYTES: u64 = 64 << 20;

/// Reasons that a file cannot be read, rendered as a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The file does not exist.
    #[error("file not found: `{0}`")]
    Missing(String),
    /// The file lies outside the data directory.
    #[error("refused: `{0}` (leads outside the data directory)")]
    Outside(String),
    /// A folder has its name.
    #[error("`{0}` is a folder, not a file")]
    Folder(String),
    /// Any other I/O error.
    #[error("cannot read `{file}`: {why}")]
    Other {
        /// Path of the file, relative to the data directory.
        file: String,
        /// Text of the I/O error.
        why: String,
    },
}

/// An open data directory.
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
    folder: File,
    changes: Changes,
}

impl Root {
    /// Opens it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open(path: &Path) -> io::Result<Root> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(CWD, path, flags, Mode::empty())?;
        Ok(Root {
            path: path.to_owned(),
            folder: folder.into(),
            changes: Changes::default(),
        })
    }

    /// Returns the directory as it will be after these changes.
    #[must_use]
    pub fn with_changes(self, changes: &Changes) -> Root {
        let changes = changes.clone();
        Root { changes, ..self }
    }

    /// Returns the open directory.
    pub fn folder(&self) -> &File {
        &self.folder
    }

    /// Returns the full path of a file in the directory, for messages.
    pub fn path_of(&self, file: &str) -> PathBuf {
        self.path.join(file)
    }

    fn open_beneath(&self, file: &str, flags: OFlags) -> Result<File, Unreadable> {
        beneath::open(&self.folder, file, flags | OFlags::CLOEXEC).map_err(|error| match error {
            Errno::NOENT | Errno::NOTDIR => Unreadable::Missing(file.into()),
            Errno::XDEV => Unreadable::Outside(file.into()),
            error => other(file, error.into()),
        })
    }

    /// Reads a text file.
    ///
    /// # Errors
    /// See [`Unreadable`].
    pub fn read_text(&self, file: &str) -> Result<String, Unreadable> {
        let bytes = self.read_bytes(file)?;
        String::from_utf8(bytes).map_err(|error| {
            let line = error.as_bytes().get(..error.utf8_error().valid_up_to());
            let line = line
                .unwrap_or_default()
                .iter()
                .filter(|byte| **byte == b'\n');
            let why = format!("line {} is not UTF-8", line.count() + 1);
            other(file, io::Error::other(why))
        })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// See [`Unreadable`].
    pub fn read_bytes(&self, file: &str) -> Result<Vec<u8>, Unreadable> {
        match self.changes.of(file) {
            Some(Some(content)) => return Ok(content.to_vec()),
            Some(None) => return Err(Unreadable::Missing(file.into())),
            None => {}
        }
        let opened = self.open_beneath(file, OFlags::RDONLY | OFlags::NONBLOCK)?;
        let metadata = opened.metadata().map_err(|error| other(file, error))?;
        if metadata.is_dir() {
            return Err(Unreadable::Folder(file.into()));
        }
        if !metadata.is_file() {
            return Err(other(file, io::Error::other("not a regular file")));
        }
        let too_large = || other(file, io::Error::other("larger than 64 MiB"));
        if metadata.len() > MAX_BYTES {
            return Err(too_large());
        }
        let mut contents = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
        let read = opened.take(MAX_BYTES + 1).read_to_end(&mut contents);
        match read {
            Ok(bytes) if bytes as u64 > MAX_BYTES => Err(too_large()),
            Ok(_) => Ok(contents),
            Err(error) => Err(other(file, error)),
        }
    }

    /// Returns the names in a folder, sorted, without hidden ones; none when the folder does not exist.
    ///
    /// # Errors
    /// The folder exists but cannot be read, or leads outside the directory.
    pub fn names(&self, folder: &str) -> Result<Vec<String>, Unreadable> {
        let opened = match self.open_beneath(folder, OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(opened) => Some(opened),
            Err(Unreadable::Missing(_)) => None,
            Err(error) => return Err(error),
        };
        let failed = |error: Errno| other(folder, error.into());
        let mut names = Vec::new();
        if let Some(opened) = opened {
            for entry in Dir::new(opened).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        self.changes.apply(folder, &mut names);
        names.retain(|name| !name.starts_with('.'));
        names.sort_unstable();
        Ok(names)
    }

    /// True if there is such a folder inside.
    pub fn is_folder(&self, name: &str) -> bool {
        if self.changes.make(name) {
            return true;
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        self.open_beneath(name, flags).is_ok()
    }

    /// True if there is such a file or folder inside.
    pub fn has(&self, file: &str) -> bool {
        match self.changes.of(file) {
            Some(content) => return content.is_some(),
            None if self.changes.make(file) => return true,
            None => {}
        }
        let found = self.open_beneath(file, OFlags::PATH);
        !matches!(found, Err(Unreadable::Missing(_)))
    }
}

fn other(file: &str, error: io::Error) -> Unreadable {
    Unreadable::Other {
        file: file.to_owned(),
        why: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn root() -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("secret"), "secret").unwrap();
        let data = dir.path().join("data");
        std::fs::create_dir_all(data.join("cloud/.hidden")).unwrap();
        std::fs::write(data.join("cloud/a"), "a").unwrap();
        let root = Root::open(&data).unwrap();
        (dir, root)
    }

    #[test]
    fn neither_dots_nor_links_lead_out() {
        let (dir, root) = root();
        let cloud = dir.path().join("data/cloud");
        symlink("../../secret", cloud.join("relative")).unwrap();
        symlink(dir.path().join("secret"), cloud.join("absolute")).unwrap();
        symlink("../..", cloud.join("folder")).unwrap();
        for file in [
            "cloud/../../secret",
            "cloud/relative",
            "cloud/absolute",
            "cloud/folder/secret",
            "/etc/passwd",
        ] {
            let read = root.read_text(file);
            assert_eq!(read, Err(Unreadable::Outside(file.into())), "{file}");
        }
        assert!(root.names("cloud/folder").is_err());
    }

    #[test]
    fn links_inside_are_followed_and_hidden_names_left_out() {
        let (dir, root) = root();
        symlink("../cloud/a", dir.path().join("data/cloud/b")).unwrap();
        assert_eq!(root.read_text("cloud/b").unwrap(), "a");
        assert_eq!(root.names("cloud").unwrap(), ["a", "b"]);
        assert_eq!(root.names("ignition").unwrap(), [""; 0]);
        assert!(root.has("cloud") && root.has("cloud/b") && !root.has("ignition"));
    }

    #[test]
    fn what_is_no_file_does_not_hang_or_read() {
        let (dir, root) = root();
        let fifo = dir.path().join("data/fifo");
        rustix::fs::mknodat(CWD, &fifo, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        let error = root.read_text("fifo").unwrap_err();
        assert_eq!(error.to_string(), "cannot read `fifo`: not a regular file");
        assert_eq!(
            root.read_text("cloud"),
            Err(Unreadable::Folder("cloud".into()))
        );
        let missing = root.read_text("cloud/none").unwrap_err();
        assert_eq!(missing.to_string(), "file not found: `cloud/none`");
    }
}
