//! Lease file lines → leases, whatever an editor or a crash left in the file.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use super::record::LeaseRecord;

/// Longest line in bytes: identifiers and host names are at most 255 bytes each.
const MAX_LINE_LEN: usize = 16 * 1024;
/// Last second of the year 9999, since the Unix epoch: RFC 3339 ends there.
const LAST_SECOND: u64 = 253_402_300_799;
/// Lines named in a message; the rest is counted.
const MAX_LINES_TOLD: usize = 3;

/// Reasons that a line is not, or not only, a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LineProblem {
    /// The line has only white space.
    #[error("empty")]
    Empty,
    /// Longer than any lease.
    #[error("longer than {MAX_LINE_LEN} bytes")]
    TooLong,
    /// NUL bytes, as file systems leave them after a loss of power. A lease beside them is taken.
    #[error("NUL bytes")]
    Nul,
    /// A byte order mark. The lease behind it is taken.
    #[error("byte order mark")]
    ByteOrderMark,
    /// The line is not a JSON object, or a key is missing or invalid.
    #[error("malformed lease, column {column}")]
    Malformed {
        /// Column in bytes, from 1.
        column: usize,
    },
    /// An end after the year 9999. The lease is taken, and ends when a lease given now would end.
    #[error("`expires` after the year 9999")]
    EndOutOfRange,
}

/// A line with a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidLine {
    /// Line number from 1.
    pub line: usize,
    /// Reason that the line is invalid.
    pub problem: LineProblem,
}

/// The content of a lease file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeaseFile {
    /// The last record of each address.
    pub current: BTreeMap<Ipv4Addr, LeaseRecord>,
    /// Lines with a problem.
    pub invalid: Vec<InvalidLine>,
}

impl LeaseFile {
    /// Returns the invalid lines in words, e.g. `line 3: empty; line 7: NUL bytes`.
    pub fn problems(&self) -> String {
        problems(&self.invalid)
    }
}

/// Damage found in a lease file when it was opened, and the location of its copy.
#[derive(Debug)]
pub struct Damage {
    /// The lease file.
    pub path: PathBuf,
    /// Invalid lines of the file.
    pub invalid: Vec<InvalidLine>,
    /// The copy of the file as it was, or why there is none.
    pub copy: Result<PathBuf, io::Error>,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.invalid.len();
        let path = self.path.display();
        let problems = problems(&self.invalid);
        write!(f, "lease file {path}: {count} invalid lines ({problems}); ")?;
        match &self.copy {
            Ok(copy) => write!(f, "the original file is saved as {}", copy.display()),
            Err(error) => write!(f, "cannot save a copy of the file: {error}"),
        }
    }
}

fn problems(invalid: &[InvalidLine]) -> String {
    let told = invalid.iter().take(MAX_LINES_TOLD);
    let told = told.map(|invalid| format!("line {}: {}", invalid.line, invalid.problem));
    let mut told = told.collect::<Vec<_>>().join("; ");
    if let Some(more) = invalid.len().checked_sub(MAX_LINES_TOLD).filter(|n| *n > 0) {
        told.push_str(&format!("; and {more} more"));
    }
    told
}

/// Reads a lease file. The last line, when it has no line end, may be cut: its lease was not given.
pub fn parse(bytes: &[u8]) -> LeaseFile {
    let mut file = LeaseFile::default();
    for (number, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let (record, problem) = parse_line(line);
        if let Some(record) = record {
            file.current.insert(record.address, record);
        } else if !line.ends_with(b"\n") {
            continue;
        }
        if let Some(problem) = problem {
            let line = number + 1;
            file.invalid.push(InvalidLine { line, problem });
        }
    }
    file
}

fn parse_line(line: &[u8]) -> (Option<LeaseRecord>, Option<LineProblem>) {
    let is_space = |byte: &u8| byte.is_ascii_whitespace();
    if line.iter().all(is_space) {
        return (None, Some(LineProblem::Empty));
    }
    let mut problem = None;
    let mut rest = line;
    if let Some(behind) = rest.strip_prefix(b"\xef\xbb\xbf") {
        (rest, problem) = (behind, Some(LineProblem::ByteOrderMark));
    }
    if rest.contains(&0) {
        problem = Some(LineProblem::Nul);
        let is_filler = |byte: &u8| *byte == 0 || is_space(byte);
        let start = rest.iter().position(|byte| !is_filler(byte));
        let end = rest.iter().rposition(|byte| !is_filler(byte));
        rest = start
            .zip(end)
            .and_then(|(start, end)| rest.get(start..=end))
            .unwrap_or_default();
    }
    if rest.len() > MAX_LINE_LEN {
        return (None, Some(LineProblem::TooLong));
    }
    match serde_json::from_slice::<LeaseRecord>(rest) {
        Ok(record) if record.expires > LAST_SECOND => {
            (Some(record), Some(LineProblem::EndOutOfRange))
        }
        Ok(record) => (Some(record), problem),
        Err(error) => {
            let column = error.column();
            (None, problem.or(Some(LineProblem::Malformed { column })))
        }
    }
}
