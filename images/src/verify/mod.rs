//! Verification of files: hashes, an OpenPGP signature by a pinned key, and the kind of content. Nothing enters
//! the cache without it.

pub mod content;
pub mod signature;
mod status;

pub use image_catalog::{digest, keys};
