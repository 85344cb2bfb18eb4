//! Causes about addresses: no server, no free address, two servers, a conflict, or an address without boot
//! options.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use boot_server_events::{BootEvent, IgnoreCode};
use boot_server_proto::dhcp::MessageType;

use super::case::{Case, server_of};
use super::{Cause, Finding, Proof};
use crate::evidence::packet::{DhcpSaid, Packet, PacketContent};

/// Maximum number of packets of a kind that are listed as evidence.
const SHOWN: usize = 3;

/// Detects DISCOVERs without any offered address.
pub(super) fn no_server(case: &Case) -> Option<Finding> {
    let asked: Vec<(&Packet, &DhcpSaid)> = case
        .in_firmware(case.asked(MessageType::Discover))
        .collect();
    let (first, _) = asked.first()?;
    if case.gives_address() || case.nak().is_some() {
        return None;
    }
    // A server that answers others is present: it has no address for this machine, or refuses it.
    let others = others_got(case);
    let refused = probed(case).is_some()
        || case
            .events()
            .any(|(_, event)| matches!(event, BootEvent::DhcpIgnored { .. }));
    let weight = match (&others, refused) {
        (None, false) => 95,
        (None, true) => 70,
        (Some(_), _) => 55,
    };
    let mut evidence: Vec<Proof> = asked
        .iter()
        .take(SHOWN)
        .map(|(packet, said)| {
            case.packet(
                packet,
                format!("DISCOVER of {}, xid {:08x}", case.mac, said.xid),
            )
        })
        .collect();
    evidence.push(Proof::of(format!(
        "no OFFER with an address for {} among {} captured frames",
        case.mac,
        case.wire().frames
    )));
    evidence.extend(case.answers().next().map(|(packet, said)| {
        let server = server_of(packet, said);
        case.packet(
            packet,
            format!("{server} answers without an address: it is a proxy"),
        )
    }));
    Some(Finding {
        cause: Cause::NoDhcpServer,
        sentence: format!(
            "no DHCP server answered: {} sent {} DISCOVER{}, the first {}, and nobody offered an address",
            case.mac,
            asked.len(),
            if asked.len() == 1 { "" } else { "s" },
            case.when(first),
        ),
        evidence,
        remedy: "check that a DHCP server is running, listens on this network's interface and is \
                 allowed through its firewall (UDP 67); across a router, set up a DHCP relay; on \
                 a switch, enable PortFast for the port"
            .into(),
        weight,
    })
}

/// Returns another machine that was assigned an address.
fn others_got<'a>(case: &Case<'a>) -> Option<(&'a Packet, &'a DhcpSaid)> {
    case.wire()
        .packets
        .iter()
        .find_map(|packet| match &packet.what {
            PacketContent::Dhcp(said)
                if said.client != case.mac && said.from_server && said.given.is_some() =>
            {
                Some((packet, &**said))
            }
            _ => None,
        })
}

/// Detects a NAK, or a server that answers others but not this machine.
pub(super) fn pool_exhausted(case: &Case) -> Option<Finding> {
    let finding = |sentence: String, evidence: Vec<Proof>, weight| {
        Some(Finding {
            cause: Cause::PoolExhausted,
            sentence,
            evidence,
            remedy:
                "enlarge the server's address range, shorten its lease time, or remove leases of \
                 machines that no longer exist; check that the machine's subnet has a range"
                    .into(),
            weight,
        })
    };
    let ignored = case.events().find_map(|(at_us, event)| match event {
        BootEvent::DhcpIgnored { reason, .. } => {
            use IgnoreCode::{NoFreeAddress, TooManyOffers};
            let is_short = matches!(reason.code, NoFreeAddress | TooManyOffers);
            is_short.then_some((at_us, reason))
        }
        _ => None,
    });
    if case.gives_address_in_the_end() {
        return None;
    }
    if let Some((at_us, reason)) = ignored {
        let told = format!("the boot server did not answer: {reason}");
        let sentence = format!(
            "the DHCP server has no address left for {}: {reason}",
            case.mac
        );
        // If addresses are skipped because other hosts use them, those hosts are the cause.
        let strangers = case
            .events()
            .any(|(_, event)| matches!(event, BootEvent::AddressInUse { .. }));
        let weight = if strangers { 80 } else { 97 };
        return finding(sentence, vec![Proof::at(at_us, told)], weight);
    }
    if let Some((packet, said)) = case.nak() {
        let server = server_of(packet, said);
        let text = said.text.as_deref().unwrap_or("no reason given");
        let sentence = format!(
            "{server} refused {} an address with a NAK {}: {text}",
            case.mac,
            case.when(packet)
        );
        return finding(
            sentence,
            vec![case.packet(packet, format!("NAK: {text}"))],
            90,
        );
    }
    let (asked, _) = case.in_firmware(case.asked(MessageType::Discover)).next()?;
    let (packet, said) = others_got(case)?;
    let server = server_of(packet, said);
    let other = &said.client;
    let sentence = format!(
        "{server} gives addresses to other machines, but answered no DISCOVER of {}: it has no \
         address left, or none for this machine",
        case.mac
    );
    let evidence = vec![
        case.packet(packet, format!("{server} answers {other} with an address")),
        case.packet(
            asked,
            format!("DISCOVER of {}, never answered with an address", case.mac),
        ),
    ];
    finding(sentence, evidence, 80)
}

