//! Attempt as saved in its artifacts folder: input of timeline, verdict and diagnosis.
//!
//! `lab run` writes the folder and judges from it; `lab explain` reads it on any computer and comes to the same
//! result.
//!
//! | file | holds |
//! |---|---|
//! | `scenario.resolved.toml` | scenario with all defaults |
//! | `attempt.json` | firmware, duration of each node, set-up errors |
//! | `evidence.jsonl` | one [`Record`] per line, written as it is observed |
//! | `afterwards.jsonl` | records of a persistent lab after the attempt, not part of it |
//! | `nodes/*/port.json.gz` | traffic at the machine's own port |
//! | `nets/*.pcapng.gz` | captures; without `.gz` while they are written, and after a kill |
//! | `data/`, `nodes/*/domain.xml` | see [`super::beside`] |

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::beside::Beside;
use super::wire::{self, CaptureError};
use super::{Record, packet::Wire};
use crate::scenario::{Firmware, InvalidScenario, Network, Scenario};
use crate::untrusted::{Folder, Kind, Refused};

/// File name of the scenario with all defaults.
pub const SCENARIO_FILE: &str = "scenario.resolved.toml";

/// File name of the attempt's other data, as JSON.
pub const OUTLINE_FILE: &str = "attempt.json";

/// File name of the records, as JSON lines.
pub const RECORDS_FILE: &str = "evidence.jsonl";

/// File name of the records of a persistent lab after its attempt was judged.
pub const AFTERWARDS_FILE: &str = "afterwards.jsonl";

/// File name of the traffic at a machine's own port, in the machine's folder: [`Wire`] as compressed JSON.
pub const PORT_FILE: &str = "port.json.gz";

/// Folder of the machines' artifacts, with one folder per machine.
pub const NODES_FOLDER: &str = "nodes";

/// Maximum size of a port's JSON, in bytes.
const PORT_LIMIT_BYTES: u64 = 256 << 20;

/// Maximum size of `scenario.resolved.toml` and `attempt.json`.
const FILE_LIMIT_BYTES: u64 = 16 << 20;

/// Maximum size of a file of records.
const RECORDS_LIMIT_BYTES: u64 = 1 << 30;

/// Maximum length of a line of records: a record with 1 MiB of text, with every byte escaped.
const LINE_LIMIT_BYTES: u64 = 8 << 20;

/// Maximum number of records per file.
const RECORDS_LIMIT: usize = 5_000_000;

/// Maximum size of a capture on disk.
const CAPTURE_LIMIT_BYTES: u64 = 4 << 30;

/// Maximum number of captures per attempt.
const CAPTURES_LIMIT: usize = 256;

/// Folder of the captures.
pub const CAPTURES_FOLDER: &str = "nets";

/// Evidence of one attempt.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub scenario: Scenario,
    pub firmware: Firmware,
    /// All records except packets, in the order of observation.
    pub records: Vec<Record>,
    /// Content of the captures: each frame on the network once.
    pub wire: Wire,
    /// Traffic at each machine's own port, by node name; empty if the capture does not distinguish ports.
    pub ports: BTreeMap<String, Wire>,
    /// Seconds from start to stop of each node; nodes that never started are absent.
    pub node_seconds: BTreeMap<String, f64>,
    /// Error of the lab's own set-up.
    pub broken: Option<String>,
    /// True if the run was interrupted before the attempt ended.
    pub interrupted: bool,
    /// Context from the attempt's folder.
    pub beside: Beside,
}

/// Content of `attempt.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Outline {
    /// Name of the scenario's original folder.
    scenario: String,
    firmware: Firmware,
    #[serde(default)]
    node_seconds: BTreeMap<String, f64>,
    #[serde(default)]
    broken: Option<String>,
    #[serde(default)]
    interrupted: bool,
}

/// Error of reading or writing an attempt.
#[derive(Debug, Error)]
pub enum SavedError {
    /// The folder lacks a file that every attempt has.
    #[error(
        "not an attempt of a run: {folder} has no {file}; attempts are in \
         runs/<run>/<scenario>@<firmware>/attempt-<n>"
    )]
    NoAttempt {
        folder: PathBuf,
        /// Name of the file that is missing in the folder.
        file: &'static str,
    },
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    /// A JSON file or line is malformed.
    #[error("{path}, line {line}: {source}")]
    Json {
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        source: serde_json::Error,
    },
    /// The scenario is invalid.
    #[error("{0}")]
    Scenario(Box<InvalidScenario>),
    /// A capture cannot be read.
    #[error("{path}: {source}")]
    Capture { path: PathBuf, source: CaptureError },
}

