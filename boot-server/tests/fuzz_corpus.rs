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

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

/// Longest input, as with `ci/fuzz`.
const MAX_LEN: usize = 8192;

#[test]
fn config_loaders_hold() {
    replay("config_loaders", 2_000, config_loaders::check);
}

#[test]
fn dhcp_reply_holds() {
    replay("dhcp_reply", 40_000, dhcp_reply::check);
}

#[test]
fn lease_file_holds() {
    replay("lease_file", 20_000, lease_file::check);
}

#[test]
fn pixiecore_answer_holds() {
    replay("pixiecore_answer", 20_000, pixiecore_answer::check);
}

#[test]
fn http_head_holds() {
    replay("http_head", 100_000, http_head::check);
}

#[test]
fn query_labels_hold() {
    replay("query_labels", 100_000, query_labels::check);
}

#[test]
fn templates_hold() {
    replay("templates", 1_000, templates::check);
}

#[test]
fn tftp_transfer_holds() {
    replay("tftp_transfer", 100_000, tftp_transfer::check);
}

fn replay(target: &str, mutants: usize, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|f| f.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    let corpus: Vec<Vec<u8>> = files
        .iter()
        .map(|file| std::fs::read(file).unwrap())
        .collect();
    let mut random = StdRng::seed_from_u64(0x626f_6f74);
    let made = (0..mutants).map(|_| mutant(&corpus, &mut random));
    for input in corpus.iter().cloned().chain(made) {
        let held = catch_unwind(AssertUnwindSafe(|| check(&input)));
        assert!(
            held.is_ok(),
            "{target} fails for {:?}",
            input.escape_ascii().to_string()
        );
    }
}

/// An input with a few bytes changed, cut, doubled, or with a part of another in it.
fn mutant(corpus: &[Vec<u8>], random: &mut StdRng) -> Vec<u8> {
    let mut input = corpus.choose(random).unwrap().clone();
    for _ in 0..random.gen_range(1..8) {
        let at = random.gen_range(0..=input.len());
        let len = random.gen_range(0..=(input.len() - at).min(64));
        match random.gen_range(0..6) {
            0 => drop(input.drain(at..at + len)),
            1 => {
                let part = input[at..at + len].to_vec();
                input.splice(at..at, part);
            }
            2 => {
                let other = corpus.choose(random).unwrap();
                let from = random.gen_range(0..=other.len());
                let to = random.gen_range(from..=other.len().min(from + 128));
                input.splice(at..at + len, other[from..to].iter().copied());
            }
            3 => input.insert(
                at,
                *[0, 1, 0x7f, 0xff, b'{', b'"', b'\n']
                    .choose(random)
                    .unwrap(),
            ),
            _ if at < input.len() => match random.gen_bool(0.5) {
                true => input[at] ^= 1 << random.gen_range(0..8),
                false => input[at] = random.r#gen(),
            },
            _ => {}
        }
    }
    input.truncate(MAX_LEN);
    input
}
