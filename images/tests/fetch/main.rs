//! Images from a release server on loopback that has the publishers' layouts, with files signed by test keys:
//! what is published is found, what fails in passing is tried again, and nothing gets into the cache that is
//! not verified. GnuPG (`gpg`, `gpgv`) has to be there.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod faults;
mod layouts;
mod network;
mod publisher;
mod server;
mod shipped_keys;
mod side_by_side;
mod signer;
