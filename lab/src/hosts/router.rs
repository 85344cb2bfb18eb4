//! Router between networks of a cell: forwards packets, except those to blocked ports, and may relay DHCP
//! ([`relay`](super::relay)).
//!
//! Ports are blocked by routing rules, because every kernel has them: kernels without modules may lack netfilter's
//! matches, and an ordinary user cannot load any.

use std::fs;
use std::io;
use std::net::Ipv4Addr;

use boot_server_proto::dhcp::Vpn;
use boot_server_proto::mac::MacAddr;
use ipnet::Ipv4Net;
use lab_model::fault::RelayFlaw;
use lab_model::scenario::{BlockedPort, Outside, RelayProgram};
use serde::{Deserialize, Serialize};

use super::trunk::{self, TrunkJob};
use super::{advertise, ip, relay, say_up};

/// Router to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterJob {
    /// One leg for each network joined.
    pub legs: Vec<Leg>,
    /// Trunk whose VLANs are the legs, in their order; `None` for a cable to each network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trunk: Option<TrunkJob>,
    /// Subnets that the router reaches through another router, each with its address.
    pub routes: Vec<(Ipv4Net, Ipv4Addr)>,
    /// Ports that the router does not forward to, in any direction.
    pub blocked: Vec<BlockedPort>,
    pub relay: Option<RelayJob>,
    /// Answer to packets for addresses outside of the cell.
    pub outside: Outside,
}

/// Attachment of a router to one network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    /// Name of the network.
    pub network: String,
    pub bridge: String,
    /// Interface in the router's namespace; set by [`Plug::start_router`](super::attachment::Plug::start_router).
    pub interface: String,
    pub mac: MacAddr,
    pub address: Ipv4Addr,
    /// Prefix length of the network.
    pub prefix: u8,
    /// MTU of both ends, in bytes; `None` for Ethernet's.
    pub mtu: Option<u16>,
    /// True to send IPv6 router advertisements.
    pub advertises: bool,
}

/// DHCP relay of a router.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayJob {
    pub program: RelayProgram,
    /// DHCP server that requests are sent to.
    pub server: Ipv4Addr,
    /// True to name the client's link in option 82.5 and the link to the server as `giaddr` (RFC 3527).
    pub link_selection: bool,
    /// True to stand in as the server for clients, by option 82.11 (RFC 5107).
    pub server_id_override: bool,
    /// VPN of all clients, named in option 82.151 (RFC 6607).
    pub vpn: Option<Vpn>,
    pub flaw: Option<RelayFlaw>,
}

/// Configures the router in its own network namespace and works until it is killed.
pub(super) fn run(job: &RouterJob) -> io::Result<()> {
    ip(&["link", "set", "lo", "up"])?;
    fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
    if let Some(trunk) = &job.trunk {
        trunk::join(trunk)?;
    }
    for leg in &job.legs {
        set_up(leg)?;
        for blocked in &job.blocked {
            block(&leg.interface, blocked)?;
        }
    }
    for (subnet, hop) in &job.routes {
        ip(&["route", "add", &subnet.to_string(), "via", &hop.to_string()])?;
    }
    if job.outside == Outside::Silent {
        // Without this route, the kernel answers "network unreachable".
        ip(&["route", "add", "blackhole", "default"])?;
    }
    for leg in job.legs.iter().filter(|leg| leg.advertises) {
        advertise::start(leg)?;
    }
    match &job.relay {
        Some(relay) => relay::run(relay, &job.legs),
        None => {
            say_up()?;
            loop {
                std::thread::park();
            }
        }
    }
}

fn set_up(leg: &Leg) -> io::Result<()> {
    let Leg { interface, mac, .. } = leg;
    if let Some(mtu) = leg.mtu {
        ip(&["link", "set", interface, "mtu", &mtu.to_string()])?;
    }
    ip(&["link", "set", interface, "address", &mac.to_string(), "up"])?;
    let address = format!("{}/{}", leg.address, leg.prefix);
    ip(&["address", "add", &address, "dev", interface])
}

/// Drops packets that arrive at an interface and are to be forwarded to a port. The router's own port stays open,
/// because the table of local addresses comes before all rules.
fn block(interface: &str, BlockedPort { transport, port }: &BlockedPort) -> io::Result<()> {
    let port = port.to_string();
    let packets = [
        "iif",
        interface,
        "ipproto",
        transport.name(),
        "dport",
        &port,
    ];
    ip(&[&["rule", "add"][..], &packets[..], &["blackhole"][..]].concat())
}
