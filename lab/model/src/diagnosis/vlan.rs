//! Causes at the ports of the cell's switch: VLANs that a port does not allow, ends of a trunk that disagree about the
//! native VLAN, and programs of a machine that lose the tag.
//!
//! The switch reports each frame of IPv4 or ARP that a port refused. A frame that arrived in the wrong VLAN is seen at
//! the port of a machine there.

use std::net::IpAddr;

use super::case::Case;
use super::{Cause, Finding, Proof};
use crate::evidence::packet::{Direction, PacketContent};
use crate::evidence::{Observation, RefusedFrame, Way};
use crate::scenario::{Network, Router};
use crate::timeline::{Outcome, StageName};

/// Returns the reports of the switch with their times.
fn refused<'a>(case: &Case<'a>) -> impl Iterator<Item = (u64, &'a RefusedFrame)> + use<'a> {
    let records = case.attempt.records.iter();
    records.filter_map(|record| match &record.seen {
        Observation::FrameRefused(frame) => Some((record.at_us, frame)),
        _ => None,
    })
}

/// True if the switch refused frames of the machine.
pub(super) fn is_refused(case: &Case) -> bool {
    refused(case).any(|(_, frame)| frame.source == case.node.mac)
}

fn report((at_us, frame): (u64, &RefusedFrame)) -> Proof {
    let end = match frame.way {
        Way::In => "from",
        Way::Out => "towards it, from",
    };
    Proof::at(at_us, format!("{frame} ({end} {})", frame.source))
}

/// Returns the networks between a machine and its servers: its own, and that of the servers.
fn on_the_way<'a>(case: &Case<'a>) -> [&'a Network; 2] {
    let scenario = &case.attempt.scenario;
    [scenario.network_of(case.node), &scenario.network]
}

/// Returns the router of the machine's network at the port of this name.
fn router_at<'a>(case: &Case<'a>, port: &str) -> Option<&'a Router> {
    let scenario = &case.attempt.scenario;
    let network = scenario.network_of(case.node);
    let mut routers = scenario.routers_of(network);
    routers.find(|router| router.trunk && router.name == port)
}

/// Detects a port that refuses a VLAN between the machine and its servers.
pub(super) fn not_allowed(case: &Case) -> Option<Finding> {
    if case.gives_address() {
        return None;
    }
    let network_of = |vlan: u16| {
        let networks = on_the_way(case);
        networks.into_iter().find(|one| one.vlan == Some(vlan))
    };
    let found: Vec<(u64, &RefusedFrame)> = refused(case)
        .filter(|(_, frame)| {
            let is_on_the_way = frame.vlan.is_some_and(|vlan| network_of(vlan).is_some());
            let is_own = frame.source == case.node.mac;
            is_on_the_way && (is_own || router_at(case, &frame.port).is_some())
        })
        .collect();
    let (_, frame) = *found.first()?;
    let vlan = frame.vlan?;
    let name = network_of(vlan)?.title();
    let port = &frame.port;
    // Requests on their way to the router first, then its own.
    let shown = [Way::Out, Way::In].into_iter().filter_map(|way| {
        let mut found = found.iter();
        found.find(|(_, frame)| frame.way == way)
    });
    let mut evidence: Vec<Proof> = shown.map(|found| report(*found)).collect();
    evidence.push(Proof::of(format!("no answer came to {}", case.mac)));
    Some(Finding {
        cause: Cause::VlanNotAllowed,
        sentence: format!(
            "the switch refuses frames of VLAN {vlan} ({name}) at the port of {port}, so that requests of {} get no \
             answer",
            case.mac
        ),
        evidence,
        remedy: format!(
            "allow VLAN {vlan} on the port of {port} (`switchport trunk allowed vlan add {vlan}`), and on all trunks \
             between {name} and the servers"
        ),
        weight: 99,
    })
}

/// Detects a trunk whose ends have different native VLANs.
pub(super) fn native_mismatch(case: &Case) -> Option<Finding> {
    if case.gives_address() {
        return None;
    }
    untagged_refused(case).or_else(|| in_another_vlan(case))
}

/// Detects a router whose untagged frames belong to no VLAN at the switch.
fn untagged_refused(case: &Case) -> Option<Finding> {
    let mut refused = refused(case);
    let (at_us, frame, router) = refused.find_map(|(at_us, frame)| {
        let is_untagged = frame.vlan.is_none() && frame.way == Way::In;
        let router = router_at(case, &frame.port).filter(|_| is_untagged)?;
        Some((at_us, frame, router))
    })?;
    let native = router.native.as_deref()?;
    Some(Finding {
        cause: Cause::NativeVlanMismatch,
        sentence: format!(
            "{} sends frames of {native} without a tag, and the port of the switch has no native VLAN",
            router.name
        ),
        evidence: vec![report((at_us, frame))],
        remedy: remedy(router),
        weight: 99,
    })
}

