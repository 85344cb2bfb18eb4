//! User-data of NoCloud seeds: what cloud-init makes of it.
//!
//! ```text
//! mime     parts of a MIME message
//! schema   cloud-init's published schema of a `#cloud-config`
//! scalar   bare words of YAML, as cloud-init reads them
//! ```

mod mime;
mod scalar;
mod schema;
#[cfg(test)]
mod tests;

use boon::Type;
use boot_server_catalog::nocloud::{InvalidCloudInitData, UserDataKind};
use boot_server_catalog::problem::nearest;

use self::mime::PartKind;
use self::schema::{Mistake, VERSION, Violation, Want, dotted};
use super::finding::{Findings, Source};
use super::tree::{At, yaml};

/// Looks at a text that is served as user-data to cloud-init. `place` maps a place in it to one in its file.
pub(super) fn check(
    source: &Source,
    text: &str,
    place: &dyn Fn(At) -> At,
    findings: &mut Findings,
) {
    let Err(invalid) = InvalidCloudInitData::check(text) else {
        return checked(source, text, place, findings);
    };
    let (rule, help) = match &invalid {
        InvalidCloudInitData::Kind => (
            "cloud-config-header",
            "start the file with a line that cloud-init knows, such as `#cloud-config`, `#!/bin/sh` or `## template: jinja`",
        ),
        InvalidCloudInitData::Yaml(_) => {
            ("cloud-config-syntax", "write YAML below `#cloud-config`")
        }
        InvalidCloudInitData::NoMapping => (
            "cloud-config-syntax",
            "write keys and values below `#cloud-config`, such as `hostname: node1`",
        ),
    };
    let at = place(invalid.place().into());
    findings.add(source.problem(rule, at, invalid.to_string(), help));
}

/// Looks at a text whose kind cloud-init knows.
fn checked(source: &Source, text: &str, place: &dyn Fn(At) -> At, findings: &mut Findings) {
    match UserDataKind::of(text) {
        Some(UserDataKind::CloudConfig) => config(source, text, place, findings),
        Some(UserDataKind::Jinja) => unchecked(source, place(FIRST), findings),
        Some(UserDataKind::Mime) => message(source, text, place, findings),
        Some(UserDataKind::Script | UserDataKind::Other) | None => {}
    }
}

/// Position of a text's first character.
const FIRST: At = At { line: 1, column: 1 };

fn unchecked(source: &Source, at: At, findings: &mut Findings) {
    let message = "not checked: cloud-init renders this jinja template in the machine";
    let help = "run `cloud-init schema --system` in a machine that has applied it";
    findings.add(source.problem("cloud-init-unchecked", at, message, help));
}

/// Looks at each part of a MIME message.
fn message(source: &Source, text: &str, place: &dyn Fn(At) -> At, findings: &mut Findings) {
    let parts = mime::parts(text).unwrap_or_default();
    let has_handler = parts.iter().any(|part| part.kind == PartKind::Handler);
    for (index, part) in parts.iter().enumerate() {
        let number = index + 1;
        let in_message = |at: At| match part.is_verbatim {
            true => place(At {
                line: part.at.line + at.line.saturating_sub(1),
                ..at
            }),
            false => place(part.at),
        };
        let (message, help) = match &part.kind {
            PartKind::CloudConfig => {
                config(source, &part.text, &in_message, findings);
                continue;
            }
            PartKind::Jinja => {
                unchecked(source, place(part.at), findings);
                continue;
            }
            PartKind::Handler | PartKind::Other => continue,
            PartKind::Unknown(_) if has_handler => continue,
            PartKind::Unknown(of) => (
                format!("cloud-init does not know the type `{of}` of part {number}"),
                "write `Content-Type: text/cloud-config`, `text/x-shellscript` or `text/jinja2`",
            ),
            PartKind::NoKind(of) => (
                format!("the first line of part {number} (`{of}`) is none that cloud-init knows"),
                "start the part with a line such as `#cloud-config` or `#!/bin/sh`, or give it its type",
            ),
        };
        findings.add(source.problem("cloud-init-part", place(part.at), message, help));
    }
}

/// Looks at a cloud-config, whose first line a part of a message need not have.
fn config(source: &Source, text: &str, place: &dyn Fn(At) -> At, findings: &mut Findings) {
    let tree = match yaml::parse(text) {
        Ok(tree) => tree,
        Err(invalid) => {
            let message = format!("cloud-config is not YAML: {invalid}");
            let at = place(invalid.at);
            let help = "correct the YAML";
            return findings.add(source.problem("cloud-config-syntax", at, message, help));
        }
    };
    for entry in tree.duplicate_keys() {
        let message = format!("duplicate key `{}` (the last one counts)", entry.key);
        let at = place(entry.at);
        findings.add(source.problem("duplicate-key", at, message, "keep one of them"));
    }
    for violation in schema::violations(&tree) {
        let (rule, message, help) = told(&violation);
        findings.add(source.problem(rule, place(violation.at), message, help));
    }
}

/// Returns the rule, the message and the remedy of a violation.
fn told(violation: &Violation) -> (&'static str, String, String) {
    let path = dotted(&violation.path);
    let below = match path.as_str() {
        "" => String::new(),
        path => format!(" in `{path}`"),
    };
    match &violation.kind {
        Mistake::UnknownKey { key, known } => {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let help = match nearest(key, &known) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!(
                    "cloud-init {VERSION} ignores the key: remove it, or see to a version that knows it"
                ),
            };
            let message = format!("unknown key `{key}`{below}");
            ("cloud-init-unknown-key", message, help)
        }
        Mistake::Type {
            want,
            got,
            is_single,
        } => {
            let wanted: Vec<String> = want.iter().map(ToString::to_string).collect();
            let wanted = wanted.join(" or ");
            let message = format!("wrong type of `{path}`: {got} instead of {wanted}");
            let help = match *is_single && want.contains(&Want::Type(Type::String)) {
                true => "put the value in quotes".to_owned(),
                false => format!("write {wanted}"),
            };
            ("cloud-init-type", message, help)
        }
        Mistake::MissingKey(key) => {
            let message = format!("missing key `{key}`{below}");
            ("cloud-init-missing-key", message, format!("add `{key}`"))
        }
        Mistake::NotOneOf(allowed) => {
            let message = format!("unknown value of `{path}`");
            let help = format!("write one of {}", allowed.join(", "));
            ("cloud-init-value", message, help)
        }
        Mistake::Value(reason) => {
            let message = format!("invalid value of `{path}`: {reason}");
            let help = format!("correct the value: cloud-init {VERSION} refuses it");
            ("cloud-init-value", message, help)
        }
        Mistake::Deprecated(text) => {
            let text = text.as_deref().unwrap_or("use another key");
            let help = text.replace("``", "`");
            let message = format!("deprecated by cloud-init: `{path}`");
            ("cloud-init-deprecated", message, help)
        }
    }
}
