//! Writing of files in a data directory: whole or not at all, and nowhere else.
//!
//! A file is written beside its place under another name, and renamed once it is on the disk. Folders are opened as
//! the loader opens them, so that no symbolic link leads out of the directory (`beneath`).

use std::fs::File;
use std::io::{self, Write};

use boot_server_catalog::beneath;
use rustix::fs::{AtFlags, Mode, OFlags, fsync, mkdirat, openat, renameat, unlinkat};
use rustix::io::Errno;

/// Modes of new files and folders, less the umask: matchbox's.
const FILE_MODE: Mode = Mode::from_bits_truncate(0o644);
const FOLDER_MODE: Mode = Mode::from_bits_truncate(0o755);
const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

/// Replaces a file, or makes it with the folders that it needs. `file` is a path in `root`.
///
/// # Errors
/// The kernel's. The file is then as it was.
pub(super) fn replace(root: &File, file: &str, content: &[u8]) -> io::Result<()> {
    let (folder, name) = split(file);
    let folder = make_folder(root, folder)?;
    // Hidden, so that no loader reads the file.
    let other = format!(".boot-server-{:016x}", rand::random::<u64>());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mut written = File::from(openat(&folder, &other, flags, FILE_MODE)?);
    let renamed = written
        .write_all(content)
        .and_then(|()| written.sync_all())
        .and_then(|()| Ok(renameat(&folder, &other, &folder, name)?));
    if let Err(error) = renamed {
        // The first error is the one to tell.
        let _ = unlinkat(&folder, &other, AtFlags::empty());
        return Err(error);
    }
    Ok(fsync(&folder)?)
}

/// Removes a file, or a link, but not what it leads to.
///
/// # Errors
/// The kernel's.
pub(super) fn remove(root: &File, file: &str) -> io::Result<()> {
    let (folder, name) = split(file);
    let folder = beneath::open(root, folder, FOLDER)?;
    unlinkat(&folder, name, AtFlags::empty())?;
    Ok(fsync(&folder)?)
}

fn split(file: &str) -> (&str, &str) {
    file.rsplit_once('/').unwrap_or((".", file))
}

/// Opens a folder, after making those that are missing on the way.
fn make_folder(root: &File, path: &str) -> io::Result<File> {
    match beneath::open(root, path, FOLDER) {
        Err(Errno::NOENT) => {}
        opened => return Ok(opened?),
    }
    let (above, name) = split(path);
    let above = match above {
        "." => root.try_clone()?,
        above => make_folder(root, above)?,
    };
    match mkdirat(&above, name, FOLDER_MODE) {
        // Somebody else made it in the meantime.
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    fsync(&above)?;
    Ok(beneath::open(root, path, FOLDER)?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn replace_makes_folders_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let root = File::open(dir.path()).unwrap();
        for content in ["a longer text", "short"] {
            replace(&root, "ignition/rack/a.ign", content.as_bytes()).unwrap();
            let read = fs::read_to_string(dir.path().join("ignition/rack/a.ign")).unwrap();
            assert_eq!(read, content);
        }
        assert_eq!(names(&dir.path().join("ignition/rack")), ["a.ign"]);
        remove(&root, "ignition/rack/a.ign").unwrap();
        assert_eq!(names(&dir.path().join("ignition/rack")), [""; 0]);
        let error = remove(&root, "ignition/rack/a.ign").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn link_out_of_the_directory_is_not_written_through() {
        let dir = tempfile::tempdir().unwrap();
        let (data, outside) = (dir.path().join("data"), dir.path().join("outside"));
        fs::create_dir_all(data.join("generic")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("secret"), "secret").unwrap();
        symlink("../outside", data.join("groups")).unwrap();
        symlink("../../outside/secret", data.join("generic/link")).unwrap();
        let root = File::open(&data).unwrap();
        assert!(replace(&root, "groups/a.json", b"x").is_err());
        assert!(remove(&root, "groups/secret").is_err());
        replace(&root, "generic/link", b"x").unwrap();
        assert_eq!(names(&outside), ["secret"]);
        assert_eq!(fs::read(outside.join("secret")).unwrap(), b"secret");
        assert_eq!(fs::read(data.join("generic/link")).unwrap(), b"x");
        assert!(!data.join("generic/link").is_symlink());
    }

    #[test]
    fn replace_a_folder_fails_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("generic/dir")).unwrap();
        let root = File::open(dir.path()).unwrap();
        assert!(replace(&root, "generic/dir", b"x").is_err());
        assert!(remove(&root, "generic/dir").is_err());
        assert_eq!(names(&dir.path().join("generic")), ["dir"]);
    }
}
