//! Access to files below an untrusted folder. Symbolic links at any level, and everything except regular files,
//! are refused before they are opened.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fstat, openat, statat};

/// Maximum number of entries listed per folder.
pub const ENTRY_LIMIT: usize = 100_000;

/// Reason why a file is not opened or copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A symbolic link.
    #[error("refused: symbolic link")]
    Link,
    /// A FIFO, socket, device or folder instead of a file.
    #[error("refused: not a regular file ({0})")]
    Special(&'static str),
    /// The size exceeds the limit.
    #[error("refused: larger than {limit_bytes} bytes")]
    TooLarge { limit_bytes: u64 },
    /// The number of files and folders exceeds the limit.
    #[error("refused: more than {limit} files and folders")]
    TooMany { limit: usize },
    /// The nesting exceeds the limit.
    #[error("refused: folders nested deeper than {limit}")]
    TooDeep { limit: usize },
    /// The path is absolute or contains `..`.
    #[error("refused: the path leads out of the folder")]
    Outside,
}

impl From<Refused> for io::Error {
    fn from(refused: Refused) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, refused)
    }
}

/// Kind of a directory entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Regular file.
    File,
    /// Folder.
    Folder,
    /// Symbolic link.
    Link,
    /// Anything else, by name.
    Special(&'static str),
}

impl Kind {
    pub(super) fn of(stat: &Stat) -> Kind {
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Folder,
            FileType::Symlink => Kind::Link,
            FileType::Fifo => Kind::Special("FIFO"),
            FileType::Socket => Kind::Special("socket"),
            FileType::CharacterDevice | FileType::BlockDevice => Kind::Special("device"),
            FileType::Unknown => Kind::Special("unknown"),
        }
    }

    /// Refuses everything except a regular file.
    pub(super) fn regular(self) -> Result<(), Refused> {
        match self {
            Kind::File => Ok(()),
            Kind::Folder => Err(Refused::Special("folder")),
            Kind::Link => Err(Refused::Link),
            Kind::Special(kind) => Err(Refused::Special(kind)),
        }
    }
}

/// Entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: OsString,
    pub kind: Kind,
}

/// An open folder.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    fd: OwnedFd,
}

const FOLDER_FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

impl Folder {
    /// Opens the folder that the user named; links in its path are trusted.
    ///
    /// # Errors
    /// Error of the kernel.
    pub fn open(path: &Path) -> io::Result<Folder> {
        Ok(Folder {
            path: path.to_owned(),
            fd: openat(CWD, path, FOLDER_FLAGS, Mode::empty())?,
        })
    }

    /// Path of the folder, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// Opens a folder below this one.
    ///
    /// # Errors
    /// [`Refused`] for links and paths that leave the folder; errors of the kernel.
    pub fn below(&self, relative: &Path) -> io::Result<Folder> {
        let mut fd = self.fd.try_clone()?;
        for name in names(relative)? {
            fd = step(&fd, name)?;
        }
        Ok(Folder {
            path: self.path.join(relative),
            fd,
        })
    }

    /// Opens a regular file below this folder, of at most `limit_bytes`.
    ///
    /// # Errors
    /// [`Refused`]; errors of the kernel.
    pub fn file(&self, relative: &Path, limit_bytes: u64) -> io::Result<File> {
        let mut names = names(relative)?;
        let last = names.pop().ok_or(Refused::Special("folder"))?;
        let mut fd = self.fd.try_clone()?;
        for name in names {
            fd = step(&fd, name)?;
        }
        open_regular(&fd, last, limit_bytes)
    }

    /// Reads a regular file of at most `limit_bytes`, even if it grows meanwhile.
    ///
    /// # Errors
    /// As [`Folder::file`].
    pub fn read(&self, relative: &Path, limit_bytes: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = self.file(relative, limit_bytes)?;
        file.take(limit_bytes).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads a UTF-8 text file like [`Folder::read`].
    ///
    /// # Errors
    /// As [`Folder::file`], and if the file is not UTF-8.
    pub fn read_text(&self, relative: &Path, limit_bytes: u64) -> io::Result<String> {
        String::from_utf8(self.read(relative, limit_bytes)?)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8"))
    }

    /// Returns the sorted names in this folder.
    ///
    /// # Errors
    /// [`Refused::TooMany`]; errors of the kernel.
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in Dir::read_from(&self.fd)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            if entries.len() >= ENTRY_LIMIT {
                return Err(Refused::TooMany { limit: ENTRY_LIMIT }.into());
            }
            let name = OsStr::from_bytes(name);
            let stat = statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)?;
            entries.push(Entry {
                name: name.to_owned(),
                kind: Kind::of(&stat),
            });
        }
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }
}

