//! Boot programs of other Debian releases: their packages are unpacked into the cache.

use std::path::{Path, PathBuf};

use image_catalog::ProgramName;

use crate::cache::Cache;
use crate::package::{self, Package};
use crate::{ImageError, Progress};

/// Returns the file of a boot program in the cache, even if it is missing.
#[must_use]
pub fn place(cache: &Path, name: &ProgramName) -> PathBuf {
    folder(cache).place(&entry(name)).join(name.file())
}

/// Returns the file of a boot program; fetches its package if it is not in the cache.
///
/// # Errors
/// [`ImageError`] if the package cannot be fetched or unpacked.
pub fn acquire(
    cache: &Path,
    name: &ProgramName,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<PathBuf, ImageError> {
    let file = place(cache, name);
    if file.is_file() {
        return Ok(file);
    }
    let packages = folder(cache);
    let lock = packages.lock(progress)?;
    // Another process may have fetched it meanwhile.
    if !file.is_file() {
        let log = cache.join("packages.log");
        packages.make(&lock, &entry(name), |new| {
            let package = Package {
                release: name.release,
                name: name.package(),
                version: None,
                mirror: None,
                known: &[],
            };
            package::fetch(package, new, &log, progress).map(drop)
        })?;
    }
    match std::fs::metadata(&file) {
        Ok(_) => Ok(file),
        Err(source) => Err(ImageError::file(&file)(source)),
    }
}

fn folder(cache: &Path) -> Cache {
    Cache::new(cache.join("packages"))
}

/// Returns the name of the unpacked package in the cache.
fn entry(name: &ProgramName) -> String {
    format!("{}-{}", name.package(), name.release.number())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acquire_takes_what_is_in_the_cache() {
        let cache = tempfile::tempdir().unwrap();
        let name: ProgramName = "shim:13".parse().unwrap();
        let file = place(cache.path(), &name);
        assert!(file.ends_with("packages/shim-signed-13/usr/lib/shim/shimx64.efi.signed"));
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "MZ").unwrap();
        let mut silent = |_: Progress<'_>| panic!("nothing is fetched");
        assert_eq!(acquire(cache.path(), &name, &mut silent).unwrap(), file);
    }
}
