//! SARIF 2.1.0 output (OASIS), for code scanning services.

use std::path::Path;

use boot_server_catalog::problem::line_texts;
use serde_json::{Value, json};

use super::documentation;
use crate::validate::{Level, RULES, Report};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// Renders the report as SARIF. If `docs_url` names the page of the rules, each rule links to its section.
///
/// # Errors
/// None that can happen: everything in it is text and numbers.
pub fn sarif(report: &Report, docs_url: Option<&str>) -> serde_json::Result<String> {
    let sections = documentation();
    let rules: Vec<Value> = RULES
        .iter()
        .map(|rule| {
            let section = sections.get(rule.id).copied().unwrap_or(rule.summary);
            let mut object = json!({
                "id": rule.id,
                "shortDescription": { "text": rule.summary },
                "help": { "text": section, "markdown": section },
                "defaultConfiguration": { "level": level(rule.level) },
                "properties": { "tags": [rule.family] },
            });
            if let (Some(url), Some(object)) = (docs_url, object.as_object_mut()) {
                object.insert("helpUri".to_owned(), format!("{url}#{}", rule.id).into());
            }
            object
        })
        .collect();
    let problems = report.findings.iter().map(|finding| &finding.problem);
    let results: Vec<Value> = report
        .findings
        .iter()
        .zip(line_texts(problems))
        .map(|(finding, text)| {
            let problem = &finding.problem;
            let mut location = json!({ "artifactLocation": { "uri": uri(&problem.path) } });
            if let (Some(line), Some(column), Some(object)) =
                (problem.line, problem.column, location.as_object_mut())
            {
                let mut region = json!({ "startLine": line, "startColumn": column });
                if let (Some(text), Some(region)) = (text, region.as_object_mut()) {
                    region.insert("snippet".to_owned(), json!({ "text": text }));
                }
                object.insert("region".to_owned(), region);
            }
            json!({
                "ruleId": finding.rule.id,
                "ruleIndex": RULES.iter().position(|rule| rule.id == finding.rule.id),
                "level": level(finding.rule.level),
                "message": { "text": format!("{}\nHelp: {}", problem.message, problem.help) },
                "locations": [{ "physicalLocation": location }],
            })
        })
        .collect();
    let document = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "lab validate",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            // Columns are counted as characters, whatever their length in UTF-16.
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Info => "note",
        Level::Warning => "warning",
        Level::Error => "error",
    }
}

/// Returns a path as a URI reference: absolute ones with their scheme.
pub(super) fn uri(path: &Path) -> String {
    let mut uri = String::new();
    if path.is_absolute() {
        uri.push_str("file://");
    }
    for byte in path.to_string_lossy().bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => uri.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => uri.push(char::from(byte)),
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}
