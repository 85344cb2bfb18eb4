//! The fuzz targets' corpus, and thousands of inputs made from it, held against the same checks.
//!
//! `ci/fuzz` searches with coverage as its guide, in a build of its own that takes long; this takes
//! seconds, the same ones each time, and is made with every test run.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../fuzz/checks/config_loaders.rs"]
mod config_loaders;
#[path = "../fuzz/checks/dhcp_reply.rs"]
mod dhcp_reply;
#[path = "../fuzz/checks/http_head.rs"]
mod http_head;
#[path = "../fuzz/checks/lease_file.rs"]
mod lease_file;
#[path = "../fuzz/checks/pixiecore_answer.rs"]
mod pixiecore_answer;
#[path = "../fuzz/checks/query_labels.rs"]
mod query_labels;
#[path = "../fuzz/checks/templates.rs"]
mod templates;
#[path = "../fuzz/checks/tftp_transfer.rs"]
mod tftp_transfer;

#[path = "../fuzz/replay.rs"]
mod replay;

use std::path::Path;

#[test]
fn config_loaders_hold() {
    replayed("config_loaders", 2_000, config_loaders::check);
}

#[test]
fn dhcp_reply_holds() {
    replayed("dhcp_reply", 40_000, dhcp_reply::check);
}

#[test]
fn lease_file_holds() {
    replayed("lease_file", 20_000, lease_file::check);
}

#[test]
fn pixiecore_answer_holds() {
    replayed("pixiecore_answer", 20_000, pixiecore_answer::check);
}

#[test]
fn http_head_holds() {
    replayed("http_head", 100_000, http_head::check);
}

#[test]
fn query_labels_hold() {
    replayed("query_labels", 100_000, query_labels::check);
}

#[test]
fn templates_hold() {
    replayed("templates", 1_000, templates::check);
}

#[test]
fn tftp_transfer_holds() {
    replayed("tftp_transfer", 100_000, tftp_transfer::check);
}

fn replayed(target: &str, mutants: usize, check: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    replay::replay(&corpus, target, mutants, check);
}
