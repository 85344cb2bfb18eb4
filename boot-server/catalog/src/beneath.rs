//! Opening a file below a folder, wherever symbolic links lead: outside is refused by the kernel
//! (`openat2`, Linux 5.6), and where it may not be asked, by looking at what was opened.
//!
//! systemd's `RestrictSUIDSGID=`, which `DynamicUser=` implies, hides `openat2` from a service (observed with
//! systemd 252): its filter cannot look at the flags, so the kernel seems not to know the call.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat, openat2, readlink};
use rustix::io::Errno;

/// Opens `file`, which is relative to `folder`.
///
/// # Errors
/// `XDEV` when it lies outside; the kernel's.
pub fn open(folder: impl AsFd, file: impl AsRef<OsStr>, flags: OFlags) -> Result<File, Errno> {
    let (folder, file) = (folder.as_fd(), file.as_ref());
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    loop {
        return match openat2(folder, file, flags, Mode::empty(), resolve) {
            Ok(opened) => Ok(opened.into()),
            // The tree is being renamed under us: resolve again.
            Err(Errno::AGAIN | Errno::INTR) => continue,
            Err(Errno::NOSYS) => open_and_look(folder, file, flags),
            Err(error) => Err(error),
        };
    }
}

/// Opens the same without `openat2`: finds the file without opening it for anything, checks its path, and then
/// opens this very file.
fn open_and_look(folder: impl AsFd, file: impl AsRef<OsStr>, flags: OFlags) -> Result<File, Errno> {
    let (folder, file) = (folder.as_fd(), file.as_ref());
    let found = openat(folder, file, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    if !path_of(&found)?.starts_with(path_of(folder)?) {
        return Err(Errno::XDEV);
    }
    if flags.contains(OFlags::PATH) {
        return Ok(found.into());
    }
    let itself = format!("/proc/self/fd/{}", found.as_raw_fd());
    Ok(openat(folder, itself, flags, Mode::empty())?.into())
}

/// Returns the current path of an open file.
fn path_of(file: impl AsFd) -> Result<PathBuf, Errno> {
    let link = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
    let path = readlink(link, Vec::new())?;
    Ok(OsStr::from_bytes(path.as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn with_and_without_openat2_the_same_files_are_opened() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("cloud/shared")).unwrap();
        fs::write(dir.path().join("secret"), "secret").unwrap();
        fs::create_dir(dir.path().join("root2")).unwrap();
        fs::write(dir.path().join("root2/near"), "near").unwrap();
        fs::write(root.join("cloud/shared/one"), "one").unwrap();
        symlink("shared/one", root.join("cloud/inside")).unwrap();
        symlink("../../secret", root.join("cloud/outside")).unwrap();
        symlink("../root2", root.join("sibling")).unwrap();
        symlink("/proc/self/root", root.join("magic")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let folder = File::open(&root).unwrap();
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        type Way = fn(&File, &str, OFlags) -> Result<File, Errno>;
        let ways: [Way; 2] = [|f, n, o| open(f, n, o), |f, n, o| open_and_look(f, n, o)];
        for way in ways {
            for name in ["cloud/shared/one", "cloud/inside", "cloud/../cloud/inside"] {
                let mut text = String::new();
                let mut file = way(&folder, name, flags).unwrap();
                file.read_to_string(&mut text).unwrap();
                assert_eq!(text, "one", "{name}");
                assert!(way(&folder, name, flags | OFlags::PATH).is_ok());
            }
            for (name, error) in [
                ("cloud/outside", Errno::XDEV),
                ("sibling/near", Errno::XDEV),
                ("../secret", Errno::XDEV),
                ("/etc/passwd", Errno::XDEV),
                ("gone", Errno::NOENT),
                ("cloud/shared/one/two", Errno::NOTDIR),
                ("loop", Errno::LOOP),
            ] {
                assert_eq!(way(&folder, name, flags).unwrap_err(), error, "{name}");
            }
            assert!(way(&folder, "magic/etc/passwd", flags).is_err());
        }
    }
}
