//! Cause: a server that redirects the machine.

use super::case::{Case, proof};
use super::{Cause, Finding};
use crate::evidence::packet::{Packet, PacketContent};
use crate::timeline::{Outcome, StageEvent};

/// Time within which a client follows a redirect.
const FOLLOWED_US: u64 = 10_000_000;

/// Statuses with a `Location` that clients follow (RFC 9110 §15.4).
const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

/// Returns the redirect right before this observation, and the redirected request.
pub(super) fn before<'a>(
    case: &Case<'a>,
    stage_event: &StageEvent,
) -> Option<(&'a Packet, u16, &'a str)> {
    let redirects = case.received().filter_map(|packet| match &packet.what {
        PacketContent::HttpResponse {
            status,
            target: Some(target),
            ..
        } if REDIRECTS.contains(status) => Some((packet, *status, target.as_str())),
        _ => None,
    });
    redirects
        .filter(|(packet, ..)| {
            packet.at_us <= stage_event.at_us && stage_event.at_us - packet.at_us < FOLLOWED_US
        })
        .last()
}

/// Detects a config or script from the target of a redirect.
pub(super) fn followed(case: &Case) -> Option<Finding> {
    let came = case.stage_events(case.stage).iter().filter(|one| {
        one.impostor.is_none() && (one.outcome == Outcome::Done || one.claimed.is_some())
    });
    let (stage_event, (packet, status, target)) = came
        .filter_map(|one| Some((one, before(case, one)?)))
        .next_back()?;
    let server = packet
        .from
        .address
        .map_or_else(|| packet.from.mac.clone(), |address| address.to_string());
    Some(Finding {
        cause: Cause::WrongConfigServed,
        sentence: format!(
            "{server} answered {target} with a redirect ({status}), and {} followed it",
            case.node.name
        ),
        evidence: vec![
            case.packet(packet, format!("GET {target}: {status}")),
            proof(stage_event),
        ],
        remedy: "correct the redirect (its `Location` must lead to this machine's own config), or \
                 write the final address into the config URL"
            .into(),
        weight: 98,
    })
}
