//! Checks of services against each other and against the rest of the scenario.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use super::super::draft::Draft;
use super::super::model::{ConfigService, DhcpService, PixiecoreService, ProxyDhcpService};
use super::super::problem::{Located, Source, Wrong, nearest, one_of};
use super::super::topology::{DraftNetwork, is_host_of};
use super::{DraftService, Part};

/// Names of the lab's own services and of folders in an attempt.
const RESERVED: [&str; 8] = [
    "capture",
    "config-service",
    "libvirtd",
    "nets",
    "nodes",
    "ports",
    "server",
    "server-restarted",
];

/// Adds to `source` all conflicts of services.
pub(in crate::scenario) fn check(draft: &Draft, source: &Source) {
    names(draft, source);
    addresses(draft, source);
    parts(&draft.custom_services, &draft.networks, source);
    own_services(draft, source);
    after(&draft.custom_services, source);
    for service in &draft.custom_services {
        if let (Some(rootfs), Some(image)) = (&service.rootfs, &service.image) {
            source.clash(
                (image.at.clone(), "a second root"),
                (rootfs.at.clone(), "the first"),
                Wrong::new("`image` together with `rootfs`", "remove one of them"),
            );
        }
        let root = service.rootfs.as_ref().or(service.image.as_ref());
        if let (Some(rootfs), Some(at)) = (root, &service.capabilities_at) {
            source.clash(
                (at.clone(), "cannot be set"),
                (rootfs.at.clone(), "with this root"),
                Wrong::new(
                    "unsupported: `capabilities` together with a root of its own",
                    "remove `capabilities`; use `user` to take all of them",
                ),
            );
        }
    }
}

/// Reports root file systems that do not exist.
pub(in crate::scenario) fn roots(dir: &Path, draft: &Draft, source: &Source) {
    let services = draft.custom_services.iter();
    for rootfs in services.filter_map(|service| service.rootfs.as_ref()) {
        let path = dir.join(&rootfs.value);
        if let Err(error) = std::fs::metadata(&path) {
            let what = format!("{}: {error}", path.display());
            let help = "name a folder or a tar archive, e.g. one that `podman export CONTAINER -o root.tar` wrote";
            source.wrong(rootfs.at.clone(), "this root", Wrong::new(what, help));
        }
    }
}

/// Reports missing `matched_by` and `group`, which only the lab's own config service confirms.
pub(in crate::scenario) fn config_keys(draft: &Draft, source: &Source) {
    if !draft.has_own_config() {
        return;
    }
    for expect in draft.nodes.iter().filter_map(|node| node.expect.as_ref()) {
        for (key, is_there, example) in [
            ("matched_by", expect.has_matched_by, "matched_by = \"uuid\""),
            ("group", expect.has_group, "group = \"node1\""),
        ] {
            if !is_there {
                source.wrong(
                    expect.at.clone(),
                    "in here",
                    Wrong::new(
                        format!("missing key `{key}` in [node.expect]"),
                        format!("add it, e.g. `{example}`"),
                    ),
                );
            }
        }
    }
}

/// True for names of the lab's own services and folders.
pub(in crate::scenario) fn is_reserved(word: &str) -> bool {
    RESERVED.contains(&word) || word.starts_with(crate::evidence::STATION_PREFIX)
}

fn names(draft: &Draft, source: &Source) {
    let services = &draft.custom_services;
    let has_dnsmasq = draft
        .dhcp
        .as_ref()
        .is_some_and(|dhcp| dhcp.value == DhcpService::Dnsmasq);
    let is_reserved = |word: &str| {
        is_reserved(word)
            || word == "dnsmasq" && has_dnsmasq
            || word == "pixiecore" && draft.pixiecore.is_some()
    };
    let mut first: HashMap<&str, Range<usize>> = HashMap::new();
    for name in services.iter().filter_map(|service| service.name.as_ref()) {
        let word = name.value.as_str();
        if is_reserved(word) {
            source.wrong(
                name.at.clone(),
                "reserved",
                Wrong::new(
                    format!("reserved service name: `{word}` (the lab's own)"),
                    format!("use another name, e.g. `my-{word}`"),
                ),
            );
        }
        if let Some(earlier) = first.get(word) {
            source.clash(
                (name.at.clone(), "again here"),
                (earlier.clone(), "first here"),
                Wrong::new(
                    format!("duplicate service name: `{word}`"),
                    "each service needs its own name",
                ),
            );
        } else {
            first.insert(word, name.at.clone());
        }
    }
}

