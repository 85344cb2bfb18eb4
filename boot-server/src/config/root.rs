//! The root table of the configuration file.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use boot_server_policy::BootConfig;
use serde::{Deserialize, Serialize};

use super::dhcp::{DhcpConfig, ProxyDhcpConfig};
use super::http::HttpConfig;
use super::log::{LogConfig, MetricsConfig};
use super::pixiecore::PixiecoreConfig;
use super::rpc::RpcConfig;
use super::tftp::TftpConfig;

/// Everything that one `boot-server` process does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The network interface on which DHCP, proxyDHCP and TFTP are answered.
    pub interface: Option<String>,
    /// IPv4 address of the server on the interface; the interface's first one when absent.
    pub address: Option<Ipv4Addr>,
    /// The PXE-enabled DHCP server.
    pub dhcp: Option<DhcpConfig>,
    /// Boot options beside another DHCP server, which keeps giving the addresses.
    pub proxy_dhcp: Option<ProxyDhcpConfig>,
    /// Pixiecore mode: proxyDHCP + TFTP + HTTP in one, asking an HTTP API what each MAC boots.
    pub pixiecore: Option<PixiecoreConfig>,
    /// Boot files and script for PXE clients (with `dhcp` or `proxy_dhcp`).
    pub boot: BootConfig,
    /// The TFTP server.
    pub tftp: Option<TftpConfig>,
    /// The HTTP boot config service.
    pub http: Option<HttpConfig>,
    /// matchbox's gRPC API, by which Terraform changes the data directory of `http`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpc: Option<RpcConfig>,
    /// Answers IPv6 router solicitations with a router advertisement that offers no route, so that
    /// iPXE does not wait 13 s for a router that is not there. Off on real networks, on in the lab.
    pub router_advertisement: bool,
    /// Sink of events: a file to append JSON lines to, `-` for standard output. When absent, standard output
    /// unless that is a terminal, where only log lines are shown.
    pub events: Option<PathBuf>,
    /// Largest size of the event file in bytes; then it is put aside as `<name>.1` and begun anew. 0 is
    /// no bound.
    pub events_max_bytes: u64,
    /// The user to run as when started as root.
    pub user: Option<String>,
    /// Separate listener for `/metrics` and `/healthz`.
    pub metrics: Option<MetricsConfig>,
    /// Level and format of the log on standard error.
    pub log: LogConfig,
}

/// Two files of this size are what a disk with the leases on it has room for.
const EVENTS_MAX_BYTES: u64 = 1024 * 1024 * 1024;

impl Default for Config {
    fn default() -> Config {
        Config {
            interface: None,
            address: None,
            dhcp: None,
            proxy_dhcp: None,
            pixiecore: None,
            boot: BootConfig::default(),
            tftp: None,
            http: None,
            rpc: None,
            router_advertisement: false,
            events: None,
            events_max_bytes: EVENTS_MAX_BYTES,
            user: None,
            metrics: None,
            log: LogConfig::default(),
        }
    }
}

impl Config {
    /// True if a configured service needs a network interface.
    pub fn needs_interface(&self) -> bool {
        self.dhcp.is_some()
            || self.proxy_dhcp.is_some()
            || self.pixiecore.is_some()
            || self.tftp.is_some()
            || self.router_advertisement
    }
}
