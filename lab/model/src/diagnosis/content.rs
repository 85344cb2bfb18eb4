//! Causes about differing bytes: changed in transit, or other than the scenario states.

use std::net::SocketAddr;

use boot_server_events::BootEvent;

use super::case::{Case, proof};
use super::{Cause, Finding, Proof};
use crate::evidence::Observation;
use crate::evidence::packet::{Direction, Packet, PacketContent};
use crate::scenario::Sha256Hex;
use crate::timeline::{StageEvent, StageName};

/// Maximum time between a request and the server's event about its answer.
const ANSWERED_US: u64 = 30_000_000;

/// Detects an answer that was changed between service and machine.
pub(super) fn changed(case: &Case) -> Option<Finding> {
    let (stage_event, told) = case.stage_events(case.stage).iter().find_map(|one| {
        let content = one.content.as_ref()?;
        let difference = content.difference()?;
        Some((one, crate::verdict::told_difference(content, difference)))
    })?;
    let what = name(stage_event);
    let from = stage_event.content.as_ref().and_then(|c| c.from.as_deref());
    let from = from.map_or_else(String::new, |from| format!(" from {from}"));
    Some(Finding {
        cause: Cause::ChangedOnTheWay,
        sentence: format!(
            "{what} was changed on its way to {}: {told}",
            case.node.name
        ),
        evidence: vec![proof(stage_event), Proof::of(format!("it arrived{from}"))],
        remedy:
            "look for something between service and machine (a proxy, a cache, a relay, a host \
                 that answers ARP for the server), or for a file that was replaced while it was \
                 being served; compare the two with `sha256sum`"
                .into(),
        weight: 97,
    })
}

/// Detects a request that was changed between machine and service.
pub(super) fn request_changed(case: &Case) -> Option<Finding> {
    let port = case.port()?;
    let asked: Vec<(&Packet, SocketAddr, &str)> = port
        .packets
        .iter()
        .filter(|packet| packet.direction == Some(Direction::FromMachine))
        .filter_map(|packet| match &packet.what {
            PacketContent::HttpRequest { target, .. } => {
                let address = packet.from.address?.to_canonical();
                let from = SocketAddr::new(address, packet.from.port?);
                Some((packet, from, target.as_str()))
            }
            _ => None,
        })
        .collect();
    let heard: Vec<(SocketAddr, String, u64)> = case
        .attempt
        .records
        .iter()
        .filter_map(|record| {
            let Observation::Server { entry, .. } = &record.seen else {
                return None;
            };
            let BootEvent::HttpRequest {
                who, path, query, ..
            } = &entry.what
            else {
                return None;
            };
            let peer = who.peer?;
            let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
            let target = match query.as_str() {
                "" => path.clone(),
                query => format!("{path}?{query}"),
            };
            Some((peer, target, entry.at_us))
        })
        .collect();
    let was_asked = |peer: &SocketAddr, target: &str| {
        let mut asked = asked.iter();
        asked.any(|(_, from, asked)| from == peer && *asked == target)
    };
    let was_heard = |from: &SocketAddr, asked: &str| {
        let mut heard = heard.iter();
        heard.any(|(peer, target, _)| peer == from && target == asked)
    };
    let (packet, target, other, at_us) = asked.iter().find_map(|(packet, from, target)| {
        let mut others = heard.iter();
        let (_, other, at_us) = others.find(|(peer, other, at_us)| {
            peer == from
                && at_us.abs_diff(packet.at_us) < ANSWERED_US
                && !was_asked(peer, other)
                && !was_heard(from, target)
        })?;
        Some((*packet, *target, other, *at_us))
    })?;
    Some(Finding {
        cause: Cause::ChangedOnTheWay,
        sentence: format!(
            "a request of {} was changed on its way to the server: {target} left its port, but \
             {other} arrived",
            case.node.name
        ),
        evidence: vec![
            case.packet(packet, format!("GET {target} at the machine's port")),
            Proof::at(at_us, format!("the server received a request for {other}")),
        ],
        remedy:
            "look for something between machine and service that rewrites requests: a proxy, a \
                 load balancer, a relay"
                .into(),
        weight: 97,
    })
}

fn name(stage_event: &StageEvent) -> &str {
    stage_event.subject.as_deref().unwrap_or("a file")
}

/// Detects a file that was sent correctly but has another hash than the scenario states.
pub(super) fn differs(case: &Case) -> Option<Finding> {
    let hashes = &case.node.expect.sha256;
    let expected: Vec<&Sha256Hex> = match case.stage {
        StageName::Nbp => hashes.boot_program.iter().collect(),
        StageName::Kernel => hashes.kernel.iter().collect(),
        StageName::Initrd => hashes.initrd.iter().collect(),
        StageName::CloudConfig => hashes.cloud_config.iter().collect(),
        StageName::Ignition => hashes.ignition.iter().collect(),
        _ => Vec::new(),
    };
    let first = expected.first()?;
    let (stage_event, found) = case.stage_events(case.stage).iter().find_map(|one| {
        let content = one.content.as_ref()?;
        let found = content.arrived.as_ref().or(content.sent.as_ref())?;
        let is_expected = expected.iter().any(|hash| hash.as_str() == found);
        (!is_expected && content.difference().is_none()).then_some((one, found))
    })?;
    Some(Finding {
        cause: Cause::ContentDiffers,
        sentence: format!(
            "{} has the SHA-256 {found}, but the scenario expects {first}",
            name(stage_event)
        ),
        evidence: vec![proof(stage_event)],
        remedy: "serve the file that the scenario expects, or correct `[node.expect.sha256]` in \
                 scenario.toml if the file was replaced on purpose"
            .into(),
        weight: 95,
    })
}
