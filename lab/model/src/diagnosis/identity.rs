//! Causes about a machine's identity.

use std::net::IpAddr;

use boot_server_proto::dhcp::MessageType;
use uuid::Uuid;

use super::case::{Case, proof};
use super::{Cause, Finding, Proof};
use crate::evidence::packet::{Direction, Packet, PacketContent, TransferEnd};
use crate::timeline::{Origin, Outcome};

/// A transfer that goes on for so long before and after a packet was under way at that time.
const UNDER_WAY_US: u64 = 500_000;

/// Detects requests with another machine's identity.
pub(super) fn borrowed(case: &Case) -> Option<Finding> {
    let finding = |sentence: String, evidence: Vec<Proof>| {
        Some(Finding {
            cause: Cause::BorrowedIdentity,
            sentence,
            evidence,
            remedy: "give each machine its own UUID (some vendors ship boards with the same one; \
                     match such machines by MAC), and write variables into config URLs \
                     (`${uuid}`, `${net0/mac:hexhyp}`) instead of one machine's values"
                .into(),
            weight: 97,
        })
    };
    // Two network cards with one UUID, or a card with another's.
    let mine = case.dhcp().find_map(|(packet, said)| {
        let uuid = said.uuid.as_deref().filter(|_| !said.from_server)?;
        (!uuid.eq_ignore_ascii_case(&case.uuid)).then_some((packet, uuid))
    });
    if let Some((packet, uuid)) = mine {
        let nodes = &case.attempt.scenario.nodes;
        let owner = nodes
            .iter()
            .find(|node| node.uuid.to_string().eq_ignore_ascii_case(uuid));
        let whose = owner.map_or_else(
            || "which no machine of this scenario has".into(),
            |node| format!("that of {}", node.name),
        );
        let told = format!("{} says UUID {uuid}", case.mac);
        let mut evidence = vec![case.packet(packet, told)];
        evidence.push(Proof::of(format!(
            "{} should have UUID {}",
            case.node.name, case.uuid
        )));
        let sentence = format!("{} has the UUID {uuid}, {whose}", case.node.name);
        // Firmware that swaps the first three fields sends the same UUID in another order.
        let swapped = uuid::Uuid::from_bytes(case.node.uuid.to_bytes_le());
        if owner.is_none() && uuid.eq_ignore_ascii_case(&swapped.to_string()) {
            return None;
        }
        return finding(sentence, evidence);
    }
    let shared = case
        .wire()
        .packets
        .iter()
        .find_map(|packet| match &packet.what {
            PacketContent::Dhcp(said)
                if !said.from_server
                    && said.client != case.mac
                    && !case.is_other_card(&said.client)
                    && said
                        .uuid
                        .as_deref()
                        .is_some_and(|uuid| uuid.eq_ignore_ascii_case(&case.uuid)) =>
            {
                Some((packet, said))
            }
            _ => None,
        });
    let named = case
        .timeline
        .stages
        .iter()
        .flat_map(|stage| &stage.events)
        .find(|stage_event| stage_event.claimed.is_some());
    if named.is_some_and(|stage_event| super::redirect::before(case, stage_event).is_some()) {
        return None;
    }
    if let Some(stage_event) = named {
        let sentence = format!("{} {}", case.node.name, stage_event.text);
        return finding(sentence, vec![proof(stage_event)]);
    }
    let (packet, said) = shared?;
    let sentence = format!(
        "two machines report the UUID {}: {} and {}",
        case.uuid, case.mac, said.client
    );
    finding(
        sentence,
        vec![case.packet(packet, format!("{} says the same UUID", said.client))],
    )
}

/// Detects another host's requests in this machine's name, or answers in a server's.
pub(super) fn impersonated(case: &Case) -> Option<Finding> {
    let finding = |sentence: String, evidence: Vec<Proof>, weight| {
        Some(Finding {
            cause: Cause::Impersonated,
            sentence,
            evidence,
            remedy:
                "find the host by its address and MAC in the switch's address table and remove \
                     it from this network, or correct its requests; they do not count for the \
                     machine"
                    .into(),
            weight,
        })
    };
    let stage_events = || case.stage_events(case.stage).iter();
    let stray = stage_events().find_map(|one| {
        let from = one.content.as_ref()?.from.as_deref()?;
        let is_answer = one.origin == Origin::Wire && one.outcome != Outcome::Failed;
        (is_answer && case.port().is_some() && !case.is_of_service(from)).then_some((one, from))
    });
    if let Some((stage_event, from)) = stray {
        let what = stage_event.subject.as_deref().unwrap_or("a file");
        let sentence = format!(
            "{from} answered {} in place of the scenario's own service: {what}",
            case.node.name
        );
        // If the lab's server answered too, one of the answers is forged; otherwise a script may lead there.
        let own =
            stage_events().any(|one| one.origin == Origin::Server && one.outcome == Outcome::Done);
        return finding(
            sentence,
            vec![proof(stage_event)],
            if own { 96 } else { 70 },
        );
    }
    let asked = stage_events().find(|one| one.impostor.is_some())?;
    let by = asked.impostor.as_deref().unwrap_or_default();
    let what = asked.subject.as_deref().unwrap_or("an answer");
    let own = stage_events().any(|one| one.impostor.is_none() && one.outcome == Outcome::Done);
    let mut evidence = vec![proof(asked)];
    evidence.push(Proof::of(format!(
        "no such request crossed the port of {}",
        case.node.name
    )));
    let sentence = format!(
        "{by} requested {what} in the name of {}, which did not send the request",
        case.node.name
    );
    finding(sentence, evidence, if own { 50 } else { 92 })
}

