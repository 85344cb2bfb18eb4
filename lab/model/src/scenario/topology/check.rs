//! Conflicts between networks, routers, services and cards.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::ops::Range;

use super::super::draft::{Draft, DraftNode};
use super::super::problem::{Located, Source, Wrong, nearest, one_of};
use super::super::service::{self, Part};
use super::read::{DraftNetwork, DraftRouter, RelayTarget};
use super::{Network, RelayProgram, VLAN_MAX, is_host_of};

/// Adds to `source` all conflicts of the topology.
pub(in crate::scenario) fn check(draft: &Draft, source: &Source) {
    if draft.networks.is_empty() {
        // Reported by the parser.
        return;
    }
    names(draft, source);
    subnets(&draft.networks, source);
    vlans(&draft.networks, source);
    for network in draft.networks.iter().skip(1) {
        host_keys(network, source);
    }
    for router in &draft.routers {
        joins(router, draft, source);
        addresses(router, draft, source);
        relay(router, draft, source);
        trunk(router, draft, source);
    }
    duplicate_addresses(draft, source);
    for node in &draft.nodes {
        cards(node, draft, source);
        tagged(node, draft, source);
    }
    for service in &draft.custom_services {
        if let Some(name) = &service.network {
            known(name, draft, source);
        }
    }
    let is_known = |name: &Located<String>| draft.network(Some(&name.value)).is_some();
    let mut routers = draft.routers.iter();
    // A router that joins the wrong networks is the one mistake to report.
    if routers.all(|router| router.joins.len() > 1 && router.joins.iter().all(is_known)) {
        for network in &draft.networks {
            reach(network, draft, source);
        }
    }
}

/// Reports the second of two equal values.
fn once<'d>(
    source: &Source,
    what: &str,
    help: &str,
    values: impl Iterator<Item = (String, &'d Range<usize>)>,
) {
    let mut first: HashMap<String, &Range<usize>> = HashMap::new();
    for (value, at) in values {
        if let Some(earlier) = first.get(&value) {
            source.clash(
                (at.clone(), "again here"),
                ((*earlier).clone(), "first here"),
                Wrong::new(format!("duplicate {what}: `{value}`"), help),
            );
        } else {
            first.insert(value, at);
        }
    }
}

fn names(draft: &Draft, source: &Source) {
    let networks = draft.networks.iter().filter_map(|one| one.name.as_ref());
    let text = |name: &Located<String>| name.value.clone();
    once(
        source,
        "network name",
        "each network needs its own name",
        networks.map(|name| (text(name), &name.at)),
    );
    let services = draft.custom_services.iter();
    let services = services.filter_map(|service| service.name.as_ref());
    let routers = draft.routers.iter().map(|router| &router.name);
    let hosts: Vec<&Located<String>> = match draft.routers.is_empty() {
        // Services are compared with each other by their own check.
        true => Vec::new(),
        false => services.chain(routers).collect(),
    };
    let is_router = |at: &Range<usize>| draft.routers.iter().any(|one| one.name.at == *at);
    let mut first: HashMap<&str, &Range<usize>> = HashMap::new();
    for name in hosts {
        let earlier = first.get(name.value.as_str());
        if let (Some(earlier), true) = (earlier, is_router(&name.at)) {
            source.clash(
                (name.at.clone(), "again here"),
                ((*earlier).clone(), "first here"),
                Wrong::new(
                    format!("duplicate router name: `{}`", name.value),
                    "each router needs a name that no router or service has",
                ),
            );
        }
        first.entry(&name.value).or_insert(&name.at);
    }
    for router in &draft.routers {
        if service::is_reserved(&router.name.value) {
            source.wrong(
                router.name.at.clone(),
                "reserved",
                Wrong::new(
                    format!(
                        "reserved router name: `{}` (the lab's own)",
                        router.name.value
                    ),
                    format!("use another name, e.g. `my-{}`", router.name.value),
                ),
            );
        }
    }
    // The first network's capture has this name.
    let further = draft.networks.iter().skip(1);
    for name in further.filter_map(|network| network.name.as_ref()) {
        if name.value == Network::UNNAMED {
            source.wrong(
                name.at.clone(),
                "reserved",
                Wrong::new(
                    format!("reserved network name: `{}`", name.value),
                    "only the first network may have it; use another name, e.g. `rack1`",
                ),
            );
        }
    }
}

