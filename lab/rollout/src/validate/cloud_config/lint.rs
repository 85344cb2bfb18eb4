//! Reimplementation of `coreos-cloudinit -validate` 1.14, in its wording and its order.

use cloud_yaml::Reason;
use guest_agent::config::read::decode_content;

use super::keys::{CLOUD_CONFIG, Field, Want};
use crate::validate::rule;
use crate::validate::tree::{At, Entry, Kind, Node, Style, Value, yaml};
use boot_server_catalog::problem::nearest;

/// Remark of the reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Rule of this project; its level is the reference's.
    pub rule: &'static str,
    /// Position of the remark.
    pub at: At,
    /// Message in the reference's wording.
    pub message: String,
    /// Remedy, in this project's wording.
    pub help: String,
    /// The line in the reference's report, where it is not that of the place.
    reported_line: Option<usize>,
}

/// Kind of a text, and the remarks about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Remarks in the reference's order.
    pub remarks: Vec<Remark>,
    /// The tree of a cloud-config whose YAML could be read.
    pub tree: Option<Node>,
}

impl Verdict {
    /// Returns the lines that `coreos-cloudinit -validate` prints.
    #[must_use]
    pub fn report(&self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for remark in &self.remarks {
            let level = rule::of_id(remark.rule).map_or("error", |rule| rule.level.name());
            let line = remark.reported_line.unwrap_or(remark.at.line);
            lines.push(format!("line {line}: {level}: {}", remark.message));
            if remark.rule == "cloud-config-syntax" {
                // The reference continues with an empty config, and then refuses it.
                let nothing = "line 0: warning: incorrect type for \"\" (want struct)";
                lines.push(nothing.to_owned());
            }
        }
        lines
    }
}

/// Says what is wrong with a text that is served as user-data.
#[must_use]
pub fn lint(text: &str) -> Verdict {
    let header = text.split('\n').next().unwrap_or_default();
    if text.is_empty() || text.starts_with("#!") || is_ignition(text) {
        return Verdict::default();
    }
    let mut linter = Linter::default();
    if header.trim_end() != "#cloud-config" {
        let message = "must be \"#cloud-config\" or begin with \"#!\"".to_owned();
        let help = "begin with a line `#cloud-config` and go on in YAML, or write a script";
        linter.tell(
            "cloud-config-header",
            At { line: 1, column: 1 },
            message,
            help,
        );
        return linter.verdict(None);
    }
    // What coreos-cloudinit's library refuses and the parser of the tree takes.
    if let Some((at, message)) = refused(text) {
        let help = "below its first line a cloud-config is one YAML document: spaces, no tabs";
        linter.tell("cloud-config-syntax", at, message.to_owned(), help);
        if let Some(remark) = linter.remarks.last_mut() {
            remark.reported_line = Some(at.line.saturating_sub(1).max(1));
        }
        return linter.verdict(None);
    }
    match yaml::parse(text) {
        Err(error) => {
            let help = "below its first line a cloud-config is YAML: spaces, no tabs";
            let (message, line) = in_its_words(&error, text);
            linter.tell("cloud-config-syntax", error.at, message, help);
            if let Some(remark) = linter.remarks.last_mut() {
                remark.reported_line = Some(line.max(1));
            }
            linter.verdict(None)
        }
        Ok(root) => {
            if !(matches!(root.kind(), Kind::Null | Kind::Map)) {
                let message = format!("the config is {}, no mapping", root.kind().name());
                let help = "write keys and values: `hostname: node1`";
                linter.tell("cloud-config-syntax", root.at, message, help);
                return linter.verdict(None);
            }
            linter.discovery(&root);
            linter.encoding(&root);
            if root.kind() == Kind::Map {
                linter.structure(&root, CLOUD_CONFIG, "", root.at);
                linter.validity(&root, CLOUD_CONFIG);
            }
            linter.paths(&root);
            linter.misplaced(&root);
            linter.verdict(Some(root))
        }
    }
}

/// Place and message of what the library refuses as a whole.
fn refused(text: &str) -> Option<(At, &'static str)> {
    let refused = cloud_yaml::refused(text)?;
    let message = match refused.reason {
        Reason::Tab => "found character that cannot start any token",
        Reason::AfterEnd => "did not find expected <document start>",
        Reason::Binary => "!!binary value contains invalid base64 data",
        Reason::Directive => "found incompatible YAML document",
    };
    let at = At {
        line: refused.line,
        column: match refused.reason {
            Reason::Binary => 1,
            _ => refused.column,
        },
    };
    Some((at, message))
}

