//! Writing of a file into an untrusted folder: a link at its path is replaced and never followed.

use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Permissions of a written file.
const MODE: u32 = 0o644;

/// Writes `bytes` to a new file next to `path` and renames it to `path`.
///
/// # Errors
/// Fails if the file cannot be written, or if `path` is a folder.
pub fn replace(path: &Path, bytes: impl AsRef<[u8]>) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut fresh = tempfile::Builder::new()
        .prefix(".lab-")
        .permissions(std::fs::Permissions::from_mode(MODE))
        .tempfile_in(folder)?;
    fresh.write_all(bytes.as_ref())?;
    fresh.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn replace_link_target_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (victim, link) = (dir.path().join("victim"), dir.path().join("index.html"));
        fs::write(&victim, "theirs").unwrap();
        symlink(&victim, &link).unwrap();
        replace(&link, "ours").unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "theirs");
        assert_eq!(fs::read_to_string(&link).unwrap(), "ours");
        assert!(fs::symlink_metadata(&link).unwrap().is_file());
        replace(&link, "again").unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
