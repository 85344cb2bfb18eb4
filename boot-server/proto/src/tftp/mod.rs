//! TFTP (RFC 1350) with options (RFC 2347): block size (2348), transfer size and timeout (2349),
//! window size (7440). Reading only: nothing is ever written to a boot server.

mod packet;
mod transfer;

#[cfg(test)]
mod simulation;

pub use packet::{
    DEFAULT_BLOCK_SIZE, DecodeError, ErrorCode, Mode, Packet, ReadRequest, RequestedOptions,
};
pub use transfer::{Limits, Outcome, Transfer, Transmit};
