//! Cause: checks without an answer because of other output on the console.

use super::case::Case;
use super::{Cause, Finding, Proof};
use crate::evidence::Observation;
use crate::timeline::StageName;

/// Maximum number of quoted lines of the disturbance.
const NOISE_LINES: usize = 3;

/// Detects checks whose answers were disturbed in every try.
pub(super) fn console(case: &Case) -> Option<Finding> {
    if case.stage != StageName::Checks {
        return None;
    }
    let of_node = |node: &Option<String>| node.as_deref() == Some(case.node.name.as_str());
    let mut disturbed = Vec::new();
    for record in case
        .attempt
        .records
        .iter()
        .filter(|record| of_node(&record.node))
    {
        match &record.seen {
            Observation::ConsoleDisturbed {
                check,
                disturbance,
                tries,
            } => disturbed.push((record.at_us, check, *disturbance, *tries)),
            // The same check was answered later.
            Observation::Check { check, .. } => disturbed.retain(|(_, other, ..)| *other != check),
            _ => {}
        }
    }
    let (_, first, ..) = disturbed.first()?;
    let others = match disturbed.len() {
        1 => String::new(),
        count => format!(" and {} more checks", count - 1),
    };
    let mut evidence: Vec<Proof> = disturbed
        .iter()
        .map(|(at_us, check, disturbance, tries)| {
            let text = format!("{check}: asked {tries} times; of the last answer, {disturbance}");
            Proof::at(*at_us, text)
        })
        .collect();
    let noise = case.timeline.last_console.iter().rev();
    let noise = noise.filter(|line| !line.contains("lab_run") && !line.contains("lab_say"));
    evidence.extend(
        noise
            .take(NOISE_LINES)
            .map(|line| Proof::of(format!("on the console: `{line}`"))),
    );
    Some(Finding {
        cause: Cause::ConsoleDisturbed,
        sentence: format!(
            "the answers on the console of {} were disturbed: {first}{others} could not be checked",
            case.node.name
        ),
        evidence,
        remedy: "find out what writes to the serial console during the checks (console.log in the \
                 machine's folder), and send its output only to the journal: \
                 `StandardOutput=journal` in the unit, no `systemd.log_target=console` or \
                 `ForwardToConsole=`, a lower `loglevel=`"
            .into(),
        weight: 93,
    })
}