/// Detects another host with the machine's MAC.
pub(super) fn duplicate_mac(case: &Case) -> Option<Finding> {
    let (packet, told, weight) = match case.port() {
        Some(_) => at_the_port(case)?,
        None => two_uuids(case)
            .or_else(|| two_addresses(case))
            .or_else(|| boots_while_loading(case))?,
    };
    Some(Finding {
        cause: Cause::DuplicateMac,
        sentence: format!("two hosts have the MAC {} of {}", case.mac, case.node.name),
        evidence: vec![case.packet(packet, told)],
        remedy:
            "give one of the two another MAC (cloned virtual machines keep theirs); until then the \
             switch forwards frames to the host that sent last"
                .into(),
        weight,
    })
}

/// Returns frames delivered to the machine with its own MAC as sender.
fn at_the_port<'a>(case: &Case<'a>) -> Option<(&'a Packet, String, u8)> {
    let port = case.port()?;
    let packet = port.packets.iter().find(|packet| {
        packet.direction == Some(Direction::ToMachine) && packet.from.mac == case.mac
    })?;
    let address = packet
        .from
        .address
        .map_or_else(String::new, |address| format!(", address {address}"));
    let told = format!(
        "a frame from {}{address} arrived at that machine's own port",
        case.mac
    );
    Some((packet, told, 96))
}

/// Client messages from the machine's MAC name its own UUID and another one.
fn two_uuids<'a>(case: &Case<'a>) -> Option<(&'a Packet, String, u8)> {
    let said = || {
        let messages = case.dhcp().filter(|(_, said)| !said.from_server);
        messages.filter_map(|(packet, said)| Some((packet, said.uuid.as_deref()?.parse().ok()?)))
    };
    let own = case.node.uuid;
    // Firmware may swap the first three fields (SMBIOS before 2.6).
    let is_own = |uuid: &Uuid| *uuid == own || Uuid::from_bytes(uuid.to_bytes_le()) == own;
    let (packet, other) =
        said().find(|(_, uuid)| !is_own(uuid) && !uuid.is_nil() && !uuid.is_max())?;
    let told = format!("{} reports UUID {other} here and {own} elsewhere", case.mac);
    said()
        .any(|(_, uuid)| is_own(&uuid))
        .then_some((packet, told, 98))
}

/// Returns a frame of the machine's MAC from an address that it was never assigned.
fn two_addresses<'a>(case: &Case<'a>) -> Option<(&'a Packet, String, u8)> {
    if case.addresses.is_empty() {
        return None;
    }
    case.sent().find_map(|packet| {
        let IpAddr::V4(address) = packet.from.address? else {
            return None;
        };
        let is_own = case.addresses.contains(&address)
            || address.is_unspecified()
            || address.is_link_local();
        let told = format!("{} uses {address}, which no server gave it", case.mac);
        (!is_own).then_some((packet, told, 96))
    })
}

/// Firmware with the machine's MAC asks for an address in the middle of a transfer that the machine takes to its end.
fn boots_while_loading<'a>(case: &Case<'a>) -> Option<(&'a Packet, String, u8)> {
    let discovers: Vec<&Packet> = case
        .asked(MessageType::Discover)
        .filter(|(_, said)| !said.arch.is_empty())
        .map(|(packet, _)| packet)
        .collect();
    let mut loads = case.transfers().filter(|one| one.end == TransferEnd::Whole);
    loads.find_map(|load| {
        let span =
            load.start_us.saturating_add(UNDER_WAY_US)..load.end_us.saturating_sub(UNDER_WAY_US);
        let mut within = discovers
            .iter()
            .filter(|packet| span.contains(&packet.at_us));
        let packet = *within.next()?;
        let told = format!(
            "{} requests an address while it loads {}",
            case.mac, load.name
        );
        Some((packet, told, 96))
    })
}
