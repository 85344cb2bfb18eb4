//! The four languages of a machine list, read into one tree that knows the place of everything.
//!
//! Only syntax is checked here; `check` interprets the keys.

mod csv;
pub(super) mod json;
mod toml;
mod yaml;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use boot_server_catalog::problem::{Problem, Severity};

use super::Format;

/// Line and column in a file, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Place {
    /// The beginning of a file.
    pub(super) const START: Place = Place { line: 1, column: 1 };
}

/// Value and its position.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) at: Place,
    pub(super) value: Value,
}

/// A value of any of the languages.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Nothing,
    Truth(bool),
    /// A number, or TOML's date, as it was read.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// A key of a table and its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) at: Place,
    pub(super) node: Node,
}

impl Value {
    /// Returns the kind of the value, for messages.
    pub(super) fn what(&self) -> &'static str {
        match self {
            Value::Nothing => "nothing",
            Value::Truth(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Table(_) => "a table of keys",
        }
    }
}

/// A file that is being read.
#[derive(Debug, Clone)]
pub(super) struct Document {
    pub(super) path: PathBuf,
    pub(super) text: Arc<str>,
}

impl Document {
    pub(super) fn new(path: &Path, text: &str) -> Document {
        Document {
            path: path.to_owned(),
            // An editor's byte order mark is not part of the text.
            text: text.strip_prefix('\u{feff}').unwrap_or(text).into(),
        }
    }

    /// Something wrong at a place.
    pub(super) fn error(
        &self,
        at: Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Problem {
        Problem::of_file(Severity::Error, &self.path, message, help).at(
            Arc::clone(&self.text),
            at.line,
            at.column,
        )
    }

    /// Parses the text in the declared format.
    pub(super) fn read(&self, format: Format) -> Result<Node, Vec<Problem>> {
        match format {
            Format::Toml => toml::read(self),
            Format::Yaml => yaml::read(self),
            Format::Json => json::read(self),
            Format::Csv => csv::read(self),
        }
    }
}

/// Line starts of a text, to turn many offsets into positions.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Lines<'a> {
        let after = text.match_indices('\n').map(|(at, _)| at + 1);
        Lines {
            text,
            starts: std::iter::once(0).chain(after).collect(),
        }
    }

    fn place(&self, offset: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts.get(line.saturating_sub(1)).copied();
        let before = start.and_then(|start| self.text.get(start..offset));
        Place {
            line: line.max(1),
            column: before.map_or(0, |before| before.chars().count()) + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Document {
        Document::new(Path::new("machines"), text)
    }

    /// Returns the value of the first machine's `key`, and its place.
    fn found(format: Format, text: &str, key: &str) -> Option<(Value, Place)> {
        let root = document(text).read(format).unwrap();
        let Value::Table(entries) = root.value else {
            return None;
        };
        let Value::List(machines) = entries.into_iter().next()?.node.value else {
            return None;
        };
        let Value::Table(keys) = machines.into_iter().next()?.value else {
            return None;
        };
        let entry = keys.into_iter().find(|entry| entry.key == key)?;
        Some((entry.node.value, entry.node.at))
    }

    #[test]
    fn every_language_tells_the_place_of_a_value() {
        let at = |line, column| Place { line, column };
        let text = || Value::Text("ä".into());
        let cases = [
            (Format::Toml, "[[machines]]\nserial = 'ä'\n", at(2, 10)),
            (
                Format::Yaml,
                "machines:\n- cpus: 1\n  serial: ä\n",
                at(3, 11),
            ),
            (
                Format::Json,
                "{\"machines\": [\n{\"name\": \"ü\", \"serial\": \"ä\"}]}",
                at(2, 25),
            ),
            (Format::Csv, "name,serial\n\"a,ü\",ä\n", at(2, 7)),
        ];
        for (format, list, place) in cases {
            assert_eq!(
                found(format, list, "serial"),
                Some((text(), place)),
                "{format:?}"
            );
        }
    }

    #[test]
    fn a_mark_of_the_encoding_is_no_part_of_the_first_key() {
        let list = "\u{feff}name,serial\na,1\n";
        assert!(found(Format::Csv, list, "name").is_some());
    }

    #[test]
    fn what_is_not_the_language_is_refused_with_its_place() {
        let cases = [
            (Format::Toml, "a = 1\nb = [\nc = =\n", 2),
            (Format::Yaml, "machines:\n- name: [\n", 2),
            (Format::Json, "{\"machines\": [\n,]}", 2),
            (Format::Csv, "name,serial\na,1,2\n", 2),
        ];
        for (format, list, line) in cases {
            let problems = document(list).read(format).unwrap_err();
            let first = problems.first().unwrap();
            assert!(first.line >= Some(line), "{format:?}: {first:?}");
        }
    }

    #[test]
    fn all_mistakes_of_syntax_in_toml_are_told() {
        let problems = document("a = \nb = \n").read(Format::Toml).unwrap_err();
        assert_eq!(problems.len(), 2, "{problems:?}");
    }

    #[test]
    fn json_with_comments_is_no_json() {
        let list = "{\"machines\": [] /* none */}";
        assert!(document(list).read(Format::Json).is_err());
    }
}
