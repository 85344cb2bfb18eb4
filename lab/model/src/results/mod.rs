//! Results of a run: units, their outcomes, and the events while they run.

pub mod shard;

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::diagnosis::{JudgedNode, judge_attempt};
use crate::evidence::Record;
use crate::evidence::beside::Beside;
use crate::evidence::saved::{self, Attempt};
use crate::fault::Injections;
use crate::scenario::{Firmware, Scenario};
use crate::verdict::NodeVerdict;

/// Scenario on one firmware.
#[derive(Debug, Clone)]
pub struct Unit {
    pub scenario: Arc<Scenario>,
    /// Firmware of all machines.
    pub firmware: Firmware,
    /// Number of the repetition, from 1; `None` if the unit runs once.
    pub repetition: Option<u32>,
    /// Injected faults; empty in an ordinary run.
    pub injections: Injections,
}

impl Unit {
    /// Returns the name in reports and artifacts: `scenario@firmware`, or `scenario@firmware#2` for a
    /// repetition.
    #[must_use]
    pub fn name(&self) -> String {
        unit_name(&self.scenario.name, self.firmware, self.repetition)
    }
}

/// Builds the name of a unit in reports and artifacts.
#[must_use]
pub fn unit_name(scenario: &str, firmware: Firmware, repetition: Option<u32>) -> String {
    match repetition {
        None => format!("{scenario}@{firmware}"),
        Some(number) => format!("{scenario}@{firmware}#{number}"),
    }
}

/// Outcome of one attempt at a unit.
#[derive(Debug)]
pub struct AttemptOutcome {
    /// Number of the attempt, from 1.
    pub number: u32,
    /// Folder of the artifacts.
    pub artifacts: PathBuf,
    pub attempt: Attempt,
    /// Each node, judged and diagnosed, in the scenario's order.
    pub nodes: Vec<JudgedNode>,
    /// Artifacts that could not be written, each with its reason.
    pub lost: Vec<String>,
    /// Process ids of the cell, if it was kept.
    pub kept: Option<Kept>,
}

impl AttemptOutcome {
    /// Judges the evidence, including the packets in the artifacts folder, where `lab explain` reads them too.
    pub fn judge(&mut self) {
        match saved::captures(&self.artifacts) {
            Ok(wire) => self.attempt.wire = wire,
            Err(error) => {
                self.attempt.broken.get_or_insert(error.to_string());
            }
        }
        match saved::ports(&self.artifacts) {
            Ok(ports) => self.attempt.ports = ports,
            Err(error) => {
                self.attempt.broken.get_or_insert(error.to_string());
            }
        }
        self.attempt.beside = Beside::read(&self.artifacts);
        self.nodes = judge_attempt(&self.attempt);
    }

    /// True if every node passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        let passed = |node: &JudgedNode| node.result.verdict == NodeVerdict::Pass;
        self.nodes.iter().all(passed)
    }

    /// True if a retry may succeed: a node failed, and the run was not interrupted.
    #[must_use]
    pub fn may_be_retried(&self) -> bool {
        let failed = |node: &JudgedNode| {
            matches!(
                node.result.verdict,
                NodeVerdict::Fail { .. } | NodeVerdict::Infra { .. }
            )
        };
        !self.attempt.interrupted && self.nodes.iter().any(failed)
    }
}

/// Outcome of a unit.
#[derive(Debug)]
pub struct UnitOutcome {
    pub unit: Unit,
    /// Attempts in order; empty if the unit was skipped.
    pub attempts: Vec<AttemptOutcome>,
    /// Reason for skipping.
    pub skipped: Option<String>,
}

/// Process ids of a cell that was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Process whose end ends the cell (`unshare`, which ignores SIGTERM).
    pub holder: u32,
    /// First process of the cell, as seen from outside; owner of the cell's namespaces.
    pub init: u32,
}

/// Progress events of a run.
#[derive(Debug, Clone)]
pub enum Progress {
    /// An attempt began; its cell is being created.
    AttemptStarted {
        unit: String,
        /// Number of the attempt, from 1.
        attempt: u32,
    },
    /// A unit's cell is up and its services answer.
    CellReady { unit: String },
    /// A machine may start.
    NodeStarted { unit: String, node: String },
    /// Evidence was recorded.
    Observation { unit: String, record: Record },
    /// A machine was stopped, and all its records were received.
    NodeStopped { unit: String, node: String },
    /// A unit was skipped.
    Skipped {
        unit: String,
        /// Reason for skipping.
        reason: String,
    },
}
