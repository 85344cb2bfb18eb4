//! Causes on the way through a router: blocked ports and long packets.

use std::net::IpAddr;

use super::case::Case;
use super::outside::is_outside;
use super::{Cause, Finding, Proof};
use crate::evidence::packet::{Packet, PacketContent, Protocol, Transfer, TransferEnd};
use crate::scenario::Transport;
use crate::timeline::StageName;

/// Bytes of the headers of IPv4, UDP and TFTP before a block.
const HEADERS: u32 = 20 + 8 + 4;

/// Packets of a lost request or transfer that are listed as evidence.
const SHOWN: usize = 3;

/// Returns the names of the machine's network and of the servers'; `None` where they are one, or where captures prove
/// nothing.
fn networks<'a>(case: &Case<'a>) -> Option<(&'a str, &'a str)> {
    let scenario = &case.attempt.scenario;
    let network = scenario.network_of(case.node);
    let apart = network != &*scenario.network && case.has_capture() && case.port().is_some();
    apart.then(|| (network.title(), scenario.network.title()))
}

/// Returns the protocol and port of a request that waits for an answer.
pub(super) fn asked(packet: &Packet) -> Option<(Transport, u16)> {
    match packet.what {
        PacketContent::TftpRequest { write: false, .. } => Some((Transport::Udp, packet.to.port?)),
        PacketContent::TcpSyn => Some((Transport::Tcp, packet.to.port?)),
        _ => None,
    }
}

/// Detects requests that did not come through the router, while other packets did.
pub(super) fn blocked(case: &Case) -> Option<Finding> {
    let (network, servers) = networks(case)?;
    if case.is_through(StageName::KernelUp) {
        return None;
    }
    let sent: Vec<(&Packet, (Transport, u16))> = case
        .sent()
        .filter_map(|packet| Some((packet, asked(packet)?)))
        .collect();
    let (_, (transport, port)) = *sent.last()?;
    let lost: Vec<&Packet> = sent
        .iter()
        .filter(|(_, what)| *what == (transport, port))
        .map(|(packet, _)| *packet)
        .collect();
    let first = *lost.first()?;
    let (from, to) = (first.from.address?, first.to.address?);
    if is_outside(case, to) {
        return None;
    }
    let came = |address: IpAddr, packet: &Packet| {
        // In the machine's own network, the packet has the machine's MAC.
        packet.from.address == Some(address)
            && packet.to.port == Some(port)
            && packet.from.mac != case.mac
    };
    let wire = case.wire();
    let arrived = wire.packets.iter().any(|packet| came(from, packet))
        || wire
            .transfers
            .iter()
            .filter(|one| one.to.mac != case.mac && is_of(one, transport))
            .any(|one| one.to.address == Some(from));
    if arrived {
        return None;
    }
    let protocol = transport.name().to_uppercase();
    let shown = lost.iter().take(SHOWN);
    let mut evidence: Vec<Proof> = shown
        .map(|packet| {
            let text = format!("request of {from} to {to}, {protocol} port {port}, in {network}");
            case.packet(packet, text)
        })
        .collect();
    evidence.push(Proof::of(format!(
        "none of {} such requests in {servers} among {} captured frames",
        lost.len(),
        wire.frames
    )));
    Some(Finding {
        cause: Cause::BlockedByRouter,
        sentence: format!(
            "requests of {from} to {to} at {protocol} port {port} leave {network} and never reach {servers}: the \
             router drops them"
        ),
        evidence,
        remedy: format!(
            "allow {protocol} port {port} from {network} to {to} on the router, and the answers; for TFTP, answers \
             come from another port, so that the firewall needs a helper or a range"
        ),
        weight: 98,
    })
}

fn is_of(transfer: &Transfer, transport: Transport) -> bool {
    transport
        == match transfer.protocol {
            Protocol::Tftp => Transport::Udp,
            Protocol::Http => Transport::Tcp,
        }
}

/// Detects blocks that leave the servers' network and never arrive.
pub(super) fn narrow(case: &Case) -> Option<Finding> {
    let (network, servers) = networks(case)?;
    let sent = case.wire().transfers.iter().rfind(|sent| {
        let is_own = sent
            .to
            .address
            .is_some_and(|to| matches!(to, IpAddr::V4(to) if case.addresses.contains(&to)));
        is_own
            && sent.to.mac != case.mac
            && sent.protocol == Protocol::Tftp
            && sent.end != TransferEnd::Whole
            && sent.bytes > 0
            && sent.retransmits > 0
    })?;
    let got = case.transfers().filter(|got| got.name == sent.name);
    if got.map(|got| got.bytes).any(|bytes| bytes > 0) {
        return None;
    }
    // Without an acknowledgement of options, blocks have 512 bytes (RFC 1350).
    let acknowledged = case.received().find_map(|packet| match &packet.what {
        PacketContent::TftpOptions { options } => Some((packet, options)),
        _ => None,
    });
    let size = acknowledged.and_then(|(_, options)| {
        let mut options = options.iter();
        let (_, size) = options.find(|(name, _)| name.eq_ignore_ascii_case("blksize"))?;
        size.parse::<u32>().ok()
    });
    let (block, packet_len) = (size.unwrap_or(512), size.unwrap_or(512) + HEADERS);
    let name = &sent.name;
    let mut evidence: Vec<Proof> = Vec::new();
    evidence.extend(acknowledged.map(|(packet, _)| {
        case.packet(
            packet,
            format!("blocks of {block} bytes are agreed on for {name}; this short packet arrives"),
        )
    }));
    evidence.push(Proof {
        at_us: Some(sent.start_us),
        frame: Some(sent.into()),
        service: None,
        text: format!(
            "{name} in {servers}: {} bytes sent, {} blocks repeated",
            sent.bytes, sent.retransmits
        ),
    });
    evidence.push(Proof::of(format!(
        "none of these blocks at the port of {} in {network}",
        case.mac
    )));
    Some(Finding {
        cause: Cause::MtuTooSmall,
        sentence: format!(
            "packets of {packet_len} bytes are lost between {servers} and {network}: the blocks of {name} leave the \
             server and none reaches {}, while short packets do",
            case.mac
        ),
        evidence,
        remedy: format!(
            "give all links between {servers} and {network} the same MTU (tunnels and VLAN tags need room), or limit \
             the TFTP server's block size to the smallest MTU less {HEADERS} bytes"
        ),
        weight: 98,
    })
}
