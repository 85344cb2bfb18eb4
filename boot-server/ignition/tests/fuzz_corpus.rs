//! The corpus of the fuzz target, and thousands of inputs made from it, held against the same check.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../../fuzz/checks/ignition_configs.rs"]
mod ignition_configs;
#[path = "../../fuzz/replay.rs"]
mod replay;

use std::path::Path;

#[test]
fn ignition_configs_hold() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    replay::replay(&corpus, "ignition_configs", 600, ignition_configs::check);
}
