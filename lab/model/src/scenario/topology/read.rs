//! Parser of networks, routers and cards.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::ops::Range;

use boot_server_proto::dhcp::Vpn;
use boot_server_proto::mac::MacAddr;
use ipnet::Ipv4Net;

use super::super::draft::{Draft, mac};
use super::super::expect;
use super::super::problem::{Located, Wrong};
use super::super::read::{Item, Table};
use super::super::text::word;
use super::{
    BlockedPort, MTU_MAX, MTU_MIN, Network, Networks, Nic, Outside, RelayProgram, Router, VLAN_MAX,
    VLAN_MIN,
};

/// Readable parts of a network.
#[derive(Debug)]
pub(in crate::scenario) struct DraftNetwork {
    pub(super) at: Range<usize>,
    pub(super) name: Option<Located<String>>,
    pub(in crate::scenario) subnet: Option<Located<Ipv4Net>>,
    pub(super) vlan: Option<Located<u32>>,
    mtu: Option<u16>,
    pub(in crate::scenario) address: Option<Located<Ipv4Addr>>,
    http_port: Option<u16>,
    names: Vec<String>,
    interface: Option<String>,
    /// Given keys that only the first network may have.
    pub(super) host_keys: Vec<Located<&'static str>>,
}

impl DraftNetwork {
    /// Returns the network's name in messages and captures.
    pub(in crate::scenario) fn title(&self) -> &str {
        let name = self.name.as_ref();
        name.map_or(Network::UNNAMED, |name| &name.value)
    }

    /// Returns the network, if all required parts are present.
    pub(in crate::scenario) fn build(&self) -> Option<Network> {
        Some(Network {
            name: self.name.as_ref().map(|name| name.value.clone()),
            subnet: self.subnet.as_ref()?.value,
            vlan: self
                .vlan
                .as_ref()
                .and_then(|vlan| u16::try_from(vlan.value).ok()),
            mtu: self.mtu,
            address: self.address.as_ref().map(|address| address.value),
            http_port: self.http_port.unwrap_or(Network::HTTP_PORT),
            names: self.names.clone(),
            interface: self.interface.clone(),
        })
    }
}

/// Parses one `[network]`, or several `[[network]]`.
pub(in crate::scenario) fn networks(root: &Table) -> Vec<DraftNetwork> {
    let Some(item) = root.required("network", "[network]") else {
        return Vec::new();
    };
    if item.length().is_none() {
        let table = item.table("[network]");
        return table
            .into_iter()
            .map(|table| network(table, false))
            .collect();
    }
    let items = item.list().unwrap_or_default();
    if items.is_empty() {
        item.wrong(Wrong::new(
            "missing networks",
            "add at least one `[[network]]`, or use a `[network]`",
        ));
    }
    let tables = items.iter().filter_map(|item| item.table("[[network]]"));
    tables.map(|table| network(table, true)).collect()
}

fn network(table: Table, needs_name: bool) -> DraftNetwork {
    let name = match needs_name {
        true => table.required("name", "name = \"rack1\""),
        false => table.optional("name"),
    };
    let host_keys = ["address", "http_port", "names", "interface"]
        .into_iter()
        .filter_map(|key| {
            let at = table.optional(key)?.at();
            Some(Located { value: key, at })
        });
    let number = |key, range, unit| {
        let item: Item = table.optional(key)?;
        item.number(range, unit)
    };
    let network = DraftNetwork {
        at: table.at(),
        name: name.and_then(|item| item.parse(|text| word(text, "network name"))),
        subnet: table
            .required("subnet", "subnet = \"192.168.90.0/24\"")
            .and_then(|item| item.parse(subnet)),
        vlan: number("vlan", VLAN_MIN..=VLAN_MAX, "as a VLAN id"),
        mtu: number("mtu", MTU_MIN..=MTU_MAX, "bytes")
            .and_then(|mtu| u16::try_from(mtu.value).ok()),
        host_keys: host_keys.collect(),
        address: table
            .optional("address")
            .and_then(|item| item.parse(|text| address(text, "192.168.90.7"))),
        http_port: number("http_port", 1..=u16::MAX.into(), "as a port")
            .and_then(|port| u16::try_from(port.value).ok()),
        names: table
            .optional("names")
            .and_then(|item| item.list())
            .into_iter()
            .flatten()
            .filter_map(|item| item.parse(expect::host_name))
            .map(|name| name.value)
            .collect(),
        interface: table
            .optional("interface")
            .and_then(|item| item.parse(interface))
            .map(|name| name.value),
    };
    table.finish();
    network
}

