//! Causes between a machine and the DHCP server of another network: what a relay made of the machine's requests, and
//! of the answers.
//!
//! The machine's own port shows its requests and what came back. The captures of all networks show the relay's copies
//! and the server's answers: a copy does not have the machine's MAC as its sender, and answers to a relay go to port 67.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use boot_server_proto::dhcp::MessageType;

use super::case::{Case, server_of};
use super::{Cause, Finding, Proof};
use crate::evidence::packet::{DhcpSaid, Packet, PacketContent};
use crate::scenario::{Network, Router};

/// Code of the relay agent's option.
const RELAY_AGENT_INFO: u8 = 82;

/// Port of servers and relays (RFC 2131 §4.1).
const SERVER_PORT: u16 = 67;

/// DHCP messages on both sides of a relay.
struct Across<'a> {
    /// Network of the machine.
    network: &'a Network,
    /// Router of that network that relays, if the scenario has one.
    router: Option<&'a Router>,
    /// First DISCOVER at the machine's port.
    asked: (&'a Packet, &'a DhcpSaid),
    /// Copies of its DISCOVERs in the servers' network.
    copies: Vec<(&'a Packet, &'a DhcpSaid)>,
    /// Offers to the machine in the servers' network.
    offers: Vec<(&'a Packet, &'a DhcpSaid)>,
}

