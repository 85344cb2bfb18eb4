//! Merging of the shards that several computers ran into one run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use lab_model::results::shard::Shard;
use lab_model::untrusted::Folder;
use lab_model::untrusted::tree::{Limits, Tree, TreeError};

use super::whole::{self, PartsError};
use super::{RunSummary, stored};

/// Reason why runs cannot be merged.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// The folder is not a run's.
    #[error(
        "not a run's folder: {folder} ({source}); name folders that `lab run` created, with their run.json"
    )]
    NoRun { folder: PathBuf, source: io::Error },
    /// Two runs contain the same unit.
    #[error(
        "duplicate unit {unit}: in {first} and in {second}; these are two runs, not parts of one"
    )]
    Twice {
        unit: String,
        first: PathBuf,
        second: PathBuf,
    },
    /// The runs are not parts of one whole.
    #[error(transparent)]
    Parts(#[from] PartsError),
    /// A shard is missing, so the overall result is unknown.
    #[error("missing shard {missing} (folders of {found} were given)")]
    Missing {
        /// Shards that are in none of the folders.
        missing: String,
        /// Shards that were given.
        found: String,
    },
    /// The artifacts contain links, special files or too much data.
    #[error("{path}: {source}")]
    Refused {
        /// File or folder at fault.
        path: PathBuf,
        source: io::Error,
    },
    /// The artifacts cannot be copied.
    #[error("{path}: {source}")]
    Copy {
        /// Path that was written.
        path: PathBuf,
        source: io::Error,
    },
}

/// Reads a run from its folder.
///
/// # Errors
/// [`MergeError::NoRun`].
pub fn load(folder: &Path) -> Result<RunSummary, MergeError> {
    let no_run = |source| MergeError::NoRun {
        folder: folder.to_owned(),
        source,
    };
    let folder = &fs::canonicalize(folder).map_err(no_run)?;
    stored::read(folder).map_err(|error| no_run(error.into()))
}

/// Merges runs into the new folder `into`: their units, ordered by name, with copies of their artifacts. The
/// duration is that of the longest run, because the runs were concurrent.
///
/// [`MergeError`]; nothing is copied if the runs do not fit together.
pub fn merge(run_id: &str, runs: Vec<RunSummary>, into: &Path) -> Result<RunSummary, MergeError> {
    for (unit, tree) in artifacts(&runs)? {
        tree.copy_to(&into.join(unit)).map_err(copy_failed)?;
    }
    let distinct = |of: fn(&RunSummary) -> &str| {
        let all: BTreeSet<&str> = runs.iter().map(of).collect();
        all.into_iter().collect::<Vec<_>>().join("; ")
    };
    let mut merged = RunSummary {
        run_id: run_id.to_owned(),
        started: runs
            .iter()
            .map(|run| run.started.clone())
            .min()
            .unwrap_or_default(),
        seconds: runs.iter().map(|run| run.seconds).fold(0.0, f64::max),
        processor_seconds: runs
            .iter()
            .filter_map(|run| run.processor_seconds)
            .reduce(|sum, seconds| sum + seconds),
        accelerator: distinct(|run| &run.accelerator),
        shard: None,
        // Merged shards are a complete run.
        whole: runs.first().and_then(|run| {
            run.shard.as_ref()?;
            run.whole.clone()
        }),
        flaky_fails: runs.iter().any(|run| run.flaky_fails),
        // A rehearsal has no shards.
        rehearsal: None,
        units: Vec::new(),
        folder: into.to_owned(),
    };
    merged.units = runs.into_iter().flat_map(|run| run.units).collect();
    merged.units.sort_by_key(super::UnitSummary::name);
    Ok(merged)
}

/// Checks that the runs are parts of one run, and that their artifacts can be copied: no links, no special
/// files, limited size.
///
/// # Errors
/// [`MergeError`].
pub fn check(runs: &[RunSummary]) -> Result<(), MergeError> {
    artifacts(runs).map(|_| ())
}

/// Surveys the artifacts of each unit.
fn artifacts(runs: &[RunSummary]) -> Result<Vec<(String, Tree)>, MergeError> {
    let mut trees = Vec::new();
    let mut left = Limits::ARTIFACTS;
    for (unit, run) in owners(runs)? {
        let path = run.folder.join(&unit);
        let refused = |source| MergeError::Refused {
            path: path.clone(),
            source,
        };
        let folder = Folder::open(&run.folder).and_then(|run| run.below(Path::new(&unit)));
        let folder = match folder {
            Ok(folder) => folder,
            // A skipped unit has no artifacts.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(refused(error)),
        };
        let tree = Tree::of(folder, left, |_| false).map_err(|error| MergeError::Refused {
            path: error.path,
            source: error.source,
        })?;
        // The limits apply to all artifacts together.
        let bytes: u64 = tree.found.iter().map(|found| found.size_bytes).sum();
        left.total_bytes = left.total_bytes.saturating_sub(bytes);
        left.count = left.count.saturating_sub(tree.found.len());
        trees.push((unit, tree));
    }
    Ok(trees)
}

fn copy_failed(error: TreeError) -> MergeError {
    MergeError::Copy {
        path: error.path,
        source: error.source,
    }
}

