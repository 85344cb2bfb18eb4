//! Opening of the files that the server writes (leases, events), and of the keys that it reads. An attacker
//! with access to their folder cannot make the server write, truncate or give away another file.
//!
//! nginx had that flaw in its log files (CVE-2016-1247). The last part of a path is never followed when it is
//! a link, and the opened file is checked before use. Links in the folders above it are followed: systemd's
//! `StateDirectory=` is one.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::libc::{ELOOP, ENXIO, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK};

/// Longest key or certificate file in bytes: a chain of a hundred certificates is shorter.
const MAX_KEY_FILE_LEN: u64 = 1024 * 1024;
/// Longest file of the server's own in bytes: the leases of a million machines are shorter.
const MAX_OWN_FILE_LEN: u64 = 512 * 1024 * 1024;

/// Reasons that a file is not opened.
#[derive(Debug, thiserror::Error)]
pub enum StateFileError {
    /// The kernel's reason.
    #[error("cannot open {}: {source}{}", path.display(), hint(path, source))]
    Io {
        /// Path of the file.
        path: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
    /// A symbolic link.
    #[error("refused: {} (symbolic link); name its target", .0.display())]
    Link(PathBuf),
    /// A folder, FIFO, socket or device.
    #[error("refused: {} (not a regular file); remove it or name another file", .0.display())]
    NotRegular(PathBuf),
    /// The file has other names, any of which may be useful to its creator.
    #[error(
        "refused: {} ({links} hard links; a file of the server has one name); remove it or name another file",
        path.display()
    )]
    HardLinks {
        /// Path of the file.
        path: PathBuf,
        /// Number of hard links.
        links: u64,
    },
    /// A file of another user.
    #[error(
        "refused: {} (owned by user id {owner}, the server runs as {user}); chown {user} {}",
        path.display(), path.display()
    )]
    Owner {
        /// Path of the file.
        path: PathBuf,
        /// User id of the owner.
        owner: u32,
        /// The user that the server runs as.
        user: u32,
    },
    /// A file that is longer than any of its kind.
    #[error("refused: {} (longer than {limit} bytes)", path.display())]
    TooLong {
        /// Path of the file.
        path: PathBuf,
        /// Longest file of its kind in bytes.
        limit: u64,
    },
}

