//! Networks of a scenario, the routers that join them, and the cards that attach a machine to them.
//!
//! | file | job |
//! |---|---|
//! | [`check`] | conflicts between networks, routers and cards |
//! | [`paths`] | paths between networks, and pools of addresses |
//! | [`read`] | parser |

mod check;
mod paths;
mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::ops::{Deref, DerefMut};
use std::str::FromStr;

use boot_server_proto::dhcp::Vpn;
use boot_server_proto::mac::MacAddr;
use ipnet::Ipv4Net;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(super) use check::check;
pub(super) use read::{DraftNetwork, DraftNic, DraftRouter, build_routers, networks, nics, router};

/// Minimum VLAN id; 0 means "priority tag only" (IEEE 802.1Q).
pub(crate) const VLAN_MIN: u32 = 1;
/// Maximum VLAN id; 4095 is reserved (IEEE 802.1Q).
pub(crate) const VLAN_MAX: u32 = 4094;
/// Minimum MTU: every host must accept a datagram of this size (RFC 791), and a DHCP message fits.
pub(super) const MTU_MIN: u32 = 576;
/// Maximum MTU of usual jumbo frames.
pub(super) const MTU_MAX: u32 = 9000;

/// Networks of a scenario. Dereferences to the first one, where the lab's own services are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Networks {
    first: Network,
    further: Vec<Network>,
}

impl Networks {
    /// Returns networks with these ones beside the first.
    #[must_use]
    pub fn with(first: Network, further: Vec<Network>) -> Networks {
        Networks { first, further }
    }

    /// Returns the networks beside the first one.
    #[must_use]
    pub fn further(&self) -> &[Network] {
        &self.further
    }

    /// Returns all networks, the first one first.
    pub fn iter(&self) -> impl Iterator<Item = &Network> {
        std::iter::once(&self.first).chain(&self.further)
    }

    /// Returns the network of this name; without a name the first one.
    #[must_use]
    pub fn named(&self, name: Option<&str>) -> Option<&Network> {
        match name {
            None => Some(&self.first),
            Some(_) => self.iter().find(|network| network.name.as_deref() == name),
        }
    }

    /// Returns the network that contains this address.
    #[must_use]
    pub fn around(&self, address: Ipv4Addr) -> Option<&Network> {
        self.iter()
            .find(|network| network.subnet.contains(&address))
    }
}

impl From<Network> for Networks {
    fn from(first: Network) -> Networks {
        Networks::with(first, Vec::new())
    }
}

impl Deref for Networks {
    type Target = Network;

    fn deref(&self) -> &Network {
        &self.first
    }
}

impl DerefMut for Networks {
    fn deref_mut(&mut self) -> &mut Network {
        &mut self.first
    }
}

impl Serialize for Networks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.further.is_empty() && self.first.name.is_none() {
            true => self.first.serialize(serializer),
            false => serializer.collect_seq(self.iter()),
        }
    }
}

/// One network as a table, or several as an array of tables; the first is that of the lab's own services.
#[derive(schemars::JsonSchema)]
#[schemars(untagged, inline)]
#[expect(dead_code, reason = "only its JSON schema is used")]
pub(super) enum NetworksToml {
    One(Network),
    Several(#[schemars(length(min = 1))] Vec<Network>),
}

/// `[network]`: the private network of the scenario. `[[network]]`: one of several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Network {
    /// Unique name; required in `[[network]]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[a-z0-9][a-z0-9-]{0,31}$"))]
    pub name: Option<String>,
    /// Subnet in CIDR notation, with a prefix length of 16 to 29.
    #[schemars(with = "String")]
    pub subnet: Ipv4Net,
    /// VLAN id of the network on the cell's switch.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = VLAN_MIN, max = VLAN_MAX))]
    pub vlan: Option<u16>,
    /// Largest IP datagram in bytes [default: 1500].
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = MTU_MIN, max = MTU_MAX))]
    pub mtu: Option<u16>,
    /// Host's address in the subnet [default: the first address]; first network only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Ipv4Addr>,
    /// TCP port of the boot config service; first network only.
    #[serde(skip_serializing_if = "is_usual_port")]
    #[schemars(default = "usual_port", range(min = 1))]
    pub http_port: u16,
    /// Names that resolve to the host, for machines that address their servers by name; first network only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub names: Vec<String>,
    /// Name of the host's interface, if a service's own configuration contains it; first network only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
}

