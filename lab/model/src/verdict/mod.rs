//! Verdict on a node: pass, or failure with its stage and reason.
//!
//! Pure: a [`Timeline`] and the scenario's expectations in, a [`NodeVerdict`] out. The scenario's services
//! determine the requirements (`require`); expectations are literal in the scenario.

mod attempt;
pub mod checks;
mod content;
#[cfg(any(test, feature = "fixtures"))]
pub mod fixture;
mod judge;
mod matching;
mod order;
mod proof;
mod require;
#[cfg(test)]
mod tests;
mod unproven;
mod whole;

use serde::{Deserialize, Serialize};

pub use attempt::{NodeResult, judge_node};
pub(crate) use content::told as told_difference;
pub use judge::judge;
pub use unproven::{Unproven, unproven};

use crate::timeline::StageName;

/// Verdict on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "verdict", rename_all = "lowercase")]
pub enum NodeVerdict {
    /// All expected evidence was found.
    Pass,
    /// The node did not come up as expected.
    Fail {
        /// First stage that the node did not complete.
        stage: StageName,
        /// Description of the awaited evidence.
        waited_for: String,
        /// Description of the actual evidence.
        why: String,
        /// Evidence missing in this stage.
        missing: Vec<String>,
    },
    /// The node passed on a retry; the first attempt's evidence is kept.
    Flaky {
        /// Number of attempts.
        attempts: u32,
        /// Failure of the first attempt, in one line.
        first: String,
    },
    /// The node was not run.
    Skipped {
        /// Reason for skipping.
        reason: String,
    },
    /// The lab's own set-up failed, so that the node was not tested.
    Infra {
        /// Failed part of the infrastructure.
        why: String,
    },
    /// The node passed, but resources of its cell were left behind.
    Leaked {
        /// Resources left behind.
        what: String,
    },
    /// The run was interrupted before a decision.
    Interrupted,
}

impl NodeVerdict {
    /// Returns one word for tables.
    pub fn word(&self) -> &'static str {
        match self {
            NodeVerdict::Pass => "pass",
            NodeVerdict::Fail { .. } => "fail",
            NodeVerdict::Flaky { .. } => "flaky",
            NodeVerdict::Skipped { .. } => "skipped",
            NodeVerdict::Infra { .. } => "infra",
            NodeVerdict::Leaked { .. } => "leaked",
            NodeVerdict::Interrupted => "interrupted",
        }
    }

    /// Returns the verdict in one line, empty for a pass.
    pub fn sentence(&self) -> String {
        match self {
            NodeVerdict::Pass => String::new(),
            NodeVerdict::Fail { stage, why, .. } => format!("{stage}: {why}"),
            NodeVerdict::Flaky { attempts, first } => {
                format!("passed in attempt {attempts}; first attempt: {first}")
            }
            NodeVerdict::Skipped { reason } => reason.clone(),
            NodeVerdict::Infra { why } => why.clone(),
            NodeVerdict::Leaked { what } => format!("left behind: {what}"),
            NodeVerdict::Interrupted => "stopped before the verdict".into(),
        }
    }
}
