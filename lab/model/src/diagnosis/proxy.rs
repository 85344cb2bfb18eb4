//! Causes about boot options beside another DHCP server: missing, or unusable.

use std::collections::BTreeSet;

use boot_server_events::BootEvent;
use boot_server_proto::dhcp::MessageType;

use super::case::Case;
use super::{Cause, Finding, Proof};
use crate::evidence::packet::{DhcpSaid, Packet, PacketContent};
use crate::timeline::{Outcome, StageName};

/// Detects a proxy that does not answer.
pub(super) fn silent(case: &Case) -> Option<Finding> {
    if !case.has_capture() {
        return None;
    }
    on_4011(case).or_else(|| on_67(case))
}

fn on_67(case: &Case) -> Option<Finding> {
    let mut asked = case.in_firmware(case.asked(MessageType::Discover));
    let (first, _) = asked.next()?;
    if !case.expects_proxy() || proxied(case).next().is_some() || !case.gives_address() {
        return None;
    }
    // A machine that boots has boot options, whether their packet was captured or not.
    if case.boots_from_network() {
        return None;
    }
    let host = case.attempt.scenario.network.host();
    let mut evidence = vec![
        case.packet(first, format!("DISCOVER of {}", case.mac)),
        Proof::of(format!(
            "no answer of a proxy (boot options without an address) to {} DISCOVERs",
            1 + asked.count()
        )),
    ];
    let on_purpose = case.events().find_map(|(at_us, event)| match event {
        BootEvent::DhcpIgnored { reason, .. } => Some(Proof::at(
            at_us,
            format!("the boot server did not answer, on purpose: {reason}"),
        )),
        _ => None,
    });
    // Pixiecore ignores machines unknown to its API: then that is the cause.
    let refused = case
        .stage_events(StageName::Script)
        .iter()
        .any(|one| one.outcome == Outcome::Failed);
    let weight = match (refused, &on_purpose) {
        (true, _) => 65,
        (false, Some(_)) => 90,
        (false, None) => 95,
    };
    evidence.extend(on_purpose);
    Some(Finding {
        cause: Cause::ProxySilent,
        sentence: format!(
            "{} received an address but no boot options: no proxy answered its DISCOVER {}",
            case.mac,
            case.when(first)
        ),
        evidence,
        remedy: format!(
            "check that the proxyDHCP server (expected at {host}) runs on this network, that no \
             other program uses its ports (UDP 67 and 4011), and that its rules allow this \
             machine to boot"
        ),
        weight,
    })
}

/// Detects unanswered requests to a proxy's own port.
fn on_4011(case: &Case) -> Option<Finding> {
    let to_4011 = |packet: &Packet| packet.to.port == Some(4011);
    let from_4011 = |packet: &Packet| packet.from.port == Some(4011);
    let asked: Vec<(&Packet, &DhcpSaid)> = case
        .in_firmware(case.dhcp())
        .filter(|(packet, said)| !said.from_server && to_4011(packet))
        .collect();
    let (first, _) = asked.first()?;
    if case.answers().any(|(packet, _)| from_4011(packet)) || case.is_through(StageName::Nbp) {
        return None;
    }
    let server = first
        .to
        .address
        .map_or_else(|| first.to.mac.clone(), |address| address.to_string());
    let mut evidence: Vec<Proof> = asked
        .iter()
        .take(2)
        .map(|(packet, _)| case.packet(packet, format!("REQUEST to {server} port 4011")))
        .collect();
    evidence.push(Proof::of("no answer from port 4011"));
    let refused = case.received().find(|packet| {
        matches!(
            packet.what,
            PacketContent::Unreachable {
                port: Some(4011),
                ..
            }
        )
    });
    evidence.extend(refused.map(|packet| case.packet(packet, "the port cannot be reached")));
    Some(Finding {
        cause: Cause::ProxySilent,
        sentence: format!(
            "the boot service that {server} offered does not answer on port 4011 ({} requests)",
            asked.len()
        ),
        evidence,
        remedy:
            "open UDP 4011 in the server's firewall and check that its boot service listens there; \
             or let the proxy name the boot file in its offer, so that no second request is needed"
                .into(),
        weight: 93,
    })
}