fn usual_port() -> u16 {
    Network::HTTP_PORT
}

fn is_usual_port(port: &u16) -> bool {
    *port == Network::HTTP_PORT
}

impl Network {
    /// Default port of the boot config service, as in bootcfg.
    pub const HTTP_PORT: u16 = 8080;

    /// Name of an unnamed network, and of the first network in captures.
    pub const UNNAMED: &'static str = "net";

    /// Returns a network of this subnet with default settings.
    pub fn new(subnet: Ipv4Net) -> Network {
        Network {
            name: None,
            subnet,
            vlan: None,
            mtu: None,
            address: None,
            http_port: Network::HTTP_PORT,
            names: Vec::new(),
            interface: None,
        }
    }

    /// Returns the name in reports.
    #[must_use]
    pub fn title(&self) -> &str {
        self.name.as_deref().unwrap_or(Network::UNNAMED)
    }

    /// Returns the host's address, where the services listen.
    pub fn host(&self) -> Ipv4Addr {
        self.address.unwrap_or_else(|| self.nth(1))
    }

    /// Returns the first and last address of the DHCP pool: the larger range before or after the host's address.
    pub fn pool(&self) -> (Ipv4Addr, Ipv4Addr) {
        let (first, last) = self.addresses();
        let (first, host, last) = (u32::from(first), u32::from(self.host()), u32::from(last));
        let (before, after) = ((first, host.saturating_sub(1)), (host + 1, last));
        let is_longer = last.saturating_sub(host) >= host.saturating_sub(first);
        let (first, last) = if is_longer { after } else { before };
        (Ipv4Addr::from(first), Ipv4Addr::from(last))
    }

    /// Returns the first and last address that a host can have.
    pub(super) fn addresses(&self) -> (Ipv4Addr, Ipv4Addr) {
        let last = u32::from(self.subnet.broadcast()).saturating_sub(1);
        (self.nth(1), Ipv4Addr::from(last))
    }

    fn nth(&self, n: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.subnet.network()).saturating_add(n))
    }
}

/// True if a host of the subnet can have this address.
pub(super) fn is_host_of(subnet: Ipv4Net, address: Ipv4Addr) -> bool {
    subnet.contains(&address) && ![subnet.network(), subnet.broadcast()].contains(&address)
}

/// `[[router]]`: a host that forwards packets between networks, and DHCP messages if it is a relay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Router {
    /// Unique name in reports [default: `router-` and its number].
    #[schemars(with = "Option<String>", regex(pattern = "^[a-z0-9][a-z0-9-]{0,31}$"))]
    pub name: String,
    /// Names of the networks that it joins.
    #[schemars(length(min = 2))]
    pub joins: Vec<String>,
    /// Address of the DHCP server to which it relays requests, or the first network's name for the host of the
    /// lab's own services [default: no relay].
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub relay_to: Option<Ipv4Addr>,
    /// Program that relays DHCP.
    #[serde(skip_serializing_if = "RelayProgram::is_ours")]
    #[schemars(default)]
    pub relay: RelayProgram,
    /// True if the relay adds the link selection of RFC 3527; not with `relay = "dnsmasq"`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schemars(default)]
    pub link_selection: bool,
    /// True if the relay adds the server identifier override of RFC 5107; `relay = "ours"` only.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schemars(default)]
    pub server_id_override: bool,
    /// VPN of all clients, which the relay names by RFC 6607: a name, or `hex:` and 14 digits of RFC 2685;
    /// `relay = "ours"` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", regex(pattern = "^[!-~]{1,254}$"))]
    pub vpn: Option<Vpn>,
    /// True if the router has one link to the cell's switch, which carries the VLANs of all its networks, instead of
    /// one link to each network.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schemars(default)]
    pub trunk: bool,
    /// Name of the network whose frames have no tag on the trunk [default: all have one].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub native: Option<String>,
    /// Destination ports of packets that are not forwarded, e.g. `udp/69`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        default,
        with = "Vec<String>",
        inner(regex(pattern = "^(udp|tcp)/[0-9]{1,5}$"))
    )]
    pub blocked: Vec<BlockedPort>,
    /// Answer to packets for addresses outside of the scenario's networks [default: `unreachable`]. In the first
    /// network, a router with this key is the machines' default gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outside: Option<Outside>,
    /// Own address in each network, by network [default: the last free address in the first network, the first
    /// free address in others].
    #[schemars(default)]
    pub addresses: BTreeMap<String, Ipv4Addr>,
}

