//! Changes for a terminal: what stops and what is lost first, in red; then each change once, with its machines.

use std::fmt::Write;

use super::{Colour, machines, table};
use crate::plan::Plan;
use crate::plan::change::{ChangeSet, Changes, Fate};

/// Maximum number of machines named for one change.
const NAMED: usize = 12;

/// Renders what changes from `against` to a plan.
#[must_use]
pub fn render(plan: &Plan, changes: &Changes, against: &str, colour: Colour) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let title = format!("Against {against}: {}", summary(changes));
    let _ = writeln!(text, "{}\n", colour.strong(&title));
    for set in &changes.sets {
        one(set, colour, &mut text);
        text.push('\n');
    }
    table::problems(plan, &changes.stopping(), colour, &mut text);
    text
}

/// Summarizes the changes in one sentence.
pub(super) fn summary(changes: &Changes) -> String {
    let told = [
        (Fate::Stops, "stop matching", "stops matching"),
        (
            Fate::Breaks,
            "match and are refused",
            "matches and is refused",
        ),
        (Fate::Starts, "start to boot", "starts to boot"),
        (Fate::Changes, "change", "changes"),
        (
            Fate::Renamed,
            "get the same bytes by another name",
            "gets the same bytes by another name",
        ),
        (Fate::Same, "don't change", "doesn't change"),
    ];
    let mut parts: Vec<String> = told
        .iter()
        .filter_map(|(fate, several, one)| match changes.count(*fate) {
            0 => None,
            1 => Some(format!("1 {one}")),
            count => Some(format!("{count} {several}")),
        })
        .collect();
    if parts.is_empty() {
        parts.push("no machines".to_owned());
    }
    let losing = match changes.losing() {
        0 => String::new(),
        losing => format!(
            "; {} without a config that existed before",
            machines(losing)
        ),
    };
    format!("{}{losing}", parts.join(", "))
}

/// Returns the machines of a change, in one line.
pub(super) fn names(set: &ChangeSet, limit: usize) -> String {
    let named: Vec<&str> = set
        .machines
        .iter()
        .take(limit)
        .map(String::as_str)
        .collect();
    match set.machines.len().saturating_sub(limit) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// Returns the kind of change in one word.
pub(super) fn fate(set: &ChangeSet) -> &'static str {
    match (set.change.fate, set.change.loses_config) {
        (Fate::Stops, _) => "stops matching",
        (Fate::Breaks, _) => "matches and is refused",
        (Fate::Starts, _) => "starts to boot",
        (Fate::Changes, true) => "loses a config",
        (Fate::Changes, false) => "changes",
        (Fate::Renamed, _) => "gets the same bytes by another name",
        (Fate::Same, _) => "doesn't change",
    }
}

fn one(set: &ChangeSet, colour: Colour, text: &mut String) {
    let title = format!("{}: {}", names(set, NAMED), fate(set));
    let is_bad = set.is_loss();
    let title = match (is_bad, set.change.fate) {
        (true, _) => colour.bad(&title),
        (false, Fate::Starts) => colour.good(&title),
        (false, _) => colour.strong(&title),
    };
    let _ = writeln!(text, "{title}");
    for fact in &set.change.facts {
        let fact = match is_bad {
            true => colour.bad(fact),
            false => fact.clone(),
        };
        let _ = writeln!(text, "  {fact}");
    }
    for diff in &set.change.diffs {
        let _ = writeln!(text, "  {}:", diff.what);
        for line in diff.text.lines() {
            let line = match line.chars().next() {
                Some('-') => colour.bad(line),
                Some('+') => colour.good(line),
                _ => line.to_owned(),
            };
            let _ = writeln!(text, "    {line}");
        }
    }
}
