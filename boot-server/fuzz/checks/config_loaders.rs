//! Configuration and data directories → what is served: whatever is in the files, loading them ends
//! with a state or with problems that name their place, and the same ones each time.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use boot_server::catalog::Labels;
use boot_server::catalog::data_dir::{DataDir, Source};
use boot_server::catalog::problem::{Problem, Severity};
use boot_server::catalog::snapshot::Folder;
use boot_server::config::Config;

const BOOTCFG: [&str; 4] = [
    "config.yaml",
    "specs/a/spec.json",
    "cloud/a",
    "ignition/a.yaml",
];
const MATCHBOX: [&str; 5] = [
    "groups/a.json",
    "profiles/a.json",
    "generic/a",
    "cloud/a",
    "ignition/a.ign",
];
/// Between the files in the input.
const SEPARATOR: &[u8] = b"\n%%%\n";

/// The first byte chooses what is loaded: a configuration file, or one of the two layouts.
pub(crate) fn check(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else {
        return;
    };
    match kind % 3 {
        0 => configuration(rest),
        1 => data_directory(&BOOTCFG, rest),
        _ => data_directory(&MATCHBOX, rest),
    }
}

fn configuration(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    if let Ok(config) = toml::from_str::<Config>(text) {
        for problem in config.check() {
            assert!(
                !problem.message.is_empty() && !problem.help.is_empty(),
                "{problem:?}"
            );
        }
    }
}

fn data_directory(files: &[&str], data: &[u8]) {
    let root = folder();
    let _ = fs::remove_dir_all(root);
    for (file, content) in files.iter().zip(split(data)) {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let first = DataDir::open(Source::of(root), None);
    let second = DataDir::open(Source::of(root), None);
    match (first, second) {
        (Ok((data_dir, warnings)), Ok((again, _))) => {
            must_hold(&warnings, Severity::Warning);
            for query in ["", "uuid=a&mac=52-54-00-00-00-01&os=b"] {
                let labels = Labels::from_query(query);
                let (snapshot, again) = (data_dir.snapshot(), again.snapshot());
                for folder in [Folder::Cloud, Folder::Ignition, Folder::Generic] {
                    let served = snapshot.config(folder, &labels, query);
                    assert_eq!(served, again.config(folder, &labels, query));
                }
                if let Ok((group, _)) = snapshot.boot(&labels) {
                    let environment = snapshot.environment(group, &labels, query);
                    assert_eq!(environment, again.environment(group, &labels, query));
                }
            }
        }
        (Err(problems), Err(again)) => {
            must_hold(&problems, Severity::Error);
            let told =
                |problems: &[Problem]| problems.iter().map(ToString::to_string).collect::<Vec<_>>();
            assert_eq!(told(&problems), told(&again));
        }
        _ => panic!("the same files load once and do not load once"),
    }
}

fn must_hold(problems: &[Problem], worst: Severity) {
    if worst == Severity::Error {
        assert!(problems.iter().any(|p| p.severity == Severity::Error));
    }
    for problem in problems {
        assert!(!problem.message.is_empty(), "{problem:?}");
        assert!(
            problem.line != Some(0) && problem.column != Some(0),
            "{problem:?}"
        );
    }
}

fn split(data: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut rest = data;
    while let Some(at) = rest.windows(SEPARATOR.len()).position(|w| w == SEPARATOR) {
        parts.push(&rest[..at]);
        rest = &rest[at + SEPARATOR.len()..];
    }
    parts.push(rest);
    parts
}

/// Returns a folder of this process's own, in memory where the system has such a place.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let shared = Path::new("/dev/shm");
        let parent = if shared.is_dir() {
            shared.to_owned()
        } else {
            std::env::temp_dir()
        };
        parent.join(format!("boot-server-fuzz-{}", std::process::id()))
    })
}
