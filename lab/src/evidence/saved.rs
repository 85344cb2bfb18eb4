//! An attempt as it lies in its artifacts folder: all that timeline, verdict and diagnosis are made from.
//!
//! `lab run` writes it and judges what it wrote; `lab explain` reads it, on any machine, and comes to the
//! same words.
//!
//! | file | holds |
//! |---|---|
//! | `scenario.resolved.toml` | the scenario with every default written out |
//! | `attempt.json` | [`Course`]: which firmware, how long each node took, what broke |
//! | `evidence.jsonl` | a [`Record`] a line, written while it was seen |
//! | `nets/*.pcapng` | the captures |

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::wire::{self, CaptureError};
use super::{Record, packet::Wire};
use crate::scenario::{Firmware, InvalidScenario, Scenario};

/// The scenario with every default written out.
pub const SCENARIO_FILE: &str = "scenario.resolved.toml";

/// [`Course`] as JSON.
pub const COURSE_FILE: &str = "attempt.json";

/// Records, a JSON line each.
pub const RECORDS_FILE: &str = "evidence.jsonl";

/// Folder of the captures.
pub const CAPTURES_FOLDER: &str = "nets";

/// Everything seen in one attempt.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// What was run.
    pub scenario: Scenario,
    /// On which firmware.
    pub firmware: Firmware,
    /// Everything seen but packets, in the order in which it was seen.
    pub records: Vec<Record>,
    /// What was read from the captures.
    pub wire: Wire,
    /// Seconds each node took from its start to its stop; nodes that never started are absent.
    pub node_seconds: BTreeMap<String, f64>,
    /// What of our own set-up failed.
    pub broken: Option<String>,
    /// Whether the run was interrupted before the attempt was through.
    pub interrupted: bool,
}

/// What is known of an attempt beside its scenario and what was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Course {
    /// Name of the scenario: that of the folder it was read from.
    pub scenario: String,
    /// On which firmware it was run.
    pub firmware: Firmware,
    /// Seconds each node took from its start to its stop; nodes that never started are absent.
    #[serde(default)]
    pub node_seconds: BTreeMap<String, f64>,
    /// What of our own set-up failed.
    #[serde(default)]
    pub broken: Option<String>,
    /// Whether the run was interrupted before the attempt was through.
    #[serde(default)]
    pub interrupted: bool,
}

/// Why a folder is no attempt, or not a readable one.
#[derive(Debug, Error)]
pub enum SavedError {
    /// The folder lacks a file that every attempt has.
    #[error(
        "{folder} is no attempt of a run: it has no {file}; the folders with one are \
         runs/<run>/<scenario>@<firmware>/attempt-<n>"
    )]
    NoAttempt {
        /// The folder.
        folder: PathBuf,
        /// What is missing.
        file: &'static str,
    },
    /// A file can't be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A JSON file or line is not what it should be.
    #[error("{path}, line {line}: {source}")]
    Json {
        /// Which file.
        path: PathBuf,
        /// Line in it.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// The scenario is not one.
    #[error("{0}")]
    Scenario(Box<InvalidScenario>),
    /// A capture can't be read.
    #[error("{path}: {source}")]
    Capture {
        /// Which.
        path: PathBuf,
        /// Why.
        source: CaptureError,
    },
}

/// Writes what `folder` needs beside evidence and captures to be read by [`load`].
///
/// # Errors
/// [`SavedError::File`] when a file can't be written.
pub fn save(folder: &Path, scenario: &Scenario, course: &Course) -> Result<(), SavedError> {
    let write = |name: &str, text: Result<String, io::Error>| {
        let path = folder.join(name);
        text.and_then(|text| fs::write(&path, text))
            .map_err(|source| SavedError::File { path, source })
    };
    write(SCENARIO_FILE, scenario.to_toml().map_err(io::Error::other))?;
    let json = serde_json::to_string_pretty(course).map_err(io::Error::from);
    write(COURSE_FILE, json.map(|json| json + "\n"))
}

