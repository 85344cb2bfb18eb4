//! Requirements on the whole boot: no restart, and a completely applied config.

use super::proof::Unmet;
use crate::scenario::Node;
use crate::timeline::{Fact, Outcome, StageEvent, StageName, Timeline};

/// Detects more restarts than the scenario allows.
pub(super) fn restarted(node: &Node, timeline: &Timeline) -> Option<Unmet> {
    let allowed = usize::try_from(node.expect.resets).unwrap_or(usize::MAX);
    let first = timeline.restarts.get(allowed)?;
    let count = timeline.restarts.len();
    let times = match count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    };
    let limit = match allowed {
        0 => "the scenario allows none".to_owned(),
        allowed => format!("the scenario allows {allowed}"),
    };
    Some(Unmet {
        stage: stage_at(timeline, first.at_us),
        waited_for: format!("{} to boot without a restart", node.name),
        why: format!("the machine restarted {times}, but {limit}: {first}"),
        missing: vec![format!("at most {allowed} restarts before the last check")],
        went_wrong: true,
    })
}

/// Returns the machine's stage at that time.
fn stage_at(timeline: &Timeline, at_us: u64) -> StageName {
    let begun = timeline
        .stages
        .iter()
        .filter(|stage| stage.is_begun() && stage.start_us <= at_us);
    let stage = begun
        .map(|stage| stage.name)
        .max()
        .unwrap_or(StageName::PowerOn);
    let last_us = |name| {
        let stage_events = timeline.stage(name).map(|stage| &stage.events);
        let before = stage_events
            .into_iter()
            .flatten()
            .filter(|one| one.at_us <= at_us && one.impostor.is_none());
        before.map(|one| one.at_us).max()
    };
    // A ROM that is iPXE begins the stage `ipxe` before it loads the boot program.
    let is_in_boot_program =
        stage == StageName::Ipxe && last_us(StageName::Nbp) > last_us(StageName::Ipxe);
    match is_in_boot_program {
        true => StageName::Nbp,
        false => stage,
    }
}

/// Detects a failure of the config that the machine itself reports.
pub(super) fn config_failed(node: &Node, timeline: &Timeline) -> Option<Unmet> {
    if node.expect.config_may_fail {
        return None;
    }
    let stage = timeline.stage(StageName::ConfigApplied)?;
    let mut failures = stage
        .events
        .iter()
        .filter(|stage_event| stage_event.outcome == Outcome::Failed);
    let first = failures.next()?;
    let more = match failures.count() {
        0 => String::new(),
        1 => ", and one failure more".to_owned(),
        others => format!(", and {others} failures more"),
    };
    Some(Unmet {
        stage: StageName::ConfigApplied,
        waited_for: format!(
            "the config of {} to be applied without a failure",
            node.name
        ),
        why: format!("{}{more}", told(first)),
        missing: vec!["a completely applied config".into()],
        went_wrong: true,
    })
}

/// Returns a sentence about a failure, with its source.
fn told(failure: &StageEvent) -> String {
    match &failure.fact {
        Fact::Console(line) => format!("the console says `{line}`"),
        _ => failure.text.clone(),
    }
}
