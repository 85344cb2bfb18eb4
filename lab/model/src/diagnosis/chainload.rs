//! Cause: boot programs and scripts that load each other endlessly.

use super::case::{Case, proof};
use super::{Cause, Finding, Proof};
use crate::timeline::{Outcome, StageEvent, StageName};

/// Maximum number of loads of the same boot program in a proper boot; a chainload needs one, firmware that starts over
/// another. A chain of several programs, such as shim and GRUB, is no loop.
const LOADS_MAX: usize = 3;

/// Maximum number of loads of the same script: a chainloaded boot program requests it again.
const SCRIPTS_MAX: usize = 3;

/// Number of boot programs that no proper boot needs without reaching a kernel.
pub(super) fn endless(case: &Case) -> Option<Finding> {
    if case.is_through(StageName::Kernel) {
        return None;
    }
    let of = |stage, max| {
        // What another host loads in the machine's name is no part of its boot chain.
        let whole = |stage_event: &&StageEvent| {
            stage_event.outcome != Outcome::Failed
                && stage_event.impostor.is_none()
                && stage_event.fact.is_load()
        };
        let loads: Vec<&StageEvent> = case.stage_events(stage).iter().filter(whole).collect();
        let again = |load: &&StageEvent| {
            let same = |other: &&&StageEvent| other.subject == load.subject;
            loads.iter().filter(same).count()
        };
        let most = loads.iter().map(again).max();
        most.is_some_and(|most| most > max).then_some(loads)
    };
    let loads = of(StageName::Nbp, LOADS_MAX).or_else(|| of(StageName::Script, SCRIPTS_MAX))?;
    let (first, last) = (loads.first()?, loads.last()?);
    let mut names: Vec<&str> = loads
        .iter()
        .filter_map(|load| load.subject.as_deref())
        .collect();
    names.sort_unstable();
    names.dedup();
    let mut evidence: Vec<Proof> = loads.iter().take(4).map(|load| proof(load)).collect();
    evidence.push(Proof::of("no kernel was ever loaded completely"));
    Some(Finding {
        cause: Cause::ChainloadLoop,
        sentence: format!(
            "{} {} loaded {} times from {} to {}: the boot chain is a loop",
            names.join(" and "),
            if names.len() == 1 { "was" } else { "were" },
            loads.len(),
            case.time(first.at_us),
            case.time(last.at_us)
        ),
        evidence,
        remedy: "send a script instead of a boot program to clients that already run iPXE: \
                 recognize them by their user class (option 77 `iPXE`) or by iPXE's own option \
                 175; or embed a script in the boot program"
            .into(),
        weight: 96,
    })
}
