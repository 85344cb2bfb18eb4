//! Boot programs and firmware of other Debian releases: their packages are unpacked into the cache.

use std::path::{Path, PathBuf};

use image_catalog::{DebianRelease, FirmwareBuild, FirmwarePackage, ProgramName};

use crate::cache::Cache;
use crate::package::{self, Package};
use crate::{ImageError, Progress};

/// Returns the file of a boot program in the cache, even if it is missing.
#[must_use]
pub fn place(cache: &Path, name: &ProgramName) -> PathBuf {
    place_of(cache, name.package(), name.release).join(name.file())
}

/// Returns the folder of an unpacked package in the cache, even if it is missing.
fn place_of(cache: &Path, package: &str, release: DebianRelease) -> PathBuf {
    folder(cache).place(&entry(package, release))
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
    acquire_package(cache, name.package(), name.release, &file, progress)?;
    Ok(file)
}

/// Returns the root of an unpacked package of firmware; fetches the package if it is not in the cache.
///
/// # Errors
/// [`ImageError`] if the package cannot be fetched or unpacked.
pub fn acquire_firmware(
    cache: &Path,
    firmware: FirmwarePackage,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<PathBuf, ImageError> {
    let root = place_of(cache, firmware.package(), firmware.release);
    let code = root.join(firmware.code(FirmwareBuild::Plain));
    acquire_package(cache, firmware.package(), firmware.release, &code, progress)?;
    Ok(root)
}

/// Fetches and unpacks a package, unless `file` of it is there.
fn acquire_package(
    cache: &Path,
    name: &str,
    release: DebianRelease,
    file: &Path,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), ImageError> {
    if file.is_file() {
        return Ok(());
    }
    let packages = folder(cache);
    let lock = packages.lock(progress)?;
    // Another process may have fetched it meanwhile.
    if !file.is_file() {
        let log = cache.join("packages.log");
        packages.make(&lock, &entry(name, release), |new| {
            let package = Package {
                release,
                name,
                version: None,
                mirror: None,
                known: &[],
            };
            package::fetch(package, new, &log, progress).map(drop)
        })?;
    }
    match std::fs::metadata(file) {
        Ok(_) => Ok(()),
        Err(source) => Err(ImageError::file(file)(source)),
    }
}

fn folder(cache: &Path) -> Cache {
    Cache::new(cache.join("packages"))
}

/// Returns the name of the unpacked package in the cache.
fn entry(package: &str, release: DebianRelease) -> String {
    format!("{package}-{}", release.number())
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
