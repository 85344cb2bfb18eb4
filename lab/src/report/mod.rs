//! What a run came to, for people and for machines: table, `run.json`, JUnit, JSON lines, exit code.
//!
//! Everything here is made from one [`RunSummary`] or from the stream of the runner's progress; nothing
//! here decides whether a machine passed.

pub mod artifacts;
pub mod faults;
pub mod junit;
pub mod live;
pub mod merge;
pub mod summary;
pub mod table;

pub use summary::{AttemptSummary, NodeSummary, RunSummary, UnitSummary};