/// True if a text is an Ignition config, which is ignored.
pub(super) fn is_ignition(text: &str) -> bool {
    if !text.trim_start().starts_with('{') {
        return false;
    }
    let json: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let version = json.get("ignition").and_then(|i| i.get("version"));
    json.get("ignitionVersion").is_some() || version.is_some()
}

/// libyaml's words for what is wrong, and the line that it gives: it counts them from 0, and finds a bracket
/// that is not closed at the end of the text.
fn in_its_words(error: &yaml::InvalidYaml, text: &str) -> (String, usize) {
    let message = error.message.as_str();
    let line = error.at.line.saturating_sub(1);
    for (open, close) in [('[', ']'), ('{', '}')] {
        let separator = format!("',' or '{close}'");
        if message.contains(&separator) || message.contains(&format!("unclosed bracket '{open}'")) {
            return (
                format!("did not find expected {separator}"),
                text.matches('\n').count(),
            );
        }
    }
    if message.contains("tab") {
        return (
            "found character that cannot start any token".to_owned(),
            line,
        );
    }
    let what = message.strip_prefix("while parsing a block mapping, ");
    (what.unwrap_or(message).to_owned(), line)
}

/// Returns the name of a key, as it is looked up.
fn normal(key: &str) -> String {
    key.replace('-', "_")
}

/// Returns the entry of a key however its hyphens are written; the last one counts.
pub(super) fn entry<'a>(node: &'a Node, key: &str) -> Option<&'a Entry> {
    let mut entries = node.entries().iter().rev();
    entries.find(|entry| normal(&entry.key) == key)
}

fn child<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    entry(node, key).map(|entry| &entry.value)
}

/// Returns the position of a finding about an entry: its key.
fn place(entry: &Entry) -> At {
    match entry.at.line {
        0 => entry.value.at,
        _ => entry.at,
    }
}

#[derive(Default)]
struct Linter {
    remarks: Vec<Remark>,
}

impl Linter {
    fn tell(&mut self, rule: &'static str, at: At, message: String, help: impl Into<String>) {
        self.remarks.push(Remark {
            rule,
            at,
            message,
            help: help.into(),
            reported_line: None,
        });
    }

    fn verdict(self, tree: Option<Node>) -> Verdict {
        Verdict {
            remarks: self.remarks,
            tree,
        }
    }

    fn discovery(&mut self, root: &Node) {
        let etcd = child(root, "coreos").and_then(|coreos| child(coreos, "etcd"));
        let Some(entry) = etcd.and_then(|etcd| entry(etcd, "discovery")) else {
            return;
        };
        if !entry.value.scalar().is_some_and(is_request_uri) {
            let message = "discovery URL is not valid".to_owned();
            let help = "write the URL that https://discovery.etcd.io/new answers with";
            self.tell("cloud-config-discovery", place(entry), message, help);
        }
    }

    fn encoding(&mut self, root: &Node) {
        for file in child(root, "write_files").map_or(&[][..], Node::items) {
            let encoding = child(file, "encoding").and_then(Node::scalar);
            let (Some(encoding), Some(content)) = (encoding, entry(file, "content")) else {
                continue;
            };
            let text = content.value.scalar().unwrap_or_default();
            if let Err(why) = decode_content(encoding, text) {
                let message = format!("content cannot be decoded as {encoding:?}");
                self.tell(
                    "cloud-config-content",
                    place(content),
                    message,
                    why.to_string(),
                );
            }
        }
    }

    fn structure(&mut self, node: &Node, want: Want, name: &str, at: At) {
        if !fits(node, want) {
            let message = format!("incorrect type for {name:?} (want {})", want.name());
            let help = format!("{}; it is {}", type_help(want), node.kind().name());
            self.tell("cloud-config-type", at, message, help);
            return;
        }
        match want {
            Want::Struct(_) | Want::Options(_) => self.keys(node, want),
            Want::Texts | Want::Structs(_) => {
                for (index, item) in node.items().iter().enumerate() {
                    let item_want = match want {
                        Want::Structs(fields) => Want::Struct(fields),
                        _ => Want::Text,
                    };
                    self.structure(item, item_want, &format!("{name}[{index}]"), item.at);
                }
            }
            Want::Text | Want::Bool | Want::Int | Want::Float => {}
        }
    }

