//! What makes a file trustworthy: its hashes, its OpenPGP signature by a pinned key, and that it is
//! what it is said to be. Nothing gets into the cache that has not been through here.

pub mod content;
pub mod digest;
pub mod keys;
pub mod signature;
mod status;
