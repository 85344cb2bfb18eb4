//! The result of a run as data: `run.json`, and what the other reports are made from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::runner::UnitOutcome;
use crate::scenario::Firmware;
use crate::timeline::Timeline;
use crate::verdict::{NodeVerdict, judge};

/// A whole run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// Six hexadecimal digits.
    pub run_id: String,
    /// When it began, RFC 3339.
    pub started: String,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// What executed the machines, and why.
    pub accelerator: String,
    /// Its units in the order asked for.
    pub units: Vec<UnitSummary>,
}

/// A scenario on one firmware.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnitSummary {
    /// Scenario.
    pub scenario: String,
    /// Firmware.
    pub firmware: Firmware,
    /// What was booted; the stand-in says so.
    pub image: String,
    /// Folder of its artifacts.
    pub artifacts: PathBuf,
    /// Its nodes.
    pub nodes: Vec<NodeSummary>,
}

/// One machine's result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeSummary {
    /// Its name.
    pub name: String,
    /// Its verdict.
    pub verdict: NodeVerdict,
    /// From power-on to its stop, in seconds; none when it never started.
    pub seconds: Option<f64>,
}

impl UnitSummary {
    /// `scenario@firmware`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}@{}", self.scenario, self.firmware)
    }

    /// Judges what a unit came to, by the timelines of its nodes in the scenario's order.
    #[must_use]
    pub fn judged(outcome: &UnitOutcome, timelines: &[Timeline]) -> UnitSummary {
        let scenario = &outcome.unit.scenario;
        let nodes = scenario
            .nodes
            .iter()
            .zip(timelines)
            .map(|(node, timeline)| {
                let time = outcome.node_times.get(&node.name);
                let finished = time.is_some();
                // A node that got through before the trouble keeps its own verdict.
                let verdict = match (&outcome.broken, outcome.interrupted) {
                    (Some(why), _) if !finished => NodeVerdict::Infra { why: why.clone() },
                    (None, true) if !finished => NodeVerdict::Interrupted,
                    _ => judge(scenario, node, outcome.unit.firmware, timeline),
                };
                NodeSummary {
                    name: node.name.clone(),
                    verdict,
                    seconds: time.map(std::time::Duration::as_secs_f64),
                }
            })
            .collect();
        UnitSummary {
            scenario: scenario.name.clone(),
            firmware: outcome.unit.firmware,
            image: scenario.image.name.clone(),
            artifacts: outcome.artifacts.clone(),
            nodes,
        }
    }
}

impl RunSummary {
    /// How many nodes have each verdict, by its name.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for node in self.nodes() {
            *counts.entry(node.verdict.word()).or_default() += 1;
        }
        counts
    }

    /// Every node of the run.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeSummary> {
        self.units.iter().flat_map(|unit| &unit.nodes)
    }

    /// The exit code that scripts rely on: 130 interrupted, 100 failures, 75 only infrastructure failed, 0.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let any = |wanted: &str| self.nodes().any(|node| node.verdict.word() == wanted);
        if any("interrupted") {
            130
        } else if any("fail") {
            100
        } else if any("infra") {
            75
        } else {
            0
        }
    }
}