    fn keys(&mut self, node: &Node, want: Want) {
        for entry in node.entries() {
            let name = normal(&entry.key);
            let Some(field) = want.field(&name) else {
                let known = want.names();
                let near = nearest(&name, &known);
                let near = near.map_or_else(String::new, |near| format!("did you mean `{near}`? "));
                let help = format!("{near}known keys are {}", known.join(", "));
                let message = format!("unrecognized key {name:?}");
                self.tell("cloud-config-unknown-key", place(entry), message, help);
                continue;
            };
            if let Some(why) = field.deprecated {
                let message = format!("deprecated key {name:?} ({why})");
                let help = "do without it on images of today";
                self.tell("cloud-config-deprecated", place(entry), message, help);
            }
            self.structure(&entry.value, field.want, &name, place(entry));
        }
    }

    fn validity(&mut self, node: &Node, want: Want) {
        for entry in node.entries() {
            if let Some(field) = want.field(&normal(&entry.key)) {
                self.value(entry, field);
            }
        }
    }

    fn value(&mut self, entry: &Entry, field: Field) {
        if let (Some(valid), Some(text)) = (field.valid, entry.value.scalar())
            && !text.is_empty()
            && !valid.allows(text)
        {
            let message = format!("invalid value {text}");
            self.tell("cloud-config-value", place(entry), message, valid.help());
        }
        match field.want {
            Want::Struct(_) | Want::Options(_) => self.validity(&entry.value, field.want),
            Want::Structs(fields) => {
                for item in entry.value.items() {
                    self.validity(item, Want::Struct(fields));
                }
            }
            _ => {}
        }
    }

    fn paths(&mut self, root: &Node) {
        for file in child(root, "write_files").map_or(&[][..], Node::items) {
            let Some(entry) = entry(file, "path") else {
                continue;
            };
            if clean(entry.value.scalar().unwrap_or_default()).starts_with("/usr") {
                let message = "file cannot be written to a read-only filesystem".to_owned();
                let help = "/usr is read-only on CoreOS: write below /etc or /opt";
                self.tell("cloud-config-read-only-path", place(entry), message, help);
            }
        }
    }

    fn misplaced(&mut self, root: &Node) {
        let coreos = child(root, "coreos");
        if let Some(entry) = coreos.and_then(|coreos| entry(coreos, "write_files")) {
            let message = "write_files doesn't belong under coreos".to_owned();
            let help = "move it to the left: it stands beside `coreos`";
            self.tell("cloud-config-misplaced-key", place(entry), message, help);
        }
    }
}

/// True if the contemporary Go YAML library reads such a value into such a field.
fn fits(node: &Node, want: Want) -> bool {
    let kind = node.kind();
    match want {
        Want::Text => matches!(kind, Kind::Text | Kind::Int | Kind::Float | Kind::Bool),
        Want::Bool => kind == Kind::Bool,
        Want::Int => kind == Kind::Int,
        Want::Float => matches!(kind, Kind::Int | Kind::Float),
        Want::Texts | Want::Structs(_) => kind == Kind::List,
        Want::Struct(_) | Want::Options(_) => kind == Kind::Map,
    }
}

fn type_help(want: Want) -> &'static str {
    match want {
        Want::Text => "write a text",
        Want::Bool => "write true or false, without quotes",
        Want::Int => "write a whole number",
        Want::Float => "write a number",
        Want::Texts => "write a list of texts, each after `- `",
        Want::Struct(_) | Want::Options(_) => "write keys and values below it",
        Want::Structs(_) => "write a list, each entry after `- `, with keys and values",
    }
}

/// An absolute URL or path, as Go's `url.ParseRequestURI` takes it.
fn is_request_uri(text: &str) -> bool {
    let scheme = text.split_once(':').is_some_and(|(scheme, _)| {
        let known = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(known)
    });
    (scheme || text.starts_with('/')) && !text.contains(|c: char| c.is_control())
}

/// Returns a path without `.` and `..`, as Go's `path.Clean` has it.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

/// True if a value is written without quotes.
pub(super) fn is_plain(node: &Node) -> bool {
    matches!(node.value, Value::Scalar(_, Style::Plain))
}
