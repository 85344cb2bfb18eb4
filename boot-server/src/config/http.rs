//! `[http]`: the boot config service.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[http]`: the boot config service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// Address and port, e.g. `172.17.0.2:8080`. bootcfg's default is `127.0.0.1:8080`.
    #[serde(default = "default_http_listen")]
    pub listen: SocketAddr,
    /// The boot-config data directory (`specs/`, `cloud/`, `ignition/`, and `config.yaml`).
    pub data: PathBuf,
    /// The groups file when it is not `<data>/config.yaml`.
    pub config: Option<PathBuf>,
    /// The folder served as `/assets/`; no `/assets/` when absent.
    pub assets: Option<PathBuf>,
}

fn default_http_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8080))
}