/// Writes the files that [`load`] needs, except records and captures, which are written as they are observed.
///
/// [`SavedError::File`] if a file cannot be written.
pub fn save(folder: &Path, attempt: &Attempt) -> Result<(), SavedError> {
    let outline = Outline {
        scenario: attempt.scenario.name.clone(),
        firmware: attempt.firmware,
        node_seconds: attempt.node_seconds.clone(),
        broken: attempt.broken.clone(),
        interrupted: attempt.interrupted,
    };
    let write = |name: &str, text: Result<String, io::Error>| {
        let path = folder.join(name);
        text.and_then(|text| fs::write(&path, text))
            .map_err(|source| SavedError::File { path, source })
    };
    let scenario = attempt.scenario.to_toml().map_err(io::Error::other);
    write(SCENARIO_FILE, scenario)?;
    let json = serde_json::to_string_pretty(&outline).map_err(io::Error::from);
    write(OUTLINE_FILE, json.map(|json| json + "\n"))
}

/// Writer of records.
#[derive(Debug)]
pub struct RecordFile(File);

impl RecordFile {
    /// Creates the file in the attempt's folder.
    ///
    /// # Errors
    /// [`SavedError::File`] if it cannot be created.
    pub fn create(folder: &Path) -> Result<RecordFile, SavedError> {
        RecordFile::create_at(folder.join(RECORDS_FILE))
    }

    /// Creates the file of records after the attempt.
    ///
    /// # Errors
    /// [`SavedError::File`] if it cannot be created.
    pub fn create_afterwards(folder: &Path) -> Result<RecordFile, SavedError> {
        RecordFile::create_at(folder.join(AFTERWARDS_FILE))
    }

    fn create_at(path: PathBuf) -> Result<RecordFile, SavedError> {
        File::create(&path)
            .map(RecordFile)
            .map_err(|source| SavedError::File { path, source })
    }

    /// Appends a record in a single write, so that only the last one can be incomplete for a reader.
    ///
    /// # Errors
    /// Fails if the disk is full, for example.
    pub fn add(&mut self, record: &Record) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        self.0.write_all(&line)
    }
}

/// Reads an attempt from its folder alone; no other files of the run or the project are needed.
///
/// Records and captures may be missing if the lab's own set-up failed early.
///
/// # Errors
/// [`SavedError`] if the folder is not an attempt or a file is malformed.
pub fn load(folder: &Path) -> Result<Attempt, SavedError> {
    let outline = outline(folder)?;
    Ok(Attempt {
        scenario: scenario_called(&outline.scenario, folder)?,
        firmware: outline.firmware,
        records: records(&folder.join(RECORDS_FILE))?,
        wire: captures(folder)?,
        ports: ports(folder)?,
        node_seconds: outline.node_seconds,
        broken: outline.broken,
        interrupted: outline.interrupted,
        beside: Beside::read(folder),
    })
}

/// Reads the scenario of the attempt in `folder`.
///
/// # Errors
/// [`SavedError`] if the folder is not an attempt or the scenario is invalid.
pub fn scenario(folder: &Path) -> Result<Scenario, SavedError> {
    scenario_called(&outline(folder)?.scenario, folder)
}

fn scenario_called(name: &str, folder: &Path) -> Result<Scenario, SavedError> {
    let (_, text) = read(folder, SCENARIO_FILE)?;
    Scenario::parse_resolved(name, folder, &text)
        .map_err(|invalid| SavedError::Scenario(Box::new(invalid)))
}

fn outline(folder: &Path) -> Result<Outline, SavedError> {
    let (path, text) = read(folder, OUTLINE_FILE)?;
    serde_json::from_str(&text).map_err(|source| SavedError::Json {
        path,
        line: source.line(),
        source,
    })
}

/// Reads a file that every attempt has.
fn read(folder: &Path, file: &'static str) -> Result<(PathBuf, String), SavedError> {
    let path = folder.join(file);
    let text =
        Folder::open(folder).and_then(|folder| folder.read_text(Path::new(file), FILE_LIMIT_BYTES));
    match text {
        Ok(text) => Ok((path, text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(SavedError::NoAttempt {
            folder: folder.to_owned(),
            file,
        }),
        Err(source) => Err(SavedError::File { path, source }),
    }
}

/// Reads records from a file of JSON lines; empty if the file does not exist. An unterminated last line was
/// being written when the lab was killed, and is ignored.
///
/// # Errors
/// [`SavedError`] if the file cannot be read or a line is malformed.
pub fn records(path: &Path) -> Result<Vec<Record>, SavedError> {
    let failed = |source| SavedError::File {
        path: path.to_owned(),
        source,
    };
    let parent = path.parent().unwrap_or(Path::new("."));
    let name = Path::new(path.file_name().unwrap_or_default());
    let opened = Folder::open(parent).and_then(|folder| folder.file(name, RECORDS_LIMIT_BYTES));
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut reader = BufReader::new(file.take(RECORDS_LIMIT_BYTES));
    let mut records = Vec::new();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let mut limited = reader.by_ref().take(LINE_LIMIT_BYTES);
        limited.read_until(b'\n', &mut line).map_err(failed)?;
        if !line.ends_with(b"\n") {
            if line.len() as u64 == LINE_LIMIT_BYTES {
                let limit_bytes = LINE_LIMIT_BYTES;
                return Err(failed(Refused::TooLarge { limit_bytes }.into()));
            }
            break;
        }
        if records.len() >= RECORDS_LIMIT {
            let limit = RECORDS_LIMIT;
            return Err(failed(Refused::TooMany { limit }.into()));
        }
        let record = serde_json::from_slice(&line).map_err(|source| SavedError::Json {
            path: path.to_owned(),
            line: number,
            source,
        })?;
        records.push(record);
    }
    Ok(records)
}

/// True if the file name is that of a capture.
#[must_use]
pub fn is_capture(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".pcapng") || name.ends_with(".pcapng.gz")
}

