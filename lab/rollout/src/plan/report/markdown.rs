//! Plan as GitHub Markdown for a pull request: a short overview, folded details, within the size limit of a
//! comment, and without secrets.

use std::collections::HashSet;

use boot_server_catalog::snapshot::Folder;

use super::changes::{fate, names, summary};
use super::{by, cell, cloud_cell, machines, short_hash};
use crate::plan::Plan;
use crate::plan::change::{ChangeSet, Changes};

/// GitHub's limit for a comment, in characters.
pub const MAX_CHARS: usize = 65_536;
/// Kept free for the sentences that say what was cut.
const RESERVED: usize = 1_000;
/// Maximum number of machines named for one change.
const NAMED: usize = 20;
/// A diff longer than this is cut.
const MAX_DIFF_CHARS: usize = 12_000;

/// Text of limited length, made of parts that are taken whole or not at all.
#[derive(Default)]
struct Page {
    text: String,
    chars: usize,
}

impl Page {
    /// Adds a part, when there is room for it.
    fn add(&mut self, part: &str) -> bool {
        let chars = part.chars().count();
        let fits = self.chars + chars <= MAX_CHARS - RESERVED;
        if fits {
            self.text.push_str(part);
            self.chars += chars;
        }
        fits
    }
}

/// Renders a plan, or what changes in it.
#[must_use]
pub fn render(plan: &Plan, changes: Option<(&Changes, &str)>) -> String {
    let mut page = Page::default();
    let failing = plan.failing().count();
    let title = match changes {
        Some((changes, against)) => format!("against {}: {}", inline(against), summary(changes)),
        None => format!("of {}", machines(plan.machines.len())),
    };
    page.add(&format!("### Boot plan {title}\n\n"));
    let told = changes.map_or_else(HashSet::new, |(changes, _)| changes.stopping());
    if failing > told.len() {
        problems(plan, &told, &mut page);
    }
    match changes {
        Some((changes, _)) => sets(changes, &mut page),
        None => table(plan, &mut page),
    }
    page.text
}

fn problems(plan: &Plan, told: &HashSet<&str>, page: &mut Page) {
    page.add("> [!WARNING]\n> Problems:\n");
    let mut left_out = 0;
    let failing = plan.failing();
    for machine in failing.filter(|machine| !told.contains(machine.name.as_str())) {
        for problem in machine.problems() {
            let line = format!("> - **{}**: {}\n", inline(&machine.name), inline(&problem));
            // Room is left for the changes.
            if page.chars > MAX_CHARS / 4 || !page.add(&line) {
                left_out += 1;
            }
        }
    }
    if left_out > 0 {
        page.text.push_str(&format!(
            "> - and {left_out} more problems, left out here\n"
        ));
    }
    page.add("\n");
}

fn table(plan: &Plan, page: &mut Page) {
    page.add(&format!(
        "| machine | group | by | {} | script | cloud-config | Ignition |\n|---|---|---|---|---|---|---|\n",
        plan.layout.profile_word()
    ));
    let mut left_out = 0;
    for machine in &plan.machines {
        let row = match &machine.outcome {
            Ok(booted) => [
                inline(&machine.name),
                inline(&booted.group),
                inline(by(booted)),
                inline(&booted.profile),
                short_hash(&booted.script),
                inline(&cloud_cell(booted)),
                inline(&cell(booted.config(Folder::Ignition))),
            ],
            Err(refused) => {
                let none = || "-".to_owned();
                let group = refused.group.as_deref().unwrap_or("none");
                let (name, group) = (inline(&machine.name), inline(group));
                [
                    name,
                    group,
                    none(),
                    none(),
                    "404".to_owned(),
                    none(),
                    none(),
                ]
            }
        };
        if left_out > 0 || !page.add(&format!("| {} |\n", row.join(" | "))) {
            left_out += 1;
        }
    }
    if left_out > 0 {
        page.text.push_str(&format!(
            "\n{} left out: a comment holds at most {MAX_CHARS} characters.\n",
            machines(left_out)
        ));
    }
}

fn sets(changes: &Changes, page: &mut Page) {
    let mut left_out = 0;
    let mut opened = false;
    for set in &changes.sets {
        opened |= !set.change.diffs.is_empty();
        if !page.add(&one(set)) {
            left_out += set.machines.len();
        }
    }
    if left_out > 0 {
        page.text.push_str(&format!(
            "Changes of {} are left out: a comment holds at most {MAX_CHARS} characters. Run the plan without `--format markdown` to see all.\n\n",
            machines(left_out)
        ));
    }
    if opened {
        page.text.push_str(
            "<sub>Keys, password hashes and the like are shown as the beginning of their SHA-256.</sub>\n",
        );
    }
}

fn one(set: &ChangeSet) -> String {
    let is_bad = set.is_loss();
    let mut text = String::new();
    let facts = |text: &mut String, before: &str| {
        for fact in &set.change.facts {
            text.push_str(&format!("{before}- {}\n", inline(fact)));
        }
    };
    let title = format!("{}: {}", inline(&names(set, NAMED)), fate(set));
    if is_bad {
        text.push_str(&format!("> [!CAUTION]\n> **{title}**\n>\n"));
        facts(&mut text, "> ");
        text.push('\n');
    }
    if set.change.diffs.is_empty() && is_bad {
        return text;
    }
    let count = match set.machines.len() {
        1 => String::new(),
        count => format!(" ({})", machines(count)),
    };
    text.push_str(&format!(
        "<details><summary>{}{count}</summary>\n\n",
        as_html(&format!("{}: {}", names(set, NAMED), fate(set)))
    ));
    if !is_bad {
        facts(&mut text, "");
        if !set.change.facts.is_empty() {
            text.push('\n');
        }
    }
    for diff in &set.change.diffs {
        let shown = cut(&diff.redacted);
        let fence = fence(shown);
        text.push_str(&format!("{}:\n\n{fence}diff\n{shown}", diff.what));
        if !shown.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&format!("{fence}\n\n"));
        if shown.len() < diff.redacted.len() {
            let lines = diff.redacted.lines().count() - shown.lines().count();
            text.push_str(&format!(
                "{lines} more lines of this diff are left out.\n\n"
            ));
        }
    }
    text.push_str("</details>\n\n");
    text
}

/// Returns the lines of a diff that are shown.
fn cut(diff: &str) -> &str {
    match diff.char_indices().nth(MAX_DIFF_CHARS) {
        None => diff,
        Some((end, _)) => {
            let kept = diff.get(..end).unwrap_or_default();
            let end = kept.rfind('\n').map_or(0, |at| at + 1);
            kept.get(..end).unwrap_or_default()
        }
    }
}

/// Returns a fence that no line of the text closes: longer than any run of backticks in it.
fn fence(text: &str) -> String {
    let runs = text.split(|c| c != '`').map(str::len);
    "`".repeat(runs.max().unwrap_or(0).max(2) + 1)
}

/// Escapes text so that Markdown and HTML show it unchanged, in one line.
fn inline(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' | '|' | '*' | '_' | '[' | ']' | '~' | '#' => {
                safe.push('\\');
                safe.push(letter);
            }
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '`' => safe.push('\''),
            // Avoids notifying a GitHub user of that name.
            '@' => safe.push_str("@\u{200b}"),
            '\n' | '\r' => safe.push(' '),
            other => safe.push(other),
        }
    }
    safe
}

/// Escapes text for HTML.
fn as_html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