/// Opens the regular file `name` in a folder. Its kind is checked first, because opening a device may have side
/// effects.
fn open_regular(folder: impl AsFd, name: &OsStr, limit_bytes: u64) -> io::Result<File> {
    let folder = folder.as_fd();
    let check = |stat: &Stat| -> Result<(), Refused> {
        Kind::of(stat).regular()?;
        match u64::try_from(stat.st_size) {
            Ok(size) if size <= limit_bytes => Ok(()),
            _ => Err(Refused::TooLarge { limit_bytes }),
        }
    };
    check(&statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(folder, name, flags, Mode::empty())?;
    check(&fstat(&file)?)?;
    Ok(file.into())
}

/// Opens the folder `name` in a folder.
fn step(folder: impl AsFd, name: &OsStr) -> io::Result<OwnedFd> {
    let folder = folder.as_fd();
    if Kind::of(&statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?) == Kind::Link {
        return Err(Refused::Link.into());
    }
    Ok(openat(
        folder,
        name,
        FOLDER_FLAGS | OFlags::NOFOLLOW,
        Mode::empty(),
    )?)
}

/// Splits a relative path that stays inside the folder.
fn names(relative: &Path) -> Result<Vec<&OsStr>, Refused> {
    let mut names = Vec::new();
    for component in relative.components() {
        match component {
            Component::Normal(name) => names.push(name),
            Component::CurDir => {}
            _ => return Err(Refused::Outside),
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn why(error: &io::Error) -> Option<Refused> {
        error.get_ref()?.downcast_ref().copied()
    }

    #[test]
    fn file_that_is_not_inside_and_regular_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        fs::create_dir_all(run.join("real/inner")).unwrap();
        fs::write(dir.path().join("secret"), "secret").unwrap();
        fs::write(run.join("real/inner/one"), "one").unwrap();
        symlink("real", run.join("folder")).unwrap();
        symlink("real/inner/one", run.join("inside")).unwrap();
        symlink("../secret", run.join("outside")).unwrap();
        let fifo = run.join("fifo");
        rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR, 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(run.join("socket")).unwrap();
        let folder = Folder::open(&run).unwrap();
        let read = |name: &str| folder.read_text(Path::new(name), 3);
        assert_eq!(read("real/inner/one").unwrap(), "one");
        assert_eq!(read("./real/inner/one").unwrap(), "one");
        for (name, expected) in [
            ("folder/inner/one", Refused::Link),
            ("inside", Refused::Link),
            ("outside", Refused::Link),
            ("fifo", Refused::Special("FIFO")),
            ("socket", Refused::Special("socket")),
            ("real", Refused::Special("folder")),
            ("../secret", Refused::Outside),
            ("real/../../secret", Refused::Outside),
            ("/etc/passwd", Refused::Outside),
            ("", Refused::Special("folder")),
        ] {
            assert_eq!(why(&read(name).unwrap_err()), Some(expected), "{name}");
        }
        let missing = read("none").unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        let large = folder.read(Path::new("real/inner/one"), 2).unwrap_err();
        assert_eq!(why(&large), Some(Refused::TooLarge { limit_bytes: 2 }));
        let folder = folder.below(Path::new("folder")).unwrap_err();
        assert_eq!(why(&folder), Some(Refused::Link));
    }

    #[test]
    fn entries_tell_what_each_name_is() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("b")).unwrap();
        fs::write(dir.path().join("a"), "").unwrap();
        symlink("a", dir.path().join("c")).unwrap();
        let entries = Folder::open(dir.path()).unwrap().entries().unwrap();
        let kinds: Vec<Kind> = entries.iter().map(|entry| entry.kind).collect();
        assert_eq!(kinds, [Kind::File, Kind::Folder, Kind::Link]);
    }
}
