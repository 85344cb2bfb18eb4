//! Explanation of a failure as text: `explain.txt`, and the output of `lab explain`.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::{Finding, JudgedNode, Proof, judge_node};
use crate::evidence::saved::Attempt;
use crate::scenario::{Firmware, Node};
use crate::timeline::{Outcome, Stage, StageName, Timeline};
use crate::verdict::{NodeResult, NodeVerdict};

/// Explanation of one node of an attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explained {
    pub scenario: String,
    pub firmware: Firmware,
    /// Name of the node.
    pub node: String,
    /// Verdict on the machine.
    #[serde(flatten)]
    pub verdict: NodeVerdict,
    /// Last completed stage.
    pub reached: Option<StageName>,
    /// Findings, best first.
    pub findings: Vec<Finding>,
    /// Claims that a pass does not prove, one phrase each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_proven: Vec<String>,
    /// Stages of the boot.
    pub timeline: Timeline,
    /// Complete explanation as text.
    #[serde(skip)]
    pub text: String,
}

/// Explains one node of an attempt from its evidence alone, with the same result on every computer.
pub fn explain(attempt: &Attempt, node: &Node) -> Explained {
    explain_judged(attempt, node, judge_node(attempt, node))
}

/// Explains one node of an attempt that is judged already.
pub fn explain_judged(attempt: &Attempt, node: &Node, judged: JudgedNode) -> Explained {
    let JudgedNode { result, findings } = judged;
    let NodeResult {
        verdict,
        timeline,
        not_proven,
        ..
    } = result;
    let mut explained = explained(attempt, node, timeline, verdict, findings, Origin::Run);
    explained.not_proven = not_proven.iter().map(ToString::to_string).collect();
    if !explained.not_proven.is_empty() {
        explained.text.push_str("\nnot proven:\n");
    }
    for one in &explained.not_proven {
        explained.text.push_str(&format!("  - {one}\n"));
    }
    explained
}

/// Explains one machine of a capture without a scenario.
pub(super) fn of_capture(
    attempt: &Attempt,
    node: &Node,
    timeline: Timeline,
    verdict: NodeVerdict,
    findings: Vec<Finding>,
) -> Explained {
    explained(attempt, node, timeline, verdict, findings, Origin::Capture)
}

/// Source of the evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Run,
    Capture,
}

fn explained(
    attempt: &Attempt,
    node: &Node,
    timeline: Timeline,
    verdict: NodeVerdict,
    findings: Vec<Finding>,
    origin: Origin,
) -> Explained {
    Explained {
        scenario: attempt.scenario.name.clone(),
        firmware: attempt.firmware,
        node: node.name.clone(),
        reached: timeline.reached(),
        text: text(attempt, node, &timeline, &verdict, &findings, origin),
        verdict,
        findings,
        not_proven: Vec::new(),
        timeline,
    }
}

