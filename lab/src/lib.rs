//! The lab: builds a private network, puts virtual machines on it, starts the boot server, lets the
//! machines boot over the network and proves that each came up with the configuration meant for it.
//!
//! Dependencies run one way:
//! `scenario → cell → (network, nodes, services) → evidence → timeline → verdict → diagnosis → report`;
//! `rehearsal` makes scenarios of a site that somebody is about to roll out.

pub mod cell;
pub mod cli;
pub mod diagnosis;
pub mod doctor;
pub mod evidence;
pub mod exit_code;
pub mod fault;
pub mod hypervisor;
pub mod node;
pub mod persistent;
pub mod preflight;
pub mod rehearsal;
pub mod remote;
pub mod report;
pub mod runner;
pub mod scenario;
pub mod schema;
pub mod sim;
pub mod station;
pub mod timeline;
pub mod untrusted;
pub mod verdict;