fn subnets(networks: &[DraftNetwork], source: &Source) {
    for (index, network) in networks.iter().enumerate() {
        let Some(subnet) = &network.subnet else {
            continue;
        };
        let mut earlier = networks.iter().take(index);
        let overlapping = earlier.find_map(|other| {
            let known = other.subnet.as_ref()?;
            let overlap =
                known.value.contains(&subnet.value) || subnet.value.contains(&known.value);
            overlap.then_some(known)
        });
        if let Some(known) = overlapping {
            source.clash(
                (subnet.at.clone(), "overlaps"),
                (known.at.clone(), "first here"),
                Wrong::new(
                    format!("overlapping subnets: {} and {}", subnet.value, known.value),
                    "each network needs its own range of addresses, e.g. `10.20.1.0/24` beside `10.20.0.0/24`",
                ),
            );
        }
    }
}

fn vlans(networks: &[DraftNetwork], source: &Source) {
    let ids = networks.iter().filter_map(|network| network.vlan.as_ref());
    once(
        source,
        "VLAN id",
        "each network is a VLAN of its own",
        ids.map(|vlan| (vlan.value.to_string(), &vlan.at)),
    );
}

fn host_keys(network: &DraftNetwork, source: &Source) {
    for key in &network.host_keys {
        source.wrong(
            key.at.clone(),
            "not here",
            Wrong::new(
                format!("`{}` in a network beside the first", key.value),
                "remove the line: the lab's own services are in the first `[[network]]`",
            ),
        );
    }
}

/// Reports an unknown name of a network.
fn known(name: &Located<String>, draft: &Draft, source: &Source) {
    let titles = || draft.networks.iter().map(DraftNetwork::title);
    if titles().any(|title| title == name.value) {
        return;
    }
    let named = draft.networks.iter().filter_map(|one| one.name.as_ref());
    let named: Vec<&str> = named.map(|name| name.value.as_str()).collect();
    let help = match (
        nearest(&name.value, named.iter().copied()),
        named.is_empty(),
    ) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, true) => "write the networks as `[[network]]`, each with a `name`".to_owned(),
        (None, false) => format!("known: {}", one_of(named)),
    };
    let what = format!("unknown network: `{}`", name.value);
    source.wrong(name.at.clone(), "unknown", Wrong::new(what, help));
}

fn joins(router: &DraftRouter, draft: &Draft, source: &Source) {
    for name in &router.joins {
        known(name, draft, source);
    }
    once(
        source,
        "network in `joins`",
        "a router has one leg in each network",
        router
            .joins
            .iter()
            .map(|name| (name.value.clone(), &name.at)),
    );
    // A missing key is reported by the parser.
    if router.joins.len() < 2 && router.joins_at != router.at {
        source.wrong(
            router.joins_at.clone(),
            "too few",
            Wrong::new(
                format!("router to nowhere: `{}`", router.name.value),
                "name at least two networks, e.g. `joins = [\"servers\", \"rack1\"]`",
            ),
        );
    }
}