/// Returns the path of a complete, compressed capture.
#[must_use]
pub fn compressed(capture: &Path) -> PathBuf {
    let mut name = capture.as_os_str().to_owned();
    name.push(".gz");
    PathBuf::from(name)
}

/// Reads the traffic at each machine's own port, by node name; empty for attempts without such recordings.
///
/// # Errors
/// [`SavedError`] if a file cannot be read.
pub fn ports(folder: &Path) -> Result<BTreeMap<String, Wire>, SavedError> {
    let attempt = Folder::open(folder);
    let folder = folder.join(NODES_FOLDER);
    let mut ports = BTreeMap::new();
    let failed = |path: &Path, source| SavedError::File {
        path: path.to_owned(),
        source,
    };
    let nodes = match attempt.and_then(|attempt| attempt.below(Path::new(NODES_FOLDER))) {
        Ok(nodes) => nodes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(ports),
        Err(error) => return Err(failed(&folder, error)),
    };
    let entries = nodes.entries().map_err(|error| failed(&folder, error))?;
    for entry in entries {
        if !matches!(entry.kind, Kind::Folder | Kind::Link) {
            continue;
        }
        let path = folder.join(&entry.name).join(PORT_FILE);
        let name = Path::new(&entry.name).join(PORT_FILE);
        let file = match nodes.file(&name, PORT_LIMIT_BYTES) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(&path, error)),
        };
        let plain = BufReader::new(MultiGzDecoder::new(file)).take(PORT_LIMIT_BYTES);
        let wire = serde_json::from_reader(plain).map_err(|source| SavedError::Json {
            line: source.line(),
            path,
            source,
        })?;
        ports.insert(entry.name.to_string_lossy().into_owned(), wire);
    }
    Ok(ports)
}

/// Reads the captures of all networks of the attempt in `folder`. Frame numbers are those of each capture; if there
/// are several, packets name the network of theirs.
///
/// # Errors
/// [`SavedError`] if a capture is malformed or cannot be read.
pub fn captures(folder: &Path) -> Result<Wire, SavedError> {
    let attempt = folder;
    let folder = &folder.join(CAPTURES_FOLDER);
    let failed = |path: &Path, source| SavedError::File {
        path: path.to_owned(),
        source,
    };
    let nets = Folder::open(attempt).and_then(|attempt| attempt.below(Path::new(CAPTURES_FOLDER)));
    let nets = match nets {
        Ok(nets) => nets,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Wire::default()),
        Err(error) => return Err(failed(folder, error)),
    };
    let entries = nets.entries().map_err(|error| failed(folder, error))?;
    // Folders are ignored; links and FIFOs are refused when opened.
    let paths = entries.iter().filter(|entry| entry.kind != Kind::Folder);
    let paths: Vec<PathBuf> = paths
        .map(|entry| folder.join(&entry.name))
        .filter(|path| is_capture(path))
        .collect();
    if paths.len() > CAPTURES_LIMIT {
        let limit = CAPTURES_LIMIT;
        return Err(failed(folder, Refused::TooMany { limit }.into()));
    }
    // The lab was killed between two steps: the compressed file is complete.
    let is_twice = |path: &PathBuf| paths.contains(&compressed(path));
    let mut paths: Vec<PathBuf> = paths
        .iter()
        .filter(|path| !is_twice(path))
        .cloned()
        .collect();
    paths.sort();
    let has_several = paths.len() > 1;
    let mut wire = Wire::default();
    for path in paths {
        let name = Path::new(path.file_name().unwrap_or_default());
        let file = nets
            .file(name, CAPTURE_LIMIT_BYTES)
            .map_err(|error| failed(&path, error))?;
        let mut one = match wire::read(file) {
            Ok(one) => one,
            // The lab was killed before the header reached the disk.
            Err(CaptureError::Empty) => continue,
            Err(source) => return Err(SavedError::Capture { path, source }),
        };
        if has_several {
            one.set_network(&network_of(attempt, name));
        }
        wire.packets.extend(one.packets);
        wire.transfers.extend(one.transfers);
        wire.frames += one.frames;
        wire.dropped += one.dropped;
        wire.left_out += one.left_out;
        wire.damage = wire.damage.or(one.damage);
        if wire.kind.is_plain() {
            wire.kind = one.kind;
        }
    }
    // Stable sort: packets of one network at the same time keep their order.
    wire.packets.sort_by_key(|packet| packet.at_us);
    wire.transfers.sort_by_key(|transfer| transfer.start_us);
    Ok(wire)
}