/// Formats verdict, stages, findings, last console lines and further files of the node.
fn text(
    attempt: &Attempt,
    node: &Node,
    timeline: &Timeline,
    verdict: &NodeVerdict,
    findings: &[Finding],
    origin: Origin,
) -> String {
    let mut text = String::new();
    let mut line = |line: &str| {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{line}");
    };
    let (scenario, firmware, name) = (&attempt.scenario, attempt.firmware, &node.name);
    match origin {
        Origin::Run => {
            let scenario = &scenario.name;
            line(&format!("{scenario}@{firmware}/{name}: {}", verdict.word()));
            line(&format!("machine: uuid {}, mac {}", node.uuid, node.mac));
        }
        Origin::Capture => {
            let word = match verdict {
                NodeVerdict::Pass => "the capture shows no failure",
                NodeVerdict::Skipped { .. } => "it does not ask to boot",
                _ => "the machine did not boot, as far as the capture shows",
            };
            line(&format!("{}, machine {name}: {word}", scenario.name));
            if !node.uuid.is_nil() {
                line(&format!("uuid {}", node.uuid));
            }
        }
    }
    if scenario.image.is_stand_in() {
        line("image: the stand-in, not CoreOS");
    }
    match verdict {
        NodeVerdict::Pass | NodeVerdict::Interrupted => {}
        NodeVerdict::Infra { why } => line(&format!("\nthe lab's own set-up failed: {why}")),
        // Results of all attempts together; a single attempt has none of these.
        NodeVerdict::Skipped { reason } if origin == Origin::Capture => line(reason),
        NodeVerdict::Flaky { .. } | NodeVerdict::Skipped { .. } | NodeVerdict::Leaked { .. } => {
            line(&verdict.sentence());
        }
        NodeVerdict::Fail {
            stage,
            waited_for,
            why,
            missing,
        } => {
            line(&format!("\nfailed stage: {stage}"));
            let reached = timeline.reached().map_or("none", |stage| stage.name());
            line(&format!("last completed stage: {reached}"));
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
    let zero_us = timeline.zero_us();
    let since = match origin {
        Origin::Run => "power-on",
        Origin::Capture => "its first packet",
    };
    if matches!(
        verdict,
        NodeVerdict::Fail { .. } | NodeVerdict::Infra { .. }
    ) {
        line(&format!(
            "\npossible causes, most likely first (times in seconds since {since}):"
        ));
        if findings.is_empty() {
            line("  no known cause fits; see the stages and the console below");
        }
        for (index, finding) in findings.iter().enumerate() {
            for one in finding_lines(index + 1, finding, zero_us) {
                line(&one);
            }
        }
    }
    line(&format!("\nstages (seconds since {since}):"));
    for stage in &timeline.stages {
        for one in stage_lines(stage, zero_us) {
            line(&one);
        }
    }
    if !timeline.trouble.is_empty() {
        line("\nconsole lines with errors:");
        for one in &timeline.trouble {
            line(&format!("  {one}"));
        }
    }
    if origin == Origin::Capture && timeline.last_console.is_empty() {
        return text;
    }
    line("\nlast lines of the console:");
    if timeline.last_console.is_empty() {
        line("  (it is empty)");
    }
    for one in &timeline.last_console {
        line(&format!("  {one}"));
    }
    if origin == Origin::Capture {
        return text;
    }
    // No absolute path: the folder may have moved, and the text must stay the same.
    line("\nnext steps, in the attempt's folder:");
    line(&format!("  less nodes/{name}/console.log"));
    if scenario.has_own_config() {
        line(&format!("  grep {} server/events.jsonl", node.mac));
    }
    for service in &scenario.custom_services {
        line(&format!(
            "  less {0}/stderr.log {0}/stdout.log",
            service.name
        ));
    }
    line(&format!(
        "run again: lab run {} --firmware {firmware}",
        scenario.name
    ));
    text
}

/// Formats a time in seconds since power-on.
fn seconds(at_us: u64, zero_us: u64) -> f64 {
    (at_us as f64 - zero_us as f64) / 1e6
}

fn finding_lines(number: usize, finding: &Finding, zero_us: u64) -> Vec<String> {
    let Finding {
        cause,
        sentence,
        evidence,
        remedy,
        weight,
    } = finding;
    let mut lines = vec![format!("  {number}. {sentence}")];
    lines.push(format!("     cause {cause}, weight {weight} of 100"));
    for proof in evidence {
        lines.extend(proof_lines(proof, zero_us));
    }
    lines.push(format!("     try: {remedy}"));
    lines
}

fn proof_lines(proof: &Proof, zero_us: u64) -> Vec<String> {
    let time = proof.at_us.map(|at_us| seconds(at_us, zero_us));
    let place = match (time, &proof.frame) {
        (Some(time), Some(frame)) => format!("{time:.2} {frame}: "),
        (Some(time), None) => format!("{time:.2}: "),
        (None, Some(frame)) => format!("{frame}: "),
        (None, None) => String::new(),
    };
    let mut rows = proof.text.lines();
    let first = rows.next().unwrap_or_default();
    let mut lines = vec![format!("     - {place}{first}")];
    lines.extend(rows.map(|row| format!("         {row}")));
    lines
}

/// Maximum number of observations shown per stage; the first and the last are the most informative.
const SHOWN_SIGHTINGS: usize = 6;

fn stage_lines(stage: &Stage, zero_us: u64) -> Vec<String> {
    let end = stage.end_us.map_or("   …".into(), |end| {
        format!("{:7.2}", seconds(end, zero_us))
    });
    let mut lines = vec![format!(
        "  {:<14} {:7.2} – {end}",
        stage.name,
        seconds(stage.start_us, zero_us)
    )];
    let hidden = stage.events.len().saturating_sub(SHOWN_SIGHTINGS);
    for (index, stage_event) in stage.events.iter().enumerate() {
        if hidden > 0 && index == SHOWN_SIGHTINGS / 2 {
            lines.push(format!("      … {hidden} more"));
        }
        let in_gap = (SHOWN_SIGHTINGS / 2..SHOWN_SIGHTINGS / 2 + hidden).contains(&index);
        if hidden == 0 || !in_gap {
            let mark = match stage_event.outcome {
                Outcome::Noted => "·",
                Outcome::Done => "✓",
                Outcome::Failed => "✗",
            };
            let frame = stage_event
                .frame
                .as_ref()
                .map_or_else(String::new, |frame| format!(" ({frame})"));
            lines.push(format!("      {mark} {}{frame}", stage_event.text));
        }
    }
    lines
}