/// Detects a router's frames of one network in another.
fn in_another_vlan(case: &Case) -> Option<Finding> {
    let scenario = &case.attempt.scenario;
    let network = scenario.network_of(case.node);
    scenario.nodes.iter().find_map(|witness| {
        let here = scenario.network_of(witness);
        let port = case.attempt.ports.get(&witness.name)?;
        port.packets.iter().find_map(|packet| {
            let is_question = matches!(packet.what, PacketContent::ArpRequest { .. });
            let Some(IpAddr::V4(address)) = packet.from.address else {
                return None;
            };
            let is_here = here.subnet.contains(&address);
            if packet.direction != Some(Direction::ToMachine) || !is_question || is_here {
                return None;
            }
            let mut routers = scenario.routers_of(network).filter(|router| router.trunk);
            let router = routers.find(|router| {
                let mut addresses = router.addresses.values();
                addresses.any(|own| *own == address)
            })?;
            let there = scenario.network.around(address)?;
            let (here, there) = (here.title(), there.title());
            Some(Finding {
                cause: Cause::NativeVlanMismatch,
                sentence: format!(
                    "{} and the switch have different native VLANs on their trunk: untagged frames of {there} arrive \
                     in {here}",
                    router.name
                ),
                evidence: vec![
                    Proof::at(
                        packet.at_us,
                        format!(
                            "ARP request of {address} ({} in {there}) at the port of {} in {here}",
                            router.name, witness.name
                        ),
                    ),
                    Proof::of(format!("no answer came to {}", case.mac)),
                ],
                remedy: remedy(router),
                weight: 99,
            })
        })
    })
}

fn remedy(router: &Router) -> String {
    let vlan = match &router.native {
        Some(native) => format!("that of {native}"),
        None => "none".to_owned(),
    };
    format!(
        "set one native VLAN at both ends of the trunk of {0} (`switchport trunk native vlan`); at {0} it is {vlan}",
        router.name
    )
}

/// Returns the last boot program that arrived, with its time.
fn loaded_program(case: &Case) -> Option<(u64, String)> {
    let events = case.stage_events(StageName::Nbp).iter();
    let mut arrived = events.filter(|event| {
        event.outcome == Outcome::Done && event.impostor.is_none() && event.subject.is_some()
    });
    let last = arrived.next_back()?;
    Some((last.at_us, last.subject.clone().unwrap_or_default()))
}

/// Detects a program of a tagged machine whose frames have no tag.
pub(super) fn tag_lost(case: &Case) -> Option<Finding> {
    if !case.node.is_tagged() {
        return None;
    }
    let vlan = case.attempt.scenario.network_of(case.node).vlan?;
    let lost: Vec<(u64, &RefusedFrame)> = refused(case)
        .filter(|(_, frame)| {
            let is_own = frame.port == case.node.name && frame.source == case.node.mac;
            is_own && frame.vlan.is_none() && frame.way == Way::In
        })
        .collect();
    let last = lost.last()?;
    let kernel = case.timeline.stage(StageName::KernelUp);
    let is_system = kernel.is_some_and(|kernel| kernel.start_us <= last.0);
    let program = loaded_program(case);
    // Firmware that tries without a tag before it boots with one has lost nothing.
    let begun_us = match &program {
        _ if is_system => kernel.map_or(0, |kernel| kernel.start_us),
        Some((loaded_us, _)) => *loaded_us,
        None => 0,
    };
    let first = lost.iter().find(|(at_us, _)| *at_us >= begun_us)?;
    let (who, remedy) = match &program {
        _ if is_system => (
            "the system".to_owned(),
            format!(
                "tell the kernel's command line of the VLAN: `vlan=eth0.{vlan}:eth0 ip=eth0.{vlan}:dhcp` (dracut); \
                 other systems need it in their network configuration"
            ),
        ),
        Some((_, name)) => (
            format!("the boot program {name}"),
            format!(
                "use a boot program that keeps the firmware's VLAN (iPXE of December 2022 or later, built with \
                 `VLAN_CMD`), or make VLAN {vlan} the native VLAN of the port and leave the machine untagged"
            ),
        ),
        None => (
            "the firmware".to_owned(),
            format!("set VLAN {vlan} in the firmware's network settings"),
        ),
    };
    let mut evidence = Vec::new();
    if let Some((at_us, name)) = &program {
        let text = format!("{name} arrived with the tag of VLAN {vlan}");
        evidence.push(Proof::at(*at_us, text));
    }
    evidence.push(report(*first));
    Some(Finding {
        cause: Cause::VlanTagLost,
        sentence: format!(
            "{who} sends without the tag of VLAN {vlan}: the switch refuses its frames at the port of {}",
            case.node.name
        ),
        evidence,
        remedy,
        weight: 99,
    })
}
