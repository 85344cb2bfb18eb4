//! The boot server: PXE-enabled DHCP, proxyDHCP, TFTP, the HTTP boot config service and Pixiecore
//! mode in one program.
//!
//! Dependencies run one way: `proto ← catalog ← policy ← respond ← net ← cli ← main`; [`event`]
//! needs only `proto` and everyone may name it, [`event_sink`] takes events and [`metrics`] counts
//! them, [`config`] is what `cli` reads and hands down, and [`state_file`] opens what the server writes.

pub mod catalog;
pub mod cli;
pub mod config;
pub use boot_server_events as event;
pub mod event_sink;
pub mod lease;
pub mod metrics;
pub mod net;
pub use boot_server_policy as policy;
pub use boot_server_proto as proto;
pub mod respond;
pub mod state_file;
