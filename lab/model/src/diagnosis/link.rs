//! Causes in the network: blocked, lossy or slow links.

use std::collections::HashMap;
use std::mem::{Discriminant, discriminant};

use super::case::Case;
use super::config_url::answered;
use super::{Cause, Finding, Proof, vlan};
use crate::evidence::packet::{
    Direction, Packet, PacketContent, Protocol, Transfer, TransferEnd, Wire,
};
use crate::evidence::{DhcpKind, GaveUp};
use crate::timeline::{StageName, first_frame_in};

/// Number of retransmitted packets that a link without loss never has.
const MANY_AGAIN: u64 = 8;

/// Percentage of retransmissions that TCP and TFTP cannot handle at any speed.
const MUCH_PERCENT: f64 = 8.0;

/// Maximum number of missing packets that may still have been in transit at the end of the capture.
const FEW_LOST: usize = 3;

/// Percentage of compared packets; fewer are no cause of a failure.
const LOST_PERCENT: usize = 10;

/// Bytes in a data packet on Ethernet, roughly.
const DATA_BYTES: u64 = 1400;

/// Time before the end within which a transfer's last packet shows that it was still active.
const UNDER_WAY_US: u64 = 10_000_000;

/// Rate in bytes per second below which a transfer misses every time limit.
const SLOW_BYTES_PER_SECOND: f64 = 1_000_000.0;

/// Detects HTTP connections that fail while other packets pass.
pub(super) fn http_blocked(case: &Case) -> Option<Finding> {
    let kernel = case.timeline.stage(StageName::KernelUp);
    let until_us = kernel.map_or(u64::MAX, |stage| stage.start_us);
    let tried: Vec<&Packet> = case
        .sent()
        .filter(|packet| packet.at_us < until_us && matches!(packet.what, PacketContent::TcpSyn))
        .collect();
    let last = tried.last()?;
    if tried.iter().any(|syn| answered(case, syn)) {
        return None;
    }
    let server = last
        .to
        .address
        .map_or_else(|| last.to.mac.clone(), |address| address.to_string());
    let port = last.to.port.unwrap_or(80);
    let mut evidence: Vec<Proof> = tried
        .iter()
        .take(3)
        .map(|packet| case.packet(packet, format!("SYN to {server}:{port}")))
        .collect();
    let answer = case.received().find_map(|packet| match &packet.what {
        PacketContent::Unreachable { why, .. } => Some((packet, Some(why.as_str()))),
        PacketContent::TcpReset if packet.from.port == last.to.port => Some((packet, None)),
        _ => None,
    });
    let (how, weight) = match &answer {
        Some((packet, why)) => {
            let answer = why.unwrap_or("reset");
            evidence.push(case.packet(packet, format!("{server} answers: {answer}")));
            let how = match why {
                None => "refused: nothing listens there",
                Some(_) => "prohibited",
            };
            (how, 92)
        }
        None => {
            evidence.push(Proof::of("no answer to any of them"));
            ("never answered", 90)
        }
    };
    let reachable = case.wire().packets.iter().find(|packet| {
        let from_server = packet.from.address.is_some() && packet.from.address == last.to.address;
        matches!(packet.what, PacketContent::ArpReply { address } if Some(address.into()) == last.to.address)
            || (from_server
                && packet.to.mac == case.mac
                && matches!(packet.what, PacketContent::TftpOptions { .. }))
    });
    let tftp = case.transfers().find(|one| one.protocol == Protocol::Tftp);
    if let Some(packet) = reachable {
        evidence.push(case.packet(packet, format!("{server} is up: it answers other requests")));
    } else if let Some(one) = tftp {
        evidence.push(Proof::at(
            one.end_us,
            format!("{server} is up: it sent {} by TFTP", one.name),
        ));
    }
    Some(Finding {
        cause: Cause::HttpBlocked,
        sentence: format!(
            "HTTP from {} to {server}:{port} is blocked: {} connection attempts, {how}",
            case.node.name,
            tried.len()
        ),
        evidence,
        remedy: format!(
            "open TCP {port} for this network in the server's firewall (libvirt's firewalld zone \
             allows only DHCP, DNS, TFTP and SSH), and check that the server listens on {server}"
        ),
        weight,
    })
}

