//! matchbox's gRPC API: its messages, the traits of its five services, and stubs to call them.
//!
//! `proto/` describes them, with the packages, names and field numbers of matchbox. The Rust code in `generated/` is
//! made of it and kept, so that building needs no compiler for protocol buffers; `tests/generated.rs` compares both,
//! and writes the code when the environment variable `UPDATE_GENERATED` is set. What a call does is decided by the
//! boot server.

pub use prost;
pub use tonic;

/// Groups, profiles and what they boot.
pub mod storagepb {
    include!("generated/storagepb.rs");
}

/// Requests and responses.
pub mod serverpb {
    include!("generated/serverpb.rs");
}

/// Services.
#[expect(clippy::allow_attributes, reason = "generated code")]
pub mod rpcpb {
    include!("generated/rpcpb.rs");
}
