//! JSON output, in a stable form: keys are added, never changed (`docs/rules.md`).

use boot_server_catalog::problem::line_texts;
use boot_server_catalog::snapshot::Layout;
use serde::Serialize;

use crate::validate::{EfiProgram, Family, Level, Program, Report};

/// Version of the form; it changes when a key changes or goes.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    layout: Layout,
    groups: usize,
    profiles: usize,
    machines: usize,
    ignition_validate: &'a Program,
    errors: usize,
    warnings: usize,
    infos: usize,
    programs: &'a [EfiProgram],
    findings: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    rule: &'static str,
    level: Level,
    family: Family,
    file: String,
    line: Option<usize>,
    column: Option<usize>,
    /// The line itself.
    text: Option<&'a str>,
    message: &'a str,
    help: &'a str,
}

/// Renders the report as JSON.
///
/// # Errors
/// None that can happen: everything in it is text and numbers.
pub fn json(report: &Report) -> serde_json::Result<String> {
    let problems = report.findings.iter().map(|finding| &finding.problem);
    let findings = report.findings.iter().zip(line_texts(problems));
    let document = Document {
        version: VERSION,
        layout: report.layout,
        groups: report.groups,
        profiles: report.profiles,
        machines: report.machines,
        ignition_validate: &report.ignition_validate,
        errors: report.count(Level::Error),
        warnings: report.count(Level::Warning),
        infos: report.count(Level::Info),
        programs: &report.programs,
        findings: findings
            .map(|(finding, text)| Entry {
                rule: finding.rule.id,
                level: finding.rule.level,
                family: finding.rule.family,
                file: finding.problem.path.display().to_string(),
                line: finding.problem.line,
                column: finding.problem.column,
                text,
                message: &finding.problem.message,
                help: &finding.problem.help,
            })
            .collect(),
    };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}
