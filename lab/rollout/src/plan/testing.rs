//! Small data directories and inventories for tests.

use std::path::Path;

use boot_server_catalog::load::Source;
use boot_server_catalog::snapshot::Snapshot;
use tempfile::TempDir;

use crate::inventory::{Format, Inventory, read};

/// Returns a directory of these files.
pub(super) fn directory(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        write(folder.path(), name, text);
    }
    folder
}

/// Writes a file, and the folders it is in.
pub(super) fn write(folder: &Path, name: &str, text: &str) {
    let file = folder.join(name);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
}

/// Returns a loaded directory.
pub(super) fn snapshot(folder: &Path) -> Snapshot {
    let (snapshot, problems) = Snapshot::load(&Source::of(folder));
    let errors = problems
        .iter()
        .filter(|problem| problem.severity == boot_server_catalog::problem::Severity::Error);
    assert_eq!(errors.count(), 0, "{problems:?}");
    snapshot
}

/// Returns the machines of a list in YAML.
pub(super) fn inventory(list: &str) -> Inventory {
    read::read_text(Path::new("machines.yaml"), list, Format::Yaml)
        .unwrap()
        .inventory
}

/// Two etcd members, a pool of workers, and a default.
pub(super) const RACK: &[(&str, &str)] = &[
    (
        "config.yaml",
        "api_version: v1alpha1
groups:
- {name: etcd1, spec: etcd, require: {uuid: 16e7d8a7-bfa9-428b-9117-363341bb330b}, metadata: {name: one}}
- {name: etcd2, spec: etcd, require: {mac: '52:54:00:00:00:02'}, metadata: {name: two}}
- {name: workers, spec: worker, require: {rack: '7'}}
- {name: spare, spec: bare, require: {hostname: spare}}
",
    ),
    (
        "specs/etcd/spec.json",
        r#"{"id": "etcd", "boot": {"kernel": "/assets/k", "initrd": ["/assets/i"], "cmdline":
            {"console": "ttyS0", "cloud-config-url": "http://h:8080/cloud?uuid=${uuid}&mac=${net0/mac:hexhyp}"}},
            "cloud_id": "etcd.yaml"}"#,
    ),
    (
        "specs/worker/spec.json",
        r#"{"id": "worker", "boot": {"kernel": "/assets/k", "initrd": ["/assets/i"], "cmdline":
            {"coreos.first_boot": "", "coreos.config.url": "http://h:8080/ignition?rack=7",
             "cloud-config-url": "http://elsewhere/raw/worker.yaml"}},
            "ignition_id": "worker.json"}"#,
    ),
    (
        "specs/bare/spec.json",
        r#"{"id": "bare", "boot": {"kernel": "/assets/k"}, "cloud_id": "bare.yaml"}"#,
    ),
    (
        "cloud/etcd.yaml",
        "#cloud-config\nhostname: {{.name}}\nssh_authorized_keys:\n  - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5OLD core@x\ncoreos:\n  etcd2:\n    name: {{.name}}\n",
    ),
    ("cloud/bare.yaml", "#cloud-config\nhostname: bare\n"),
    (
        "ignition/worker.json",
        r#"{"ignitionVersion": 1, "systemd": {"units": [{"name": "a.service", "enable": true}]}}"#,
    ),
];

/// Machines of the test directory, and one that no group is for.
pub(super) const MACHINES: &str = "
machines:
- {name: node1, uuid: 16e7d8a7-bfa9-428b-9117-363341bb330b, mac: '52:54:00:00:00:01', firmware: uefi}
- {name: node2, mac: '52:54:00:00:00:02', expect: {spec: etcd, cloud_config: etcd.yaml}}
- {name: w1, mac: '52:54:00:00:00:03', labels: {rack: '7'}, expect: {spec: worker, ignition: other.json}}
- {name: w2, mac: '52:54:00:00:00:04', labels: {rack: '7'}}
- {name: spare, mac: '52:54:00:00:00:05', hostname: spare}
- {name: lost, mac: '52:54:00:00:00:06'}
";
