//! Notation for the shapes of Ignition configs, and the comparison of a config with one.

use boot_server_catalog::problem::nearest;

use super::values::{Check, Version};
use crate::validate::finding::{Findings, Source};
use crate::validate::tree::{At, Entry, Kind, Node};

/// Required shape of a value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    Text,
    Bool,
    Int,
    /// A number of sectors in JSON, a text with a unit in YAML: version 1.
    Dimension,
    List(&'static Shape),
    Object(&'static [Key]),
}

/// A key of an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    /// The first minor version that has it.
    since: u8,
    required: bool,
    check: Option<Check>,
}

impl Key {
    pub(super) const fn new(name: &'static str, shape: Shape) -> Key {
        Key {
            name,
            shape,
            since: 0,
            required: false,
            check: None,
        }
    }

    pub(super) const fn since(mut self, minor: u8) -> Key {
        self.since = minor;
        self
    }

    pub(super) const fn required(mut self) -> Key {
        self.required = true;
        self
    }

    pub(super) const fn check(mut self, check: Check) -> Key {
        self.check = Some(check);
        self
    }
}

/// Holds configs against a shape.
pub(super) struct Checker<'a> {
    pub(super) source: &'a Source,
    pub(super) place: &'a dyn Fn(At) -> At,
    pub(super) who: &'a str,
    pub(super) version: Version,
    /// Keys are in snake_case: version 1 in YAML.
    pub(super) yaml: bool,
    pub(super) findings: &'a mut Findings,
}

impl Checker<'_> {
    pub(super) fn tell(
        &mut self,
        rule: &'static str,
        at: At,
        message: String,
        help: impl Into<String>,
    ) {
        let message = format!("{message}{}", self.who);
        let at = (self.place)(at);
        self.findings
            .add(self.source.problem(rule, at, message, help));
    }

    /// Returns a key in the spelling of the shapes.
    pub(super) fn name_of(&self, entry: &Entry) -> String {
        if !self.yaml {
            return entry.key.clone();
        }
        let mut name = String::new();
        let mut upper = false;
        for char in entry.key.chars() {
            match (char, upper) {
                ('_', _) => upper = true,
                (char, true) => {
                    name.extend(char.to_uppercase());
                    upper = false;
                }
                (char, false) => name.push(char),
            }
        }
        name
    }

    /// Checks a value and everything inside it; `what` is its name in messages.
    pub(super) fn value(&mut self, node: &Node, shape: Shape, what: &str) {
        let kind = node.kind();
        // As in Go, null is the same as absent.
        if kind == Kind::Null {
            return;
        }
        let wanted = match shape {
            Shape::Text if kind == Kind::Text || self.yaml && node.scalar().is_some() => None,
            Shape::Text => Some("a text"),
            Shape::Bool => (kind != Kind::Bool).then_some("true or false"),
            Shape::Int => (kind != Kind::Int).then_some("a whole number"),
            Shape::Dimension => match (self.yaml, kind) {
                (true, Kind::Text) | (false, Kind::Int) => None,
                (true, _) if node.scalar() == Some("0") => None,
                (true, _) => Some("a size with its unit, such as 512MiB"),
                (false, _) => Some("a number of 512-byte sectors"),
            },
            Shape::List(_) => (kind != Kind::List).then_some("a list"),
            Shape::Object(_) => (kind != Kind::Map).then_some("an object"),
        };
        if let Some(wanted) = wanted {
            let message = format!("{what} is {}, not {wanted}", kind.name());
            return self.tell("ignition-type", node.at, message, format!("write {wanted}"));
        }
        match shape {
            Shape::List(shape) => {
                for item in node.items() {
                    self.value(item, *shape, &format!("an entry of {what}"));
                }
            }
            Shape::Object(keys) => self.object(node, keys, what),
            _ => {}
        }
    }

    fn object(&mut self, node: &Node, keys: &'static [Key], what: &str) {
        for entry in node.entries() {
            let name = self.name_of(entry);
            match keys.iter().find(|key| key.name == name) {
                Some(key) if key.since <= self.version.minor => {
                    let called = format!("`{}`", entry.key);
                    self.value(&entry.value, key.shape, &called);
                    if let (Some(check), Some(text)) = (key.check, entry.value.scalar()) {
                        self.checked(entry, check, text);
                    }
                }
                Some(key) => {
                    let Version { major, minor } = self.version;
                    let message = format!("unknown key `{name}` in version {major}.{minor}");
                    let help = format!("it came with {major}.{}: write that version", key.since);
                    self.tell("ignition-unknown-key", entry.at, message, help);
                }
                None => self.unknown(entry, &name, keys, what),
            }
        }
        for key in keys.iter().filter(|key| key.required) {
            let there = node
                .entries()
                .iter()
                .any(|entry| self.name_of(entry) == key.name && entry.value.kind() != Kind::Null);
            if !there {
                let message = format!("missing `{}` in {what}", key.name);
                let help = format!("add `{}`, which Ignition requires here", key.name);
                self.tell("ignition-missing-key", node.at, message, help);
            }
        }
    }

    fn unknown(&mut self, entry: &Entry, name: &str, keys: &'static [Key], what: &str) {
        let known: Vec<&str> = keys.iter().map(|key| key.name).collect();
        let near = nearest(name, &known);
        let near = near.map_or_else(String::new, |near| format!("did you mean `{near}`? "));
        let message = format!("unknown key `{}` in {what}", entry.key);
        let help = format!("{near}known keys are {}", known.join(", "));
        self.tell("ignition-unknown-key", entry.at, message, help);
    }

    fn checked(&mut self, entry: &Entry, check: Check, text: &str) {
        if entry.value.kind() == Kind::Null {
            return;
        }
        if let Some(wrong) = check.look(text, self.version) {
            let message = format!("`{}`: {}", entry.key, wrong.message);
            self.tell(wrong.rule, entry.value.at, message, wrong.help);
        }
    }
}