/// Detects two servers that offer addresses.
pub(super) fn two_servers(case: &Case) -> Option<Finding> {
    let mut servers: BTreeMap<String, (&Packet, &DhcpSaid)> = BTreeMap::new();
    let answers = case.in_firmware(case.answers());
    for (packet, said) in answers.filter(|(_, said)| said.given.is_some()) {
        servers
            .entry(server_of(packet, said))
            .or_insert((packet, said));
    }
    if servers.len() < 2 {
        return None;
    }
    let chosen = case
        .in_firmware(case.answers())
        .filter(|(_, said)| said.is(MessageType::Ack) && said.given.is_some())
        .last()
        .map(|(packet, said)| server_of(packet, said));
    let expected = case.expected_server().map(|address| address.to_string());
    let weight = match (&chosen, &expected) {
        // The machine took an address from a server that should not offer any.
        (Some(chosen), Some(expected)) if chosen != expected => 96,
        (None, _) => 88,
        (Some(_), None) => 75,
        (Some(_), Some(_)) => 50,
    };
    let names: Vec<&str> = servers.keys().map(String::as_str).collect();
    let took = chosen.map_or_else(
        || "none of them acknowledged a request".to_owned(),
        |server| format!("the machine took the offer of {server}"),
    );
    let mut sentence = format!(
        "{} servers offer addresses to {}: {}; {took}",
        names.len(),
        case.mac,
        names.join(" and ")
    );
    if let Some(expected) = expected.filter(|_| weight == 96) {
        sentence.push_str(&format!(
            ", but the boot options should come from {expected}"
        ));
    }
    let evidence = servers
        .iter()
        .map(|(server, (packet, said))| {
            let file = said.boot_file.as_deref();
            let file = file.map_or("no boot file".into(), |file| format!("boot file {file}"));
            let given = said
                .given
                .map_or_else(String::new, |given| given.to_string());
            let from = &packet.from.mac;
            case.packet(
                packet,
                format!("{server} (MAC {from}) offers {given}, {file}"),
            )
        })
        .collect();
    Some(Finding {
        cause: Cause::TwoDhcpServers,
        sentence,
        evidence,
        remedy: "find the server by its MAC in the switch's address table and turn one of the two \
                 off, or make the second a proxyDHCP server, which gives no addresses; DHCP \
                 snooping on the switch blocks unknown servers"
            .into(),
        weight,
    })
}

/// Detects an address that another host uses too.
pub(super) fn address_conflict(case: &Case) -> Option<Finding> {
    let finding = |sentence: String, evidence: Vec<Proof>, weight| {
        Some(Finding {
            cause: Cause::AddressConflict,
            sentence,
            evidence,
            remedy:
                "exclude the address from the server's range, or remove it from the machine that \
                 has it configured statically; let the server probe an address before it offers \
                 it (`dhcp.probe_ms`)"
                    .into(),
            weight,
        })
    };
    let is_routed = !case.attempt.scenario.routers.is_empty();
    let acks = || case.answers().filter(|(_, said)| said.is(MessageType::Ack));
    for (ack, said) in acks() {
        let Some(address) = said.given else { continue };
        let ended = case
            .asked(MessageType::Release)
            .map(|(packet, _)| packet.at_us)
            .min();
        let stranger = case.wire().packets.iter().find(|packet| {
            let claims = match packet.what {
                PacketContent::ArpReply { address: claimed } => claimed == address,
                // A router forwards the machine's packets with its own MAC.
                _ => !is_routed && packet.from.address == Some(address.into()),
            };
            let known = case
                .attempt
                .scenario
                .nodes
                .iter()
                .any(|node| node.mac.to_string() == packet.from.mac);
            claims
                // Without a MAC the claimant is unknown.
                && !packet.from.mac.is_empty()
                && packet.from.mac != case.mac
                && !known
                && packet.at_us.abs_diff(ack.at_us) < 600_000_000
                && ended.is_none_or(|ended| packet.at_us < ended)
        });
        if let Some(stranger) = stranger {
            let by = &stranger.from.mac;
            let sentence = format!(
                "the address {address}, which {} received, is also in use by {by}",
                case.mac
            );
            let evidence = vec![
                case.packet(
                    ack,
                    format!("{} gives {address} to {}", server_of(ack, said), case.mac),
                ),
                case.packet(stranger, format!("{by} claims {address} by ARP")),
            ];
            return finding(sentence, evidence, 93);
        }
    }
    if let Some((packet, said)) = case.asked(MessageType::Decline).next() {
        let address = said.wanted.map_or("its address".into(), |a| a.to_string());
        let sentence = format!(
            "{} found {address} in use by another host and declined it",
            case.mac
        );
        return finding(
            sentence,
            vec![case.packet(packet, format!("DECLINE of {address}"))],
            92,
        );
    }
    let in_use = case.events().find_map(|(at_us, event)| match event {
        BootEvent::AddressInUse { address, by, .. } => {
            let by = by.as_ref().map(ToString::to_string);
            let by = by.unwrap_or_else(|| "another host".into());
            let told = format!("the boot server found {address} in use by {by}");
            Some((*address, by, vec![Proof::at(at_us, told)]))
        }
        _ => None,
    });
    let (address, by, evidence) = in_use.or_else(|| {
        let (probe, answer, address) = probed(case)?;
        let by = answer.from.mac.clone();
        let evidence = vec![
            case.packet(
                probe,
                format!("{} asks by ARP who has {address}", probe.from.mac),
            ),
            case.packet(answer, format!("{by} claims {address} by ARP")),
        ];
        Some((address, by, evidence))
    })?;
    // The server chose another address, which alone is no failure.
    let weight = if case.gives_address_in_the_end() {
        30
    } else {
        91
    };
    let sentence = format!(
        "the address {address}, which the server was about to offer, is in use \
                            by {by}"
    );
    finding(sentence, evidence, weight)
}

