//! Replays a fuzz target's corpus, and inputs made from it, against the target's check: in seconds, without coverage,
//! and the same ones each time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

/// Longest input, as with `ci/fuzz`.
const MAX_LEN: usize = 8192;

/// Makes a check with each input of a corpus, and with `mutants` inputs made from them.
pub(crate) fn replay(corpus: &Path, target: &str, mutants: usize, check: fn(&[u8])) {
    let folder = corpus.join(target);
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
    let hold = |input: &[u8]| {
        let held = catch_unwind(AssertUnwindSafe(|| check(input)));
        let shown = || input.escape_ascii().to_string();
        assert!(held.is_ok(), "{target} fails for {:?}", shown());
    };
    for input in corpus.iter().cloned().chain(made) {
        hold(&input);
    }
    let until = Instant::now() + more();
    let mut random = StdRng::from_entropy();
    while Instant::now() < until {
        hold(&mutant(&corpus, &mut random));
    }
}

/// Time in which still more inputs are made, other ones each time: `FUZZ_SECONDS`, none when it is not set.
fn more() -> Duration {
    let seconds = std::env::var("FUZZ_SECONDS").ok();
    let seconds = seconds.and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or_default())
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
