//! Checks of Ignition configs, by the schemas of their own versions.

pub(super) mod image;
pub(super) mod program;
mod shape;
mod storage;
#[cfg(test)]
mod tests;
mod v1;
mod v2;
mod v3;
mod values;

use std::collections::HashSet;

use boot_server_catalog::ignition::Language;

use self::shape::{Checker, Shape};
use self::values::Version;
use super::finding::{Findings, Source};
use super::tree::{At, Kind, Node, json, yaml};

const VERSION_HELP: &str = "write \"ignition\": {\"version\": \"3.3.0\"}, or \"2.x.0\", or \
                            \"ignitionVersion\": 1";

/// Looks at a rendered config. `place` maps a place in it to one in its file, and `who` is added to what is
/// said. Returns the major version when nothing is wrong.
pub(super) fn check(
    source: &Source,
    text: &str,
    language: Language,
    place: &dyn Fn(At) -> At,
    who: &str,
    findings: &mut Findings,
) -> Option<u8> {
    let mut found = Findings::default();
    let version = look(source, text, language, place, who, &mut found);
    let found = found.sorted();
    let clean = found.is_empty();
    for finding in found {
        findings.add(finding.problem);
    }
    version.filter(|_| clean).map(|version| version.major)
}

fn look(
    source: &Source,
    text: &str,
    language: Language,
    place: &dyn Fn(At) -> At,
    who: &str,
    findings: &mut Findings,
) -> Option<Version> {
    let mut tell = |rule, at: At, message: String, help: &str| {
        let message = format!("{message}{who}");
        findings.add(source.problem(rule, place(at), message, help));
    };
    let start = At { line: 1, column: 1 };
    let root = match language {
        Language::Yaml => match yaml::parse(text) {
            Ok(root) => root,
            Err(error) => {
                let message = format!("not an Ignition config in YAML: {error}");
                let help = "write version 1 in YAML, or JSON in a file with another name";
                tell("ignition-syntax", error.at, message, help);
                return None;
            }
        },
        Language::Json => match json::parse(text) {
            Ok(root) => root,
            Err(_) if is_butane(text) => {
                let message = "unsupported language: a Butane or Container Linux Config";
                let help = "a file *.ign or *.ignition is served as it is: give the config another name, such as \
                            *.yaml, or translate it with `lab butane`";
                tell("ignition-syntax", start, message.to_owned(), help);
                return None;
            }
            Err(error) => {
                let message = format!("not an Ignition config: {error}");
                let at = (error.line(), error.column().max(1)).into();
                tell("ignition-syntax", at, message, "write JSON");
                return None;
            }
        },
    };
    let (version, shape) = match version(&root, language) {
        Ok(version) => version,
        Err((at, message)) => {
            tell("ignition-version", at, message, VERSION_HELP);
            return None;
        }
    };
    for entry in root.duplicate_keys() {
        let message = format!("duplicate key `{}` (the last one counts)", entry.key);
        tell("duplicate-key", entry.at, message, "keep one of them");
    }
    let mut checker = Checker {
        source,
        place,
        who,
        version,
        yaml: language == Language::Yaml,
        findings,
    };
    checker.value(&root, shape, "the config");
    duplicates(&mut checker, &root);
    storage::check(&mut checker, &root);
    Some(version)
}

/// True if a text that is not JSON is of the languages that are translated to Ignition.
fn is_butane(text: &str) -> bool {
    let starts = !text.trim_start().starts_with(['{', '[']);
    starts && yaml::parse(text).is_ok_and(|root| root.kind() == Kind::Map)
}

/// Returns the version of a config, and its schema.
fn version(root: &Node, language: Language) -> Result<(Version, Shape), (At, String)> {
    let one = match language {
        Language::Yaml => "ignition_version",
        Language::Json => "ignitionVersion",
    };
    if let Some(entry) = root.entry(one) {
        let version = Version { major: 1, minor: 0 };
        return match entry.value.scalar() {
            Some("1") => Ok((version, v1::CONFIG)),
            _ => Err((
                entry.value.at,
                format!("unsupported Ignition version `{one}` in YAML"),
            )),
        };
    }
    if language == Language::Yaml {
        let message = "missing `ignition_version: 1` (the only version in YAML)";
        return Err((root.at, message.to_owned()));
    }
    let Some(node) = root
        .child("ignition")
        .and_then(|node| node.child("version"))
    else {
        return Err((root.at, "missing Ignition version".to_owned()));
    };
    let text = node.scalar().unwrap_or_default();
    let unknown = || (node.at, format!("unknown Ignition version `{text}`"));
    let (numbers, experimental) = match text.split_once('-') {
        Some((numbers, "dev" | "experimental")) => (numbers, true),
        Some(_) => return Err(unknown()),
        None => (text, false),
    };
    let parts: Vec<u8> = numbers.split('.').map_while(|n| n.parse().ok()).collect();
    let (major, minor) = match parts.as_slice() {
        [major, minor, 0] => (*major, *minor),
        _ => return Err(unknown()),
    };
    let (last, shape) = match major {
        2 => (v2::LAST_MINOR, v2::CONFIG),
        3 => (v3::LAST_MINOR, v3::CONFIG),
        _ => return Err(unknown()),
    };
    match minor <= last + u8::from(experimental) {
        true => Ok((Version { major, minor }, shape)),
        false => Err(unknown()),
    }
}

/// Lists whose entries must differ: where they are, and by which key.
const UNIQUE: &[(&[&str], &str)] = &[
    (&["storage", "disks"], "device"),
    (&["systemd", "units"], "name"),
    (&["passwd", "users"], "name"),
    (&["passwd", "groups"], "name"),
];

/// Reports duplicates of what must be unique.
fn duplicates(checker: &mut Checker<'_>, root: &Node) {
    for (path, key) in UNIQUE {
        let mut node = Some(root);
        for step in *path {
            node = node.and_then(|node| node.child(step));
        }
        let mut seen = HashSet::new();
        let items = node.map_or(&[][..], Node::items);
        unique(checker, items, key, &mut seen);
    }
    if checker.version.major > 1 {
        let storage = root.child("storage");
        let mut seen = HashSet::new();
        for list in ["files", "directories", "links"] {
            let items = storage.and_then(|storage| storage.child(list));
            unique(
                checker,
                items.map_or(&[][..], Node::items),
                "path",
                &mut seen,
            );
        }
    }
}

fn unique(
    checker: &mut Checker<'_>,
    items: &[Node],
    key: &str,
    seen: &mut HashSet<(String, String)>,
) {
    for item in items {
        let Some(node) = item.child(key) else {
            continue;
        };
        let filesystem = item.child("filesystem").and_then(Node::scalar);
        let filesystem = filesystem.unwrap_or_default().to_owned();
        let value = node.scalar().unwrap_or_default().to_owned();
        // Version 2 appends to a file by naming it again.
        let appends = item.child("append").is_some();
        if !value.is_empty() && !seen.insert((filesystem, value.clone())) && !appends {
            let message = format!("duplicate `{value}`");
            checker.tell("ignition-duplicate", node.at, message, "keep one of them");
        }
    }
}