fn addresses(router: &DraftRouter, draft: &Draft, source: &Source) {
    for (name, address) in &router.addresses {
        let joined = router.joins.iter().find(|joined| joined.value == *name);
        let Some(joined) = joined else {
            let names = router.joins.iter().map(|joined| joined.value.as_str());
            source.clash(
                (address.at.clone(), "address"),
                (router.joins_at.clone(), "its networks"),
                Wrong::new(
                    format!("address in a network that the router does not join: `{name}`"),
                    format!("use {}, or add the network to `joins`", one_of(names)),
                ),
            );
            continue;
        };
        let mut networks = draft.networks.iter();
        let network = networks.find(|network| network.title() == joined.value);
        let Some(subnet) = network.and_then(|network| network.subnet.as_ref()) else {
            continue;
        };
        if !is_host_of(subnet.value, address.value) {
            source.clash(
                (address.at.clone(), "outside"),
                (subnet.at.clone(), "subnet"),
                Wrong::new(
                    format!(
                        "invalid router address: {} (no host address of {})",
                        address.value, subnet.value
                    ),
                    format!(
                        "use an address of the subnet, e.g. `{}`",
                        Network::new(subnet.value).host()
                    ),
                ),
            );
        }
    }
}

fn duplicate_addresses(draft: &Draft, source: &Source) {
    let routers = draft.routers.iter().flat_map(|router| &router.addresses);
    let mut first: HashMap<Ipv4Addr, &Range<usize>> = HashMap::new();
    for (_, address) in routers {
        let taken = draft.taken_addresses().any(|taken| taken == address.value);
        if let Some(earlier) = first.get(&address.value) {
            source.clash(
                (address.at.clone(), "again here"),
                ((*earlier).clone(), "first here"),
                Wrong::new(
                    format!("duplicate router address: {}", address.value),
                    "each leg of a router needs its own address",
                ),
            );
        } else if taken {
            source.wrong(
                address.at.clone(),
                "in use",
                Wrong::new(
                    format!("address in use: {} (a host with services)", address.value),
                    "use another address of the subnet",
                ),
            );
        }
        first.entry(address.value).or_insert(&address.at);
    }
}

fn relay(router: &DraftRouter, draft: &Draft, source: &Source) {
    let Some(target) = &router.relay_to else {
        let program = router.relay.as_ref().map(|relay| (&relay.at, "relay"));
        let flag = |flag: &'_ Option<Located<bool>>| {
            let flag = flag.as_ref().filter(|flag| flag.value);
            flag.map(|flag| flag.at.clone())
        };
        let keys = [
            program.map(|(at, key)| (at.clone(), key)),
            flag(&router.link_selection).map(|at| (at, "link_selection")),
            flag(&router.server_id_override).map(|at| (at, "server_id_override")),
            router.vpn.as_ref().map(|vpn| (vpn.at.clone(), "vpn")),
        ];
        for (at, key) in keys.into_iter().flatten() {
            source.wrong(
                at,
                "no relay",
                Wrong::new(
                    format!("`{key}` without `relay_to`"),
                    "add the DHCP server's address, e.g. `relay_to = \"10.20.0.1\"`, or remove the line",
                ),
            );
        }
        return;
    };
    program_options(router, source);
    let first = draft.networks.first();
    match &target.value {
        RelayTarget::HostOf(name) => {
            let is_first = first.is_some_and(|network| network.title() == name);
            if !is_first {
                let servers = first.map_or(Network::UNNAMED, DraftNetwork::title);
                source.wrong(
                    target.at.clone(),
                    "unknown server",
                    Wrong::new(
                        format!("unknown DHCP server: `{name}`"),
                        format!(
                            "use the server's IPv4 address, or `{servers}` for the lab's own server"
                        ),
                    ),
                );
            } else if let Some(network) = first {
                is_joined(router, network, target, source);
            }
        }
        RelayTarget::Address(address) => {
            let mut networks = draft.networks.iter();
            let around = networks.find(|network| {
                let subnet = network.subnet.as_ref();
                subnet.is_some_and(|subnet| is_host_of(subnet.value, *address))
            });
            match around {
                Some(network) => is_joined(router, network, target, source),
                None => source.wrong(
                    target.at.clone(),
                    "in no network",
                    Wrong::new(
                        format!("unreachable DHCP server: {address} (an address in no network)"),
                        "use an address in one of the router's networks",
                    ),
                ),
            }
        }
    }
}

