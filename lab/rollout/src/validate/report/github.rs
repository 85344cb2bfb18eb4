//! Workflow commands of GitHub Actions, which shows them beside the lines of a pull request.

use std::fmt::Write;

use crate::validate::{Level, Report};

/// Renders one command per finding.
#[must_use]
pub fn github(report: &Report) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let problem = &finding.problem;
        let level = match finding.level() {
            Level::Info => "notice",
            Level::Warning => "warning",
            Level::Error => "error",
        };
        let file = problem.path.display().to_string();
        // Writing to a string does not fail.
        let _ = write!(text, "::{level} file={}", property(&file));
        if let (Some(line), Some(column)) = (problem.line, problem.column) {
            let _ = write!(text, ",line={line},col={column}");
        }
        let message = format!("{}\n{}", problem.message, problem.help);
        let _ = writeln!(
            text,
            ",title={}::{}",
            property(finding.rule.id),
            data(&message)
        );
    }
    text
}

/// Escapes a command's message, as GitHub's own toolkit does (`@actions/core`, `escapeData`).
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// Escapes the value of a command's property (`escapeProperty`).
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
