//! Whether a node came up as it should have, and if not, at which stage and why.
//!
//! Pure: a [`Timeline`] and the scenario's expectations in, a [`NodeVerdict`] out. What is required
//! follows from who plays which part (`require`); what was expected is literal in the scenario.

mod attempt;
pub mod checks;
mod content;
#[cfg(test)]
pub(crate) mod fixture;
mod judge;
mod matching;
mod order;
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

/// What became of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "lowercase")]
pub enum NodeVerdict {
    /// Everything expected was seen.
    Pass,
    /// It did not come up as expected.
    Fail {
        /// The stage that failed.
        stage: StageName,
        /// What was waited for.
        waited_for: String,
        /// What was seen instead.
        why: String,
        /// What is missing to pass, of this stage.
        missing: Vec<String>,
    },
    /// It came up as expected when it was tried again; the first attempt's evidence stays.
    Flaky {
        /// How many attempts it took.
        attempts: u32,
        /// What went wrong in the first, in one line.
        first: String,
    },
    /// It was not tried.
    Skipped {
        /// Why not.
        reason: String,
    },
    /// Our own set-up failed, so nothing is known of the node.
    Infra {
        /// What failed.
        why: String,
    },
    /// It came up as expected, and something of its cell was still there afterwards.
    Leaked {
        /// What was left.
        what: String,
    },
    /// The run was interrupted before anything was decided.
    Interrupted,
}

impl NodeVerdict {
    /// One word for tables.
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

    /// One line that says what became of the node, empty for a pass.
    pub fn sentence(&self) -> String {
        match self {
            NodeVerdict::Pass => String::new(),
            NodeVerdict::Fail { stage, why, .. } => format!("{stage}: {why}"),
            NodeVerdict::Flaky { attempts, first } => {
                format!("passed in attempt {attempts}; at first: {first}")
            }
            NodeVerdict::Skipped { reason } => reason.clone(),
            NodeVerdict::Infra { why } => why.clone(),
            NodeVerdict::Leaked { what } => format!("left behind: {what}"),
            NodeVerdict::Interrupted => "stopped before it was decided".into(),
        }
    }
}
