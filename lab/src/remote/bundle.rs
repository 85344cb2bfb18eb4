//! Bundles of files for upload, named by a digest of their contents, so that no file is sent twice or confused
//! with another.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use images::verify::digest;
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Error of reading a bundle.
#[derive(Debug, Error)]
#[error("{path}: {source}")]
pub struct BundleError {
    /// File that cannot be read.
    pub path: PathBuf,
    #[source]
    pub source: io::Error,
}

/// Bundle of files of one folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    folder: PathBuf,
    names: Vec<String>,
    /// Digest of all names and contents.
    pub digest: String,
    /// Total size in bytes.
    pub size_bytes: u64,
}

impl Bundle {
    /// Bundles the named files of the folder.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn of(folder: &Path, names: &[&str]) -> Result<Bundle, BundleError> {
        let mut size_bytes = 0;
        let mut all = Sha256::new();
        for name in names {
            let path = folder.join(name);
            let failed = |source| BundleError {
                path: path.clone(),
                source,
            };
            let hashes = digest::of_file(&path).map_err(failed)?;
            size_bytes += hashes.size_bytes;
            all.update(format!("{name} {}\n", hashes.sha256));
        }
        let digest = all.finalize();
        Ok(Bundle {
            folder: folder.to_owned(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            digest: digest
                .first_chunk::<8>()
                .map(hex::encode)
                .unwrap_or_default(),
            size_bytes,
        })
    }

    /// Bundles all files of the folder.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn whole(folder: &Path) -> Result<Bundle, BundleError> {
        let failed = |source| BundleError {
            path: folder.to_owned(),
            source,
        };
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            // Images have several names for each file; links that leave the folder are followed.
            if entry.path().is_file() {
                names.insert(entry.file_name().to_string_lossy().into_owned());
            }
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        Bundle::of(folder, &names)
    }

    /// Returns a command that prints the bundle as a tar archive.
    #[must_use]
    pub fn tar(&self) -> Command {
        let mut tar = Command::new("tar");
        tar.args(["--create", "--dereference", "--file=-", "--directory"])
            .arg(&self.folder)
            .arg("--")
            .args(&self.names);
        tar
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_files_makes_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("one", "1");
        write("two", "22");
        std::os::unix::fs::symlink("two", folder.path().join("three")).unwrap();
        let whole = Bundle::whole(folder.path()).unwrap();
        assert_eq!((whole.digest.len(), whole.size_bytes), (16, 5));
        assert_eq!(whole.names, ["one", "three", "two"]);
        assert_eq!(Bundle::whole(folder.path()).unwrap(), whole);
        let some = Bundle::of(folder.path(), &["one", "two"]).unwrap();
        assert_ne!(some.digest, whole.digest);
        write("two", "23");
        assert_ne!(Bundle::whole(folder.path()).unwrap().digest, whole.digest);
        let missing = Bundle::of(folder.path(), &["four"]).unwrap_err();
        assert!(missing.to_string().contains("four"), "{missing}");
    }
}
