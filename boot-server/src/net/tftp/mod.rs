//! TFTP server: requests arrive at one socket, each transfer has its own socket (RFC 1350 §4) and, once its
//! client has acknowledged something, its own thread, within [limits](places).
//!
//! A lockstep transfer waits for the client once per block. The cost of that wait decides the speed of the
//! server, so transfers are plain blocking loops beside the runtime that serves the rest.

mod exchange;
mod link;
mod places;
mod read_ahead;
mod service;
mod shared;
#[cfg(test)]
mod tests;

pub(super) use service::{TFTP_PORT, TftpService};