/// Reports networks that a trunk cannot carry, and a native network without a trunk.
fn trunk(router: &DraftRouter, draft: &Draft, source: &Source) {
    let is_trunk = router.trunk.as_ref().filter(|trunk| trunk.value);
    if let Some(native) = &router.native {
        let is_joined = router
            .joins
            .iter()
            .any(|joined| joined.value == native.value);
        if !is_joined {
            let names = router.joins.iter().map(|joined| joined.value.as_str());
            source.clash(
                (native.at.clone(), "native"),
                (router.joins_at.clone(), "its networks"),
                Wrong::new(
                    format!(
                        "native network that the router does not join: `{}`",
                        native.value
                    ),
                    format!("use {}, or remove the line", one_of(names)),
                ),
            );
        }
        if is_trunk.is_none() {
            source.wrong(
                native.at.clone(),
                "no trunk",
                Wrong::new(
                    "`native` without `trunk`",
                    "add `trunk = true`, or remove the line",
                ),
            );
        }
    }
    let Some(trunk) = is_trunk else {
        return;
    };
    for name in &router.joins {
        let network = draft.network(Some(&name.value));
        if network.is_some_and(|network| network.vlan.is_none()) {
            source.clash(
                (trunk.at.clone(), "trunk"),
                (name.at.clone(), "no VLAN"),
                Wrong::new(
                    format!("trunk to a network without a VLAN: `{}`", name.value),
                    format!(
                        "add an id to `{}`, e.g. `vlan = {}`, or remove `trunk`",
                        name.value,
                        free_vlan(draft)
                    ),
                ),
            );
        }
    }
}

/// Returns an id from 100 on that no network has.
fn free_vlan(draft: &Draft) -> u32 {
    let is_free = |id: &u32| {
        let mut networks = draft.networks.iter();
        networks.all(|network| network.vlan.as_ref().is_none_or(|vlan| vlan.value != *id))
    };
    (100..=VLAN_MAX).find(is_free).unwrap_or(VLAN_MAX)
}

/// Reports cards with tags that have no VLAN, and firmware that cannot tag.
fn tagged(node: &DraftNode, draft: &Draft, source: &Source) {
    for nic in &node.nics {
        let Some(flag) = nic.tagged.as_ref().filter(|tagged| tagged.value) else {
            continue;
        };
        let name = nic.network.as_ref().map(|name| name.value.as_str());
        let network = draft.network(name);
        if let Some(network) = network.filter(|network| network.vlan.is_none()) {
            source.clash(
                (flag.at.clone(), "tagged"),
                (network.at.clone(), "no VLAN"),
                Wrong::new(
                    format!(
                        "tagged card in a network without a VLAN: `{}`",
                        network.title()
                    ),
                    format!(
                        "add an id to the network, e.g. `vlan = {}`, or remove `tagged`",
                        free_vlan(draft)
                    ),
                ),
            );
        }
        let mut firmware = draft.firmware.iter();
        let bios = firmware.find(|firmware| !firmware.value.is_uefi());
        if let (Some(bios), true) = (bios, nic.boots()) {
            source.clash(
                (flag.at.clone(), "tagged"),
                (bios.at.clone(), "no VLANs"),
                Wrong::new(
                    "tagged card with BIOS firmware (its boot ROM knows no VLANs)",
                    "use `firmware = [\"uefi\"]`, or remove `tagged`",
                ),
            );
        }
    }
}

/// Reports options that the relay program cannot add.
fn program_options(router: &DraftRouter, source: &Source) {
    let Some(program) = router.relay.as_ref() else {
        return;
    };
    let is_supported = |key| match program.value {
        RelayProgram::Ours => true,
        RelayProgram::IscDhcpRelay => key == "link_selection",
        RelayProgram::Dnsmasq => false,
    };
    let given = |flag: &Option<Located<bool>>| {
        let flag = flag.as_ref().filter(|flag| flag.value);
        flag.map(|flag| flag.at.clone())
    };
    let vpn = router.vpn.as_ref().map(|vpn| vpn.at.clone());
    for (key, at) in [
        ("link_selection", given(&router.link_selection)),
        ("server_id_override", given(&router.server_id_override)),
        ("vpn", vpn),
    ] {
        if let (false, Some(at)) = (is_supported(key), at) {
            source.clash(
                (at, "no effect"),
                (program.at.clone(), "another program"),
                Wrong::new(
                    format!("`{key}` has no effect on {}", program.value.name()),
                    "use `relay = \"ours\"`, or remove the line",
                ),
            );
        }
    }
}