/// Reads an attempt from its folder alone; nothing else of the run or of the project is needed.
///
/// Records and captures may be missing: our own set-up may have failed before there were any.
///
/// # Errors
/// [`SavedError`] when the folder is no attempt or a file in it can't be understood.
pub fn load(folder: &Path) -> Result<Attempt, SavedError> {
    let read = |file: &'static str| {
        let path = folder.join(file);
        match fs::read_to_string(&path) {
            Ok(text) => Ok((path, text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(SavedError::NoAttempt {
                folder: folder.to_owned(),
                file,
            }),
            Err(source) => Err(SavedError::File { path, source }),
        }
    };
    let (path, text) = read(COURSE_FILE)?;
    let course: Course = serde_json::from_str(&text).map_err(|source| SavedError::Json {
        path,
        line: source.line(),
        source,
    })?;
    let (_, text) = read(SCENARIO_FILE)?;
    let scenario = Scenario::parse(&course.scenario, folder, &text)
        .map_err(|invalid| SavedError::Scenario(Box::new(invalid)))?;
    Ok(Attempt {
        scenario,
        firmware: course.firmware,
        records: records(&folder.join(RECORDS_FILE))?,
        wire: captures(&folder.join(CAPTURES_FOLDER))?,
        node_seconds: course.node_seconds,
        broken: course.broken,
        interrupted: course.interrupted,
    })
}

/// The records in a file of JSON lines. A last line without its end was being written when the lab was
/// killed, and is left out.
fn records(path: &Path) -> Result<Vec<Record>, SavedError> {
    let failed = |source| SavedError::File {
        path: path.to_owned(),
        source,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut reader = BufReader::new(file);
    let mut records = Vec::new();
    let mut line = String::new();
    for number in 1.. {
        line.clear();
        reader.read_line(&mut line).map_err(failed)?;
        if !line.ends_with('\n') {
            break;
        }
        let record = serde_json::from_str(&line).map_err(|source| SavedError::Json {
            path: path.to_owned(),
            line: number,
            source,
        })?;
        records.push(record);
    }
    Ok(records)
}

/// What was captured on all networks. Frame numbers are those of each capture.
fn captures(folder: &Path) -> Result<Wire, SavedError> {
    let failed = |path: &Path, source| SavedError::File {
        path: path.to_owned(),
        source,
    };
    let mut paths = Vec::new();
    match fs::read_dir(folder) {
        Ok(entries) => {
            for entry in entries {
                let path = entry.map_err(|error| failed(folder, error))?.path();
                if path.extension().is_some_and(|extension| extension == "pcapng") {
                    paths.push(path);
                }
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(folder, error)),
    }
    paths.sort();
    let mut wire = Wire::default();
    for path in paths {
        let file = File::open(&path).map_err(|error| failed(&path, error))?;
        let one = match wire::read(file) {
            Ok(one) => one,
            // The lab was killed before its header reached the disk.
            Err(CaptureError::Empty) => continue,
            Err(source) => return Err(SavedError::Capture { path, source }),
        };
        wire.packets.extend(one.packets);
        wire.transfers.extend(one.transfers);
        wire.frames += one.frames;
        wire.dropped += one.dropped;
        wire.left_out += one.left_out;
        wire.damage = wire.damage.or(one.damage);
    }
    // Stable: what one network saw at one time stays in its order.
    wire.packets.sort_by_key(|packet| packet.at_us);
    wire.transfers.sort_by_key(|transfer| transfer.start_us);
    Ok(wire)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Seen;

    fn scenario() -> Scenario {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/ipxe-chainload");
        Scenario::load(&dir).unwrap()
    }

    fn course() -> Course {
        Course {
            scenario: "ipxe-chainload".into(),
            firmware: Firmware::Uefi,
            node_seconds: BTreeMap::from([("node1".to_owned(), 41.25)]),
            broken: None,
            interrupted: true,
        }
    }

    #[test]
    fn an_attempt_is_read_from_its_folder_alone() {
        let folder = tempfile::tempdir().unwrap();
        save(folder.path(), &scenario(), &course()).unwrap();
        let record = Record {
            at_us: 1_700_000_000_000_000,
            node: Some("node1".into()),
            seen: Seen::PowerOn,
        };
        let line = serde_json::to_string(&record).unwrap();
        // The lab was killed while it wrote the second.
        let lines = format!("{line}\n{{\"at_us\":17000");
        fs::write(folder.path().join(RECORDS_FILE), lines).unwrap();

        let attempt = load(folder.path()).unwrap();
        assert_eq!(attempt.scenario.nodes, scenario().nodes);
        assert_eq!(attempt.scenario.name, "ipxe-chainload");
        assert_eq!(attempt.firmware, Firmware::Uefi);
        assert_eq!(attempt.records, [record]);
        assert_eq!(attempt.node_seconds, course().node_seconds);
        assert!(attempt.interrupted);
        assert_eq!(attempt.wire, Wire::default());
    }

    #[test]
    fn a_folder_that_is_no_attempt_is_named_with_what_it_lacks() {
        let folder = tempfile::tempdir().unwrap();
        let text = load(folder.path()).unwrap_err().to_string();
        assert!(text.contains("it has no attempt.json"), "{text}");
        assert!(text.contains("attempt-<n>"), "{text}");
    }

    #[test]
    fn a_line_that_is_no_record_is_named_by_its_number() {
        let folder = tempfile::tempdir().unwrap();
        save(folder.path(), &scenario(), &course()).unwrap();
        fs::write(folder.path().join(RECORDS_FILE), "{}\n").unwrap();
        let text = load(folder.path()).unwrap_err().to_string();
        assert!(text.contains("evidence.jsonl, line 1: "), "{text}");
    }
}
