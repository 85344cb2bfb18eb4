//! `[http]`: the boot config service.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::catalog::data_dir::{Layout, Source};
use crate::catalog::ignition::IgnitionMode;

/// `[http]`: the boot config service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// Address and port, e.g. `172.17.0.2:8080`. bootcfg's default is `127.0.0.1:8080`.
    #[serde(default = "default_http_listen")]
    pub listen: SocketAddr,
    /// The boot-config data directory: bootcfg's (`config.yaml`, `specs/`, `cloud/`, `ignition/`) or
    /// matchbox's (`groups/`, `profiles/`, `cloud/`, `ignition/`, `generic/`).
    pub data: PathBuf,
    /// Layout: `"bootcfg"` or `"matchbox"`; detected from the directory when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<Layout>,
    /// Treatment of Butane and Container Linux Configs in matchbox's layout: as matchbox 0.9 or 0.11, as `butane`,
    /// or `"raw"` for none. When absent, each config is translated by its language, Butane as matchbox 0.11.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignition: Option<IgnitionMode>,
    /// The groups file when it is not `<data>/config.yaml`.
    pub config: Option<PathBuf>,
    /// Largest share of the groups, in percent, that a change of the directory may take away. A change that
    /// takes away more waits for SIGHUP. No limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_groups_lost: Option<u8>,
    /// Recipients of the full reasons for a refusal: `"local"` (this host, and the listener of `[metrics]`),
    /// `"all"` or `"off"`. Others get a short reason; the log and the events have the full reason.
    #[serde(default)]
    pub explain: Explain,
    /// An OpenPGP key ring with one secret key: answers have signatures at `/NAME.asc` (armored) and
    /// `/NAME.sig`. Its passphrase comes from the environment variable `BOOT_SERVER_PASSPHRASE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_ring: Option<PathBuf>,
    /// The folder served as `/assets/`; no `/assets/` when absent.
    pub assets: Option<PathBuf>,
    /// The folder served as `/images/`, as bootcfg 0.1 served its files; no `/images/` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<PathBuf>,
    /// Folders that symbolic links in `assets` and `images` may lead to; links elsewhere out of it are refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links_to: Vec<PathBuf>,
    /// A PEM file with the certificate and its chain: HTTPS instead of HTTP.
    pub tls_certificate: Option<PathBuf>,
    /// The PEM file with the certificate's key.
    pub tls_key: Option<PathBuf>,
    /// Connections at once; more wait.
    #[serde(default = "default_connections")]
    pub max_connections: usize,
    /// Maximum number of HTTP connections from one address; more are closed.
    #[serde(default = "default_per_address")]
    pub max_connections_per_address: usize,
}

/// Recipients of full reasons, which name the secrets that guard configs: UUIDs and MACs, files, links.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Explain {
    /// Programs on this host.
    #[default]
    Local,
    /// All clients receive the full reasons.
    All,
    /// No client receives them, e.g. behind a proxy on this host.
    Off,
}

impl Explain {
    /// True if a client gets the full reasons; `is_this_host` is true for clients on this host.
    pub fn tells(self, is_this_host: bool) -> bool {
        match self {
            Explain::Local => is_this_host,
            Explain::All => true,
            Explain::Off => false,
        }
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        HttpConfig {
            listen: default_http_listen(),
            data: PathBuf::new(),
            layout: None,
            ignition: None,
            config: None,
            max_groups_lost: None,
            explain: Explain::default(),
            key_ring: None,
            assets: None,
            images: None,
            links_to: Vec::new(),
            tls_certificate: None,
            tls_key: None,
            max_connections: default_connections(),
            max_connections_per_address: default_per_address(),
        }
    }
}

fn default_connections() -> usize {
    2048
}

fn default_per_address() -> usize {
    256
}

impl HttpConfig {
    /// Returns the data directory to load.
    pub fn source(&self) -> Source {
        Source {
            root: self.data.clone(),
            groups_file: self.config.clone(),
            layout: self.layout,
            ignition: self.ignition,
        }
    }
}

fn default_http_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8080))
}
