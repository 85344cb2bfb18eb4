//! Untrusted input: run folders from other CI jobs, captures, data directories, consoles.
//!
//! | file | job |
//! |---|---|
//! | `folder.rs` | opens files below a folder: no symbolic links, regular files only, limited sizes |
//! | `tree.rs` | surveys a folder within limits, then copies it |
//! | `write.rs` | writes a file without following a link at its place |
//! | `text.rs` | makes text safe to print |

pub mod folder;
pub mod text;
pub mod tree;
pub mod write;

pub use folder::{Folder, Kind, Refused};
pub use text::{plain, plain_json, plain_line};
pub use write::replace;
