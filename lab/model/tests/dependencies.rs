//! Dependencies of the crates that read, judge and report a saved run: no libvirt, no libpcap, no async runtime, no
//! command line. Dependencies of `lab` without machines: no libvirt, no libpcap.

use std::collections::BTreeSet;
use std::process::Command;

/// libvirt, libpcap, the command line and the asynchronous runtime.
const FORBIDDEN: [&str; 4] = ["virt", "pcap", "clap", "tokio"];

/// Returns the names of all packages that a package is built from, with these flags.
fn dependencies(package: &str, flags: &[&str]) -> BTreeSet<String> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--package", package])
        .args(["--edges", "normal", "--prefix", "none"])
        .args(flags)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo starts");
    let errors = String::from_utf8_lossy(&tree.stderr);
    assert!(tree.status.success(), "{errors}");
    let text = String::from_utf8(tree.stdout).expect("names in UTF-8");
    let names = text
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    names.map(str::to_owned).collect()
}

#[test]
fn model_and_reports_depend_on_no_libvirt_libpcap_clap_or_tokio() {
    for package in ["lab-model", "lab-report"] {
        let found = dependencies(package, &[]);
        assert!(found.contains("serde"), "{package}: {found:?}");
        for name in FORBIDDEN {
            assert!(!found.contains(name), "{package} depends on {name}");
        }
    }
}

#[test]
fn lab_without_cells_depends_on_no_libvirt_and_libpcap() {
    let with = dependencies("lab", &[]);
    let without = dependencies("lab", &["--no-default-features"]);
    assert!(without.contains("lab-report"), "{without:?}");
    for name in ["virt", "virt-sys", "pcap", "images", "tun-rs"] {
        assert!(with.contains(name), "{name}: {with:?}");
        assert!(!without.contains(name), "lab depends on {name}");
    }
}
