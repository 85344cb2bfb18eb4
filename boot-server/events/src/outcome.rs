//! Outcomes of work of the server itself, as its events tell them.

use serde::{Deserialize, Serialize};

/// State of the lease file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum LeaseFileState {
    /// All leases are in the file, after what the text says had happened to it.
    #[serde(rename = "Ok")]
    Kept(String),
    /// Leases cannot be kept for this reason, and none is given until they can be.
    #[serde(rename = "Err")]
    Failing(String),
}

/// Outcome of a reload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum ReloadOutcome {
    /// The new state, which is in force.
    #[serde(rename = "Ok")]
    InForce(String),
    /// Reason why the last good state stays in force.
    #[serde(rename = "Err")]
    Refused(String),
}

impl ReloadOutcome {
    /// True if the new state is in force.
    pub fn is_in_force(&self) -> bool {
        matches!(self, ReloadOutcome::InForce(_))
    }
}
