//! What Go's libraries make of texts: URLs, data URLs, paths, systemd units and JSON strings.
//!
//! Which configs are refused, and the bytes of those that are not, follow from these.

pub(crate) mod dataurl;
pub(crate) mod deflate;
mod huffman;
pub(crate) mod json;
pub(crate) mod quote;
pub(crate) mod slash_path;
pub(crate) mod unit;
pub(crate) mod url;