fn addresses(draft: &Draft, source: &Source) {
    let host = draft.host();
    let mut first: HashMap<_, Range<usize>> = HashMap::new();
    for service in &draft.custom_services {
        let named = service.network.as_ref();
        // An unknown network is reported where networks are checked.
        let Some(network) = draft.network(named.map(|name| name.value.as_str())) else {
            continue;
        };
        let own = service
            .address
            .as_ref()
            .filter(|one| one.value.own().is_some());
        if let (Some(named), None) = (named, own)
            && draft.networks.first().map(DraftNetwork::title) != Some(network.title())
        {
            source.wrong(
                named.at.clone(),
                "elsewhere",
                Wrong::new(
                    format!("service without a host in its network: `{}`", named.value),
                    "give it a host of its own: `address` in the network's subnet; `shared` is the host in the first network",
                ),
            );
        }
        let Some(subnet) = &network.subnet else {
            continue;
        };
        let net = subnet.value;
        let Some((written, address)) = own.and_then(|own| Some((own, own.value.own()?))) else {
            continue;
        };
        if !is_host_of(net, address) {
            source.clash(
                (written.at.clone(), "outside"),
                (subnet.at.clone(), "subnet"),
                Wrong::new(
                    format!("invalid service address: {address} (not in {net})"),
                    match draft.networks.len() {
                        1 => "use an address of the subnet, or `shared`",
                        _ => "use an address of the subnet, or name the `network` of the address",
                    },
                ),
            );
        } else if Some(address) == host {
            let at = network.address.as_ref().map_or(&subnet.at, |host| &host.at);
            source.clash(
                (written.at.clone(), "the same address"),
                (at.clone(), "host of the lab's own services"),
                Wrong::new(
                    format!("address in use: {address} (host of the lab's own services)"),
                    "use `address = \"shared\"`, or another address",
                ),
            );
        } else if let Some(earlier) = first.get(&address) {
            source.clash(
                (written.at.clone(), "again here"),
                (earlier.clone(), "first here"),
                Wrong::new(
                    format!("duplicate service address: {address}"),
                    "each service needs its own address; services with `address = \"shared\"` share one host",
                ),
            );
        } else {
            first.insert(address, written.at.clone());
        }
    }
}

/// Rejects two services with the same role, if clients could reach only one of them.
fn parts(services: &[DraftService], networks: &[DraftNetwork], source: &Source) {
    let host_of = |service: &DraftService| service.address.as_ref().map(|one| one.value);
    let first = networks.first().map(DraftNetwork::title);
    let network_of = |service: &DraftService| {
        let network = service.network.as_ref().map(|name| name.value.clone());
        network.or(first.map(str::to_owned))
    };
    for (index, service) in services.iter().enumerate() {
        for part in &service.plays {
            let earlier = services.iter().take(index).find_map(|other| {
                let same_host =
                    host_of(other).unwrap_or_default() == host_of(service).unwrap_or_default();
                let same_network = network_of(other) == network_of(service);
                let conflicts = same_network && part.value.is_found_by_broadcast()
                    || same_host && part.value == Part::Tftp;
                other.part(part.value).filter(|_| conflicts)
            });
            if let Some(earlier) = earlier {
                source.clash(
                    (part.at.clone(), "again here"),
                    (earlier, "first here"),
                    Wrong::new(
                        format!("duplicate role in the network: `{}`", part.value.name()),
                        "remove one of the services, or its role",
                    ),
                );
            }
        }
    }
}

