//! The hermetic sandbox a scenario runs in: own network, mount and PID namespaces (and a user
//! namespace for ordinary users), a private libvirtd, the services of the scenario.
//!
//! Two cells can use one subnet at once, and when a cell's first process dies, the kernel ends
//! everything in it. That process dies with the lab: it is killed with its parent, and it ends by
//! itself when its standard input closes.
//!
//! | file | where it runs |
//! |---|---|
//! | [`host`] | in the lab: starts a cell, talks with it |
//! | [`message`] | the words they exchange, JSON lines over the cell's standard input and output |
//! | [`init`] | the cell's first process: mounts, starts the worker, reaps |
//! | [`sandbox`] | what `init` mounts |
//! | [`on_host`] | what a cell on the host's own libvirt leaves there, and how that is removed |
//! | [`plan`] | what a scenario asks for, as configuration; pure |
//! | [`attempt`] | the cell's worker: one attempt at a scenario |
//! | [`evidence`] | what the worker itself adds to the evidence |
//! | [`stay`] | the worker of a cell that stays: its machines can be touched |
//! | [`control`] | what is asked of a cell that stays, and answered |
//! | [`hand`] | faults that are set by hand in it |
//! | [`services`] | the private libvirtd and the boot servers that the worker starts |
//! | [`fault`] | what a fault injects |
//! | [`link`] | an impaired link |
//! | [`plug`] | other hosts on the network |

pub mod attempt;
pub mod control;
mod evidence;
pub mod fault;
mod hand;
pub mod host;
pub mod init;
pub mod link;
mod manifest;
pub mod message;
pub mod on_host;
pub mod plan;
pub mod plug;
pub mod sandbox;
pub mod services;
mod stay;

/// Name of the hidden subcommand that becomes a cell's first process.
pub const INIT_COMMAND: &str = "cell-init";

/// Name of the hidden subcommand that becomes a cell's worker.
pub const WORKER_COMMAND: &str = "cell-worker";

/// Name of the hidden subcommand that captures packets, inside a cell.
pub const CAPTURE_COMMAND: &str = "cell-capture";

/// Name of the hidden subcommand that becomes another host on a cell's network.
pub const STATION_COMMAND: &str = "cell-station";
