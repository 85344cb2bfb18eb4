//! Cause: the machine asks a host outside of the lab.

use std::net::IpAddr;

use super::case::Case;
use super::router::asked;
use super::{Cause, Finding, Proof};
use crate::evidence::packet::{Packet, PacketContent};
use crate::timeline::StageName;

/// Packets to one address that are listed as evidence.
const SHOWN: usize = 3;

/// Detects requests for addresses in no network of the scenario, to which nobody answers.
pub(super) fn address(case: &Case) -> Option<Finding> {
    if case.is_through(StageName::KernelUp) {
        return None;
    }
    let sent: Vec<&Packet> = case.sent().filter(|one| asked(one).is_some()).collect();
    // Requests that lead on are not the end of the boot.
    let last = *sent.last()?;
    let (address, port) = (last.to.address?, last.to.port?);
    let answered = case.received().any(|one| one.from.address == Some(address));
    if !is_outside(case, address) || answered {
        return None;
    }
    let tries = sent.iter().filter(|one| one.to.address == Some(address));
    let mut evidence: Vec<Proof> = tries
        .take(SHOWN)
        .map(|packet| case.packet(packet, format!("request for {address}, port {port}")))
        .collect();
    let refusal = case.received().find_map(|packet| match &packet.what {
        PacketContent::Unreachable { why, .. } if packet.at_us >= last.at_us => Some((packet, why)),
        _ => None,
    });
    let answer = match refusal {
        Some((packet, why)) => {
            let by = packet
                .from
                .address
                .map_or_else(String::new, |one| format!("{one}: "));
            evidence.push(case.packet(packet, format!("{by}{why}")));
            format!("answers \"{why}\"")
        }
        None => {
            evidence.push(Proof::of(format!("no answer from {address}")));
            "does not answer".to_owned()
        }
    };
    let networks: Vec<String> = case
        .attempt
        .scenario
        .network
        .iter()
        .map(|network| network.subnet.to_string())
        .collect();
    Some(Finding {
        cause: Cause::OutsideAddress,
        sentence: format!(
            "{} asks for {address}, which is outside of the lab ({}): the router {answer}",
            case.node.name,
            networks.join(", ")
        ),
        evidence,
        remedy: format!(
            "serve what is at {address} inside of the lab, and name the server's address there in the boot script; \
             machines of the lab never reach the internet"
        ),
        weight: 97,
    })
}

/// True if no network of the scenario has the address.
pub(super) fn is_outside(case: &Case, address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => case.attempt.scenario.network.around(address).is_none(),
        IpAddr::V6(_) => false,
    }
}
