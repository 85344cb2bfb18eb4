//! Hermetic sandbox of a scenario: private network, mount and PID namespaces (and a user namespace for ordinary
//! users), a private libvirtd, and the scenario's services.
//!
//! Two cells can use the same subnet at once. When a cell's first process dies, the kernel ends everything in
//! the cell. That process dies with the lab: it is killed with its parent, and it ends when its standard input
//! closes.
//!
//! | file | where it runs |
//! |---|---|
//! | [`host`] | in the lab: starts a cell and communicates with it |
//! | [`message`] | protocol between both: JSON lines over the cell's standard input and output |
//! | [`init`] | first process of the cell: mounts, starts the worker, reaps |
//! | [`sandbox`] | mounts made by `init` |
//! | [`on_host`] | objects of a cell on the host's own libvirt, and their removal |
//! | [`plan`] | configuration of a scenario's network and services; pure |
//! | [`attempt`] | main function of the cell's worker: one attempt at a scenario |
//! | [`worker`] | the cell from the inside: one object with services, machines and records |
//! | [`set_up`] | start of everything except the machines |
//! | [`recorder`] | records, saved and reported |
//! | [`evidence`] | evidence from the worker itself |
//! | [`manifest`] | hashes of the served files |
//! | [`error`] | error of an attempt |
//! | [`persistent`] | the worker's cell while it is kept |
//! | [`control`] | control requests to a persistent cell, and responses |
//! | [`live_fault`] | live faults in a persistent cell |
//! | [`custom`] | services of the user: their hosts, files, processes and output |
//! | [`services`] | the private libvirtd and the boot servers that the worker starts |
//! | [`fault`] | injection of faults |
//! | [`server_change`] | boot server configuration changed by a fault; pure |
//! | [`link`] | impaired link |
//! | [`topology`] | networks beside the first, and routers |
//! | [`simulated`] | a simulated machine from power-on to stop |

pub mod attempt;
pub mod control;
pub mod custom;
pub mod error;
mod evidence;
pub mod fault;
pub mod host;
mod https;
pub mod init;
pub mod link;
mod live_fault;
mod manifest;
pub mod message;
pub mod on_host;
mod persistent;
pub mod plan;
mod programs;
mod recorder;
mod router_fault;
pub mod sandbox;
mod server_change;
pub mod services;
mod set_up;
mod simulated;
mod switch;
mod topology;
mod worker;

/// Name of the hidden subcommand for a cell's first process.
pub const INIT_COMMAND: &str = "cell-init";

/// Name of the hidden subcommand for a cell's worker.
pub const WORKER_COMMAND: &str = "cell-worker";

/// Name of the hidden subcommand for packet capture inside a cell.
pub const CAPTURE_COMMAND: &str = "cell-capture";