impl Router {
    /// Returns the router's address in this network, if the router joins it.
    #[must_use]
    pub fn address_in(&self, network: &str) -> Option<Ipv4Addr> {
        self.addresses.get(network).copied()
    }
}

/// Program that relays DHCP messages.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum RelayProgram {
    /// Relay of the lab.
    #[default]
    Ours,
    /// `dhcrelay` of ISC.
    IscDhcpRelay,
    /// dnsmasq with `--dhcp-relay`.
    Dnsmasq,
}

impl RelayProgram {
    pub(super) const ALL: [RelayProgram; 3] = [
        RelayProgram::Ours,
        RelayProgram::IscDhcpRelay,
        RelayProgram::Dnsmasq,
    ];

    /// Returns the name in `scenario.toml`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            RelayProgram::Ours => "ours",
            RelayProgram::IscDhcpRelay => "isc-dhcp-relay",
            RelayProgram::Dnsmasq => "dnsmasq",
        }
    }

    /// Returns the name of the program's file; `None` for the lab's own relay.
    #[must_use]
    pub fn file(self) -> Option<&'static str> {
        match self {
            RelayProgram::Ours => None,
            RelayProgram::IscDhcpRelay => Some("dhcrelay"),
            RelayProgram::Dnsmasq => Some("dnsmasq"),
        }
    }

    fn is_ours(&self) -> bool {
        *self == RelayProgram::Ours
    }
}

/// Answer of a router to packets for addresses outside of the scenario's networks.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Outside {
    /// ICMP "network unreachable", as from a router without a default route.
    #[default]
    Unreachable,
    /// None, as behind a NAT whose other side leads nowhere.
    Silent,
}

impl Outside {
    /// All answers, by the names in scenarios.
    pub const ALL: [(&'static str, Outside); 2] = [
        ("unreachable", Outside::Unreachable),
        ("silent", Outside::Silent),
    ];
}

/// Transport protocol of a blocked port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    Udp,
    Tcp,
}

impl Transport {
    /// Returns the name, as in `/etc/protocols`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        }
    }
}

/// Destination port of packets that a router does not forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlockedPort {
    pub transport: Transport,
    pub port: u16,
}

/// Malformed text of a blocked port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid port: `{0}`")]
pub struct BlockedPortError(String);

impl FromStr for BlockedPort {
    type Err = BlockedPortError;

    fn from_str(text: &str) -> Result<BlockedPort, BlockedPortError> {
        let parsed = text.split_once('/').and_then(|(transport, port)| {
            let transport = match transport {
                "udp" => Transport::Udp,
                "tcp" => Transport::Tcp,
                _ => return None,
            };
            let port = port.parse().ok().filter(|port| *port != 0)?;
            Some(BlockedPort { transport, port })
        });
        parsed.ok_or_else(|| BlockedPortError(text.to_owned()))
    }
}

impl fmt::Display for BlockedPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.transport.name(), self.port)
    }
}

impl Serialize for BlockedPort {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BlockedPort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<BlockedPort, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Network card of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Nic {
    /// Name of the card's network [default: the first network].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// MAC of the card; no other card has it.
    pub mac: MacAddr,
    /// True for the card from which the machine boots; exactly one does.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schemars(default)]
    pub boots: bool,
    /// True if the machine itself tags its frames with the network's VLAN; its port on the switch takes no others.
    /// UEFI firmware finds the VLAN in its variables.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schemars(default)]
    pub tagged: bool,
}
