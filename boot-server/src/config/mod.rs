//! The boot server's one configuration file (TOML): its shape (a file for each section), and
//! the checks that need no network.
//!
//! Relative paths are relative to the file. A section that is absent is a service that does not run.

mod check;
mod dhcp;
mod dhcp_check;
mod dhcp_option;
mod http;
mod log;
mod pixiecore;
mod problem;
mod root;
mod rpc;
mod tftp;

pub use boot_server_policy::{BiosLoader, BootConfig};
pub use dhcp::{DhcpConfig, PoolConfig, ProxyDhcpConfig, RawOptions, Reservation};
pub use dhcp_check::{InvalidOwner, PoolSettings, PoolsError};
pub use dhcp_option::InvalidOption;
pub use http::{Explain, HttpConfig};
pub use log::{LogConfig, LogFormat, LogLevel, MetricsConfig};
pub use pixiecore::{FixedBoot, PixiecoreConfig};
pub use problem::ConfigProblem;
pub use root::Config;
pub use rpc::RpcConfig;
pub use tftp::TftpConfig;
