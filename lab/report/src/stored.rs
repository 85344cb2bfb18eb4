//! Reader of a run's `run.json` from an untrusted folder: sizes are limited, and names stay inside the folder.

use std::io;
use std::path::{Component, Path, PathBuf};

use lab_model::results::shard::{InvalidShard, Shard};
use lab_model::untrusted::{Folder, plain_line};
use thiserror::Error;

use super::{AttemptSummary, NodeSummary, RunSummary, UnitSummary};

/// File name of the summary.
const FILE: &str = "run.json";

/// Maximum size of `run.json`.
const FILE_LIMIT_BYTES: u64 = 256 << 20;

/// Maximum number of units in a run, attempts of a unit and machines of an attempt.
const COUNT_LIMIT: usize = 10_000;

/// Maximum length of one part of a name.
const NAME_LIMIT: usize = 100;

/// Maximum number of parts of a scenario's name.
const PARTS_LIMIT: usize = 4;

/// Maximum plausible duration, in seconds.
const SECONDS_LIMIT: f64 = 1e9;

/// Reason why `run.json` is rejected.
#[derive(Debug, Error)]
pub enum StoredError {
    /// The file cannot be read.
    #[error("{FILE}: {0}")]
    File(#[from] io::Error),
    /// The file is not a summary.
    #[error("{FILE}: {0}")]
    Json(#[from] serde_json::Error),
    /// The name of a scenario or machine is invalid.
    #[error(
        "{FILE}: invalid name of a {what}: `{}` (names have letters, digits, `-`, `_` and `.`)",
        plain_line(name)
    )]
    Name {
        /// `scenario` or `machine`.
        what: &'static str,
        name: String,
    },
    /// A path of artifacts leaves the folder.
    #[error("{FILE}: invalid path of artifacts: `{}` (it leads out of the run's folder)", plain_line(&path.display().to_string()))]
    Path { path: PathBuf },
    /// The shard is invalid.
    #[error("{FILE}: invalid `shard`: {}", plain_line(&.0.to_string()))]
    Shard(#[from] InvalidShard),
    /// A duration is negative, infinite or implausible.
    #[error("{FILE}: invalid `seconds`: {0}")]
    Seconds(f64),
    /// There are too many items.
    #[error("{FILE}: too many {what}: {count} (at most {COUNT_LIMIT})")]
    Count {
        /// `units`, `attempts` or `machines`.
        what: &'static str,
        count: usize,
    },
}

impl From<StoredError> for io::Error {
    fn from(error: StoredError) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}

/// Reads the summary of the run in `folder`, which the user named.
///
/// # Errors
/// [`StoredError`].
pub fn read(folder: &Path) -> Result<RunSummary, StoredError> {
    let text = Folder::open(folder)?.read(Path::new(FILE), FILE_LIMIT_BYTES)?;
    let run: RunSummary = serde_json::from_slice(&text)?;
    check(&run)?;
    Ok(RunSummary {
        folder: folder.to_owned(),
        ..run
    })
}

fn check(run: &RunSummary) -> Result<(), StoredError> {
    if let Some(shard) = &run.shard {
        shard.parse::<Shard>()?;
    }
    seconds(run.seconds)?;
    run.processor_seconds.map_or(Ok(()), seconds)?;
    count("units", run.units.len())?;
    run.units.iter().try_for_each(check_unit)
}

fn check_unit(unit: &UnitSummary) -> Result<(), StoredError> {
    let parts: Vec<&str> = unit.scenario.split('/').collect();
    if parts.len() > PARTS_LIMIT || !parts.iter().all(|part| is_name(part)) {
        return Err(StoredError::Name {
            what: "scenario",
            name: unit.scenario.clone(),
        });
    }
    count("attempts", unit.attempts.len())?;
    check_nodes(&unit.nodes)?;
    unit.attempts.iter().try_for_each(check_attempt)
}

fn check_attempt(attempt: &AttemptSummary) -> Result<(), StoredError> {
    let is_inside = |part| matches!(part, Component::Normal(_));
    if !attempt.artifacts.components().all(is_inside) {
        return Err(StoredError::Path {
            path: attempt.artifacts.clone(),
        });
    }
    check_nodes(&attempt.nodes)
}

fn check_nodes(nodes: &[NodeSummary]) -> Result<(), StoredError> {
    count("machines", nodes.len())?;
    for node in nodes {
        if !is_name(&node.name) {
            return Err(StoredError::Name {
                what: "machine",
                name: node.name.clone(),
            });
        }
        node.seconds.map_or(Ok(()), seconds)?;
    }
    Ok(())
}

/// True for a single path component that is safe as a file name and on a terminal.
fn is_name(name: &str) -> bool {
    let is_safe = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    (1..=NAME_LIMIT).contains(&name.len()) && name.chars().all(is_safe) && !name.starts_with('.')
}

fn seconds(seconds: f64) -> Result<(), StoredError> {
    match (0.0..=SECONDS_LIMIT).contains(&seconds) {
        true => Ok(()),
        false => Err(StoredError::Seconds(seconds)),
    }
}

fn count(what: &'static str, count: usize) -> Result<(), StoredError> {
    match count <= COUNT_LIMIT {
        true => Ok(()),
        false => Err(StoredError::Count { what, count }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::table::{self, Colour};
    use crate::{github, junit};

    fn run(scenario: &str, node: &str, text: &str, seconds: f64) -> serde_json::Value {
        let verdict = json!({"verdict": "infra", "why": text});
        let nodes = json!([{"name": node, "verdict": verdict, "seconds": seconds}]);
        let artifacts = format!("{scenario}@bios/attempt-1");
        json!({
            "run_id": "4f2a11", "started": text, "seconds": seconds, "accelerator": text,
            "units": [{
                "scenario": scenario, "firmware": "bios", "image": text, "nodes": nodes,
                "attempts": [{"number": 1, "artifacts": artifacts, "nodes": nodes}],
            }],
        })
    }

    /// Reads it from a folder of its own.
    fn stored(run: &serde_json::Value) -> Result<RunSummary, StoredError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), run.to_string()).unwrap();
        read(folder.path())
    }

