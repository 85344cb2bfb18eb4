//! An attempt as it lies in its artifacts folder: all that timeline, verdict and diagnosis are made from.
//!
//! `lab run` writes it and judges what it wrote; `lab explain` reads it, on any machine, and comes to the
//! same words.

use std::collections::BTreeMap;

use super::{Record, packet::Wire};
use crate::scenario::{Firmware, Scenario};

/// Everything seen in one attempt.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// What was run.
    pub scenario: Scenario,
    /// On which firmware.
    pub firmware: Firmware,
    /// Everything seen but packets, in the order in which it was seen.
    pub records: Vec<Record>,
    /// What was read from the captures.
    pub wire: Wire,
    /// Seconds each node took from its start to its stop; nodes that never started are absent.
    pub node_seconds: BTreeMap<String, f64>,
    /// What of our own set-up failed.
    pub broken: Option<String>,
    /// Whether the run was interrupted before the attempt was through.
    pub interrupted: bool,
}
