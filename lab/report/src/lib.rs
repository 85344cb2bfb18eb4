//! Reports of a run: table, `run.json`, JUnit, JSON lines, exit code.
//!
//! All reports are made from one [`RunSummary`] or from the runner's progress events; no code here decides
//! whether a machine passed.

pub mod artifacts;
mod excerpts;
pub mod exit_code;
pub mod faults;
pub mod format;
pub mod github;
pub mod html;
pub mod junit;
pub mod live;
pub mod matrix;
pub mod merge;
pub mod packets;
mod rehearsal;
#[cfg(test)]
mod sample;
#[cfg(any(test, feature = "fixtures"))]
pub mod sample_run;
pub mod sequence;
pub mod stored;
pub mod summary;
pub mod table;
pub mod whole;

pub use summary::{AttemptSummary, NodeSummary, RehearsalSummary, RunSummary, UnitSummary};