/// Maps units to runs.
fn owners(runs: &[RunSummary]) -> Result<BTreeMap<String, &RunSummary>, MergeError> {
    whole::check(runs)?;
    complete(runs)?;
    let mut owners: BTreeMap<String, &RunSummary> = BTreeMap::new();
    for run in runs {
        for unit in &run.units {
            if let Some(other) = owners.insert(unit.name(), run) {
                return Err(MergeError::Twice {
                    unit: unit.name(),
                    first: other.folder.clone(),
                    second: run.folder.clone(),
                });
            }
        }
    }
    Ok(owners)
}

/// Checks that no shard is missing.
fn complete(runs: &[RunSummary]) -> Result<(), MergeError> {
    let found: BTreeSet<&str> = runs.iter().filter_map(|run| run.shard.as_deref()).collect();
    let shards = found.iter().filter_map(|shard| shard.parse::<Shard>().ok());
    let counts: BTreeSet<u32> = shards.map(Shard::count).collect();
    let missing: Vec<String> = counts
        .into_iter()
        .flat_map(|count| (1..=count).map(move |number| format!("{number}/{count}")))
        .filter(|shard| !found.contains(shard.as_str()))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(MergeError::Missing {
        missing: missing.join(", "),
        found: found.into_iter().collect::<Vec<_>>().join(", "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AttemptSummary, NodeSummary, UnitSummary};
    use lab_model::scenario::{Firmware, Image, Machines};
    use lab_model::verdict::NodeVerdict;

    fn run(folder: &Path, name: &str, shard: Option<&str>, scenario: &str) -> RunSummary {
        let nodes = vec![NodeSummary {
            name: "node1".into(),
            verdict: NodeVerdict::Pass,
            seconds: Some(1.0),
            findings: Vec::new(),
            not_proven: Vec::new(),
        }];
        let unit = UnitSummary {
            scenario: scenario.into(),
            firmware: Firmware::Bios,
            repetition: None,
            machines: Machines::Virtual,
            image: Image::STAND_IN.into(),
            nodes: nodes.clone(),
            attempts: vec![AttemptSummary {
                number: 1,
                artifacts: format!("{scenario}@bios/attempt-1").into(),
                nodes,
            }],
        };
        let folder = folder.join(name);
        let attempt = folder.join(format!("{scenario}@bios/attempt-1"));
        fs::create_dir_all(&attempt).unwrap();
        fs::write(attempt.join("verdict.json"), scenario).unwrap();
        let run = RunSummary {
            run_id: name.into(),
            started: format!("2026-01-01T00:00:0{}Z", name.len()),
            seconds: name.len() as f64,
            processor_seconds: None,
            accelerator: "TCG".into(),
            shard: shard.map(str::to_owned),
            whole: None,
            flaky_fails: false,
            rehearsal: None,
            units: vec![unit],
            folder: folder.clone(),
        };
        fs::write(
            folder.join("run.json"),
            serde_json::to_string(&run).unwrap(),
        )
        .unwrap();
        run
    }

    #[test]
    fn shards_become_one_run_with_all_artifacts() {
        let dir = tempfile::tempdir().unwrap();
        let first = run(dir.path(), "a", Some("1/2"), "z-scenario");
        let second = run(dir.path(), "bb", Some("2/2"), "a-scenario");
        let runs = vec![load(&first.folder).unwrap(), load(&second.folder).unwrap()];
        let into = dir.path().join("all");
        let merged = merge("4f2a11", runs, &into).unwrap();
        let names: Vec<String> = merged.units.iter().map(UnitSummary::name).collect();
        assert_eq!(names, ["a-scenario@bios", "z-scenario@bios"]);
        assert_eq!(merged.seconds, 2.0);
        assert_eq!(merged.started, "2026-01-01T00:00:01Z");
        for unit in &merged.units {
            let verdict = into.join(&unit.attempts[0].artifacts).join("verdict.json");
            assert_eq!(fs::read_to_string(verdict).unwrap(), unit.scenario);
        }
    }

    #[test]
    fn a_missing_shard_is_no_success() {
        let dir = tempfile::tempdir().unwrap();
        let runs = vec![
            run(dir.path(), "a", Some("1/3"), "one"),
            run(dir.path(), "b", Some("3/3"), "two"),
        ];
        let said = merge("4f2a11", runs, &dir.path().join("all")).unwrap_err();
        assert_eq!(
            said.to_string(),
            "missing shard 2/3 (folders of 1/3, 3/3 were given)"
        );
        assert!(!dir.path().join("all").exists());
    }

    #[test]
    fn one_scenario_in_two_runs_is_refused_with_both_folders() {
        let dir = tempfile::tempdir().unwrap();
        let runs = vec![
            run(dir.path(), "first", None, "one"),
            run(dir.path(), "second", None, "one"),
        ];
        let error = merge("4f2a11", runs, &dir.path().join("all")).unwrap_err();
        let MergeError::Twice {
            unit,
            first,
            second,
        } = &error
        else {
            panic!("{error}");
        };
        assert_eq!(unit, "one@bios");
        assert_eq!(*first, dir.path().join("first"));
        assert_eq!(*second, dir.path().join("second"));
    }

    #[test]
    fn a_folder_that_is_no_run_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = load(dir.path()).unwrap_err();
        assert!(
            matches!(&error, MergeError::NoRun { folder, .. } if *folder == dir.path()),
            "{error}"
        );
    }
}
