//! What is run, and what it came to.

use std::path::PathBuf;
use std::sync::Arc;

use super::keep::Kept;
use crate::diagnosis::{JudgedNode, judge_attempt};
use crate::evidence::beside::Beside;
use crate::evidence::saved::{self, Attempt};
use crate::fault::Injections;
use crate::scenario::{Firmware, Scenario};
use crate::verdict::NodeVerdict;

/// A scenario on one firmware.
#[derive(Debug, Clone)]
pub struct Unit {
    /// The scenario.
    pub scenario: Arc<Scenario>,
    /// The firmware of all its machines.
    pub firmware: Firmware,
    /// Which of several repetitions it is, from 1; none when it is run once.
    pub repetition: Option<u32>,
    /// What is injected: nothing, unless it shows a fault.
    pub injections: Injections,
}

impl Unit {
    /// `scenario@firmware`, its name in reports and artifacts; `scenario@firmware#2` for a repetition.
    #[must_use]
    pub fn name(&self) -> String {
        unit_name(&self.scenario.name, self.firmware, self.repetition)
    }
}

/// The name of a unit in reports and artifacts.
#[must_use]
pub fn unit_name(scenario: &str, firmware: Firmware, repetition: Option<u32>) -> String {
    match repetition {
        None => format!("{scenario}@{firmware}"),
        Some(number) => format!("{scenario}@{firmware}#{number}"),
    }
}

/// What one attempt at a unit came to.
#[derive(Debug)]
pub struct AttemptOutcome {
    /// Which, from 1.
    pub number: u32,
    /// Its artifacts.
    pub artifacts: PathBuf,
    /// Everything seen.
    pub attempt: Attempt,
    /// Each node, judged and diagnosed, in the scenario's order.
    pub nodes: Vec<JudgedNode>,
    /// What of its artifacts could not be written, each with why.
    pub lost: Vec<String>,
    /// The cell, when it was kept alive.
    pub kept: Option<Kept>,
}

impl AttemptOutcome {
    /// Judges what was seen, packets included: those that lie in the artifacts folder, as `lab explain`
    /// will find them there.
    pub(super) fn judge(&mut self) {
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

    /// Whether every node passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        let passed = |node: &JudgedNode| node.result.verdict == NodeVerdict::Pass;
        self.nodes.iter().all(passed)
    }

    /// Whether another attempt may end better: something failed, and nobody wants the run to end.
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

/// What one unit came to.
#[derive(Debug)]
pub struct UnitOutcome {
    /// The unit.
    pub unit: Unit,
    /// Every attempt, in order; none when it was skipped.
    pub attempts: Vec<AttemptOutcome>,
    /// Why it was not tried.
    pub skipped: Option<String>,
}