/// Detects repeated retransmissions in several conversations.
pub(super) fn packet_loss(case: &Case) -> Option<Finding> {
    if vlan::is_refused(case) {
        // The switch has not lost these packets.
        return None;
    }
    // A packet lost before the machine's port never reaches it: only the capture of the network shows the
    // retransmission.
    let lossy: Vec<&Transfer> = case
        .transfers_on_network()
        .filter(|one| one.retransmits > 0)
        .collect();
    let again: u64 = lossy.iter().map(|one| one.retransmits).sum();
    let bytes: u64 = case.transfers_on_network().map(|one| one.bytes).sum();
    let packets = (bytes / DATA_BYTES).max(1);
    let asked_again = repeated_questions(case);
    let on_the_way = lost_on_the_way(case);
    if again + asked_again < MANY_AGAIN && on_the_way.is_none() {
        return None;
    }
    let share = again as f64 / packets as f64 * 100.0;
    let unfinished = case
        .transfers_on_network()
        .any(|one| one.end != TransferEnd::Whole);
    let weight = match (lossy.len(), unfinished) {
        // Enough losses to explain all slowness.
        (_, true) if share >= MUCH_PERCENT => 93,
        (2.., true) => 89,
        (1, true) => 76,
        (2.., false) => 72,
        _ => 50,
    };
    // Seen on one side only: proven loss.
    let weight = if on_the_way.is_some() { 94 } else { weight };
    let mut worst = lossy.clone();
    worst.sort_by_key(|one| std::cmp::Reverse(one.retransmits));
    let mut evidence: Vec<Proof> = worst
        .iter()
        .take(4)
        .map(|one| Proof {
            service: None,
            at_us: Some(one.start_us),
            frame: first_frame_in(case.wire(), one),
            text: format!(
                "{}: {} packets retransmitted in {} bytes, longest gap {:.1} s",
                one.name,
                one.retransmits,
                one.bytes,
                one.longest_silence_us as f64 / 1e6
            ),
        })
        .collect();
    if let Some((lost, all)) = on_the_way {
        evidence.push(Proof::of(format!(
            "{lost} of {all} packets were sent on one side of the link but did not arrive on the \
             other"
        )));
    }
    if asked_again > 0 {
        evidence.push(Proof::of(format!(
            "{asked_again} DHCP and TFTP requests were repeated"
        )));
    }
    Some(Finding {
        cause: Cause::PacketLoss,
        sentence: format!(
            "packets are lost between {} and its servers: {again} were retransmitted, {share:.1} % \
             of the transfer",
            case.node.name
        ),
        evidence,
        remedy:
            "look for errors on the switch port, the cable and the network card (`ip -s link`, \
             `ethtool -S`), for a duplex mismatch or an overloaded link; prefer HTTP to TFTP, \
             which stops at each lost packet until a timeout"
                .into(),
        weight,
    })
}

/// Counts the packets lost between the machine's port and the network, and all packets compared; `None` unless
/// both sides were captured without losses of the capture itself, or if hardly any were lost.
///
/// A capture keeps only counts of a transfer's data packets. A retransmission that is counted on the network and not
/// at the port stands for a data packet lost between the two.
fn lost_on_the_way(case: &Case) -> Option<(usize, usize)> {
    let (port, network) = (case.port()?, case.wire());
    if network.frames == 0 || port.dropped > 0 || network.dropped > 0 {
        return None;
    }
    let is_sent = |packet: &Packet| packet.direction == Some(Direction::FromMachine);
    let is_delivered = |packet: &Packet| !is_sent(packet) && packet.to.mac == case.mac;
    let sent = by_kind(port, is_sent);
    let passed_on = by_kind(network, |packet| packet.from.mac == case.mac);
    let addressed = by_kind(network, |packet| packet.to.mac == case.mac);
    let delivered = by_kind(port, is_delivered);
    let missing = |before: &HashMap<_, usize>, after: &HashMap<_, usize>| -> usize {
        let kinds = before.iter();
        kinds
            .map(|(kind, count)| count.saturating_sub(after.get(kind).copied().unwrap_or(0)))
            .sum()
    };
    let transfers = || {
        case.transfers()
            .filter_map(|arrived| Some((arrived, case.on_network(arrived)?)))
    };
    let lost_data: u64 = transfers()
        .map(|(arrived, sent)| sent.retransmits.saturating_sub(arrived.retransmits))
        .sum();
    let data: u64 = transfers()
        .map(|(_, sent)| sent.bytes / DATA_BYTES + sent.retransmits)
        .sum();
    let lost = missing(&sent, &passed_on) + missing(&addressed, &delivered) + lost_data as usize;
    let all = sent.values().sum::<usize>() + addressed.values().sum::<usize>() + data as usize;
    (lost >= FEW_LOST && lost * 100 >= all * LOST_PERCENT).then_some((lost, all))
}

