//! matchbox's gRPC API over mutual TLS on loopback: recorded calls, certificates, Terraform, load.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod certificates;
mod handshakes;
mod load;
mod messages;
mod program;
mod recorded_runs;
mod rig;
mod terraform;
mod vectors;
