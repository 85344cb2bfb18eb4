//! Context of an attempt for its explanation: the served data directory and the definition of each machine, both
//! from the attempt's folder.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use boot_server_catalog::check::load_and_render;
use boot_server_catalog::load::Source;
use boot_server_catalog::problem::{Problem, Severity};
use boot_server_catalog::snapshot::Snapshot;

use super::domain::Domain;
use crate::untrusted::tree::{Beyond, Limits, Tree};
use crate::untrusted::{Folder, Kind};

/// Folder of the copied data directory.
pub const DATA_FOLDER: &str = "data";

/// Maximum size of a copied file; larger files are assets, not configs.
const FILE_LIMIT_BYTES: u64 = 256 * 1024;

/// Maximum size of the whole copy.
const COPY_LIMIT_BYTES: u64 = 4 * 1024 * 1024;

/// Maximum size of a `domain.xml`.
const DOMAIN_LIMIT_BYTES: u64 = 1024 * 1024;

/// Context of an attempt.
#[derive(Debug, Clone, Default)]
pub struct Beside {
    /// Served data directory; `None` if it is missing or invalid.
    pub catalog: Option<Arc<Snapshot>>,
    /// Machine of each node, as libvirt defined it.
    pub domains: BTreeMap<String, Domain>,
}

impl Beside {
    /// Reads the context from the attempt's folder; missing files are left out.
    #[must_use]
    pub fn read(folder: &Path) -> Beside {
        let source = Source::of(folder.join(DATA_FOLDER));
        let opened = Folder::open(folder);
        let has_data = opened
            .as_ref()
            .is_ok_and(|folder| folder.below(Path::new(DATA_FOLDER)).is_ok());
        let loaded = has_data.then(|| load_and_render(&source));
        let is_valid =
            |problems: &[Problem]| problems.iter().all(|one| one.severity != Severity::Error);
        let valid = loaded.filter(|(_, problems)| is_valid(problems));
        Beside {
            catalog: valid.map(|(snapshot, _)| Arc::new(snapshot)),
            domains: opened
                .and_then(|folder| domains(&folder))
                .unwrap_or_default(),
        }
    }
}

fn domains(attempt: &Folder) -> io::Result<BTreeMap<String, Domain>> {
    let mut domains = BTreeMap::new();
    let nodes = attempt.below(Path::new("nodes"))?;
    let entries = nodes.entries()?.into_iter();
    for entry in entries.filter(|entry| entry.kind == Kind::Folder) {
        let file = Path::new(&entry.name).join("domain.xml");
        if let Ok(xml) = nodes.read_text(&file, DOMAIN_LIMIT_BYTES) {
            domains.insert(
                entry.name.to_string_lossy().into_owned(),
                Domain::read(&xml),
            );
        }
    }
    Ok(domains)
}

/// Copies the small files of the data directory, if it exists, into the attempt's folder.
///
/// # Errors
/// Fails if a file cannot be read or written.
pub fn keep_data(data: &Path, folder: &Path) -> io::Result<()> {
    if !data.is_dir() {
        return Ok(());
    }
    let limits = Limits {
        beyond: Beyond::LeftOut,
        ..Limits::DATA
    };
    let tree = Tree::survey(data, limits, |_| false)?;
    let to = folder.join(DATA_FOLDER);
    std::fs::create_dir_all(&to)?;
    let mut left_bytes = COPY_LIMIT_BYTES;
    for found in &tree.found {
        if found.is_folder || found.size_bytes <= FILE_LIMIT_BYTES.min(left_bytes) {
            left_bytes -= found.size_bytes;
            tree.copy(found, &to)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use boot_server_catalog::Labels;

    #[test]
    fn a_data_directory_explains_itself_from_its_copy_and_large_files_stay_behind() {
        let from =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/ipxe-chainload/data");
        let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        Tree::survey(&from, Limits::DATA, |_| false)
            .and_then(|tree| tree.copy_to(data.path()))
            .unwrap();
        fs::write(data.path().join("image.cpio"), vec![0; 300 * 1024]).unwrap();
        keep_data(data.path(), folder.path()).unwrap();
        assert!(!folder.path().join("data/image.cpio").exists());

        let node = folder.path().join("nodes/node1");
        fs::create_dir_all(&node).unwrap();
        fs::write(node.join("domain.xml"), "<domain/>").unwrap();
        let beside = Beside::read(folder.path());
        assert_eq!(beside.domains["node1"], Domain::default());
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
    fn keep_data_link_out_of_the_directory_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let (data, folder) = (dir.path().join("data"), dir.path().join("attempt"));
        fs::create_dir_all(data.join("cloud")).unwrap();
        fs::write(dir.path().join("secret"), "secret").unwrap();
        fs::write(data.join("cloud/one.yaml"), "#cloud-config\n").unwrap();
        std::os::unix::fs::symlink("../../secret", data.join("cloud/leak.yaml")).unwrap();
        std::os::unix::fs::symlink("one.yaml", data.join("cloud/two.yaml")).unwrap();
        keep_data(&data, &folder).unwrap();
        let names = fs::read_dir(folder.join("data/cloud")).unwrap();
        let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["one.yaml", "two.yaml"]);
    }

    #[test]
    fn nothing_beside_is_nothing_known() {
        let folder = tempfile::tempdir().unwrap();
        let beside = Beside::read(folder.path());
        assert!(beside.catalog.is_none() && beside.domains.is_empty());
    }
}
