//! YAML and JSON as a tree that keeps the position of each key and value, and the notation of a value.
//!
//! Reading into types loses both, and a rule has to name the line that it is about.

pub mod json;
pub mod yaml;

use boot_server_proto::json::is_key;

/// A place in a text: line and column in characters, both from 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct At {
    /// Line; 0 for no place at all.
    pub line: usize,
    /// Column number, from 1.
    pub column: usize,
}

impl From<(usize, usize)> for At {
    fn from((line, column): (usize, usize)) -> At {
        At { line, column }
    }
}

/// A value and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Position of the first character.
    pub at: At,
    /// Value of the node.
    pub value: Value,
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A single value: its text after quotes and escapes.
    Scalar(String, Style),
    /// A list of nodes.
    List(Vec<Node>),
    /// Keys and values, in order.
    Map(Vec<Entry>),
}

/// Notation of a single value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Bare: its look decides whether it is a text.
    Plain,
    /// In quotes, or as a block: a text.
    Text,
}

/// A key, its place, and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Key as text.
    pub key: String,
    /// Position of the key.
    pub at: At,
    /// Value of the entry.
    pub value: Node,
}

/// Type of a single value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The null value.
    Null,
    /// True or false.
    Bool,
    /// A whole number.
    Int,
    /// Any other number.
    Float,
    /// A string value.
    Text,
    /// A list of values.
    List,
    /// Keys and values.
    Map,
}

impl Kind {
    /// With its article, for sentences.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Null => "nothing",
            Kind::Bool => "a boolean",
            Kind::Int => "a whole number",
            Kind::Float => "a number",
            Kind::Text => "a text",
            Kind::List => "a list",
            Kind::Map => "a mapping",
        }
    }
}

impl Node {
    /// Returns the entries of a mapping; none of anything else.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Returns the items of a list; none of anything else.
    #[must_use]
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// Returns the entry of a key; the last one of duplicates.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().rev().find(|entry| entry.key == key)
    }

    /// Returns the value of a key.
    #[must_use]
    pub fn child(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// Returns the same JSON with these keys in this spelling, where Go accepts other letter cases; below
    /// `boot` too.
    #[must_use]
    pub fn as_go(mut self, names: &[&str]) -> Node {
        if let Value::Map(entries) = &mut self.value {
            for entry in entries {
                let name = names.iter().find(|name| is_key(&entry.key, name));
                if let Some(name) = name.filter(|name| ***name != entry.key) {
                    entry.key = (*name).to_owned();
                }
                if entry.key == "boot" {
                    let boot = std::mem::replace(
                        &mut entry.value,
                        Node {
                            at: entry.at,
                            value: Value::List(Vec::new()),
                        },
                    );
                    entry.value = boot.as_go(&["kernel", "initrd", "args", "cmdline"]);
                }
            }
        }
        self
    }

    /// Returns the text of a single value.
    #[must_use]
    pub fn scalar(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(text, _) => Some(text),
            _ => None,
        }
    }

    /// Returns the type by the rules of YAML 1.1, which hold for JSON as well.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match &self.value {
            Value::List(_) => Kind::List,
            Value::Map(_) => Kind::Map,
            Value::Scalar(_, Style::Text) => Kind::Text,
            Value::Scalar(text, Style::Plain) => yaml::kind(text),
        }
    }

    /// Calls `see` with every entry in it, however deep, in the order of the text.
    pub fn walk<'a>(&'a self, see: &mut impl FnMut(&'a Entry)) {
        match &self.value {
            Value::Scalar(..) => {}
            Value::List(items) => items.iter().for_each(|item| item.walk(see)),
            Value::Map(entries) => {
                for entry in entries {
                    see(entry);
                    entry.value.walk(see);
                }
            }
        }
    }

    /// Returns the positions of duplicate keys, however deep: that of the second key.
    #[must_use]
    pub fn duplicate_keys(&self) -> Vec<&Entry> {
        let mut found = Vec::new();
        self.collect_duplicates(&mut found);
        found
    }

    fn collect_duplicates<'a>(&'a self, found: &mut Vec<&'a Entry>) {
        let mut seen = std::collections::HashSet::new();
        for entry in self.entries() {
            // A merge brings keys that the mapping's own override; that is its purpose.
            if entry.at.line > 0 && !seen.insert(&entry.key) {
                found.push(entry);
            }
            entry.value.collect_duplicates(found);
        }
        for item in self.items() {
            item.collect_duplicates(found);
        }
    }
}
