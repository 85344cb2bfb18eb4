//! Records of an attempt: each is saved in the artifacts and reported to the lab.

use std::io::{self, Write};
use std::path::Path;

use lab_model::evidence::Record;
use lab_model::evidence::saved::{RecordFile, SavedError};

use super::message::Report;

/// Recorder of an attempt.
#[derive(Debug)]
pub(super) struct Recorder {
    kept: RecordFile,
}

impl Recorder {
    /// Creates the file of records in the attempt's folder.
    ///
    /// # Errors
    /// [`SavedError`] if it cannot be created.
    pub(super) fn create(artifacts: &Path) -> Result<Recorder, SavedError> {
        let kept = RecordFile::create(artifacts)?;
        Ok(Recorder { kept })
    }

    /// Saves a record and reports it.
    pub(super) fn saw(&mut self, record: Record) {
        if let Err(error) = self.kept.add(&record) {
            // The lab receives the record anyway; a full disk is reported elsewhere.
            tracing::warn!(%error, "cannot save a record");
        }
        tell(&Report::Observation(record));
    }
}

/// Sends a report to the lab.
pub(super) fn tell(report: &Report) {
    match serde_json::to_string(report) {
        // A closed pipe means that the lab is gone; the end of the input shows it as well.
        Ok(line) => drop(writeln!(io::stdout(), "{line}")),
        Err(error) => tracing::error!(%error, "report"),
    }
}
