//! Hashes of the files that the cell's services serve, computed before the first machine starts, for comparison
//! with the arrivals at machines.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use boot_server::policy::{GRUB_X64, SHIM_FOLDER, SHIM_X64, SignedProgram};
use images::verify::digest::sha256_of_file;
use lab_model::evidence::clock::now_us;
use lab_model::evidence::{Observation, Record};
use thiserror::Error;

/// Debian's folders of boot programs in the boot server's search order, with the file name extensions that
/// machines load.
const BOOT_PROGRAMS: [(&str, &[&str]); 3] = [
    ("/usr/lib/ipxe", &[".kpxe", ".pxe", ".efi"]),
    ("/usr/lib/PXELINUX", &[".0"]),
    ("/usr/lib/syslinux/modules/bios", &["ldlinux.c32"]),
];

/// Maximum depth of folders below the assets.
const DEPTH_LIMIT: usize = 8;

/// Maximum number of hashed files.
const FILE_LIMIT: usize = 256;

/// Served file or folder that cannot be read.
#[derive(Debug, Error)]
#[error("cannot hash {}: {source}", path.display())]
pub struct ManifestError {
    path: PathBuf,
    source: io::Error,
}

/// Returns a record of each file below `assets` and below the TFTP servers' own `roots`, and of each boot program of
/// Debian's that none of those hides.
///
/// # Errors
/// [`ManifestError`] with the file or folder that cannot be read.
pub(super) fn records(assets: &Path, roots: &[PathBuf]) -> Result<Vec<Record>, ManifestError> {
    let mut records = Vec::new();
    below(assets, "assets", DEPTH_LIMIT, &mut records)?;
    for root in roots.iter().filter(|root| root.is_dir()) {
        below(root, "", DEPTH_LIMIT, &mut records)?;
    }
    for (folder, endings) in BOOT_PROGRAMS {
        // A host without PXELINUX can run scenarios that do not need it.
        for (name, path) in entries(Path::new(folder)).unwrap_or_default() {
            if path.is_file() && endings.iter().any(|ending| name.ends_with(ending)) {
                add(name, &path, &mut records)?;
            }
        }
    }
    for SignedProgram { name, file, .. } in [SHIM_X64, GRUB_X64] {
        let path = Path::new(file);
        if path.is_file() {
            add(format!("{SHIM_FOLDER}/{name}"), path, &mut records)?;
        }
    }
    Ok(records)
}

fn below(
    folder: &Path,
    name: &str,
    depth: usize,
    records: &mut Vec<Record>,
) -> Result<(), ManifestError> {
    for (entry, path) in entries(folder).map_err(failed(folder))? {
        let name = match name {
            "" => entry,
            folder => format!("{folder}/{entry}"),
        };
        if path.is_file() {
            add(name, &path, records)?;
        } else if path.is_dir() && depth > 0 {
            below(&path, &name, depth - 1, records)?;
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        entries.push((
            entry.file_name().to_string_lossy().into_owned(),
            entry.path(),
        ));
    }
    entries.sort();
    Ok(entries)
}

fn add(name: String, path: &Path, records: &mut Vec<Record>) -> Result<(), ManifestError> {
    // Of two files of a name, the server sends the one that it finds first.
    let is_hidden = records
        .iter()
        .any(|record| matches!(&record.seen, Observation::Manifest { file, .. } if *file == name));
    if is_hidden || records.len() >= FILE_LIMIT {
        return Ok(());
    }
    let (sha256, bytes) = sha256_of_file(path).map_err(failed(path))?;
    records.push(Record {
        at_us: now_us(),
        node: None,
        seen: Observation::Manifest {
            file: name,
            sha256,
            bytes: Some(bytes),
        },
    });
    Ok(())
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> ManifestError {
    move |source| ManifestError {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_below_the_assets_are_named_as_they_are_served() {
        let assets = tempfile::tempdir().unwrap();
        fs::create_dir_all(assets.path().join("coreos/current")).unwrap();
        fs::write(assets.path().join("coreos/current/vmlinuz"), "abc").unwrap();
        let mut records = Vec::new();
        below(assets.path(), "assets", DEPTH_LIMIT, &mut records).unwrap();
        let seen: Vec<&Observation> = records.iter().map(|record| &record.seen).collect();
        let expected = Observation::Manifest {
            file: "assets/coreos/current/vmlinuz".into(),
            sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".into(),
            bytes: Some(3),
        };
        assert_eq!(seen, [&expected]);
    }

    #[test]
    fn records_of_a_root_hide_debians_program_of_that_name() {
        let folder = tempfile::tempdir().unwrap();
        let (assets, root) = (folder.path().join("assets"), folder.path().join("tftp"));
        fs::create_dir_all(&assets).unwrap();
        fs::create_dir_all(&root).unwrap();
        fs::write(root.join("undionly.kpxe"), "abc").unwrap();
        let records = records(&assets, &[root]).unwrap();
        let hashes: Vec<&str> = records
            .iter()
            .filter_map(|record| match &record.seen {
                Observation::Manifest { file, sha256, .. } if file == "undionly.kpxe" => {
                    Some(sha256.as_str())
                }
                _ => None,
            })
            .collect();
        assert_eq!(
            hashes,
            ["ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"]
        );
    }

    #[test]
    fn a_folder_that_is_missing_is_named() {
        let mut records = Vec::new();
        let error = below(Path::new("/nowhere"), "assets", 1, &mut records).unwrap_err();
        assert_eq!(error.path, Path::new("/nowhere"));
    }
}