/// Readable parts of a router.
#[derive(Debug)]
pub(in crate::scenario) struct DraftRouter {
    pub(super) at: Range<usize>,
    pub(super) name: Located<String>,
    /// Location of `joins`.
    pub(super) joins_at: Range<usize>,
    pub(super) joins: Vec<Located<String>>,
    pub(super) addresses: Vec<(String, Located<Ipv4Addr>)>,
    pub(super) relay_to: Option<Located<RelayTarget>>,
    pub(super) relay: Option<Located<RelayProgram>>,
    pub(super) link_selection: Option<Located<bool>>,
    pub(super) server_id_override: Option<Located<bool>>,
    pub(super) vpn: Option<Located<Vpn>>,
    pub(super) trunk: Option<Located<bool>>,
    pub(super) native: Option<Located<String>>,
    pub(super) blocked: Vec<BlockedPort>,
    outside: Option<Outside>,
}

/// DHCP server of a relay, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RelayTarget {
    Address(Ipv4Addr),
    /// Host of the lab's own services, by the name of its network.
    HostOf(String),
}

/// Parses one `[[router]]`, the `number`th (from 1).
pub(in crate::scenario) fn router(item: &Item, number: usize) -> Option<DraftRouter> {
    let table = item.table("[[router]]")?;
    let programs = RelayProgram::ALL.map(|program| (program.name(), program));
    let name = match table.optional("name") {
        Some(item) => item.parse(|text| word(text, "router name")),
        None => None,
    };
    let joins = table.required("joins", "joins = [\"servers\", \"rack1\"]");
    let flag = |key| {
        let item: Item = table.optional(key)?;
        item.flag()
    };
    let router = DraftRouter {
        at: table.at(),
        name: name.unwrap_or(Located {
            value: format!("router-{number}"),
            at: table.at(),
        }),
        joins_at: joins.map_or(table.at(), |item| item.at()),
        joins: joins
            .and_then(|item| item.list())
            .into_iter()
            .flatten()
            .filter_map(|item| item.text())
            .collect(),
        addresses: table
            .optional("addresses")
            .and_then(|item| item.entries())
            .into_iter()
            .flatten()
            .filter_map(|(network, item)| {
                let address = item.parse(|text| address(text, "10.20.1.1"))?;
                Some((network, address))
            })
            .collect(),
        relay_to: table
            .optional("relay_to")
            .and_then(|item| item.parse(relay_target)),
        relay: table
            .optional("relay")
            .and_then(|item| item.choice(&programs)),
        link_selection: flag("link_selection"),
        server_id_override: flag("server_id_override"),
        vpn: table.optional("vpn").and_then(|item| item.parse(vpn)),
        trunk: flag("trunk"),
        native: table.optional("native").and_then(|item| item.text()),
        blocked: table
            .optional("blocked")
            .and_then(|item| item.list())
            .into_iter()
            .flatten()
            .filter_map(|item| item.parse(blocked_port))
            .map(|port| port.value)
            .collect(),
        outside: table
            .optional("outside")
            .and_then(|item| item.choice(&Outside::ALL))
            .map(|answer| answer.value),
    };
    table.finish();
    Some(router)
}

