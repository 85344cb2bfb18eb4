//! A failure told to a person: `explain.txt`.

use std::fmt::Write;
use std::path::Path;

use super::NodeVerdict;
use crate::scenario::{Firmware, Node, Scenario};
use crate::timeline::{Outcome, Stage, Timeline};

/// What became of the node, how far it came, what was waited for, its last console lines and where
/// to look further. `artifacts` is the attempt's folder.
pub fn explain(
    scenario: &Scenario,
    node: &Node,
    firmware: Firmware,
    timeline: &Timeline,
    verdict: &NodeVerdict,
    artifacts: &Path,
) -> String {
    let mut text = String::new();
    let mut line = |line: &str| {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{line}");
    };
    let name = &node.name;
    line(&format!(
        "{}@{firmware}/{name}: {}",
        scenario.name,
        verdict.word()
    ));
    line(&format!("machine: uuid {}, mac {}", node.uuid, node.mac));
    if scenario.image.is_stand_in() {
        line("image: the stand-in, not CoreOS");
    }
    match verdict {
        NodeVerdict::Pass
        | NodeVerdict::Flaky { .. }
        | NodeVerdict::Skipped { .. }
        | NodeVerdict::Leaked { .. }
        | NodeVerdict::Interrupted => {}
        NodeVerdict::Infra { why } => line(&format!("\nour own set-up failed: {why}")),
        NodeVerdict::Fail {
            stage,
            waited_for,
            why,
            missing,
        } => {
            line(&format!("\nfailed stage: {stage}"));
            let reached = timeline.reached().map_or("none", |stage| stage.name());
            line(&format!("last stage that was through: {reached}"));
            line(&format!("waited for: {waited_for}"));
            line(&format!("but: {why}"));
            line("missing:");
            for one in missing {
                line(&format!("  - {one}"));
            }
        }
    }
    if let Some(reason) = &timeline.gave_up {
        line(&format!("the lab stopped waiting: {reason}"));
    }
    line("\nstages (seconds since power-on):");
    let zero_us = timeline.stages.first().map_or(0, |stage| stage.start_us);
    for stage in &timeline.stages {
        for one in stage_lines(stage, zero_us) {
            line(&one);
        }
    }
    if !timeline.trouble.is_empty() {
        line("\nconsole lines that tell of trouble:");
        for one in &timeline.trouble {
            line(&format!("  {one}"));
        }
    }
    line("\nlast lines of the console:");
    if timeline.last_console.is_empty() {
        line("  (it is empty)");
    }
    for one in &timeline.last_console {
        line(&format!("  {one}"));
    }
    line("\nto look further:");
    line(&format!(
        "  less {}/nodes/{name}/console.log",
        artifacts.display()
    ));
    line(&format!(
        "  grep {} {}/server/events.jsonl",
        node.mac,
        artifacts.display()
    ));
    line(&format!(
        "  lab run {} --firmware {firmware}",
        scenario.name
    ));
    text
}

/// How many sightings of a stage are shown; the first and the last tell most.
const SHOWN_SIGHTINGS: usize = 6;

fn stage_lines(stage: &Stage, zero_us: u64) -> Vec<String> {
    let seconds = |at_us: u64| at_us.saturating_sub(zero_us) as f64 / 1e6;
    let end = stage
        .end_us
        .map_or("   …".into(), |end| format!("{:7.2}", seconds(end)));
    let mut lines = vec![format!(
        "  {:<12} {:7.2} – {end}",
        stage.name,
        seconds(stage.start_us)
    )];
    let hidden = stage.sightings.len().saturating_sub(SHOWN_SIGHTINGS);
    for (index, sighting) in stage.sightings.iter().enumerate() {
        if hidden > 0 && index == SHOWN_SIGHTINGS / 2 {
            lines.push(format!("      … {hidden} more"));
        }
        let in_gap = (SHOWN_SIGHTINGS / 2..SHOWN_SIGHTINGS / 2 + hidden).contains(&index);
        if hidden == 0 || !in_gap {
            let mark = match sighting.outcome {
                Outcome::Noted => "·",
                Outcome::Done => "✓",
                Outcome::Failed => "✗",
            };
            lines.push(format!("      {mark} {}", sighting.text));
        }
    }
    lines
}
