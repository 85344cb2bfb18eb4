//! The boot server: PXE-enabled DHCP, proxyDHCP, TFTP, the HTTP boot config service and Pixiecore
//! mode in one program.
//!
//! Dependencies run one way: `proto ← catalog ← policy ← respond ← net ← cli ← main`; the crate
//! [`boot_server_events`] needs only `proto`, [`store`] changes data directories for gRPC clients, [`event_sink`] takes events and [`metrics`] counts
//! them, [`config`] is what `cli` reads and hands down, and [`state_file`] opens what the server writes.

pub mod catalog;
pub mod cli;
pub mod config;
pub mod event_sink;
pub mod lease;
pub mod metrics;
pub mod net;
pub use boot_server_policy as policy;
pub mod respond;
pub mod state_file;
pub mod store;