/// Rejects a role that one of the lab's own services has.
fn own_services(draft: &Draft, source: &Source) {
    let dhcp = draft
        .dhcp
        .as_ref()
        .filter(|dhcp| dhcp.value != DhcpService::None)
        .map(|dhcp| &dhcp.at);
    let proxy = draft
        .proxy_dhcp
        .as_ref()
        .filter(|proxy| proxy.value != ProxyDhcpService::None)
        .map(|proxy| &proxy.at);
    let pixiecore = draft
        .pixiecore
        .as_ref()
        .filter(|pixiecore| pixiecore.value != PixiecoreService::None)
        .map(|pixiecore| &pixiecore.at);
    let config = draft
        .config
        .as_ref()
        .filter(|config| config.value != ConfigService::None)
        .map(|config| &config.at);
    for (part, own, key) in [
        (Part::Dhcp, dhcp, "dhcp = \"none\""),
        (Part::ProxyDhcp, proxy, "proxy_dhcp = \"none\""),
        (Part::ProxyDhcp, pixiecore, "pixiecore = \"none\""),
        (Part::Config, config, "config = \"none\""),
    ] {
        let Some(own) = own else { continue };
        let first = draft.networks.first().map(DraftNetwork::title);
        let beside = draft.custom_services.iter().filter(|service| {
            let network = service.network.as_ref().map(|name| name.value.as_str());
            network.is_none() || network == first || !part.is_found_by_broadcast()
        });
        for at in beside.filter_map(|service| service.part(part)) {
            source.clash(
                (at, "the user's service"),
                (own.clone(), "the lab's service"),
                Wrong::new(
                    format!("duplicate role in the network: `{}`", part.name()),
                    format!("use `{key}` in [services], or remove the role"),
                ),
            );
        }
    }
}

fn after(services: &[DraftService], source: &Source) {
    let known = || {
        let names = services.iter().filter_map(|service| service.name.as_ref());
        names.map(|name| name.value.as_str())
    };
    for service in services {
        let own = service.name.as_ref().map(|name| name.value.as_str());
        for name in &service.after {
            if !known().any(|one| one == name.value) {
                let others = known().filter(|one| Some(*one) != own);
                let help = match nearest(&name.value, others.clone()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known: {}", one_of(others)),
                };
                let what = format!("unknown service: `{}`", name.value);
                source.wrong(name.at.clone(), "unknown", Wrong::new(what, help));
            }
        }
    }
    if let Some((at, circle)) = circle(services) {
        source.wrong(
            at,
            "leads back",
            Wrong::new(
                format!("circular order of services: {}", circle.join(" after ")),
                "remove one of the names from `after`",
            ),
        );
    }
}

/// Returns the names of a circle, and the location of the name that closes it.
fn circle(services: &[DraftService]) -> Option<(Range<usize>, Vec<&str>)> {
    let name_of = |service: &'_ DraftService| service.name.as_ref().map(|name| name.value.clone());
    // Services that wait for none of the others are removed until only circles, and what waits for them, are left.
    let mut left: Vec<&DraftService> = services.iter().collect();
    let is_left = |left: &[&DraftService], name: &str| {
        left.iter()
            .any(|service| name_of(service).as_deref() == Some(name))
    };
    loop {
        let before = left.len();
        let waiting: Vec<&DraftService> = left
            .iter()
            .copied()
            .filter(|service| service.after.iter().any(|name| is_left(&left, &name.value)))
            .collect();
        left = waiting;
        if left.len() == before {
            break;
        }
    }
    let mut path: Vec<&Located<String>> = Vec::new();
    let mut service = *left.first()?;
    loop {
        let next = service
            .after
            .iter()
            .find(|name| is_left(&left, &name.value))?;
        if let Some(start) = path.iter().position(|one| one.value == next.value) {
            let circle = path.iter().skip(start).chain([&next]);
            let names = circle.map(|name| name.value.as_str()).collect();
            return Some((next.at.clone(), names));
        }
        path.push(next);
        let found = left.iter().find(|one| {
            let name = one.name.as_ref();
            name.is_some_and(|name| name.value == next.value)
        });
        service = found?;
    }
}
