//! Rendering of findings as a table and as JSON.

use std::fmt::Write;

use lab_report::table::Colour;
use serde::Serialize;

use super::{Finding, State, Verdict};
use crate::hypervisor::accel::Accelerator;

/// Renders a table by groups, followed by the overall result.
#[must_use]
pub fn table(findings: &[Finding], colour: Colour) -> String {
    let widths = findings.iter().map(|finding| finding.title.chars().count());
    let width = widths.max().unwrap_or_default();
    let mut text = String::new();
    let mut group = None;
    // Writing to a string cannot fail.
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

/// Output of `lab doctor --json`. Keys and ids are stable; new ones may be added.
#[derive(Debug, Serialize)]
struct Report<'a> {
    /// Format version: 1.
    version: u32,
    /// True if the lab can run on this host.
    ready: bool,
    /// Accelerator; null if the lab cannot run.
    accelerator: Option<Accelerator>,
    /// Sentence at the end of the table.
    verdict: String,
    findings: &'a [Finding],
}

/// Renders JSON: `version`, `ready`, `accelerator` (`kvm`, `tcg` or null), `verdict` (a sentence), and
/// `findings`, each with `id`, `group`, `title`, `state` (`ok`, `warning` or `missing`), `what`, `remedy` (or
/// null).
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
    // Strings and numbers can always be serialised.
    serde_json::to_string_pretty(&report).unwrap_or_default()
}
