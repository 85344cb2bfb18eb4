//! Comparison of a fault's outcome with the expected one.

use serde::{Deserialize, Serialize};

use super::model::Expectation;
use crate::diagnosis::Cause;
use crate::evidence::Record;
use crate::timeline::StageName;
use crate::verdict::{NodeResult, NodeVerdict};

/// Outcome of a fault on one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "found", rename_all = "lowercase")]
pub enum Found {
    /// The node passed.
    Pass,
    /// The node failed.
    Fail {
        stage: StageName,
        /// First-ranked cause; `None` if no cause was found.
        cause: Option<Cause>,
        /// Explanation in one sentence.
        why: String,
    },
    /// No result: the lab's own set-up failed, or the run was interrupted.
    Nothing { why: String },
}

/// Builds the outcome from a verdict and its causes, best first.
#[must_use]
pub fn found(verdict: &NodeVerdict, causes: &[Cause]) -> Found {
    match verdict {
        NodeVerdict::Pass => Found::Pass,
        NodeVerdict::Fail { stage, why, .. } => Found::Fail {
            stage: *stage,
            cause: causes.first().copied(),
            why: why.clone(),
        },
        other => Found::Nothing {
            why: format!("{}: {}", other.word(), other.sentence()),
        },
    }
}

/// True if the text stands in the evidence: in a record, in what a node's timeline tells, or among what a pass does
/// not prove.
#[must_use]
pub fn is_shown(text: &str, records: &[Record], results: &[&NodeResult]) -> bool {
    let told = |result: &&NodeResult| {
        let stages = result.timeline.stages.iter();
        let mut stage_events = stages.flat_map(|stage| &stage.events);
        stage_events.any(|stage_event| stage_event.text.contains(text))
            || result
                .not_proven
                .iter()
                .any(|one| one.to_string().contains(text))
    };
    let recorded = |record: &Record| {
        // Quotes and backslashes of a text are escaped in a record's JSON.
        let escaped = serde_json::to_string(text).unwrap_or_default();
        let line = serde_json::to_string(record).unwrap_or_default();
        line.contains(escaped.trim_matches('"'))
    };
    results.iter().any(told) || records.iter().any(recorded)
}

impl Found {
    /// True if the outcome is the expected one.
    #[must_use]
    pub fn is(&self, expected: &Expectation) -> bool {
        match (self, expected) {
            (Found::Pass, Expectation::Pass) => true,
            (
                Found::Fail { stage, cause, .. },
                Expectation::Fail {
                    stage: wanted_stage,
                    cause: wanted_cause,
                },
            ) => stage == wanted_stage && cause.as_ref() == Some(wanted_cause),
            _ => false,
        }
    }
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Found::Pass => f.pad("pass"),
            Found::Fail { stage, cause, .. } => {
                let cause = cause.map_or("no cause found", Cause::name);
                f.pad(&format!("{stage}: {cause}"))
            }
            Found::Nothing { .. } => f.pad("no result"),
        }
    }
}

impl std::fmt::Display for Expectation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Expectation::Pass => f.pad("pass"),
            Expectation::Fail { stage, cause } => f.pad(&format!("{stage}: {}", cause.name())),
        }
    }
}