/// Number of datagrams of each kind.
fn by_kind(
    wire: &Wire,
    is_counted: impl Fn(&Packet) -> bool,
) -> HashMap<Discriminant<PacketContent>, usize> {
    let mut counts = HashMap::new();
    for packet in wire.packets.iter().filter(|packet| is_counted(packet)) {
        let is_datagram = matches!(
            packet.what,
            PacketContent::Dhcp(_)
                | PacketContent::TftpRequest { .. }
                | PacketContent::TftpOptions { .. }
                | PacketContent::TftpError { .. }
                | PacketContent::ArpRequest { .. }
                | PacketContent::ArpReply { .. }
        );
        if is_datagram {
            *counts.entry(discriminant(&packet.what)).or_default() += 1;
        }
    }
    counts
}

/// Returns requests that were repeated with the same content.
fn repeated_questions(case: &Case) -> u64 {
    let mut xids: Vec<(u32, DhcpKind)> = case
        .dhcp()
        .filter(|(_, said)| !said.from_server)
        .map(|(_, said)| (said.xid, said.message))
        .collect();
    let all = xids.len();
    xids.sort_unstable();
    xids.dedup();
    (all - xids.len()) as u64
}

/// Detects a transfer that progressed to the end, but too slowly.
pub(super) fn too_slow(case: &Case) -> Option<Finding> {
    let Some(GaveUp::Deadline { .. }) = case.timeline.gave_up else {
        return None;
    };
    let end_us = case.gave_up_us()?;
    let finding = |sentence: String, evidence: Vec<Proof>, weight| {
        Some(Finding {
            cause: Cause::TooSlow,
            sentence,
            evidence,
            remedy: "extend the deadline (`[deadline] boot_seconds` in scenario.toml), run fewer \
                     machines at once (`--jobs`), use a faster transfer (HTTP instead of TFTP, a \
                     smaller initrd), or find out why server or link is slow"
                .into(),
            weight,
        })
    };
    let under_way = case
        .transfers()
        .filter(|one| one.end != TransferEnd::Whole && one.start_us < end_us)
        .filter(|one| end_us.saturating_sub(one.end_us) < UNDER_WAY_US)
        .last();
    if let Some(one) = under_way {
        let seconds = one.end_us.saturating_sub(one.start_us) as f64 / 1e6;
        let rate = one.bytes as f64 / seconds.max(0.001);
        let of = one
            .announced
            .map_or_else(String::new, |all| format!(" of {all}"));
        let sentence = format!(
            "{} was still being transferred at the deadline: {}{of} bytes in {seconds:.0} s, {:.0} \
             kB/s",
            one.name,
            one.bytes,
            rate / 1000.0
        );
        let proof = Proof {
            service: None,
            at_us: Some(one.end_us),
            frame: first_frame_in(case.wire(), one),
            text: format!(
                "the last packet of {}, shortly before the lab stopped waiting",
                one.name
            ),
        };
        let weight = if rate < SLOW_BYTES_PER_SECOND { 90 } else { 84 };
        return finding(sentence, vec![proof], weight);
    }
    let (last_us, line) = case
        .console()
        .filter(|(at_us, line)| *at_us <= end_us && !line.trim().is_empty())
        .last()?;
    if end_us.saturating_sub(last_us) > UNDER_WAY_US {
        return None;
    }
    let sentence = format!(
        "{} was still booting at the deadline: it had reached {}",
        case.node.name,
        case.timeline.reached().map_or("no stage", StageName::name)
    );
    finding(
        sentence,
        vec![Proof::at(
            last_us,
            format!("the console says `{}`", line.trim()),
        )],
        66,
    )
}
