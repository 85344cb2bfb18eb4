//! Excerpt of the serial console with relevant lines marked; the log file has the rest.

use std::collections::BTreeSet;

use lab_model::timeline::StageName;
use lab_model::verdict::NodeVerdict;
use maud::{Markup, html};

use super::text::{clean, shorten, time};
use super::view::Machine;

/// Number of lines shown before and after a marked line.
const AROUND: usize = 4;
/// Number of lines shown from the beginning.
const FIRST: usize = 6;
/// Number of lines shown from the end, for a passed and a failed machine.
const LAST_OF_PASS: usize = 25;
const LAST_OF_FAIL: usize = 120;
/// Maximum number of marked lines shown with their context.
const MOST_MARKED: usize = 40;
/// Maximum length of a line, in characters.
const MOST_CHARS: usize = 240;

/// Reason why a line is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// Evidence of a stage.
    Stage(StageName),
    /// Problem reported by the system.
    Trouble,
    /// Evidence of a finding.
    Evidence,
}

/// Part of the console.
#[derive(Debug, PartialEq)]
enum Part<'m> {
    Line(u64, &'m str, Option<Mark>),
    LeftOut(usize),
}

/// Renders the console of a machine.
pub(super) fn console(machine: &Machine) -> Markup {
    if machine.console.is_empty() {
        return html! { p.none { "Nothing was written to the serial console." } };
    }
    let zero_us = machine.zero_us();
    let parts = parts(machine);
    let marked = parts
        .iter()
        .filter(|part| matches!(part, Part::Line(_, _, Some(_))));
    let count = marked.count();
    let failed = !matches!(machine.verdict, NodeVerdict::Pass);
    html! {
        details.more open[failed] {
            summary { (machine.console.len()) " lines, " (count) " marked" }
            // The block scrolls, so it must be reachable by keyboard.
            div.console tabindex="0" role="group" aria-label={ "console of " (machine.name) } {
                @for part in &parts {
                    @match part {
                        Part::LeftOut(lines) => p.gap { (lines) " lines omitted" },
                        Part::Line(at_us, text, mark) => (line(zero_us, *at_us, text, *mark)),
                    }
                }
            }
        }
    }
}

fn line(zero_us: u64, at_us: u64, text: &str, mark: Option<Mark>) -> Markup {
    let text = shorten(&clean(text), MOST_CHARS);
    let (class, label) = match mark {
        None => ("", String::new()),
        Some(Mark::Stage(stage)) => ("good", format!("✓ {stage}")),
        Some(Mark::Trouble) => ("bad", "✗ trouble".into()),
        Some(Mark::Evidence) => ("bad", "✗ evidence".into()),
    };
    html! {
        div.line.(class) {
            span.t { (time(zero_us, at_us)) }
            @if mark.is_some() {
                mark { (text) }
                b { (label) }
            } @else {
                span { (text) }
            }
        }
    }
}

/// Returns the lines worth reading: the first, the last, and those around marked lines.
fn parts(machine: &Machine) -> Vec<Part<'_>> {
    let lines = &machine.console;
    let marks: Vec<Option<Mark>> = lines
        .iter()
        .map(|(at_us, line)| mark(machine, *at_us, line))
        .collect();
    let last = match machine.verdict {
        NodeVerdict::Pass => LAST_OF_PASS,
        _ => LAST_OF_FAIL,
    };
    let mut kept: BTreeSet<usize> = (0..FIRST.min(lines.len())).collect();
    kept.extend(lines.len().saturating_sub(last)..lines.len());
    let marked = (0..lines.len()).filter(|at| marks.get(*at).is_some_and(Option::is_some));
    for at in marked.take(MOST_MARKED) {
        kept.extend(at.saturating_sub(AROUND)..(at + AROUND + 1).min(lines.len()));
    }
    let mut parts = Vec::new();
    let mut next = 0;
    for at in kept {
        if at > next {
            parts.push(Part::LeftOut(at - next));
        }
        if let (Some((at_us, line)), Some(mark)) = (lines.get(at), marks.get(at)) {
            parts.push(Part::Line(*at_us, line, *mark));
        }
        next = at + 1;
    }
    parts
}

fn mark(machine: &Machine, at_us: u64, line: &str) -> Option<Mark> {
    let text = line.trim();
    if text.is_empty() {
        return None;
    }
    let timeline = machine.timeline.as_ref()?;
    if timeline.trouble.iter().any(|trouble| trouble == text) {
        return Some(Mark::Trouble);
    }
    let proofs = machine.findings.iter().flat_map(|found| &found.evidence);
    let rests = |proof: &lab_model::diagnosis::Proof| {
        proof.frame.is_none() && proof.at_us == Some(at_us) && proof.text.contains(text)
    };
    if proofs.into_iter().any(rests) {
        return Some(Mark::Evidence);
    }
    // Stages seen on the console refer to their line.
    let seen = timeline.stages.iter().find(|stage| {
        let stage_events = stage.events.iter();
        stage_events
            .into_iter()
            .any(|one| one.at_us == at_us && one.text == text)
    });
    seen.map(|stage| Mark::Stage(stage.name))
}
