//! Table of verdicts, followed by a paragraph for each failure.

use std::collections::BTreeMap;
use std::fmt::Write;

use lab_model::untrusted::{plain, plain_line};
use lab_model::verdict::NodeVerdict;

use super::excerpts::explanation;
use super::format::count;
use super::{NodeSummary, RunSummary, UnitSummary};

/// Use of colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// ANSI colours.
    On,
    /// Plain text.
    Off,
}

/// Renders the table: one aligned line per node, then the failures and their artifacts.
#[must_use]
pub fn render(run: &RunSummary, colour: Colour) -> String {
    let mut text = String::new();
    if run.units.is_empty() {
        let _ = writeln!(text, "No scenarios were run.");
        return text;
    }
    let unit_width = width(run.units.iter().map(|unit| unit.name().len()), "scenario");
    let node_width = width(run.nodes().map(|node| node.name.len()), "node");
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{:unit_width$}  {:node_width$}  {:11}  {:>7}",
        "scenario", "node", "verdict", "time"
    );
    for unit in &run.units {
        for node in &unit.nodes {
            let verdict = paint(
                &format!("{:11}", node.verdict.word()),
                &node.verdict,
                colour,
            );
            let time = node
                .seconds
                .map_or("-".into(), |seconds| format!("{seconds:.1} s"));
            let stage = match &node.verdict {
                NodeVerdict::Fail { stage, .. } => format!("  at {stage}"),
                _ => String::new(),
            };
            let _ = writeln!(
                text,
                "{:unit_width$}  {:node_width$}  {verdict}  {time:>7}{stage}",
                unit.name(),
                node.name
            );
        }
    }
    not_proven(&mut text, run);
    for unit in &run.units {
        for node in &unit.nodes {
            trouble(&mut text, run, unit, node);
        }
    }
    let _ = writeln!(text, "\n{}", closing(run));
    text
}

fn width(lengths: impl Iterator<Item = usize>, title: &str) -> usize {
    lengths.chain([title.len()]).max().unwrap_or_default()
}

/// Lists the claims that passes do not prove, each once with its number of nodes.
fn not_proven(text: &mut String, run: &RunSummary) {
    let mut phrases: BTreeMap<&str, usize> = BTreeMap::new();
    for phrase in run.nodes().flat_map(|node| &node.not_proven) {
        *phrases.entry(phrase).or_default() += 1;
    }
    if !phrases.is_empty() {
        text.push_str("\nnot proven:\n");
    }
    for (phrase, nodes) in phrases {
        let of = count(nodes, "node", "nodes");
        let _ = writeln!(text, "  {} ({of})", plain_line(phrase));
    }
}

fn trouble(text: &mut String, run: &RunSummary, unit: &UnitSummary, node: &NodeSummary) {
    let broken = match &node.verdict {
        NodeVerdict::Pass | NodeVerdict::Interrupted => return,
        NodeVerdict::Infra { .. } => unit.last().map(|last| explanation(run, last, node)),
        _ => None,
    };
    let _ = writeln!(text, "\n{} {}:", unit.name(), node.name);
    text.push_str(&indent(&plain(
        &broken.unwrap_or_else(|| node.verdict.sentence()),
    )));
    if let Some(best) = node.findings.first() {
        let _ = writeln!(text, "  why: {} ({})", plain(&best.sentence), best.cause);
        let _ = writeln!(text, "  try: {}", plain(&best.remedy));
    }
    // A machine that was not booted has no further evidence.
    if matches!(node.verdict, NodeVerdict::Fail { .. }) && unit.last().is_some() {
        let (run, unit, node) = (shown(&run.folder), unit.name(), &node.name);
        let _ = writeln!(text, "  more: lab explain {run}/{unit}/{node}");
    }
}

/// Returns the run's folder as a user would type it: relative if it is below the working directory.
fn shown(folder: &std::path::Path) -> String {
    let here = std::env::current_dir().ok();
    let below = here.and_then(|here| {
        folder
            .strip_prefix(here)
            .ok()
            .map(std::path::Path::to_owned)
    });
    below
        .unwrap_or_else(|| folder.to_owned())
        .display()
        .to_string()
}

fn indent(paragraph: &str) -> String {
    paragraph
        .trim_end()
        .lines()
        .map(|line| format!("  {line}\n"))
        .collect()
}

/// Returns the closing sentence: counts, duration, accelerator and the stand-in's caveat.
fn closing(run: &RunSummary) -> String {
    let counts: Vec<String> = run
        .counts()
        .into_iter()
        .map(|(word, count)| format!("{count} {word}"))
        .collect();
    let processor = run.processor_seconds.map_or(String::new(), |seconds| {
        format!(" ({seconds:.0} s of processor time)")
    });
    let mut sentence = format!(
        "{} in {:.0} s{processor}, on {}.",
        counts.join(", "),
        run.seconds,
        plain_line(&run.accelerator)
    );
    for caveat in run.caveats() {
        sentence.push('\n');
        sentence.push_str(&plain_line(&caveat));
    }
    sentence
}

fn paint(text: &str, verdict: &NodeVerdict, colour: Colour) -> String {
    let code = match verdict {
        NodeVerdict::Pass => "32",
        NodeVerdict::Fail { .. } | NodeVerdict::Leaked { .. } => "31",
        NodeVerdict::Flaky { .. }
        | NodeVerdict::Skipped { .. }
        | NodeVerdict::Infra { .. }
        | NodeVerdict::Interrupted => "33",
    };
    match colour {
        Colour::On => format!("\x1b[{code}m{text}\x1b[0m"),
        Colour::Off => text.to_owned(),
    }
}