    #[test]
    fn names_that_lead_out_are_refused() {
        assert!(stored(&run("fault/a_b.c", "node1", "", 1.0)).is_ok());
        let deep = ["a"; 5].join("/");
        for scenario in [
            "", "..", "../x", "/etc", "a//b", "a/../b", ".a", "a b", "a\u{1b}", &deep,
        ] {
            let refused = stored(&run(scenario, "node1", "", 1.0));
            assert!(
                matches!(refused, Err(StoredError::Name { .. })),
                "{scenario}"
            );
            let refused = stored(&run("a", scenario, "", 1.0));
            assert!(
                matches!(refused, Err(StoredError::Name { .. })),
                "{scenario}"
            );
        }
    }

    #[test]
    fn amounts_beyond_measure_are_refused() {
        for seconds in [-1.0, 1e300] {
            let refused = stored(&run("a", "node1", "", seconds));
            assert!(matches!(refused, Err(StoredError::Seconds(_))), "{seconds}");
        }
        for shard in ["1/0", "1/4294967295", "5/4", "x"] {
            let mut run = run("a", "node1", "", 1.0);
            run["shard"] = json!(shard);
            assert!(
                matches!(stored(&run), Err(StoredError::Shard(_))),
                "{shard}"
            );
        }
        let mut many = run("a", "node1", "", 1.0);
        let unit = many["units"][0].clone();
        many["units"] = serde_json::Value::Array(vec![unit; COUNT_LIMIT + 1]);
        assert!(matches!(stored(&many), Err(StoredError::Count { .. })));
        let mut out = run("a", "node1", "", 1.0);
        out["units"][0]["attempts"][0]["artifacts"] = json!("/etc");
        assert!(matches!(stored(&out), Err(StoredError::Path { .. })));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_strangers_run_is_refused_or_shown_without_control_characters(
            scenario in "[a-z./\u{1b}-]{0,8}",
            node in "[a-z0-9./\u{1b}]{0,6}",
            text in "(\\PC|[\u{1b}\\[\\]\u{7}\u{9b}\r\n\u{202e}])*",
            seconds in any::<f64>(),
        ) {
            if let Ok(run) = stored(&run(&scenario, &node, &text, seconds)) {
                let shown = table::render(&run, Colour::Off);
                let is_unsafe = |letter: char| letter.is_control() && letter != '\n';
                prop_assert!(!shown.contains(is_unsafe), "{shown:?}");
                junit::render(&run, junit::Consoles::All).unwrap();
                let _ = github::annotations(&run, "scenarios");
            }
        }
    }
}