/// Reports a DHCP server in a network that the router does not join.
fn is_joined(
    router: &DraftRouter,
    network: &DraftNetwork,
    target: &Located<RelayTarget>,
    source: &Source,
) {
    let title = network.title();
    if !router.joins.is_empty() && router.joins.iter().all(|joined| joined.value != title) {
        source.clash(
            (target.at.clone(), "DHCP server"),
            (router.joins_at.clone(), "its networks"),
            Wrong::new(
                format!("unreachable DHCP server: in `{title}`, which the router does not join"),
                format!(
                    "add `{title}` to `joins`, or use an address in one of the router's networks"
                ),
            ),
        );
    }
}

fn cards(node: &DraftNode, draft: &Draft, source: &Source) {
    let nics = node.nics.iter().filter_map(|nic| nic.network.as_ref());
    for name in node.network.iter().chain(nics) {
        known(name, draft, source);
    }
    let Some(first) = node.nics.first() else {
        return;
    };
    if let Some(network) = &node.network {
        source.clash(
            (network.at.clone(), "of one card"),
            (first.at.clone(), "cards"),
            Wrong::new(
                "`network` together with `nics`",
                "remove one of them; each entry of `nics` has its own `network`",
            ),
        );
    }
    let boots = node.nics.iter().filter(|nic| nic.boots());
    match boots.collect::<Vec<_>>().as_slice() {
        [] => source.wrong(
            first.at.clone(),
            "cards",
            Wrong::new(
                "no booting card",
                "add `boots = true` to the card from which the machine boots",
            ),
        ),
        [boots] => {
            let (Some(card), Some(mac)) = (&boots.mac, &node.mac) else {
                return;
            };
            if card.value != mac.value {
                source.clash(
                    (mac.at.clone(), "another MAC"),
                    (card.at.clone(), "the booting card"),
                    Wrong::new(
                        format!("conflicting MACs: {} and {}", mac.value, card.value),
                        "remove `mac`; the card with `boots = true` gives it",
                    ),
                );
            }
        }
        [one, other, ..] => source.clash(
            (other.at.clone(), "boots too"),
            (one.at.clone(), "boots"),
            Wrong::new(
                "two booting cards",
                "write `boots = true` for exactly one card of the machine",
            ),
        ),
    }
}

/// Reports a network whose machines can never get an address.
fn reach(network: &DraftNetwork, draft: &Draft, source: &Source) {
    let title = network.title();
    let is_first = draft.networks.first().map(DraftNetwork::title) == Some(title);
    let is_joined = draft
        .routers
        .iter()
        .any(|router| router.joins.iter().any(|joined| joined.value == title));
    let has_server = draft.custom_services.iter().any(|service| {
        let network = service.network.as_ref();
        service.part(Part::Dhcp).is_some() && network.is_some_and(|one| one.value == title)
    });
    let machines = draft.nodes_in(title).count();
    if is_first || is_joined || has_server || machines == 0 {
        return;
    }
    let at = network.name.as_ref().map_or(&network.at, |name| &name.at);
    let machines = match machines {
        1 => "1 machine".to_owned(),
        some => format!("{some} machines"),
    };
    source.wrong(
        at.clone(),
        "reached by nobody",
        Wrong::new(
            format!("unreachable network: `{title}` ({machines}, no router and no DHCP server)"),
            "add a `[[router]]` that joins it and relays DHCP, or a `[[service]]` with `plays = [\"dhcp\"]` and this `network`",
        ),
    );
}
