//! `[dhcp]` and `[proxy_dhcp]`: addresses, and boot options beside another DHCP server.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::lease::Durability;

/// Raw options by their code, in the notation of [`super::dhcp_option`].
pub type RawOptions = BTreeMap<String, String>;

/// `[dhcp]`: addresses and boot options.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DhcpConfig {
    /// The subnet served, e.g. `172.17.0.0/24`.
    #[schemars(with = "String")]
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
    /// NTP servers given to clients.
    #[serde(default)]
    pub ntp: Vec<Ipv4Addr>,
    /// Interface MTU given to clients.
    pub mtu: Option<u16>,
    /// Lease time in seconds.
    #[serde(default = "default_lease_seconds")]
    pub lease_seconds: u32,
    /// Any other options, e.g. `options = { 150 = "10.0.0.1", 252 = "text:http://wpad/" }`.
    #[serde(default)]
    pub options: RawOptions,
    /// Path of the lease file; leases are kept only in memory when absent.
    pub lease_file: Option<PathBuf>,
    /// Waits for the disk before a lease is given, so that it survives a loss of power and not only the
    /// end of the server.
    #[serde(default)]
    pub lease_sync: bool,
    /// Duration of the probe of an address that is new to its client, before the address is offered, in
    /// milliseconds; 0 offers without a probe.
    #[serde(default = "default_probe_ms")]
    pub probe_ms: u32,
    /// Broadcasts every answer to a client that has no address yet, for firmware that does not hear
    /// what is sent to the address it is only about to get.
    #[serde(default)]
    pub always_broadcast: bool,
    /// Subnets of clients behind relay agents.
    #[serde(default, rename = "pool")]
    pub pools: Vec<PoolConfig>,
    /// Fixed addresses of known machines.
    #[serde(default, rename = "reservation")]
    pub reservations: Vec<Reservation>,
}

/// `[[dhcp.pool]]`: addresses of a further subnet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PoolConfig {
    /// Subnet in CIDR notation, with all host bits zero.
    #[schemars(with = "String")]
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
    /// NTP servers given to clients.
    #[serde(default)]
    pub ntp: Vec<Ipv4Addr>,
    /// Interface MTU given to clients.
    pub mtu: Option<u16>,
    /// Lease time in seconds.
    #[serde(default = "default_lease_seconds")]
    pub lease_seconds: u32,
    /// Any other options.
    #[serde(default)]
    pub options: RawOptions,
    /// VPN of the subnet's clients (RFC 6607), e.g. `blue` or `hex:00005e00000001`: the relay agent names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vpn: Option<String>,
}

impl DhcpConfig {
    /// Returns a server of this subnet that says nothing of it beyond what is asked here.
    pub fn new(subnet: Ipv4Net, first: Ipv4Addr, last: Ipv4Addr) -> DhcpConfig {
        DhcpConfig {
            subnet,
            first,
            last,
            router: None,
            dns: Vec::new(),
            domain: None,
            ntp: Vec::new(),
            mtu: None,
            lease_seconds: default_lease_seconds(),
            options: RawOptions::new(),
            lease_file: None,
            lease_sync: false,
            probe_ms: default_probe_ms(),
            always_broadcast: false,
            pools: Vec::new(),
            reservations: Vec::new(),
        }
    }

    /// Returns the failures that its leases survive.
    pub fn durability(&self) -> Durability {
        match self.lease_sync {
            true => Durability::PowerLoss,
            false => Durability::Death,
        }
    }

    /// Pool defined in `[dhcp]` itself.
    pub(super) fn own_pool(&self) -> PoolConfig {
        PoolConfig {
            subnet: self.subnet,
            first: self.first,
            last: self.last,
            router: self.router,
            dns: self.dns.clone(),
            domain: self.domain.clone(),
            ntp: self.ntp.clone(),
            mtu: self.mtu,
            lease_seconds: self.lease_seconds,
            options: self.options.clone(),
            vpn: None,
        }
    }
}

/// `[[dhcp.reservation]]`: a fixed address for one machine, known by exactly one of `mac`, `uuid` and
/// `client_id`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reservation {
    /// The machine's MAC, any common notation.
    pub mac: Option<String>,
    /// The machine's SMBIOS UUID.
    pub uuid: Option<String>,
    /// The machine's client identifier: `hex:01:52:54:…` or `text:name`.
    pub client_id: Option<String>,
    /// Address to assign, in one of the subnets.
    pub address: Ipv4Addr,
    /// Host name given with it (option 12).
    pub hostname: Option<String>,
    /// Options that override those of the pool.
    #[serde(default)]
    pub options: RawOptions,
}

/// `[proxy_dhcp]`: ports 67 and 4011 beside another DHCP server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProxyDhcpConfig {
    /// Listen to port 67 without binding it, for a host whose DHCP server does not share the port.
    pub no_bind: bool,
}

fn default_lease_seconds() -> u32 {
    3600
}

/// A host that is there answers ARP within a few milliseconds; a machine that boots waits this long
/// once, the first time it is seen.
fn default_probe_ms() -> u32 {
    100
}
