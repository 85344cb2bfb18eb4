//! For people: each finding with its place and what would be right, then a summary.

use std::fmt::Write;

use boot_server_catalog::problem::{Problem, render_problems};

use super::program;
use crate::validate::{Level, Report};

/// Renders the report as text, without colours.
#[must_use]
pub fn text(report: &Report) -> String {
    let problems: Vec<Problem> = report.findings.iter().map(|f| f.problem.clone()).collect();
    let mut text = render_problems(&problems);
    if let Some(sentence) = program(&report.ignition_validate) {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{sentence}");
    }
    if !report.programs.is_empty() {
        let _ = writeln!(text, "EFI programs:");
    }
    for program in &report.programs {
        let _ = writeln!(text, "  {program}");
    }
    let counted = |count: usize, word: &str| match count {
        1 => format!("1 {word}"),
        count => format!("{count} {word}s"),
    };
    let machines = match report.machines {
        0 => String::new(),
        count => format!(", {}", counted(count, "machine")),
    };
    let _ = writeln!(
        text,
        "{}, {}{machines}: {}, {}, {} worth knowing",
        counted(report.groups, "group"),
        counted(report.profiles, report.layout.profile_word()),
        counted(report.count(Level::Error), "error"),
        counted(report.count(Level::Warning), "warning"),
        report.count(Level::Info),
    );
    text
}
