//! Who a machine says it is.

use super::case::Case;
use super::nbp::proof;
use super::{Cause, Finding, Proof};
use crate::evidence::packet::Said;

/// It asks in the name of another machine.
pub(super) fn borrowed(case: &Case) -> Option<Finding> {
    let finding = |sentence: String, evidence: Vec<Proof>| {
        Some(Finding {
            cause: Cause::BorrowedIdentity,
            sentence,
            evidence,
            remedy: "give each machine a UUID of its own (boards of one maker are sometimes shipped \
                     with the same; match such machines by MAC), and let config URLs carry variables \
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
            || "which no machine here should have".into(),
            |node| format!("that of {}", node.name),
        );
        let told = format!("{} says UUID {uuid}", case.mac);
        let mut evidence = vec![case.packet(packet, told)];
        evidence.push(Proof::of(format!(
            "{} should have UUID {}",
            case.node.name, case.uuid
        )));
        let sentence = format!("{} has the UUID {uuid}, {whose}", case.node.name);
        // Firmware that swaps the first three fields says the same in another order.
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
            Said::Dhcp(said)
                if !said.from_server
                    && said.client != case.mac
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
        .flat_map(|stage| &stage.sightings)
        .find(|sighting| sighting.text.starts_with("asked in the name of"));
    if let Some(sighting) = named {
        let sentence = format!("{} {}", case.node.name, sighting.text);
        return finding(sentence, vec![proof(sighting)]);
    }
    let (packet, said) = shared?;
    let sentence = format!(
        "two machines say UUID {}: {} and {}",
        case.uuid, case.mac, said.client
    );
    finding(
        sentence,
        vec![case.packet(packet, format!("{} says the same UUID", said.client))],
    )
}