/// Returns the routers with all their addresses, if the draft is sound.
pub(in crate::scenario) fn build_routers(draft: &Draft, networks: &Networks) -> Vec<Router> {
    let addresses = leg_addresses(draft);
    let routers = draft.routers.iter().zip(addresses);
    let build = |(router, addresses): (&DraftRouter, BTreeMap<String, Ipv4Addr>)| Router {
        name: router.name.value.clone(),
        joins: router.joins.iter().map(|name| name.value.clone()).collect(),
        relay_to: router.relay_to.as_ref().map(|target| match target.value {
            RelayTarget::Address(address) => address,
            RelayTarget::HostOf(_) => networks.host(),
        }),
        relay: router
            .relay
            .as_ref()
            .map_or(RelayProgram::Ours, |one| one.value),
        link_selection: router.link_selection.as_ref().is_some_and(|one| one.value),
        server_id_override: router
            .server_id_override
            .as_ref()
            .is_some_and(|one| one.value),
        vpn: router.vpn.as_ref().map(|one| one.value.clone()),
        trunk: router.trunk.as_ref().is_some_and(|one| one.value),
        native: router.native.as_ref().map(|name| name.value.clone()),
        blocked: router.blocked.clone(),
        outside: router.outside,
        addresses,
    };
    routers.map(build).collect()
}

/// Returns each router's address in each network: the given one, else the last free address of the first network
/// and the first free one of others.
fn leg_addresses(draft: &Draft) -> Vec<BTreeMap<String, Ipv4Addr>> {
    let given = |router: &DraftRouter, network: &str| {
        let mut addresses = router.addresses.iter();
        let found = addresses.find(|(name, _)| name == network);
        found.map(|(_, address)| address.value)
    };
    let mut taken: Vec<Ipv4Addr> = draft.taken_addresses().collect();
    let all = draft.routers.iter().flat_map(|router| &router.addresses);
    taken.extend(all.map(|(_, address)| address.value));
    let mut legs = Vec::new();
    for router in &draft.routers {
        let mut addresses = BTreeMap::new();
        for joined in &router.joins {
            let place = draft
                .networks
                .iter()
                .position(|one| one.title() == joined.value);
            let Some((place, network)) =
                place.and_then(|place| Some((place, draft.networks.get(place)?)))
            else {
                continue;
            };
            let Some(subnet) = network.subnet.as_ref().map(|subnet| subnet.value) else {
                continue;
            };
            let free = || {
                let (first, last) = Network::new(subnet).addresses();
                let mut hosts = u32::from(first)..=u32::from(last);
                let is_free = |host: &u32| !taken.contains(&Ipv4Addr::from(*host));
                match place {
                    0 => hosts.rev().find(is_free),
                    _ => hosts.find(is_free),
                }
                .map(Ipv4Addr::from)
            };
            if let Some(address) = given(router, &joined.value).or_else(free) {
                taken.push(address);
                addresses.insert(joined.value.clone(), address);
            }
        }
        legs.push(addresses);
    }
    legs
}

/// Readable parts of a network card.
#[derive(Debug)]
pub(in crate::scenario) struct DraftNic {
    pub(super) at: Range<usize>,
    pub(in crate::scenario) network: Option<Located<String>>,
    pub(in crate::scenario) mac: Option<Located<MacAddr>>,
    pub(super) boots: Option<Located<bool>>,
    pub(super) tagged: Option<Located<bool>>,
}

impl DraftNic {
    /// True if the machine boots from the card.
    pub(in crate::scenario) fn boots(&self) -> bool {
        self.boots.as_ref().is_some_and(|boots| boots.value)
    }

    /// Returns the card, if all required parts are present.
    pub(in crate::scenario) fn build(self) -> Option<Nic> {
        Some(Nic {
            boots: self.boots(),
            tagged: self.tagged.is_some_and(|tagged| tagged.value),
            network: self.network.map(|name| name.value),
            mac: self.mac?.value,
        })
    }
}

/// Parses the cards of a node; a single card boots unless it says otherwise.
pub(in crate::scenario) fn nics(item: &Item) -> Vec<DraftNic> {
    let items = item.list().unwrap_or_default();
    if item.length() == Some(0) {
        item.wrong(Wrong::new(
            "`nics` is empty",
            "write at least one card, e.g. `{ mac = \"52:54:00:a1:9c:ae\", boots = true }`",
        ));
    }
    let mut nics: Vec<DraftNic> = items.iter().filter_map(nic).collect();
    if let [only] = nics.as_mut_slice()
        && only.boots.is_none()
    {
        let at = only.at.clone();
        only.boots = Some(Located { value: true, at });
    }
    nics
}

