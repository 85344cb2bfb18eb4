//! What an explanation needs beside what was seen: the data directory that was served, and what each
//! machine was made of. Both lie in the attempt's folder.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use boot_server::catalog::data_dir::{DataDir, Snapshot, Source};

/// Folder of the copied data directory.
pub const DATA_FOLDER: &str = "data";

/// Larger files are assets, not configs: they are left out of the copy.
const FILE_LIMIT_BYTES: u64 = 256 * 1024;

/// As much is copied at most.
const COPY_LIMIT_BYTES: u64 = 4 * 1024 * 1024;

/// Folders below the data directory that are looked into.
const DEPTH_LIMIT: usize = 8;

/// What lies beside the evidence.
#[derive(Debug, Clone, Default)]
pub struct Beside {
    /// The data directory as it was served; none when it is not there or has errors.
    pub catalog: Option<Arc<Snapshot>>,
    /// libvirt's XML of each node's machine.
    pub domains: BTreeMap<String, String>,
}

impl Beside {
    /// Reads it from the attempt's folder; what is not there is left out.
    #[must_use]
    pub fn read(folder: &Path) -> Beside {
        let source = Source::of(folder.join(DATA_FOLDER));
        let catalog = source
            .root
            .is_dir()
            .then(|| DataDir::open(source, None).ok())
            .flatten();
        Beside {
            catalog: catalog.map(|(data, _)| data.snapshot()),
            domains: domains(&folder.join("nodes")).unwrap_or_default(),
        }
    }
}

fn domains(nodes: &Path) -> io::Result<BTreeMap<String, String>> {
    let mut domains = BTreeMap::new();
    for entry in fs::read_dir(nodes)? {
        let entry = entry?;
        if let Ok(xml) = fs::read_to_string(entry.path().join("domain.xml")) {
            domains.insert(entry.file_name().to_string_lossy().into_owned(), xml);
        }
    }
    Ok(domains)
}

/// Copies the small files of the data directory, where there is one, into the attempt's folder.
///
/// # Errors
/// When a file can't be read or written.
pub fn keep_data(data: &Path, folder: &Path) -> io::Result<()> {
    if !data.is_dir() {
        return Ok(());
    }
    let mut left_bytes = COPY_LIMIT_BYTES;
    copy(
        data,
        &folder.join(DATA_FOLDER),
        DEPTH_LIMIT,
        &mut left_bytes,
    )
}

fn copy(from: &Path, to: &Path, depth: usize, left_bytes: &mut u64) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        // Follows links, as the boot server does.
        let Ok(about) = fs::metadata(entry.path()) else {
            continue;
        };
        if about.is_dir() && depth > 0 {
            copy(&entry.path(), &target, depth - 1, left_bytes)?;
        } else if about.is_file() && about.len() <= FILE_LIMIT_BYTES.min(*left_bytes) {
            *left_bytes -= fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use boot_server::catalog::Labels;

    #[test]
    fn a_data_directory_explains_itself_from_its_copy_and_large_files_stay_behind() {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/ipxe-chainload/data");
        let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        copy(&from, data.path(), 8, &mut 1_000_000).unwrap();
        fs::write(data.path().join("image.cpio"), vec![0; 300 * 1024]).unwrap();
        keep_data(data.path(), folder.path()).unwrap();
        assert!(!folder.path().join("data/image.cpio").exists());

        let node = folder.path().join("nodes/node1");
        fs::create_dir_all(&node).unwrap();
        fs::write(node.join("domain.xml"), "<domain/>").unwrap();
        let beside = Beside::read(folder.path());
        assert_eq!(beside.domains["node1"], "<domain/>");
        let labels = Labels::from_query("mac=52:54:00:5c:02:02");
        assert_eq!(
            beside
                .catalog
                .unwrap()
                .group(&labels)
                .unwrap()
                .name
                .as_ref(),
            "node2"
        );
    }

    #[test]
    fn nothing_beside_is_nothing_known() {
        let folder = tempfile::tempdir().unwrap();
        let beside = Beside::read(folder.path());
        assert!(beside.catalog.is_none() && beside.domains.is_empty());
    }
}
