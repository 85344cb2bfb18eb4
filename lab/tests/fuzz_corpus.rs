//! The fuzz targets' corpus, and inputs made from it, held against the same checks.
//!
//! `ci/fuzz` searches with coverage as its guide, in a build of its own that takes long; this takes seconds, and is
//! made with every test run.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../fuzz/checks/capture.rs"]
mod capture;
#[path = "../fuzz/checks/run_folder.rs"]
mod run_folder;

#[path = "../../boot-server/fuzz/replay.rs"]
mod replay;

use std::path::Path;

#[test]
fn capture_holds() {
    replayed("capture", 2_000, capture::check);
}

#[test]
fn run_folder_holds() {
    replayed("run_folder", 200, run_folder::check);
}

fn replayed(target: &str, mutants: usize, check: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    replay::replay(&corpus, target, mutants, check);
}
