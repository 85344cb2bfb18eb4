//! The lab: builds a private network, puts virtual machines on it, starts the boot server, lets the
//! machines boot over the network and proves that each came up with the configuration meant for it.
//!
//! `lab_model` has everything that needs no machine. Dependencies run one way:
//! `cell → (network, nodes, services, capture) → lab_model → lab_report`; `rehearsal` makes scenarios of a site that
//! somebody is about to roll out.

pub mod capture;
pub mod cell;
pub mod cli;
pub mod doctor;
pub mod hosts;
pub mod hypervisor;
pub mod node;
pub mod persistent;
pub mod preflight;
pub mod rehearsal;
pub mod remote;
pub mod runner;
pub mod schema;
