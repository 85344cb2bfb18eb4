//! What is shown and saved while a run goes on: a line for each node's beginning and end, and
//! `events.jsonl`.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::time::Instant;

use serde::Serialize;

use crate::evidence::Record;
use crate::evidence::packet::Wire;
use crate::runner::{Progress, Unit};
use crate::timeline;
use crate::verdict::judge;

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
    units: HashMap<String, Seen>,
}

/// What was seen of a unit so far.
#[derive(Debug)]
struct Seen {
    unit: Unit,
    records: Vec<Record>,
    started: HashMap<String, Instant>,
}

impl Live {
    /// Follows these units; events go to these files.
    #[must_use]
    pub fn new(units: &[Unit], files: Vec<File>) -> Live {
        let seen = |unit: &Unit| Seen {
            unit: unit.clone(),
            records: Vec::new(),
            started: HashMap::new(),
        };
        Live {
            files: files.into_iter().map(BufWriter::new).collect(),
            units: units.iter().map(|unit| (unit.name(), seen(unit))).collect(),
        }
    }

    /// Takes one piece of progress; returns a line for the terminal where there is one.
    ///
    /// # Errors
    /// When an events file can't be written.
    pub fn take(&mut self, progress: &Progress) -> io::Result<Option<String>> {
        match progress {
            Progress::AttemptStarted { unit, attempt } => {
                if *attempt == 1 {
                    return Ok(None);
                }
                // An earlier attempt's evidence is its own.
                if let Some(seen) = self.units.get_mut(unit) {
                    seen.records.clear();
                    seen.started.clear();
                }
                Ok(Some(format!("{unit}: attempt {attempt}")))
            }
            Progress::Skipped { unit, reason } => Ok(Some(format!("{unit}: skipped, {reason}"))),
            Progress::CellReady { unit } => {
                Ok(Some(format!("{unit}: network and services are up")))
            }
            Progress::NodeStarted { unit, node } => {
                if let Some(seen) = self.units.get_mut(unit) {
                    seen.started.insert(node.clone(), Instant::now());
                }
                Ok(Some(format!("{unit} {node}: power on")))
            }
            Progress::NodeStopped { unit, node } => {
                Ok(self.units.get(unit).and_then(|seen| seen.ending(node)))
            }
            Progress::Seen { unit, record } => {
                for file in &mut self.files {
                    serde_json::to_writer(&mut *file, &Line { unit, record })?;
                    file.write_all(b"\n")?;
                    // Whoever follows the file sees events while they happen.
                    file.flush()?;
                }
                if let Some(seen) = self.units.get_mut(unit) {
                    seen.records.push(record.clone());
                }
                Ok(None)
            }
        }
    }
}

impl Seen {
    /// The line for a node that was stopped: its verdict by what was seen, and how long it took. None for
    /// a node that never started.
    fn ending(&self, node: &str) -> Option<String> {
        let seconds = self.started.get(node)?.elapsed().as_secs();
        let scenario = &self.unit.scenario;
        let node = scenario.node(node)?;
        let timeline = timeline::build(scenario, node, &self.records, &Wire::default());
        let verdict = judge(scenario, node, self.unit.firmware, &timeline);
        let sentence = match verdict.sentence() {
            sentence if sentence.is_empty() => String::new(),
            sentence => format!(", {sentence}"),
        };
        let (unit, name, word) = (self.unit.name(), &node.name, verdict.word());
        Some(format!("{unit} {name}: {word} after {seconds} s{sentence}"))
    }
}
