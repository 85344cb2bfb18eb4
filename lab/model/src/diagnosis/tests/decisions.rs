//! No decision searches text that another module of ours wrote: each literal that timeline, verdict, diagnosis and the
//! narrator look for is somebody else's, or a name of ours that programs read as well.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Rooms whose decisions are looked at.
const ROOMS: [&str; 4] = [
    "src/timeline",
    "src/verdict",
    "src/diagnosis",
    "../../boot-server/src/cli/narrate.rs",
];

/// Calls and operators by which text is searched, up to the literal.
const SEARCHES: [&str; 14] = [
    ".contains(\"",
    ".starts_with(\"",
    ".ends_with(\"",
    ".split_once(\"",
    ".rsplit_once(\"",
    ".strip_prefix(\"",
    ".strip_suffix(\"",
    ".find(\"",
    ".rfind(\"",
    ".matches(\"",
    ".split(\"",
    ".trim_start_matches(\"",
    "== \"",
    "!= \"",
];

/// Text on a wire or on a console, by whom it is written.
const OF_OTHERS: &[&str] = &[
    // HTTP and URLs.
    "GET",
    "HEAD",
    "http",
    "://",
    // Vendor and user classes, user agents.
    "PXEClient",
    "HTTPClient",
    "iPXE",
    "iPXE/",
    "Ignition/",
    "cloudinit",
    "Cloud-Init",
    // Formats of files.
    "#cloud-config",
    "#!ipxe",
    // systemd, util-linux, Linux, sudo, EDK2, Ignition, cloud-init on a console.
    "[WARNING]: ",
    " - ",
    "Welcome to ",
    "initramfs",
    " login: ",
    " login:",
    "syncing: ",
    "Unable to mount root",
    "No working init",
    "sudo: unable to resolve host",
    "Boot0",
    "MAC(",
    ": 200",
    "result: OK",
];

/// Names of ours that are published: endpoints, label keys, protocols, programs, commands on the console.
const NAMES: &[&str] = &[
    "/ipxe",
    "/grub",
    "/pixiecore/",
    "/pixiecore/v1/boot/",
    "/nbp/",
    "/assets/",
    "assets/",
    "nbp/",
    "/nocloud",
    "/nocloud/",
    "_/file",
    "/boot.ipxe",
    "/_/booting",
    "uuid",
    "mac",
    "dhcp",
    "guest-agent/",
    "lab_run",
    "lab_say",
];

/// File names and their parts, as operators choose them.
const FILES: &[&str] = &[
    "pxelinux.cfg/",
    "pxelinux.cfg",
    "default",
    ".ipxe",
    ".c32",
    ".ign",
    "linux",
    "initr",
    "cpio",
    "grub.cfg",
    "grub.cfg-",
    "grub",
    "grubnet",
    "/grub/",
    "shim",
    "revocations",
    "shim_certificate",
    ".efi",
    ".lst",
    "01-",
];

/// Fields with text of ours: what is searched in them is text of ours.
const OWN_TEXT: [&str; 6] = [
    "reason.contains(",
    "reason.starts_with(",
    ".text.contains(",
    ".text.starts_with(",
    ".text.ends_with(",
    ".text.split_once(",
];

fn sources(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            sources(&entry.unwrap().path(), found);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        let is_test = path.components().any(|part| {
            ["tests", "tests.rs", "fixture.rs"].contains(&part.as_os_str().to_str().unwrap())
        });
        if !is_test {
            found.push(path.to_owned());
        }
    }
}

/// The code of a file, without its tests and comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    code.lines().filter(is_code).collect::<Vec<_>>().join("\n")
}

fn searched(code: &str) -> BTreeSet<&str> {
    let literal = |search: &&'static str| {
        let ends = code
            .match_indices(*search)
            .map(|(at, search)| at + search.len());
        let literals = ends.filter_map(|end| code.get(end..)?.split('"').next());
        literals.collect::<Vec<_>>()
    };
    SEARCHES.iter().flat_map(literal).collect()
}

#[test]
fn decisions_search_no_text_of_ours() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for room in ROOMS {
        sources(&root.join(room), &mut files);
    }
    assert!(files.len() > 40, "{files:?}");
    let allowed: BTreeSet<&str> = [OF_OTHERS, NAMES, FILES].concat().into_iter().collect();
    let mut used = BTreeSet::new();
    for file in files {
        let code = code(&file);
        for own in OWN_TEXT {
            assert!(!code.contains(own), "{}: `{own}`", file.display());
        }
        for literal in searched(&code) {
            assert!(
                allowed.contains(literal),
                "{}: whose text is `{literal}`? Decide on a type, or add it here",
                file.display()
            );
            used.extend(allowed.get(literal));
        }
    }
    let unused: Vec<_> = allowed.difference(&used).collect();
    assert!(unused.is_empty(), "no longer searched: {unused:?}");
}

#[test]
fn searched_literals_are_found() {
    let code = "if reason.contains(\"no free address\") || a == \"b\" {";
    assert_eq!(searched(code), BTreeSet::from(["b", "no free address"]));
}