impl<'a> Across<'a> {
    /// Returns the messages of a machine beside the servers' network; `None` where captures prove nothing.
    fn of(case: &Case<'a>) -> Option<Across<'a>> {
        let scenario = &case.attempt.scenario;
        let network = scenario.network_of(case.node);
        if network == &*scenario.network || !case.has_capture() || case.port().is_none() {
            return None;
        }
        let asked: Vec<_> = case
            .in_firmware(case.asked(MessageType::Discover))
            .collect();
        let first = *asked.first()?;
        let is_asked = |xid: u32| asked.iter().any(|(_, said)| said.xid == xid);
        let messages = case.wire().packets.iter().filter_map(|packet| {
            let PacketContent::Dhcp(said) = &packet.what else {
                return None;
            };
            let is_own = said.client == case.mac && is_asked(said.xid);
            let is_beyond = match said.from_server {
                true => said.relay.is_none() || packet.to.port == Some(SERVER_PORT),
                false => packet.from.mac != case.mac,
            };
            (is_own && is_beyond).then_some((packet, &**said))
        });
        let (answers, copies): (Vec<_>, Vec<_>) = messages.partition(|(_, said)| said.from_server);
        let of_kind = |list: Vec<(&'a Packet, &'a DhcpSaid)>, kind| {
            let list = list.into_iter();
            list.filter(|(_, said)| said.is(kind)).collect::<Vec<_>>()
        };
        Some(Across {
            network,
            router: scenario
                .routers_of(network)
                .find(|router| router.relay_to.is_some()),
            asked: first,
            copies: of_kind(copies, MessageType::Discover),
            offers: of_kind(answers, MessageType::Offer),
        })
    }

    fn router_name(&self) -> &str {
        self.router
            .map_or("the router", |router| router.name.as_str())
    }

    /// Returns the evidence for the request itself.
    fn request(&self, case: &Case) -> Proof {
        let (packet, said) = self.asked;
        let network = self.network.title();
        case.packet(
            packet,
            format!(
                "DISCOVER of {} in {network}, xid {:08x}",
                case.mac, said.xid
            ),
        )
    }
}

/// Returns the evidence for a copy of a request in the servers' network.
fn copy_of(case: &Case, (packet, said): (&Packet, &DhcpSaid)) -> Proof {
    let giaddr = said.relay.unwrap_or(Ipv4Addr::UNSPECIFIED);
    let link = said
        .link
        .map_or_else(String::new, |link| format!(", link {link} (option 82.5)"));
    let option = match said.options.contains(&RELAY_AGENT_INFO) {
        true => "with",
        false => "without",
    };
    case.packet(
        packet,
        format!(
            "its copy from {} to {}: giaddr {giaddr}{link}, {option} option 82",
            end(packet.from.address, &packet.from.mac),
            end(packet.to.address, &packet.to.mac),
        ),
    )
}

fn end(address: Option<std::net::IpAddr>, mac: &str) -> String {
    address.map_or_else(|| mac.to_owned(), |address| address.to_string())
}

/// Detects requests of which no copy came to the servers' network.
pub(super) fn server_unreachable(case: &Case) -> Option<Finding> {
    let across = Across::of(case)?;
    if !across.copies.is_empty() || case.gives_address() {
        return None;
    }
    let router = across.router?;
    let server = router.relay_to?;
    let asked_for = case.wire().packets.iter().find(|packet| {
        let is_for_server =
            matches!(packet.what, PacketContent::ArpRequest { address } if address == server);
        let address = packet.from.address;
        let is_router = router
            .addresses
            .values()
            .any(|own| address == Some((*own).into()));
        is_for_server && is_router
    });
    let answered = case.wire().packets.iter().any(
        |packet| matches!(packet.what, PacketContent::ArpReply { address } if address == server),
    );
    let mut evidence = vec![across.request(case)];
    let why = match asked_for.filter(|_| !answered) {
        Some(packet) => {
            let text = format!("{} asks who has {server}; nobody answers", router.name);
            evidence.push(case.packet(packet, text));
            format!("{server} does not answer ARP")
        }
        None => format!("{} sent nothing to {server}", router.name),
    };
    evidence.push(Proof::of(format!(
        "no copy of the request in {} among {} captured frames",
        case.attempt.scenario.network.title(),
        case.wire().frames
    )));
    let servers = case.attempt.scenario.network.title();
    Some(Finding {
        cause: Cause::RelayServerUnreachable,
        sentence: format!(
            "{} did not get the DISCOVERs of {} from {} to the DHCP server: {why} in {servers}",
            router.name,
            case.mac,
            across.network.title()
        ),
        evidence,
        remedy: format!(
            "check that the relay on {} is running, that its link to {servers} is up, and that it has a route to \
             {server} and the firewall allows UDP 67 both ways",
            router.name
        ),
        weight: 98,
    })
}

/// Detects copies for another host than the DHCP server.
pub(super) fn to_wrong_server(case: &Case) -> Option<Finding> {
    let across = Across::of(case)?;
    let expected = case.expected_server()?;
    let copy = *across.copies.first()?;
    let is_wrong = |(packet, _): &(&Packet, &DhcpSaid)| packet.to.address != Some(expected.into());
    if !across.offers.is_empty() || !across.copies.iter().all(is_wrong) || case.gives_address() {
        return None;
    }
    let to = end(copy.0.to.address, &copy.0.to.mac);
    let name = across.router_name();
    Some(Finding {
        cause: Cause::RelayToWrongServer,
        sentence: format!(
            "{name} relays the requests of {} to {to}, which does not answer; the DHCP server is {expected}",
            across.network.title()
        ),
        evidence: vec![
            across.request(case),
            copy_of(case, copy),
            Proof::of(format!(
                "no answer of {to} to {} copies",
                across.copies.len()
            )),
        ],
        remedy: format!(
            "set the relay of {name} (`relay_to`, `ip helper-address`) to the DHCP server {expected}, or start a DHCP \
             server on {to}"
        ),
        weight: 98,
    })
}

/// Detects copies without the relay's address.
pub(super) fn without_giaddr(case: &Case) -> Option<Finding> {
    let across = Across::of(case)?;
    let copy = *across.copies.first()?;
    let has_relay = |(_, said): &(&Packet, &DhcpSaid)| said.relay.is_some();
    if across.copies.iter().any(has_relay) || case.gives_address() {
        return None;
    }
    let network = across.network.title();
    let mut evidence = vec![across.request(case), copy_of(case, copy)];
    let offer = across.offers.first();
    evidence.extend(offer.map(|(packet, said)| {
        let given = said
            .given
            .map_or_else(String::new, |given| format!(" of {given}"));
        let to = end(packet.to.address, &packet.to.mac);
        case.packet(packet, format!("OFFER{given} to {to}, not to a relay"))
    }));
    Some(Finding {
        cause: Cause::RelayWithoutGiaddr,
        sentence: format!(
            "{} passes the requests of {network} on without its own address (giaddr 0.0.0.0): the server can neither \
             choose the pool of {network} nor send its answer back",
            across.router_name()
        ),
        evidence,
        remedy: format!(
            "use a DHCP relay agent on {}, not a forwarder of UDP: a relay writes its address in {network} into \
             giaddr (RFC 1542 §4.1.1)",
            across.router_name()
        ),
        weight: 98,
    })
}

/// Detects answers that came to a relay and went no further.
pub(super) fn drops_replies(case: &Case) -> Option<Finding> {
    let across = Across::of(case)?;
    let (copy, (packet, said)) = (*across.copies.first()?, *across.offers.first()?);
    let relay = said.relay?;
    if case.in_firmware(case.answers()).next().is_some() {
        return None;
    }
    let server = server_of(packet, said);
    let has_option = said.options.contains(&RELAY_AGENT_INFO);
    let (option, advice) = match has_option {
        true => (
            " with option 82",
            "let it accept and remove option 82 in replies (RFC 3046 §2.1); DHCP snooping must trust the port to the \
             server",
        ),
        false => (
            " without option 82",
            "let the server return option 82 as it came (RFC 3046 §2.2), from which the relay knows the port",
        ),
    };
    let given = said
        .given
        .map_or_else(String::new, |given| format!(" of {given}"));
    let network = across.network.title();
    Some(Finding {
        cause: Cause::RelayDropsReplies,
        sentence: format!(
            "{} does not pass the answers of {server} on to {network}: {} OFFER{}{option} came to {relay}, none to {}",
            across.router_name(),
            across.offers.len(),
            if across.offers.len() == 1 { "" } else { "s" },
            case.mac
        ),
        evidence: vec![
            across.request(case),
            copy_of(case, copy),
            case.packet(
                packet,
                format!("OFFER{given} by {server} to the relay {relay}{option}"),
            ),
            Proof::of(format!("no answer at the port of {}", case.mac)),
        ],
        remedy: format!(
            "check the log of the relay on {}; {advice}",
            across.router_name()
        ),
        weight: 98,
    })
}

/// Returns the first answer with an address outside of the machine's network.
fn misplaced<'a>(case: &Case<'a>, network: &Network) -> Option<(&'a Packet, &'a DhcpSaid)> {
    let is_outside = |address: Ipv4Addr| !network.subnet.contains(&address);
    let mut answers = case.in_firmware(case.answers());
    answers.find(|(_, said)| said.given.is_some_and(is_outside))
}

