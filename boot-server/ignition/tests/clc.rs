//! Container Linux Configs against what matchbox 0.9.0 made of them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::BTreeMap;

use go_template::{MissingKey, Template};
use ignition_translate::{ClcRefusal, ClcTranslation, Severity, translate_clc};
use serde_json::Value;
use support::compare;

/// Configs whose results differ on purpose, and why.
const CONFIGS: &[(&str, &str)] = &[];

#[test]
fn configs_are_translated_as_matchbox_does() {
    compare("clc/configs.jsonl", CONFIGS, differs_from_matchbox);
}

fn differs_from_matchbox(vector: &Value) -> Result<(), String> {
    let Some(text) = rendered(vector) else {
        return if vector["class"] == "refused-template" {
            Ok(())
        } else {
            Err("template refused".to_owned())
        };
    };
    let translation = translate_clc(&text);
    let class = class_of(&translation);
    if class != vector["class"] {
        let reports = format!("{} {}", vector["parse_report"], vector["convert_report"]);
        return Err(format!(
            "{class}, not {}: {:?} ({reports})",
            vector["class"], translation
        ));
    }
    let served = &vector["served"];
    let wanted = if served["status"] == 200 {
        served["body"].as_str().unwrap()
    } else {
        ""
    };
    let found = translation.result.as_deref().unwrap_or_default();
    if found != wanted {
        return Err(format!("{found}, not {wanted}"));
    }
    same_findings(&translation, vector)
}

/// Renders a config as a template with the group's metadata.
fn rendered(vector: &Value) -> Option<Vec<u8>> {
    let text = vector["config"].as_str().unwrap();
    let Some(metadata) = vector.get("metadata") else {
        return Some(text.as_bytes().to_vec());
    };
    let template = Template::parse("config", text, MissingKey::Error).ok()?;
    let budget = go_template::Budget::default();
    Some(
        template
            .render(Some(&value_of(metadata)), budget)
            .ok()?
            .bytes,
    )
}

fn value_of(json: &Value) -> go_template::Value {
    use go_template::Value as Go;
    match json {
        Value::Null => Go::Nil,
        Value::Bool(value) => Go::Bool(*value),
        Value::Number(number) => Go::Float(number.as_f64().unwrap()),
        Value::String(text) => Go::from(text.as_str()),
        Value::Array(items) => Go::list(items.iter().map(value_of)),
        Value::Object(fields) => {
            let fields: BTreeMap<_, _> = fields
                .iter()
                .map(|(name, value)| (name.as_str().into(), value_of(value)))
                .collect();
            Go::Map(fields.into())
        }
    }
}

fn class_of(translation: &ClcTranslation) -> &'static str {
    match &translation.result {
        Ok(_) if translation.findings.is_empty() => "accepted",
        Ok(_) => "accepted-with-report",
        Err(ClcRefusal::Generated) => "refused-convert",
        Err(_) => "refused-parse",
    }
}

/// Compares severity and place of every finding that has a place in the transpiler's report.
fn same_findings(translation: &ClcTranslation, vector: &Value) -> Result<(), String> {
    let reports = ["parse_report", "convert_report"];
    let entries = reports
        .iter()
        .filter_map(|report| vector[*report].as_array())
        .flatten();
    let mut wanted: Vec<String> = entries
        .filter(|entry| entry["line"].is_u64())
        .map(|entry| {
            format!(
                "{} {} {}",
                entry["kind"].as_str().unwrap(),
                entry["line"],
                entry["column"]
            )
        })
        .collect();
    let has_all_places = wanted.len()
        == reports
            .iter()
            .filter_map(|r| vector[*r].as_array())
            .flatten()
            .count();
    if !has_all_places {
        return Ok(());
    }
    let mut found: Vec<String> = translation
        .findings
        .iter()
        .map(|finding| {
            let severity = if finding.severity == Severity::Error {
                "error"
            } else {
                "warning"
            };
            let place = finding.place.unwrap();
            format!("{severity} {} {}", place.line, place.column)
        })
        .collect();
    found.sort();
    wanted.sort();
    if found == wanted {
        Ok(())
    } else {
        Err(format!(
            "{found:?}, not {wanted:?}: {:?}",
            translation.findings
        ))
    }
}
