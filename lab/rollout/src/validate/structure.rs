//! Groups files and specs as texts: keys and names that stand twice, and YAML that means something else than
//! it looks like.

use std::collections::HashMap;

use boot_server_catalog::snapshot::Layout;

use super::context::Context;
use super::finding::{Findings, Source};
use super::tree::{Kind, Node, Style, Value, json, yaml};

/// Looks at the files that say who gets what. `groups` is the tree of `config.yaml`.
pub(super) fn check(
    context: &Context<'_>,
    groups: Option<(&Source, &Node)>,
    findings: &mut Findings,
) {
    if let Some((source, root)) = groups {
        let items = root.child("groups").map_or(&[][..], Node::items);
        duplicate_names(source, items, findings);
        for group in items {
            if let Some(metadata) = group.child("metadata") {
                surprises(source, metadata, findings);
            }
        }
    }
    for file in json_files(context) {
        let Some(source) = context.source(&file) else {
            continue;
        };
        let Ok(root) = json::parse(&source.text) else {
            continue;
        };
        for entry in root.duplicate_keys() {
            let message = format!("duplicate key `{}` (the last one counts)", entry.key);
            let problem = source.problem("duplicate-key", entry.at, message, "keep one of them");
            findings.add(problem);
        }
    }
}

/// Returns the groups and profiles of matchbox, specs of bootcfg.
fn json_files(context: &Context<'_>) -> Vec<String> {
    let layout = context.snapshot.layout;
    let profiles = context.snapshot.profiles();
    let mut files: Vec<String> = profiles.map(|p| layout.profile_file(&p.id)).collect();
    if layout == Layout::Matchbox {
        let names = context.root.names("groups").unwrap_or_default().into_iter();
        let names = names.filter(|name| name.ends_with(".json"));
        files.extend(names.map(|name| format!("groups/{name}")));
    }
    files
}

fn duplicate_names(source: &Source, groups: &[Node], findings: &mut Findings) {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for group in groups {
        let Some(node) = group.child("name") else {
            continue;
        };
        let name = node.scalar().unwrap_or_default();
        if let Some(line) = seen.get(name) {
            let message = format!("duplicate group name `{name}`: here and in line {line}");
            let help = "give each group its own name, which reports and logs show";
            findings.add(source.problem("duplicate-name", node.at, message, help));
        } else {
            seen.insert(name, node.at.line);
        }
    }
}

/// Metadata is served as text, so that what YAML makes of a bare word shows.
fn surprises(source: &Source, metadata: &Node, findings: &mut Findings) {
    match &metadata.value {
        Value::Map(entries) => {
            for entry in entries {
                surprises(source, &entry.value, findings);
            }
        }
        Value::List(items) => {
            for item in items {
                surprises(source, item, findings);
            }
        }
        Value::Scalar(text, Style::Plain) => {
            if let Some((rule, becomes)) = surprise(text) {
                let message = match rule {
                    "yaml-sexagesimal" => {
                        format!("`{text}` is the number {becomes} to some readers")
                    }
                    _ => format!("`{text}` is served as `{becomes}`"),
                };
                let help = format!("put the value in quotes: \"{text}\"");
                findings.add(source.problem(rule, metadata.at, message, help));
            }
        }
        Value::Scalar(_, Style::Text) => {}
    }
}

/// Returns the served form of a bare word, when that differs.
fn surprise(text: &str) -> Option<(&'static str, String)> {
    match yaml::kind(text) {
        Kind::Bool => {
            let becomes = yaml::boolean(text)?.to_string();
            (becomes != text && text.len() > 1).then_some(("yaml-boolean", becomes))
        }
        Kind::Int => {
            let digits = text.trim_start_matches(['+', '-']);
            let octal = digits
                .strip_prefix("0o")
                .or_else(|| digits.strip_prefix('0'));
            let number = match octal {
                Some(rest) if !rest.is_empty() && rest.chars().all(|c| c.is_digit(8)) => {
                    return Some(("yaml-octal", u64::from_str_radix(rest, 8).ok()?.to_string()));
                }
                _ => match digits.get(..2) {
                    Some("0x" | "0X") => u64::from_str_radix(digits.get(2..)?, 16).ok()?,
                    Some("0b") => u64::from_str_radix(digits.get(2..)?, 2).ok()?,
                    _ => digits.replace('_', "").parse().ok()?,
                },
            };
            let sign = if text.starts_with('-') { "-" } else { "" };
            let becomes = format!("{sign}{number}");
            (becomes != text).then_some(("yaml-number", becomes))
        }
        Kind::Float => {
            let number: f64 = text.replace('_', "").parse().ok()?;
            let json = serde_json::Number::from_f64(number)?;
            let value = serde_json::Value::Number(json);
            let becomes = boot_server_catalog::template::value_from_json(&value).to_string();
            (becomes != text).then_some(("yaml-number", becomes))
        }
        Kind::Text => Some(("yaml-sexagesimal", sexagesimal(text)?.to_string())),
        Kind::Null | Kind::List | Kind::Map => None,
    }
}

/// YAML 1.1's numbers to the base of 60: `[1-9][0-9]*(:[0-5]?[0-9])+`.
fn sexagesimal(text: &str) -> Option<u128> {
    let (first, rest) = text.split_once(':')?;
    let digits = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
    if !digits(first) || first.starts_with('0') {
        return None;
    }
    let mut number: u128 = first.parse().ok()?;
    for part in rest.split(':') {
        let value: u128 = part.parse().ok()?;
        if !digits(part) || part.len() > 2 || value > 59 {
            return None;
        }
        number = number.checked_mul(60)?.checked_add(value)?;
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::surprise;

    #[test]
    fn bare_words_that_are_served_otherwise_are_told() {
        for (text, expected) in [
            ("yes", Some(("yaml-boolean", "true"))),
            ("Off", Some(("yaml-boolean", "false"))),
            ("true", None),
            ("n", None),
            ("0644", Some(("yaml-octal", "420"))),
            ("0899", Some(("yaml-number", "899"))),
            ("0", None),
            ("8080", None),
            ("0x1f", Some(("yaml-number", "31"))),
            ("1_000", Some(("yaml-number", "1000"))),
            ("1.10", Some(("yaml-number", "1.1"))),
            ("1.5", None),
            ("1.2.3", None),
            ("10.0.0.1", None),
            ("12345678.5", Some(("yaml-number", "1.23456785e+07"))),
            (
                "52:54:00:12:34:56",
                Some(("yaml-sexagesimal", "41135085296")),
            ),
            ("52:54:00:a1:9c:ae", None),
            ("http://10.0.0.1:80", None),
        ] {
            let found = surprise(text);
            let found = found
                .as_ref()
                .map(|(rule, becomes)| (*rule, becomes.as_str()));
            assert_eq!(found, expected, "{text}");
        }
    }
}