/// Detects two relays that name different links for one request.
pub(super) fn two_relays(case: &Case) -> Option<Finding> {
    let across = Across::of(case)?;
    let (answer, said) = misplaced(case, across.network)?;
    let mut links: BTreeMap<Ipv4Addr, (&Packet, &DhcpSaid)> = BTreeMap::new();
    for (packet, copy) in &across.copies {
        if let (true, Some(link)) = (copy.xid == said.xid, copy.link.or(copy.relay)) {
            links.entry(link).or_insert((packet, copy));
        }
    }
    if links.len() < 2 {
        return None;
    }
    let network = across.network.title();
    let given = said.given?;
    let named: Vec<String> = links
        .iter()
        .map(|(link, (packet, _))| {
            let by = end(packet.from.address, &packet.from.mac);
            format!("{by} for the link of {link}")
        })
        .collect();
    let mut evidence = vec![across.request(case)];
    evidence.extend(links.values().map(|copy| copy_of(case, *copy)));
    evidence.push(case.packet(
        answer,
        format!("the first answer to {} gives {given}", case.mac),
    ));
    Some(Finding {
        cause: Cause::TwoRelays,
        sentence: format!(
            "{} relays pass one request of {} on, {}; the machine took {given}, which is not of {network}",
            links.len(),
            case.mac,
            named.join(" and ")
        ),
        evidence,
        remedy: format!(
            "let one relay serve {network} (or two that name the same link, as with VRRP), and turn the other off"
        ),
        weight: 98,
    })
}

/// Detects an address of another network's pool.
pub(super) fn wrong_pool(case: &Case) -> Option<Finding> {
    let across = Across::of(case)?;
    let (answer, said) = misplaced(case, across.network)?;
    let given = said.given?;
    let network = across.network;
    let server = server_of(answer, said);
    let copy = across.copies.iter().find(|(_, copy)| copy.xid == said.xid);
    let link = copy.and_then(|(_, copy)| copy.link.or(copy.relay));
    let (whose, remedy) = match link.filter(|link| !network.subnet.contains(link)) {
        Some(link) => (
            format!(
                "{} names the link of {link} for its requests",
                across.router_name()
            ),
            format!(
                "set the address by which the relay of {} names {} (giaddr, option 82.5) to one of {}",
                across.router_name(),
                network.title(),
                network.subnet
            ),
        ),
        None => (
            format!("{server} chose that pool by itself"),
            format!(
                "give {server} a pool of {} that is chosen by the relay's address (giaddr)",
                network.subnet
            ),
        ),
    };
    let mut evidence = vec![across.request(case)];
    evidence.extend(copy.map(|copy| copy_of(case, *copy)));
    evidence.push(case.packet(answer, format!("{server} gives {given} to {}", case.mac)));
    Some(Finding {
        cause: Cause::WrongPool,
        sentence: format!(
            "{} got {given}, which is not of its network {} ({}): {whose}",
            case.mac,
            network.title(),
            network.subnet
        ),
        evidence,
        remedy,
        weight: 97,
    })
}
