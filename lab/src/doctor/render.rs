//! Findings for people and for programs.

use std::fmt::Write;

use serde::Serialize;

use super::{Finding, State, Verdict};
use crate::hypervisor::accel::Accelerator;
use crate::report::table::Colour;

/// A table by groups, then the verdict.
#[must_use]
pub fn table(findings: &[Finding], colour: Colour) -> String {
    let widths = findings.iter().map(|finding| finding.title.chars().count());
    let width = widths.max().unwrap_or_default();
    let mut text = String::new();
    let mut group = None;
    // Writing to a string does not fail.
    for finding in findings {
        if group != Some(finding.group) {
            let space = if group.is_some() { "\n" } else { "" };
            let _ = writeln!(text, "{space}{}", finding.group.title());
            group = Some(finding.group);
        }
        let Finding {
            title, what, state, ..
        } = finding;
        let _ = writeln!(text, "  {} {title:width$}  {what}", mark(*state, colour));
        if let Some(remedy) = &finding.remedy {
            let _ = writeln!(text, "    {:width$}  → {remedy}", "");
        }
    }
    let _ = writeln!(text, "\n{}", Verdict::of(findings).sentence());
    text
}

fn mark(state: State, colour: Colour) -> String {
    let (mark, code) = match state {
        State::Ok => ("✓", 32),
        State::Warning => ("!", 33),
        State::Missing => ("✗", 31),
    };
    match colour {
        Colour::On => format!("\u{1b}[{code}m{mark}\u{1b}[0m"),
        Colour::Off => mark.into(),
    }
}

/// The form of `lab doctor --json`. Keys and ids stay; new ones may be added.
#[derive(Debug, Serialize)]
struct Report<'a> {
    /// 1.
    version: u32,
    /// Whether the lab runs here.
    ready: bool,
    /// On what; nothing when it does not run.
    accelerator: Option<Accelerator>,
    /// The sentence at the end of the table.
    verdict: String,
    /// Everything that was looked at.
    findings: &'a [Finding],
}

/// For programs: `version`, `ready`, `accelerator` (`kvm`, `tcg` or null), `verdict` (a sentence), and `findings`,
/// each with `id`, `group`, `title`, `state` (`ok`, `warning` or `missing`), `what`, `remedy` (or null).
#[must_use]
pub fn json(findings: &[Finding]) -> String {
    let verdict = Verdict::of(findings);
    let report = Report {
        version: 1,
        ready: matches!(verdict, Verdict::Ready(_)),
        accelerator: match verdict {
            Verdict::Ready(accelerator) => Some(accelerator),
            Verdict::NotReady(_) => None,
        },
        verdict: verdict.sentence(),
        findings,
    };
    // Strings and numbers always are JSON.
    serde_json::to_string_pretty(&report).unwrap_or_default()
}
