//! Data directories that are served: `boot_server_catalog`, and their reload.

pub mod data_dir;

pub use boot_server_catalog::*;
