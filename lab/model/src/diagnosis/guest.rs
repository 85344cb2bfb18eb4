//! Causes inside the system: no network, or a state other than expected.

use boot_server_proto::dhcp::MessageType;

use similar::TextDiff;

use super::case::Case;
use super::{Cause, Finding, Proof};
use crate::evidence::packet::{Packet, PacketContent};
use crate::timeline::signatures::Clue;
use crate::timeline::{CheckSeen, Outcome, StageName};

/// Detects a running kernel whose network requests all fail.
pub(super) fn without_network(case: &Case) -> Option<Finding> {
    let up_us = case.timeline.stage(StageName::KernelUp)?.end_us?;
    let stages = [
        StageName::CloudConfig,
        StageName::Ignition,
        StageName::Generic,
    ];
    let fetched = stages
        .into_iter()
        .any(|stage| case.stage_events(stage).iter().any(|one| one.at_us > up_us));
    let expect = &case.node.expect;
    let configs = [
        &expect.cloud_config,
        &expect.ignition,
        &expect.generic_config,
    ];
    let wants_config = configs.into_iter().any(Option::is_some);
    if fetched || !wants_config || case.stage < StageName::KernelUp {
        return None;
    }
    let after = |packet: &&Packet| packet.at_us > up_us;
    let asked = case
        .asked(MessageType::Discover)
        .filter(|(packet, _)| packet.at_us > up_us)
        .count();
    let acked = case
        .answers()
        .any(|(packet, said)| packet.at_us > up_us && said.is(MessageType::Ack));
    let spoke = case.sent().filter(after).count();
    let tried = case.sent().filter(after).find(|packet| {
        matches!(
            packet.what,
            PacketContent::TcpSyn | PacketContent::HttpRequest { .. }
        )
    });
    let line = case.line(Clue::NoNetwork);
    let mut evidence: Vec<Proof> = line
        .map(|(at_us, line)| Proof::at(at_us, format!("the console says `{}`", line.trim())))
        .into_iter()
        .collect();
    evidence.push(Proof::at(up_us, "the kernel came up"));
    let (sentence, weight) = match (case.has_capture(), asked, acked) {
        // The system has a network and sends requests: another cause applies.
        _ if tried.is_some() => return None,
        (true, 0, false) if spoke == 0 => (
            "the booted system sent nothing after its kernel started: it has no driver for its \
             network card, or its network is not configured"
                .to_owned(),
            // A kernel that hangs is silent, too.
            if line.is_some() || case.is_through(StageName::UserlandUp) {
                90
            } else {
                62
            },
        ),
        (true, 0, false) => (
            "the booted system never requested an address after its kernel started".to_owned(),
            86,
        ),
        (true, asked, false) => (
            format!("the booted system requested an address {asked} times and received none"),
            92,
        ),
        (true, _, true) if line.is_none() => return None,
        (false, ..) if line.is_none() => return None,
        _ => ("the booted system has no working network".to_owned(), 80),
    };
    evidence.push(Proof::of(format!(
        "after that: {spoke} packets of {}, {asked} DISCOVERs, {} acknowledgement",
        case.mac,
        if acked { "an" } else { "no" }
    )));
    Some(Finding {
        cause: Cause::GuestWithoutNetwork,
        sentence,
        evidence,
        remedy: "check that the initrd has the driver of this network card (`virtio_net`, for \
                 example), that nothing on the kernel's command line disables the network (`ip=`, \
                 `rd.neednet=0`), and that the DHCP server answers the booted system as it \
                 answered the firmware"
            .into(),
        weight,
    })
}

/// Maximum number of lines shown of a difference.
const DIFF_LINES: usize = 40;

/// Finds differences between the expected and the actual state inside the machine.
pub(super) fn differs(case: &Case) -> Option<Finding> {
    let wrong: Vec<&CheckSeen> = case
        .timeline
        .checks
        .iter()
        .filter(|check| !check.holds)
        .collect();
    let first = wrong.first()?;
    let evidence: Vec<Proof> = wrong.iter().map(|check| Proof::of(told(check))).collect();
    let others = match wrong.len() {
        1 => String::new(),
        count => format!(", and {} more differ", count - 1),
    };
    let applied = case.stage_events(StageName::ConfigApplied).last();
    let whole = applied.is_some_and(|one| one.outcome == Outcome::Done);
    let so = if whole {
        ", although its config was applied"
    } else {
        ""
    };
    Some(Finding {
        cause: Cause::GuestDiffers,
        sentence: format!(
            "{} in {} is not as expected{so}: found {}, expected {}{others}",
            first.check,
            case.node.name,
            short(&first.found),
            short(&first.expected)
        ),
        evidence,
        remedy: "compare the served config (its file is named at the cloud-config and Ignition \
                 stages) with the expectation; if the config is right, look on the console for \
                 the unit or step that failed"
            .into(),
        weight: 80,
    })
}

fn short(text: &str) -> String {
    const SHOWN: usize = 60;
    let shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        format!("{shown:?}…")
    } else {
        format!("{shown:?}")
    }
}

/// Describes a failed check; long or multi-line texts as a difference.
pub(super) fn told(check: &CheckSeen) -> String {
    let CheckSeen {
        check: name,
        expected,
        found,
        ..
    } = check;
    let long = expected.lines().count() > 1 || expected.len() + found.len() > 100;
    if !long {
        return format!("{name}: found {found:?}, expected {expected:?}");
    }
    let diff = TextDiff::from_lines(expected.as_str(), found.as_str());
    let diff = diff
        .unified_diff()
        .context_radius(2)
        .header("expected", "found")
        .to_string();
    let lines: Vec<&str> = diff.lines().take(DIFF_LINES).collect();
    format!("{name} differs:\n{}", lines.join("\n"))
}