fn nic(item: &Item) -> Option<DraftNic> {
    let table = item.table("`nics`")?;
    let nic = DraftNic {
        at: table.at(),
        network: table.optional("network").and_then(|item| item.text()),
        mac: table
            .required("mac", "mac = \"52:54:00:a1:9c:ae\"")
            .and_then(|item| item.parse(mac)),
        boots: table.optional("boots").and_then(|item| item.flag()),
        tagged: table.optional("tagged").and_then(|item| item.flag()),
    };
    table.finish();
    Some(nic)
}

fn address(text: &str, example: &str) -> Result<Ipv4Addr, Wrong> {
    let help = format!("use an IPv4 address of the subnet, e.g. `{example}`");
    let address = text.parse();
    address.map_err(|_| Wrong::new(format!("invalid IPv4 address: `{text}`"), help))
}

fn relay_target(text: &str) -> Result<RelayTarget, Wrong> {
    if let Ok(address) = text.parse() {
        return Ok(RelayTarget::Address(address));
    }
    match word(text, "DHCP server") {
        Ok(name) => Ok(RelayTarget::HostOf(name)),
        Err(wrong) => Err(Wrong::new(
            wrong.what,
            "use the DHCP server's IPv4 address, or the first network's name for the lab's own server",
        )),
    }
}

fn vpn(text: &str) -> Result<Vpn, Wrong> {
    text.parse::<Vpn>()
        .map_err(|error| Wrong::new(error.to_string(), error.help()))
}

fn blocked_port(text: &str) -> Result<BlockedPort, Wrong> {
    let help = "use a protocol and a port, e.g. `udp/69` or `tcp/8080`";
    text.parse::<BlockedPort>()
        .map_err(|error| Wrong::new(error.to_string(), help))
}

/// Parses the name of a network interface, by Linux's rules (`dev_valid_name` in `net/core/dev.c`).
fn interface(text: &str) -> Result<String, Wrong> {
    let sound = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-_.@".contains(&b));
    if sound && (1..=15).contains(&text.len()) && ![".", "..", "lo"].contains(&text) {
        return Ok(text.to_owned());
    }
    Err(Wrong::new(
        format!("invalid interface name: `{text}`"),
        "use 1 to 15 letters, digits and `-_.@`, e.g. `eth0`",
    ))
}

fn subnet(text: &str) -> Result<Ipv4Net, Wrong> {
    let example = "use a network address and a prefix length, e.g. `192.168.90.0/24`";
    let net: Ipv4Net = text
        .parse()
        .map_err(|_| Wrong::new(format!("invalid IPv4 subnet: `{text}`"), example))?;
    if net.trunc() != net {
        let what = format!("invalid IPv4 subnet: `{text}` (a host address in a subnet)");
        return Err(Wrong::new(what, format!("write `{}`", net.trunc())));
    }
    let address = net.network();
    let kind = if address.is_loopback() {
        Some("loopback addresses never leave a host")
    } else if address.is_multicast() {
        Some("multicast addresses belong to no host")
    } else if address.is_link_local() {
        Some("DHCP servers never lease link-local addresses")
    } else if address
        .octets()
        .first()
        .is_some_and(|first| *first == 0 || *first >= 240)
    {
        Some("reserved addresses belong to no host")
    } else {
        None
    };
    if let Some(kind) = kind {
        let what = format!("unusable subnet: `{text}` ({kind})");
        return Err(Wrong::new(
            what,
            "use a private subnet, e.g. `192.168.90.0/24`",
        ));
    }
    if !(16..=29).contains(&net.prefix_len()) {
        let what = format!("invalid prefix length: {}", net.prefix_len());
        let help = format!(
            "it must be 16 to 29, e.g. `{}/24`",
            Ipv4Addr::from(u32::from(address) & 0xffff_ff00)
        );
        return Err(Wrong::new(what, help));
    }
    Ok(net)
}