/// Returns the name of the network of a capture: that of its file, except for the first network.
fn network_of(attempt: &Path, capture: &Path) -> String {
    let name = capture.to_string_lossy();
    let name = name.split(".pcapng").next().unwrap_or_default();
    let first = || scenario(attempt).ok()?.network.name.clone();
    match name == Network::UNNAMED {
        true => first().unwrap_or_else(|| name.to_owned()),
        false => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Observation;

    fn attempt() -> Attempt {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/ipxe-chainload");
        Attempt {
            scenario: Scenario::load(&dir).unwrap(),
            firmware: Firmware::Uefi,
            records: Vec::new(),
            wire: Wire::default(),
            ports: BTreeMap::new(),
            node_seconds: BTreeMap::from([("node1".to_owned(), 41.25)]),
            broken: None,
            interrupted: true,
            beside: Beside::default(),
        }
    }

    #[test]
    fn an_attempt_is_read_from_its_folder_alone() {
        let folder = tempfile::tempdir().unwrap();
        save(folder.path(), &attempt()).unwrap();
        let record = Record {
            at_us: 1_700_000_000_000_000,
            node: Some("node1".into()),
            seen: Observation::PowerOn,
        };
        let line = serde_json::to_string(&record).unwrap();
        // The lab was killed while it wrote the second.
        let lines = format!("{line}\n{{\"at_us\":17000");
        fs::write(folder.path().join(RECORDS_FILE), lines).unwrap();

        let (loaded, saved) = (load(folder.path()).unwrap(), attempt());
        assert_eq!(loaded.scenario.nodes, saved.scenario.nodes);
        assert_eq!(loaded.scenario.name, "ipxe-chainload");
        assert_eq!(loaded.firmware, Firmware::Uefi);
        assert_eq!(loaded.records, [record]);
        assert_eq!(loaded.node_seconds, saved.node_seconds);
        assert!(loaded.interrupted);
        assert_eq!(loaded.wire, Wire::default());
    }

    #[test]
    fn a_capture_that_is_there_twice_is_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let nets = folder.path().join(CAPTURES_FOLDER);
        fs::create_dir(&nets).unwrap();
        // A classic capture of one frame of one byte.
        let mut bytes = Vec::new();
        for field in [
            0xa1b2_c3d4_u32,
            0x0004_0002,
            0,
            0,
            65535,
            1,
            1_700_000_000,
            0,
            1,
            1,
        ] {
            bytes.extend(field.to_le_bytes());
        }
        bytes.push(0);
        fs::write(nets.join("net.pcapng"), &bytes).unwrap();
        fs::write(nets.join("network.xml"), "<network/>").unwrap();
        assert_eq!(captures(folder.path()).unwrap().frames, 1);
        fs::write(nets.join("net.pcapng.gz"), &bytes).unwrap();
        assert_eq!(captures(folder.path()).unwrap().frames, 1);
    }

    #[test]
    fn a_folder_that_is_no_attempt_is_named_with_what_it_lacks() {
        let folder = tempfile::tempdir().unwrap();
        let text = load(folder.path()).unwrap_err().to_string();
        let folder = folder.path().display();
        let attempts = "runs/<run>/<scenario>@<firmware>/attempt-<n>";
        assert_eq!(
            text,
            format!(
                "not an attempt of a run: {folder} has no attempt.json; attempts are in {attempts}"
            )
        );
    }

    #[test]
    fn a_line_that_is_no_record_is_named_by_its_number() {
        let folder = tempfile::tempdir().unwrap();
        save(folder.path(), &attempt()).unwrap();
        fs::write(folder.path().join(RECORDS_FILE), "{}\n").unwrap();
        let error = load(folder.path()).unwrap_err();
        let records = folder.path().join(RECORDS_FILE);
        assert!(
            matches!(&error, SavedError::Json { path, line: 1, .. } if *path == records),
            "{error}"
        );
    }
}
