//! Order of the boot: evidence counts only at its time in a boot.

use super::proof::{Unmet, proves};
use super::require::{By, Requirement};
use crate::timeline::{StageEvent, StageName, Timeline};

/// Tolerance for clocks of several processes on a busy host.
const SLACK_US: u64 = 1_000_000;

/// Stages of firmware and boot programs, in the order in which a boot must begin them.
const LOADING: [StageName; 6] = [
    StageName::Dhcp,
    StageName::Proxy,
    StageName::Nbp,
    StageName::Script,
    StageName::Kernel,
    StageName::Initrd,
];

/// Stages of the booted system.
const SYSTEM: [StageName; 5] = [
    StageName::Ignition,
    StageName::Generic,
    StageName::UserlandUp,
    StageName::CloudConfig,
    StageName::Checks,
];

/// Times of the first and the last proof of a stage.
#[derive(Clone, Copy)]
struct Span {
    stage: StageName,
    first_us: u64,
    last_us: u64,
}

/// Returns a required stage whose proofs all have an impossible time in the boot.
pub(super) fn disorder(required: &[Requirement], timeline: &Timeline) -> Option<Unmet> {
    let spans: Vec<Span> = required
        .iter()
        .filter(|requirement| requirement.by != By::Service)
        .filter_map(|requirement| span(requirement, timeline))
        .collect();
    let of =
        |stages: &'static [StageName]| spans.iter().filter(|span| stages.contains(&span.stage));
    let power_us = timeline
        .stage(StageName::PowerOn)
        .map(|stage| stage.start_us);
    let kernel_us = timeline
        .stage(StageName::KernelUp)
        .and_then(|stage| stage.end_us);
    // Evidence before the power-on belongs to another boot.
    let early = power_us.and_then(|power_us| {
        let mut before = spans
            .iter()
            .filter(|span| span.last_us + SLACK_US < power_us);
        before
            .next()
            .map(|span| (span.stage, StageName::PowerOn, false))
    });
    let loading: Vec<&Span> = of(&LOADING).collect();
    let swapped = || {
        loading.windows(2).find_map(|pair| match pair {
            // A kernel and its initrds may arrive in any order.
            [one, next] if next.stage == StageName::Initrd && one.stage == StageName::Kernel => {
                None
            }
            [one, next] if one.first_us > next.last_us + SLACK_US => {
                Some((next.stage, one.stage, false))
            }
            _ => None,
        })
    };
    let late = || {
        let kernel_us = kernel_us?;
        let mut after = of(&LOADING).filter(|span| span.first_us > kernel_us + SLACK_US);
        after
            .next()
            .map(|span| (span.stage, StageName::KernelUp, true))
    };
    let too_soon = || {
        let kernel_us = kernel_us?;
        let mut before = of(&SYSTEM).filter(|span| span.last_us + SLACK_US < kernel_us);
        before
            .next()
            .map(|span| (span.stage, StageName::KernelUp, false))
    };
    let (stage, other, is_after) = early.or_else(swapped).or_else(late).or_else(too_soon)?;
    let when = if is_after { "after" } else { "before" };
    let reason = format!("{stage} was observed only {when} {other}, which no boot does");
    Some(Unmet {
        stage,
        waited_for: format!("{stage} at its place in the boot order"),
        why: reason,
        missing: vec![format!("{stage} in boot order")],
        went_wrong: true,
    })
}

fn span(requirement: &Requirement, timeline: &Timeline) -> Option<Span> {
    let stage_events = &timeline.stage(requirement.stage)?.events;
    let own = requirement.own(stage_events);
    let proofs: Vec<&StageEvent> = own
        .filter(|one| requirement.subject.is_of(one) && proves(requirement, one))
        .collect();
    let times = || proofs.iter().map(|one| one.at_us);
    Some(Span {
        stage: requirement.stage,
        first_us: times().min()?,
        last_us: times().max()?,
    })
}
