//! `[dhcp]` and `[proxy_dhcp]`: addresses, and boot options beside another DHCP server.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

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

impl DhcpConfig {
    /// All of a subnet, with the default for everything else.
    pub fn of(subnet: Ipv4Net) -> DhcpConfig {
        DhcpConfig {
            subnet,
            first: subnet.network(),
            last: subnet.broadcast(),
            router: None,
            dns: Vec::new(),
            domain: None,
            lease_seconds: default_lease_seconds(),
            lease_file: None,
            reservations: Vec::new(),
        }
    }
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

/// `[proxy_dhcp]`: ports 67 and 4011 beside another DHCP server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProxyDhcpConfig {
    /// Listen to port 67 without binding it, for a host whose DHCP server does not share the port.
    pub no_bind: bool,
}

fn default_lease_seconds() -> u32 {
    3600
}