/// Returns answers without an address, which come from a proxy.
fn proxied<'a>(case: &Case<'a>) -> impl Iterator<Item = (&'a Packet, &'a DhcpSaid)> {
    // An answer to an INFORM has no address either, and does not come from a proxy (RFC 2131 §4.3.5).
    let informed: BTreeSet<u32> = case
        .asked(MessageType::Inform)
        .map(|(_, said)| said.xid)
        .collect();
    let answers: Vec<_> = case.in_firmware(case.answers()).collect();
    let from_proxy = move |said: &DhcpSaid| said.given.is_none() && !informed.contains(&said.xid);
    answers
        .into_iter()
        .filter(move |(_, said)| from_proxy(said))
}

/// Detects a proxy whose answer firmware cannot use.
pub(super) fn malformed(case: &Case) -> Option<Finding> {
    if case.is_through(StageName::Nbp) {
        return None;
    }
    let (packet, what) = unreadable(case).or_else(|| unusable(case))?;
    let server = packet
        .from
        .address
        .map_or_else(|| packet.from.mac.clone(), |address| address.to_string());
    Some(Finding {
        cause: Cause::ProxyMalformed,
        sentence: format!(
            "the proxy at {server} sent {} an answer that firmware ignores: {what}",
            case.when(packet)
        ),
        evidence: vec![case.packet(packet, format!("answer of {server}: {what}"))],
        remedy:
            "the proxy's answer needs option 60 `PXEClient` (`HTTPClient` for UEFI HTTP boot), \
                 the boot server's address and a boot file, each option with its correct length"
                .into(),
        weight: 95,
    })
}

/// Returns a malformed DHCP message from a server's port.
fn unreadable<'a>(case: &Case<'a>) -> Option<(&'a Packet, String)> {
    // The content of a truncated frame is unknown.
    if case.wire().kind.cut_at_bytes.is_some() {
        return None;
    }
    let asked = case
        .in_firmware(case.asked(MessageType::Discover))
        .next()?
        .0
        .at_us;
    case.wire()
        .packets
        .iter()
        .find_map(|packet| match &packet.what {
            PacketContent::Malformed { protocol, why }
                if protocol == "dhcp"
                    && matches!(packet.from.port, Some(67 | 4011))
                    && packet.at_us >= asked =>
            {
                Some((packet, why.clone()))
            }
            _ => None,
        })
}

fn unusable<'a>(case: &Case<'a>) -> Option<(&'a Packet, String)> {
    let usable = |said: &DhcpSaid| said.boot_file.is_some() && flaw(said).is_none();
    if proxied(case).any(|(_, said)| usable(said)) {
        return None;
    }
    proxied(case).find_map(|(packet, said)| Some((packet, flaw(said)?)))
}

fn flaw(said: &DhcpSaid) -> Option<String> {
    match &said.vendor_class {
        None => return Some("it has no option 60, which identifies a proxy".into()),
        Some(class)
            if !["PXEClient", "HTTPClient"]
                .iter()
                .any(|known| class.starts_with(known)) =>
        {
            return Some(format!("its option 60 is `{class}`, not `PXEClient`"));
        }
        Some(_) => {}
    }
    if said.boot_file.is_none() && !said.boot_servers && said.next_server.is_none() {
        return Some("it names no boot file and no boot server".into());
    }
    if said.boot_file.as_deref() == Some("") {
        return Some("the name of its boot file is empty".into());
    }
    let absolute = said
        .boot_file
        .as_deref()
        .is_some_and(|file| file.contains("://"));
    if said.next_server.is_none() && said.boot_file.is_some() && !absolute {
        return Some(
            "it names a boot file, but no server to load it from (siaddr, option 66)".into(),
        );
    }
    None
}
