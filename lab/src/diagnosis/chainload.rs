//! Boot programs and scripts that load each other for ever.

use super::case::Case;
use super::nbp::proof;
use super::{Cause, Finding, Proof};
use crate::timeline::{Outcome, Sighting, StageName};

/// A chainload loads one boot program after another; firmware that starts over loads each once more.
const LOADS_MAX: usize = 3;

/// As for scripts: `boot.ipxe` leads on to another, and a boot program that was chainloaded asks anew.
const SCRIPTS_MAX: usize = 6;

/// More boot programs than any chain needs, and never a kernel.
pub(super) fn endless(case: &Case) -> Option<Finding> {
    if case.is_through(StageName::Kernel) {
        return None;
    }
    let of = |stage, max| {
        let whole =
            |sighting: &&Sighting| sighting.outcome != Outcome::Failed && sighting.fact.is_load();
        let loads: Vec<&Sighting> = case.sightings(stage).iter().filter(whole).collect();
        (loads.len() > max).then_some(loads)
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
    evidence.push(Proof::of("no kernel was ever loaded whole"));
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
        remedy: "give a script instead of a boot program to clients that already are iPXE: tell them \
                 by their user class (option 77 `iPXE`) or by iPXE's own option 175; or embed a script \
                 into the boot program"
            .into(),
        weight: 96,
    })
}
