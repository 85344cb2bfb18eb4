//! Image in a package of a Debian release: apt resolves the version and checks the package; the files then enter the store as
//! those of other publishers.

use std::path::Path;
use std::time::SystemTime;

use super::error::{AcquireError, NotGood};
use super::{Event, Tell, record};
use crate::Progress;
use crate::catalog::package::Package as Source;
use crate::catalog::{DebianRelease, Wanted};
use crate::package::{self, Package, PackageError};
use crate::release::{CURRENT, ReleaseError};
use crate::store::{Store, Stored, StoredFile, Verified};
use crate::verify::{content, digest};

/// Fetches the package of `wanted`, unless its version is in the store undamaged.
pub(super) fn acquire(
    wanted: &Wanted,
    source: &Source,
    store: &Store,
    now: SystemTime,
    tell: Tell<'_>,
) -> Result<Stored, AcquireError> {
    let mut hear = |progress: Progress<'_>| {
        if progress == Progress::Waiting {
            tell(Event::Waiting);
        }
    };
    let unknown = || ReleaseError::NotPublished(wanted.entry.name.clone());
    let release = DebianRelease::from_number(&wanted.channel).ok_or_else(unknown)?;
    let _using = store.using(&mut hear)?;
    let versions = store.versions(
        &wanted.entry.name,
        &wanted.channel,
        wanted.architecture.name(),
    );
    let lock = versions.lock(&mut hear)?;
    let mut known = Vec::new();
    for stored in store.list() {
        let (record, entry) = (&stored.record, &wanted.entry);
        let is_same = record.name == entry.name && record.channel == wanted.channel;
        if is_same && stored.damaged()?.is_empty() {
            known.push(stored);
        }
    }
    let known_versions: Vec<String> = known
        .iter()
        .map(|stored| stored.record.version.clone())
        .collect();
    let name = source.name(release);
    let package = Package {
        release,
        name: &name,
        version: (wanted.version != CURRENT).then_some(wanted.version.as_str()),
        mirror: source.mirror.as_deref(),
        known: &known_versions,
    };
    let unpacked = versions.scratch(&lock)?;
    let log = versions.place("package.log");
    tell(Event::Package(&name));
    let version = package::fetch(package, unpacked.path(), &log, &mut hear)?;
    tell(Event::Version(&version));
    if let Some(stored) = known
        .into_iter()
        .find(|stored| stored.record.version == version)
    {
        stored.touch()?;
        return Ok(stored);
    }
    let files = take(source, release, &version, unpacked.path(), store)?;
    for verified in &files {
        tell(Event::Good {
            file: &verified.file,
        });
    }
    let record = record(wanted, version, now, &files);
    Ok(store.install(&versions, &lock, record, &files)?)
}

/// Moves the files of an unpacked package into the store.
fn take(
    source: &Source,
    release: DebianRelease,
    version: &str,
    unpacked: &Path,
    store: &Store,
) -> Result<Vec<Verified>, AcquireError> {
    let package = source.name(release);
    let mut files = Vec::new();
    for file in &source.files {
        let inside = file.path(release);
        let path = unpacked.join(&inside);
        if !std::fs::symlink_metadata(&path).is_ok_and(|there| there.is_file()) {
            return Err(AcquireError::Package(PackageError::NoFile {
                name: package,
                file: inside,
            }));
        }
        let from = format!("{package} {version}: {}", inside.display());
        content::check(&path, file.role)
            .map_err(AcquireError::file(&path))?
            .map_err(|why| AcquireError::NotGood {
                from: from.clone(),
                why: NotGood::from(why),
            })?;
        let hashes = digest::of_file(&path).map_err(AcquireError::file(&path))?;
        store.insert(&path, &hashes.sha256)?;
        files.push(Verified {
            file: StoredFile {
                role: file.role,
                name: file.name.clone(),
                size_bytes: hashes.size_bytes,
                sha256: hashes.sha256,
                from,
                digest_checked: false,
                signed_by: None,
                is_packaged: true,
            },
            signature: None,
        });
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::model::Source as AnySource;
    use crate::catalog::{Catalog, Role};

    fn source() -> Source {
        let catalog = Catalog::own().unwrap();
        match &catalog.entry("debian-installer").unwrap().source {
            AnySource::Package(package) => package.clone(),
            other => panic!("{other:?}"),
        }
    }

    const FOLDER: &str = "usr/lib/debian-installer/images/13/amd64/text/debian-installer/amd64";

    fn unpacked(kernel: &[u8]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join(FOLDER);
        std::fs::create_dir_all(&inside).unwrap();
        std::fs::write(inside.join("linux"), kernel).unwrap();
        std::fs::write(inside.join("initrd.gz"), b"\x1f\x8binitrd").unwrap();
        folder
    }

    /// First bytes of a kernel for x86.
    fn kernel() -> Vec<u8> {
        let mut head = vec![0; 0x202];
        head.extend(b"HdrS");
        head
    }

    #[test]
    fn take_files_of_a_package_are_stored_under_their_hashes() {
        let cache = tempfile::tempdir().unwrap();
        let store = Store::new(cache.path());
        let package = unpacked(&kernel());
        let release = DebianRelease::Trixie;
        let files = take(&source(), release, "1+deb13u1", package.path(), &store).unwrap();
        let roles: Vec<Role> = files.iter().map(|file| file.file.role).collect();
        assert_eq!(roles, [Role::Kernel, Role::Initrd]);
        let stored = &files[1].file;
        let from = format!("debian-installer-13-netboot-amd64 1+deb13u1: {FOLDER}/initrd.gz");
        assert_eq!((&stored.name, &stored.from), (&"initrd.gz".into(), &from));
        assert!(stored.is_packaged && !stored.digest_checked);
        let object = std::fs::read(store.object(&stored.sha256)).unwrap();
        assert_eq!(object, b"\x1f\x8binitrd");
    }

    #[test]
    fn take_wrong_or_missing_file_is_refused() {
        let cache = tempfile::tempdir().unwrap();
        let store = Store::new(cache.path());
        let package = unpacked(b"no kernel");
        let refused = |release| {
            let taken = take(&source(), release, "1", package.path(), &store);
            taken.unwrap_err().to_string()
        };
        assert_eq!(
            refused(DebianRelease::Trixie),
            format!(
                "refused: debian-installer-13-netboot-amd64 1: {FOLDER}/linux (wrong content: neither a kernel nor an initrd instead of a kernel)"
            )
        );
        assert_eq!(
            refused(DebianRelease::Bookworm),
            format!(
                "file not found in the package debian-installer-12-netboot-amd64: {}/linux",
                FOLDER.replace("13", "12")
            )
        );
    }
}
