//! `[http]`: the boot config service.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::catalog::data_dir::{Layout, Source};

/// `[http]`: the boot config service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// Address and port, e.g. `172.17.0.2:8080`. bootcfg's default is `127.0.0.1:8080`.
    #[serde(default = "default_http_listen")]
    pub listen: SocketAddr,
    /// The boot-config data directory: bootcfg's (`config.yaml`, `specs/`, `cloud/`, `ignition/`) or
    /// matchbox's (`groups/`, `profiles/`, `cloud/`, `ignition/`, `generic/`).
    pub data: PathBuf,
    /// Which of the two it is: `"bootcfg"` or `"matchbox"`; told by what is there when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<Layout>,
    /// The groups file when it is not `<data>/config.yaml`.
    pub config: Option<PathBuf>,
    /// The folder served as `/assets/`; no `/assets/` when absent.
    pub assets: Option<PathBuf>,
}

impl HttpConfig {
    /// What is to be loaded.
    pub fn source(&self) -> Source {
        Source {
            root: self.data.clone(),
            groups_file: self.config.clone(),
            layout: self.layout,
        }
    }
}

fn default_http_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8080))
}
