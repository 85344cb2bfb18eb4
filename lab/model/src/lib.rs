//! Model of a boot and its verdict: scenarios, evidence, timelines, verdicts and diagnoses, without a machine.
//!
//! Dependencies run one way: `untrusted ← scenario ← evidence ← timeline ← verdict ← diagnosis ← fault ← results`.
//! Nothing here starts a process, opens a socket or captures a packet, so that a saved attempt is judged alike on every
//! computer.

pub mod diagnosis;
pub mod evidence;
pub mod fault;
pub mod results;
pub mod scenario;
pub mod timeline;
pub mod untrusted;
pub mod verdict;
