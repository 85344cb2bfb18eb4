//! Causes between the offer and the boot file: no acknowledgement, or an unreachable server.

use std::net::Ipv4Addr;

use boot_server_proto::dhcp::MessageType;

use super::case::{Case, server_of};
use super::{Cause, Finding, Proof};
use crate::evidence::packet::{Packet, PacketContent};

/// Minimum number of unanswered ARP requests; ARP repeats each second.
const ASKED_IN_VAIN: usize = 2;

/// Detects OFFER and REQUEST without ACK or NAK.
pub(super) fn no_acknowledgement(case: &Case) -> Option<Finding> {
    let offers: Vec<_> = case
        .in_firmware(case.answers())
        .filter(|(_, said)| said.is(MessageType::Offer) && said.given.is_some())
        .collect();
    let (offer, offered) = offers.first()?;
    let requests: Vec<_> = case
        .in_firmware(case.asked(MessageType::Request))
        .filter(|(packet, _)| packet.to.port != Some(4011))
        .collect();
    let (request, wanted) = requests.last()?;
    let declined = case.asked(MessageType::Decline).next().is_some();
    if case.gives_address_in_the_end() || case.nak().is_some() || declined {
        return None;
    }
    let server = match wanted.server {
        Some(server) => server.to_string(),
        None => server_of(offer, offered),
    };
    let others: Vec<String> = offers
        .iter()
        .map(|(packet, said)| server_of(packet, said))
        .filter(|other| *other != server)
        .collect();
    let address = wanted
        .wanted
        .or(offered.given)
        .map_or_else(String::new, |address| format!(" of {address}"));
    let mut evidence = vec![
        case.packet(
            offer,
            format!("OFFER{address} by {}", server_of(offer, offered)),
        ),
        case.packet(
            request,
            format!("REQUEST{address}, server identifier {server}"),
        ),
        Proof::of(format!("no ACK or NAK to {} REQUESTs", requests.len())),
    ];
    evidence.extend(
        others
            .first()
            .map(|other| Proof::of(format!("{other} also offered an address"))),
    );
    Some(Finding {
        cause: Cause::NoAcknowledgement,
        sentence: format!(
            "{} requested the offered address{address}, but the server {server} never acknowledged it",
            case.mac
        ),
        evidence,
        remedy: format!(
            "check that the server identifier {server} (option 54) is the address of the server \
             that made the offer, that REQUESTs reach this server (a relay or firewall may pass \
             only DISCOVERs), and that it can write its lease file"
        ),
        // Two offering servers are a cause of their own.
        weight: if others.is_empty() { 93 } else { 85 },
    })
}

/// Detects unanswered ARP requests of the machine for a server.
pub(super) fn next_server_unreachable(case: &Case) -> Option<Finding> {
    let acked = case
        .in_firmware(case.answers())
        .filter(|(_, said)| said.is(MessageType::Ack) || said.given.is_none())
        .last()?;
    let loads = case.sent().any(|packet| {
        matches!(
            packet.what,
            PacketContent::TftpRequest { .. } | PacketContent::HttpRequest { .. }
        )
    });
    if loads {
        return None;
    }
    let named: Option<Ipv4Addr> = acked
        .1
        .next_server
        .as_deref()
        .and_then(|text| text.parse().ok());
    let asked: Vec<(&Packet, Ipv4Addr)> = case
        .sent()
        .filter_map(|packet| match packet.what {
            PacketContent::ArpRequest { address } => Some((packet, address)),
            _ => None,
        })
        .filter(|(_, address)| !case.addresses.contains(address))
        .collect();
    let (last, address) = asked.last().copied()?;
    let times = asked.iter().filter(|(_, other)| *other == address).count();
    let answered =
        case.wire().packets.iter().chain(case.received()).any(
            |packet| matches!(packet.what, PacketContent::ArpReply { address: found } if found == address),
        );
    if answered || times < ASKED_IN_VAIN {
        return None;
    }
    let what = match named {
        Some(named) if named == address => format!("the boot server {address}"),
        Some(named) => format!("{address}, the gateway to the boot server {named},"),
        None => format!("{address}, which it needs to load its boot file,"),
    };
    let server = server_of(acked.0, acked.1);
    let evidence = vec![
        case.packet(
            acked.0,
            format!(
                "{server} names {} on {}",
                acked.1.boot_file.as_deref().unwrap_or("no boot file"),
                acked.1.next_server.as_deref().unwrap_or("no server")
            ),
        ),
        case.packet(last, format!("who has {address}? asked {times} times")),
        Proof::of(format!("no ARP answer for {address}")),
    ];
    Some(Finding {
        cause: Cause::NextServerUnreachable,
        sentence: format!(
            "{what} does not answer ARP: {times} requests from {}",
            case.mac
        ),
        evidence,
        remedy: format!(
            "correct the next-server (option 66, `siaddr`) that {server} sends, or start the host \
             with the address {address}; across subnets, check that the router option names an \
             existing router"
        ),
        weight: 94,
    })
}
