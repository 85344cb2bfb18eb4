//! Causes: a machine that restarts, and a boot program that does nothing.

use super::case::{Case, proof};
use super::{Cause, Finding, Proof};
use crate::timeline::{Origin, Outcome, StageEvent, StageName};

/// Detects more restarts than the scenario allows.
pub(super) fn reset(case: &Case) -> Option<Finding> {
    let restarts = &case.timeline.restarts;
    let allowed = usize::try_from(case.node.expect.resets).unwrap_or(usize::MAX);
    if restarts.len() <= allowed {
        return None;
    }
    let first = restarts.get(allowed)?;
    let before = last_before(case, first.at_us);
    let mut evidence: Vec<Proof> = restarts
        .iter()
        .take(4)
        .map(|restart| Proof::at(restart.at_us, restart.to_string()))
        .collect();
    evidence.extend(before.map(proof));
    let line = case
        .console()
        .filter(|(at_us, line)| {
            *at_us <= first.at_us && !line.trim().is_empty() && **line != *first.line
        })
        .last();
    evidence.extend(
        line.map(|(at_us, line)| {
            Proof::at(at_us, format!("last line before it: `{}`", line.trim()))
        }),
    );
    let program = before
        .filter(|one| case.stage_events(StageName::Nbp).contains(one))
        .and_then(|one| one.subject.as_deref());
    let doing = program.map_or_else(String::new, |file| {
        format!(", right after it loaded the boot program {file}")
    });
    Some(Finding {
        cause: Cause::MachineReset,
        sentence: format!(
            "{} restarted at {}{doing}: {first}",
            case.node.name,
            case.time(first.at_us)
        ),
        evidence,
        remedy: "look at the last lines before the restart: a boot program or kernel for other \
                 hardware, a panic with `panic=`, a watchdog, or a config that reboots; if the \
                 restart belongs to the boot, allow it (`resets = 1` in `[node.expect]`)"
            .into(),
        weight: 91,
    })
}

/// Returns the last file loaded before that time.
fn last_before<'a>(case: &Case<'a>, at_us: u64) -> Option<&'a StageEvent> {
    let stages = [
        StageName::Nbp,
        StageName::Script,
        StageName::Kernel,
        StageName::Initrd,
    ];
    let all = stages
        .into_iter()
        .flat_map(|stage| case.stage_events(stage));
    all.filter(|one| is_load(one) && one.at_us <= at_us)
        .max_by_key(|one| one.at_us)
}

fn is_load(stage_event: &StageEvent) -> bool {
    stage_event.outcome == Outcome::Done
        && stage_event.impostor.is_none()
        && stage_event.origin != Origin::Service
}

/// Detects a boot program without any later activity.
pub(super) fn boot_program_dead(case: &Case) -> Option<Finding> {
    let loaded = case
        .stage_events(StageName::Nbp)
        .iter()
        .rfind(|one| is_load(one))?;
    let goes_on = [
        StageName::Script,
        StageName::Kernel,
        StageName::Initrd,
        StageName::KernelUp,
    ]
    .into_iter()
    .any(|stage| {
        let mut later = case.stage_events(stage).iter();
        later.any(|one| one.impostor.is_none() && one.origin != Origin::Service)
    });
    let sent = case.sent().filter(|packet| packet.at_us > loaded.at_us);
    if goes_on || !case.has_capture() || sent.count() > 0 {
        return None;
    }
    let file = loaded.subject.as_deref().unwrap_or("the boot program");
    let mut evidence = vec![
        proof(loaded),
        Proof::of(format!("no packet of {} after it", case.mac)),
    ];
    let line = case
        .console()
        .filter(|(at_us, line)| *at_us >= loaded.at_us && !line.trim().is_empty())
        .last();
    evidence.extend(
        line.map(|(at_us, line)| Proof::at(at_us, format!("the console says `{}`", line.trim()))),
    );
    Some(Finding {
        cause: Cause::BootProgramDead,
        sentence: format!(
            "{file} was loaded completely, but {} sent nothing after that",
            case.node.name
        ),
        evidence,
        remedy: format!(
            "check that {file} is a boot program for this firmware (`file`, its size and its \
             SHA-256), and that it has a driver for this network card; try `snponly.efi` or \
             `undionly.kpxe`, which use the firmware's driver"
        ),
        weight: 87,
    })
}