impl From<StateFileError> for io::Error {
    fn from(error: StateFileError) -> io::Error {
        let kind = match &error {
            StateFileError::Io { source, .. } => source.kind(),
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

fn hint(path: &Path, source: &io::Error) -> String {
    if source.kind() != io::ErrorKind::PermissionDenied {
        return String::new();
    }
    let user = rustix::process::geteuid().as_raw();
    format!(
        "; the server runs as user id {user}: chown {user} {} and its folder",
        path.display()
    )
}

/// Opens a file to append to, making it when there is none. A character device, e.g. `/dev/null`, is taken
/// as it is: only root can make one.
///
/// # Errors
/// [`StateFileError`].
pub fn append(path: &Path) -> Result<File, StateFileError> {
    let file = open(path, OpenOptions::new().create(true).append(true))?;
    let metadata = metadata(path, &file)?;
    if metadata.file_type().is_char_device() {
        // Non-blocking was for the sake of FIFOs.
        return OpenOptions::new()
            .append(true)
            .custom_flags(O_NOFOLLOW | O_NOCTTY)
            .open(path)
            .map_err(|source| failed(path, source));
    }
    check_own(path, &metadata)?;
    Ok(file)
}

/// Opens a file to write to, as it is; makes it when there is none.
///
/// # Errors
/// [`StateFileError`].
pub fn write(path: &Path) -> Result<File, StateFileError> {
    let mut options = OpenOptions::new();
    let options = options.create(true).truncate(false).read(true).write(true);
    let file = open(path, options)?;
    check_own(path, &metadata(path, &file)?)?;
    Ok(file)
}

/// Makes a file that is not there yet.
///
/// # Errors
/// [`StateFileError::Io`], also when there is anything by this name.
pub fn create_new(path: &Path) -> Result<File, StateFileError> {
    open(path, OpenOptions::new().create_new(true).write(true))
}

/// Makes a file in place of whatever has its name, a folder excepted.
///
/// # Errors
/// [`StateFileError::Io`].
pub fn replace(path: &Path) -> Result<File, StateFileError> {
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(failed(path, source)),
    }
    create_new(path)
}

/// Reads a file of the server; anyone with the right to read it may. `None` when there is none.
///
/// # Errors
/// [`StateFileError`].
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, StateFileError> {
    read_checked(path, check_regular)
}

/// Reads a file that the server will rewrite, and that must be its own. `None` when it does not exist.
///
/// # Errors
/// [`StateFileError`].
pub fn read_own(path: &Path) -> Result<Option<Vec<u8>>, StateFileError> {
    read_checked(path, check_own)
}

fn read_checked(
    path: &Path,
    check: impl Fn(&Path, &Metadata) -> Result<(), StateFileError>,
) -> Result<Option<Vec<u8>>, StateFileError> {
    let file = match open(path, OpenOptions::new().read(true)) {
        Ok(file) => file,
        Err(StateFileError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    check(path, &metadata(path, &file)?)?;
    read_up_to(MAX_OWN_FILE_LEN, path, file).map(Some)
}

/// Reads a key or certificate. Links are followed, as certbot's and Kubernetes' files are links.
///
/// # Errors
/// [`StateFileError`].
pub fn read_key(path: &Path) -> Result<Vec<u8>, StateFileError> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(O_NONBLOCK | O_NOCTTY)
        .open(path)
        .map_err(|source| StateFileError::Io {
            path: path.to_owned(),
            source,
        })?;
    check_regular(path, &metadata(path, &file)?)?;
    read_up_to(MAX_KEY_FILE_LEN, path, file)
}

fn read_up_to(limit: u64, path: &Path, file: File) -> Result<Vec<u8>, StateFileError> {
    let too_long = |len: u64| match len > limit {
        true => Err(StateFileError::TooLong {
            path: path.to_owned(),
            limit,
        }),
        false => Ok(()),
    };
    too_long(metadata(path, &file)?.len())?;
    let mut bytes = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| failed(path, source))?;
    too_long(bytes.len() as u64)?;
    Ok(bytes)
}

fn open(path: &Path, options: &mut OpenOptions) -> Result<File, StateFileError> {
    options
        .custom_flags(O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)
        .open(path)
        .map_err(|source| failed(path, source))
}

fn failed(path: &Path, source: io::Error) -> StateFileError {
    let path = path.to_owned();
    match source.raw_os_error() {
        Some(ELOOP) if path.is_symlink() => StateFileError::Link(path),
        // A FIFO without a reader, or a socket.
        Some(ENXIO) => StateFileError::NotRegular(path),
        _ if path.is_dir() => StateFileError::NotRegular(path),
        _ => StateFileError::Io { path, source },
    }
}

fn metadata(path: &Path, file: &File) -> Result<Metadata, StateFileError> {
    file.metadata().map_err(|source| failed(path, source))
}

fn check_regular(path: &Path, metadata: &Metadata) -> Result<(), StateFileError> {
    match metadata.is_file() {
        true => Ok(()),
        false => Err(StateFileError::NotRegular(path.to_owned())),
    }
}

fn check_own(path: &Path, metadata: &Metadata) -> Result<(), StateFileError> {
    check_regular(path, metadata)?;
    let path = || path.to_owned();
    if metadata.nlink() > 1 {
        return Err(StateFileError::HardLinks {
            path: path(),
            links: metadata.nlink(),
        });
    }
    let user = rustix::process::geteuid().as_raw();
    match metadata.uid() {
        owner if owner == user => Ok(()),
        owner => Err(StateFileError::Owner {
            path: path(),
            owner,
            user,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{chown, symlink};

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    type Open = fn(&Path) -> Result<File, StateFileError>;
    const WRITERS: [Open; 2] = [append, write];

    #[test]
    fn append_and_write_a_new_file_and_one_of_our_own_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for open in WRITERS {
            open(&path).unwrap();
        }
        assert_eq!(read(&path).unwrap(), Some(Vec::new()));
        assert_eq!(read(&folder.path().join("none")).unwrap(), None);
    }

    #[test]
    fn append_and_write_a_link_is_refused_and_its_target_untouched() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        symlink(&target, &link).unwrap();
        for open in WRITERS {
            assert!(matches!(open(&link), Err(StateFileError::Link(_))));
        }
        assert!(matches!(read(&link), Err(StateFileError::Link(_))));
        assert!(!target.exists());
    }

    #[test]
    fn append_and_write_a_hard_link_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        fs::write(&target, "secret").unwrap();
        fs::hard_link(&target, &link).unwrap();
        for open in WRITERS {
            let error = open(&link).unwrap_err();
            assert!(matches!(error, StateFileError::HardLinks { links: 2, .. }));
        }
        let error = read_own(&link).unwrap_err();
        assert!(matches!(error, StateFileError::HardLinks { links: 2, .. }));
    }

    #[test]
    fn append_and_write_a_fifo_or_a_folder_is_refused_without_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        for path in [&fifo, &folder.path().to_owned()] {
            for open in WRITERS {
                assert!(matches!(open(path), Err(StateFileError::NotRegular(_))));
            }
            assert!(matches!(read(path), Err(StateFileError::NotRegular(_))));
            assert!(matches!(read_key(path), Err(StateFileError::NotRegular(_))));
        }
    }

    #[test]
    fn append_and_write_a_file_of_another_user_is_refused() {
        if !rustix::process::geteuid().is_root() {
            return test_support::skip("giving a file away needs root");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "").unwrap();
        chown(&path, Some(65534), Some(65534)).unwrap();
        for open in WRITERS {
            let error = open(&path).unwrap_err();
            assert!(matches!(error, StateFileError::Owner { owner: 65534, .. }));
        }
        let error = read_own(&path).unwrap_err();
        assert!(matches!(error, StateFileError::Owner { owner: 65534, .. }));
    }

    #[test]
    fn read_a_file_that_is_longer_than_any_is_refused_before_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let sparse = write(&path).unwrap();
        sparse.set_len(1 << 40).unwrap();
        for read in [read, read_own] {
            let error = read(&path).unwrap_err();
            assert!(matches!(error, StateFileError::TooLong { .. }), "{error}");
        }
    }

    #[test]
    fn append_the_null_device_is_taken() {
        append(Path::new("/dev/null")).unwrap();
    }

    #[test]
    fn replace_a_link_is_removed_and_its_target_untouched() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        fs::write(&target, "secret").unwrap();
        symlink(&target, &link).unwrap();
        replace(&link).unwrap();
        assert!(!link.is_symlink());
        assert_eq!(fs::read(&target).unwrap(), b"secret");
    }

    #[test]
    fn read_key_follows_links_and_refuses_what_has_no_end() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        fs::write(&target, "key").unwrap();
        symlink(&target, &link).unwrap();
        assert_eq!(read_key(&link).unwrap(), b"key");
        let device = Path::new("/dev/zero");
        assert!(matches!(
            read_key(device),
            Err(StateFileError::NotRegular(_))
        ));
        fs::write(&target, vec![b'x'; 1024 * 1024 + 1]).unwrap();
        assert!(matches!(
            read_key(&link),
            Err(StateFileError::TooLong { .. })
        ));
    }
}
