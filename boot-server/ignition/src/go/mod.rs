//! Texts as Go's libraries read and write them: URLs, data URLs, paths, systemd units and JSON strings.
//!
//! They decide which configs are refused, and the bytes of the others.

pub(crate) mod dataurl;
pub(crate) mod deflate;
mod huffman;
pub(crate) mod json;
pub(crate) mod quote;
pub(crate) mod slash_path;
pub(crate) mod unit;
pub(crate) mod url;