/// Maximum time between a DISCOVER and the probe of the address that a server would offer.
const PROBED_WITHIN_US: u64 = 10_000_000;

/// Returns a server's ARP request for an address, another host's answer, and the address: servers probe an address before
/// they offer it (RFC 2131 §2.2), by ARP or by an echo request, which needs ARP as well.
fn probed<'a>(case: &Case<'a>) -> Option<(&'a Packet, &'a Packet, Ipv4Addr)> {
    let scenario = &case.attempt.scenario;
    let nodes: Vec<String> = scenario
        .nodes
        .iter()
        .map(|node| node.mac.to_string())
        .collect();
    let is_node = |packet: &Packet| nodes.contains(&packet.from.mac);
    let discovers: Vec<u64> = case
        .asked(MessageType::Discover)
        .map(|(packet, _)| packet.at_us)
        .collect();
    let after = |packet: &Packet, since_us: u64| {
        (since_us..since_us + PROBED_WITHIN_US).contains(&packet.at_us)
    };
    let packets = &case.wire().packets;
    packets.iter().find_map(|probe| {
        let PacketContent::ArpRequest { address } = probe.what else {
            return None;
        };
        let is_probe = !is_node(probe)
            && scenario.network.subnet.contains(&address)
            && !scenario.is_service_address(address)
            && discovers.iter().any(|at_us| after(probe, *at_us));
        let answer = packets.iter().filter(|_| is_probe).find(|answer| {
            matches!(answer.what, PacketContent::ArpReply { address: claimed } if claimed == address)
                && !is_node(answer)
                && answer.from.mac != probe.from.mac
                && after(answer, probe.at_us)
        })?;
        Some((probe, answer, address))
    })
}

/// Detects an address without boot options from any server.
pub(super) fn no_boot_options(case: &Case) -> Option<Finding> {
    let answers: Vec<(&Packet, &DhcpSaid)> = case.in_firmware(case.answers()).collect();
    let with_address: Vec<&(&Packet, &DhcpSaid)> = answers
        .iter()
        .filter(|(_, said)| said.given.is_some())
        .collect();
    let (offer, said) = with_address.first()?;
    let to_boot = |said: &DhcpSaid| said.boot_file.is_some() || said.boot_servers;
    if answers.iter().any(|(_, said)| to_boot(said)) || case.boots_from_network() {
        return None;
    }
    let asks_to_boot = case
        .in_firmware(case.asked(MessageType::Discover))
        .any(|(_, said)| {
            said.ipxe
                || !said.arch.is_empty()
                || said
                    .vendor_class
                    .as_deref()
                    .is_some_and(|class| class.starts_with("PXEClient"))
        });
    if !asks_to_boot {
        return None;
    }
    let server = server_of(offer, said);
    let servers: std::collections::BTreeSet<String> = with_address
        .iter()
        .map(|(packet, said)| server_of(packet, said))
        .collect();
    let weight = match (case.expects_proxy(), servers.len()) {
        // Missing options of a proxy are the proxy's fault.
        (true, _) => 58,
        (false, 1) => 94,
        (false, _) => 72,
    };
    let message = said.message.to_string().to_uppercase();
    let sentence = format!(
        "{server} gave {} an address with an {message} {}, but no server named a boot file",
        case.mac,
        case.when(offer)
    );
    let given = said
        .given
        .map_or_else(String::new, |given| given.to_string());
    let codes: Vec<String> = said.options.iter().map(u8::to_string).collect();
    let evidence = vec![
        case.packet(
            offer,
            format!(
                "{message} of {given} by {server}, without a boot file (options {})",
                codes.join(" ")
            ),
        ),
        Proof::of(format!(
            "none of the {} answers to {} has option 67, a file name or a boot server list",
            answers.len(),
            case.mac
        )),
    ];
    Some(Finding {
        cause: Cause::OfferWithoutBootOptions,
        sentence,
        evidence,
        remedy: format!(
            "configure the boot server's address (option 66, next-server) and a boot file (option \
             67) on {server}, or run a proxyDHCP server on the same network"
        ),
        weight,
    })
}
