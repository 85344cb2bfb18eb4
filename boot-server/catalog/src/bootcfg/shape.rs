//! Everything in a `config.yaml` that has another shape than it should, at once, and keys that mean
//! nothing.
//!
//! Reading into types ends at the first mistake; this looks at the tree of the file.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::wire::{FILE_KEYS, GROUP_KEYS};
use crate::problem::{Problem, Severity};
use crate::yaml::{self, DuplicateKeys};

/// A value, as far as its shape goes.
#[derive(Debug)]
enum Node {
    Null,
    Scalar,
    List(Vec<Spanned<Node>>),
    Mapping(Vec<(Spanned<String>, Spanned<Node>)>),
}

impl Node {
    fn what(&self) -> &'static str {
        match self {
            Node::Null => "nothing",
            Node::Scalar => "a single value",
            Node::List(_) => "a list",
            Node::Mapping(_) => "a mapping",
        }
    }
}

struct Shapes;

impl<'de> Visitor<'de> for Shapes {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_str<E>(self, _: &str) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Node, A::Error> {
        let mut mapping = Vec::new();
        while let Some(key) = pairs.next_key::<Spanned<String>>()? {
            mapping.push((key, pairs.next_value()?));
        }
        Ok(Node::Mapping(mapping))
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(Shapes)
    }
}

/// Returns the values of the wrong type for their keys. None when the text is not YAML.
pub(super) fn problems(path: &Path, text: &Arc<str>) -> Vec<Problem> {
    // Aliases and tags may hide a tree from us that the types accept: then there is nothing to add.
    if yaml::parse::<IgnoredAny>(text, DuplicateKeys::LastCounts).is_err() {
        return Vec::new();
    }
    let Ok(root) = yaml::parse::<Spanned<Node>>(text, DuplicateKeys::LastCounts) else {
        return Vec::new();
    };
    let mut finder = Finder {
        path,
        text,
        problems: Vec::new(),
        unknown: Vec::new(),
    };
    finder.file(&root);
    finder.problems.extend(finder.unknown);
    finder.problems
}

struct Finder<'a> {
    path: &'a Path,
    text: &'a Arc<str>,
    problems: Vec<Problem>,
    /// Reports unknown keys, after the other problems.
    unknown: Vec<Problem>,
}

impl Finder<'_> {
    fn tell(&mut self, what: &str, wanted: &str, found: &Spanned<Node>) {
        let (line, column) = yaml::place(&found.referenced);
        let message = format!("{what} is {}, not {wanted}", found.value.what());
        let problem = Problem::of_file(
            Severity::Error,
            self.path,
            message,
            format!("write {wanted}"),
        );
        let problem = problem.of_rule("wrong-type");
        self.problems
            .push(problem.at(Arc::clone(self.text), line, column));
    }

    fn file(&mut self, root: &Spanned<Node>) {
        let Node::Mapping(keys) = &root.value else {
            return self.tell(
                "the file",
                "a mapping with `api_version` and `groups`",
                root,
            );
        };
        for (key, value) in keys {
            match (key.value.as_str(), &value.value) {
                ("api_version", Node::List(_) | Node::Mapping(_)) => {
                    self.tell("`api_version`", "a text", value);
                }
                ("groups", Node::List(groups)) => {
                    for (index, group) in groups.iter().enumerate() {
                        self.group(index + 1, group);
                    }
                }
                ("groups", Node::Scalar | Node::Mapping(_)) => {
                    self.tell("`groups`", "a list of groups", value);
                }
                _ => self.unknown(key, FILE_KEYS, None),
            }
        }
    }

    fn group(&mut self, number: usize, group: &Spanned<Node>) {
        let Node::Mapping(keys) = &group.value else {
            let wanted = "a mapping with `name`, `spec`, `require` and `metadata`";
            return self.tell(&format!("group {number}"), wanted, group);
        };
        let requires = |(key, value): &(Spanned<String>, Spanned<Node>)| {
            key.value == "require"
                && match &value.value {
                    Node::Null => false,
                    Node::Mapping(labels) => !labels.is_empty(),
                    Node::Scalar | Node::List(_) => true,
                }
        };
        let matches_all = !keys.iter().any(requires);
        for (key, value) in keys {
            let what = || format!("`{}` of group {number}", key.value);
            match (key.value.as_str(), &value.value) {
                ("name" | "spec", Node::List(_) | Node::Mapping(_)) => {
                    self.tell(&what(), "a text", value);
                }
                ("require" | "metadata", Node::Scalar | Node::List(_)) => {
                    self.tell(&what(), "a mapping of names to values", value);
                }
                ("require", Node::Mapping(labels)) => {
                    for (label, wanted) in labels {
                        if matches!(wanted.value, Node::List(_) | Node::Mapping(_)) {
                            let what = format!("label `{}` of group {number}", label.value);
                            self.tell(&what, "a string: each label has one value", wanted);
                        }
                    }
                }
                _ => self.unknown(key, GROUP_KEYS, matches_all.then_some(number)),
            }
        }
    }

    /// `matches_all` is the number of a group that requires nothing.
    fn unknown(
        &mut self,
        key: &Spanned<String>,
        known: &'static [&'static str],
        matches_all: Option<usize>,
    ) {
        if !known.contains(&key.value.as_str()) {
            let (line, column) = yaml::place(&key.referenced);
            let mut problem = Problem::unknown_key(self.path, &key.value, known);
            if let Some(number) = matches_all {
                problem = problem.or_matches_all("require", &format!("#{number}"));
            }
            self.unknown
                .push(problem.at(Arc::clone(self.text), line, column));
        }
    }
}
