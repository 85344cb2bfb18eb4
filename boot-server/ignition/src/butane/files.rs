//! Local files that a config refers to.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::finding::Reason;
use crate::go::slash_path::join;

/// Most bytes that the local files of one config have together.
const MAX_BYTES: u64 = 64 << 20;

/// The folder of local files.
pub(super) struct Files<'a> {
    dir: Option<&'a Path>,
    /// Bytes that may still be read.
    left: u64,
}

impl<'a> Files<'a> {
    pub(super) fn new(dir: Option<&'a Path>) -> Files<'a> {
        Files {
            dir,
            left: MAX_BYTES,
        }
    }

    pub(super) fn has_dir(&self) -> bool {
        self.dir.is_some()
    }

    /// Returns the path of a file or folder, which is inside the folder of local files.
    pub(super) fn locate(&self, local: &str) -> Result<PathBuf, Reason> {
        let dir = self.dir.ok_or(Reason::NoFilesDir)?;
        let base = std::path::absolute(dir).map_err(|error| unreadable(dir, &error))?;
        let base = join(&base.to_string_lossy(), "");
        let path = join(&base, local);
        let inside = path.strip_prefix(&base);
        if inside.is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || base == "/") {
            Ok(dir.join(inside.unwrap_or_default().trim_start_matches('/')))
        } else {
            Err(Reason::FilesDirEscape)
        }
    }

    pub(super) fn read(&mut self, local: &str) -> Result<Vec<u8>, Reason> {
        let path = self.locate(local)?;
        self.read_path(&path)
    }

    /// Reads a regular file: a device or a pipe may never end.
    pub(super) fn read_path(&mut self, path: &Path) -> Result<Vec<u8>, Reason> {
        let failed = |error| unreadable(path, &error);
        let metadata = std::fs::metadata(path).map_err(failed)?;
        if !metadata.is_file() {
            let problem = if metadata.is_dir() {
                "is a directory"
            } else {
                "not a regular file"
            };
            return Err(Reason::CannotRead(path.to_owned(), problem.to_owned()));
        }
        let mut contents = Vec::new();
        let file = File::open(path).map_err(failed)?;
        file.take(self.left + 1)
            .read_to_end(&mut contents)
            .map_err(failed)?;
        self.left = self
            .left
            .checked_sub(contents.len() as u64)
            .ok_or(Reason::TooManyBytes((MAX_BYTES >> 20) as usize))?;
        Ok(contents)
    }
}

pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Reason {
    let problem = match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        _ => error.to_string(),
    };
    Reason::CannotRead(path.to_owned(), problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_outside_the_folder_is_refused() {
        let dir = Path::new("/srv/files");
        let files = Files::new(Some(dir));
        assert_eq!(files.locate("a/../b"), Ok(dir.join("b")));
        assert_eq!(files.locate("/etc/a"), Ok(dir.join("etc/a")));
        assert_eq!(files.locate("../files/a"), Ok(dir.join("a")));
        for local in ["..", "../a", "a/../../b", "../files-of-others/a"] {
            assert_eq!(files.locate(local), Err(Reason::FilesDirEscape), "{local}");
        }
        assert_eq!(Files::new(None).locate("a"), Err(Reason::NoFilesDir));
    }
}
