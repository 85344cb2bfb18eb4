//! What is shown and saved while a run goes on: a line for each node's beginning and end, and
//! `events.jsonl`.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use serde::Serialize;

use crate::evidence::Record;
use crate::runner::Progress;

/// One line of `events.jsonl`.
#[derive(Debug, Serialize)]
struct Line<'a> {
    unit: &'a str,
    #[serde(flatten)]
    record: &'a Record,
}

/// Writes progress down as it happens.
#[derive(Debug)]
pub struct Live {
    files: Vec<BufWriter<File>>,
}

impl Live {
    /// Events go to these files.
    #[must_use]
    pub fn new(files: Vec<File>) -> Live {
        Live {
            files: files.into_iter().map(BufWriter::new).collect(),
        }
    }

    /// Takes one piece of progress; returns a line for the terminal where there is one.
    ///
    /// # Errors
    /// When an events file can't be written.
    pub fn take(&mut self, progress: &Progress) -> io::Result<Option<String>> {
        match progress {
            Progress::CellReady { unit } => {
                Ok(Some(format!("{unit}: network and services are up")))
            }
            Progress::NodeStarted { unit, node } => Ok(Some(format!("{unit} {node}: starting"))),
            Progress::NodeStopped { unit, node } => Ok(Some(format!("{unit} {node}: stopped"))),
            Progress::Seen { unit, record } => {
                for file in &mut self.files {
                    serde_json::to_writer(&mut *file, &Line { unit, record })?;
                    file.write_all(b"\n")?;
                    // Whoever follows the file sees events while they happen.
                    file.flush()?;
                }
                Ok(None)
            }
        }
    }
}
