//! Data directories that are served: `boot_server_catalog`, their reload, and changes by the server itself.

pub mod change;
pub mod data_dir;
mod write;

pub use boot_server_catalog::*;
