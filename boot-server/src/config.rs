//! The boot server's one configuration file (TOML): its shape, and the checks that need no network.
//!
//! Relative paths are relative to the file. A section that is absent is a service that does not run.

mod check;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

pub use check::ConfigProblem;

/// Everything that one `boot-server` process does.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The network interface on which DHCP, proxyDHCP and TFTP are answered.
    pub interface: Option<String>,
    /// Our own IPv4 address there; the interface's first one when absent.
    pub address: Option<Ipv4Addr>,
    /// The PXE-enabled DHCP server.
    pub dhcp: Option<DhcpConfig>,
    /// Boot options beside another DHCP server, which keeps giving the addresses.
    pub proxy_dhcp: Option<ProxyDhcpConfig>,
    /// Pixiecore mode: proxyDHCP + TFTP + HTTP in one, asking an HTTP API what each MAC boots.
    pub pixiecore: Option<PixiecoreConfig>,
    /// What PXE clients are given (with `dhcp` or `proxy_dhcp`).
    pub boot: BootConfig,
    /// The TFTP server.
    pub tftp: Option<TftpConfig>,
    /// The HTTP boot config service.
    pub http: Option<HttpConfig>,
    /// Answers IPv6 router solicitations with a router advertisement that offers no route, so that
    /// iPXE does not wait 13 s for a router that is not there. Off on real networks, on in the lab.
    pub router_advertisement: bool,
    /// Where events go: a file to append JSON lines to; standard output when absent.
    pub events: Option<PathBuf>,
}

/// `[dhcp]`: addresses and boot options.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DhcpConfig {
    /// The subnet served, e.g. `172.17.0.0/24`.
    pub subnet: Ipv4Net,
    /// First address of the pool.
    pub first: Ipv4Addr,
    /// Last address of the pool, included.
    pub last: Ipv4Addr,
    /// Default router given to clients.
    pub router: Option<Ipv4Addr>,
    /// DNS servers given to clients.
    #[serde(default)]
    pub dns: Vec<Ipv4Addr>,
    /// Domain name given to clients.
    pub domain: Option<String>,
    /// Lease time in seconds.
    #[serde(default = "default_lease_seconds")]
    pub lease_seconds: u32,
    /// Where leases are kept across restarts; only in memory when absent.
    pub lease_file: Option<PathBuf>,
    /// Fixed addresses by MAC.
    #[serde(default, rename = "reservation")]
    pub reservations: Vec<Reservation>,
}

/// `[[dhcp.reservation]]`: a fixed address for one machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reservation {
    /// The machine's MAC, any common notation.
    pub mac: String,
    /// Its address, in the subnet.
    pub address: Ipv4Addr,
    /// Host name given with it (option 12).
    pub hostname: Option<String>,
}

/// `[proxy_dhcp]`: ports 67 and 4011 beside another DHCP server. It has no settings yet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyDhcpConfig {}

/// `[pixiecore]`: as `pixiecore api URL`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PixiecoreConfig {
    /// API prefix; `GET <api>/v1/boot/<mac>` is asked.
    pub api: String,
    /// Port of Pixiecore's own HTTP server (`/_/ipxe`, `/_/file`, `/_/booting`).
    #[serde(default = "default_pixiecore_port")]
    pub port: u16,
}

/// `[boot]`: which network boot program each kind of client is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BootConfig {
    /// What BIOS clients run.
    pub bios: BiosLoader,
    /// Also chainload clients whose firmware already is iPXE (a network card's ROM), once.
    pub chainload_ipxe: bool,
    /// NBP for BIOS clients with `bios = "ipxe"`.
    pub bios_nbp: String,
    /// NBP for x64 UEFI clients.
    pub efi_x64_nbp: String,
    /// Script given to iPXE: a URL; `http://<address>:<http port>/boot.ipxe` when absent.
    pub script_url: Option<String>,
}

impl Default for BootConfig {
    fn default() -> Self {
        BootConfig {
            bios: BiosLoader::Ipxe,
            chainload_ipxe: false,
            bios_nbp: "undionly.kpxe".into(),
            efi_x64_nbp: "ipxe.efi".into(),
            script_url: None,
        }
    }
}

/// The boot loader that BIOS clients are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BiosLoader {
    /// `undionly.kpxe`, then `boot.ipxe` over HTTP.
    Ipxe,
    /// `pxelinux.0` and `pxelinux.cfg/…`, all by TFTP. iPXE ROMs are given it as well.
    Pxelinux,
}

/// `[tftp]`: what TFTP serves beside the rendered `pxelinux.cfg/…`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TftpConfig {
    /// Folders searched in order; Debian's NBP folders (`/usr/lib/ipxe`, `/usr/lib/PXELINUX`,
    /// `/usr/lib/syslinux/modules/bios`) are searched after them. `assets/…` is the HTTP assets folder.
    pub roots: Vec<PathBuf>,
}

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

fn default_lease_seconds() -> u32 {
    3600
}

fn default_pixiecore_port() -> u16 {
    80
}

fn default_http_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8080))
}
