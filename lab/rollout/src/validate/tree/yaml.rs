//! YAML as a tree with places: as lenient as the YAML 1.1 readers of the time were.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, StrInput};

use super::{At, Entry, Kind, Node, Style, Value};

/// A text that is no YAML.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidYaml {
    /// Problem in one sentence, without its position.
    pub message: String,
    /// Position of the problem.
    pub at: At,
}

/// Most values a document may have once its aliases are written out.
const MAX_NODES: usize = 1_000_000;
/// Maximum nesting of lists and mappings, because reading them takes stack.
const MAX_DEPTH: usize = 64;

/// Reads the first document of a text; an empty text is an empty single value.
///
/// # Errors
/// The syntax, an alias that leads nowhere, or aliases that would fill the memory.
pub fn parse(text: &str) -> Result<Node, InvalidYaml> {
    let mut builder = Builder {
        text,
        events: Parser::new_from_str(text),
        anchors: HashMap::new(),
        nodes: 0,
    };
    let mut root = Node {
        at: At { line: 1, column: 1 },
        value: Value::Scalar(String::new(), Style::Plain),
    };
    while let Some((event, at)) = builder.next_event()? {
        match event {
            Event::StreamStart | Event::DocumentStart(..) => {}
            Event::StreamEnd | Event::DocumentEnd => break,
            event => root = builder.node(event, at, 0)?,
        }
    }
    // What follows the first document is not used, but broken YAML after it is still broken.
    while builder.next_event()?.is_some() {}
    Ok(root)
}

struct Builder<'a> {
    text: &'a str,
    events: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl<'a> Builder<'a> {
    fn next_event(&mut self) -> Result<Option<(Event<'a>, At)>, InvalidYaml> {
        for next in self.events.by_ref() {
            let (event, span) = next.map_err(|error| {
                let message = error.info();
                let at = place(error.marker().line(), error.marker().col());
                let tab = message
                    .contains("tab")
                    .then(|| tab_from(self.text, at.line))
                    .flatten();
                InvalidYaml {
                    at: tab.unwrap_or(at),
                    message,
                }
            })?;
            // What stands beside the values; an anchor's number comes with its node as well.
            if !matches!(event, Event::Comment(..) | Event::Anchor(..)) {
                return Ok(Some((event, place(span.start.line(), span.start.col()))));
            }
        }
        Ok(None)
    }

    /// Returns the node that `event` begins, with everything inside it.
    fn node(&mut self, event: Event<'a>, at: At, depth: usize) -> Result<Node, InvalidYaml> {
        self.count(1, at)?;
        let wrong = |message: &str| InvalidYaml {
            message: message.to_owned(),
            at,
        };
        if depth > MAX_DEPTH {
            return Err(wrong("lists and mappings are nested too deep"));
        }
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                let is_binary = tag.as_ref().is_some_and(|tag| tag.suffix() == "binary");
                let decoded = is_binary
                    .then(|| guest_agent::config::raw::binary(&text))
                    .flatten();
                let text = decoded.map_or(text, Into::into);
                let style = if plain { Style::Plain } else { Style::Text };
                (anchor, Value::Scalar(text.into_owned(), style))
            }
            Event::SequenceStart(_, anchor, _) => (anchor, self.list(depth)?),
            Event::MappingStart(_, anchor, _) => (anchor, self.map(depth)?),
            Event::Alias(anchor) => {
                let known = self.anchors.get(&anchor);
                let known = known.ok_or_else(|| wrong("unknown alias"))?;
                let node = Node {
                    at,
                    value: known.value.clone(),
                };
                self.count(size(&node), at)?;
                return Ok(node);
            }
            _ => return Err(wrong("no value here")),
        };
        let node = Node { at, value };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Value, InvalidYaml> {
        let mut items = Vec::new();
        while let Some((event, at)) = self.next_event()? {
            if matches!(event, Event::SequenceEnd) {
                break;
            }
            items.push(self.node(event, at, depth + 1)?);
        }
        Ok(Value::List(items))
    }

    fn map(&mut self, depth: usize) -> Result<Value, InvalidYaml> {
        let mut merged = Vec::new();
        let mut entries = Vec::new();
        while let Some((event, at)) = self.next_event()? {
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let key = self.node(event, at, depth + 1)?;
            let Some((event, value_at)) = self.next_event()? else {
                break;
            };
            let value = self.node(event, value_at, depth + 1)?;
            match key.value {
                // `<<`: what is merged comes first, so that the mapping's own keys win.
                Value::Scalar(text, Style::Plain) if text == "<<" => merge(&mut merged, value),
                Value::Scalar(key, _) => entries.push(Entry { key, at, value }),
                // Nothing has a list or a mapping as its key.
                Value::List(_) | Value::Map(_) => {}
            }
        }
        merged.append(&mut entries);
        Ok(Value::Map(merged))
    }

    fn count(&mut self, nodes: usize, at: At) -> Result<(), InvalidYaml> {
        self.nodes = self.nodes.saturating_add(nodes);
        match self.nodes > MAX_NODES {
            true => Err(InvalidYaml {
                message: format!("more than {MAX_NODES} values"),
                at,
            }),
            false => Ok(()),
        }
    }
}

fn place(line: usize, column: usize) -> At {
    At {
        line,
        column: column + 1,
    }
}

/// Returns the first tab that indents a line, from this line on: the parser names where the value begins.
fn tab_from(text: &str, line: usize) -> Option<At> {
    let lines = text.lines().enumerate().skip(line.saturating_sub(1));
    lines
        .map(|(index, line)| (index + 1, line))
        .find_map(|(number, line)| {
            let indented = line.split(|c: char| !c.is_whitespace()).next()?;
            let column = indented.chars().position(|c| c == '\t')?;
            Some(place(number, column))
        })
}

/// Adds the keys of `<<: value`, without separate positions; of a list of mappings the first ones win.
fn merge(into: &mut Vec<Entry>, value: Node) {
    match value.value {
        Value::Map(entries) => into.extend(entries.into_iter().map(|entry| Entry {
            at: At::default(),
            ..entry
        })),
        Value::List(maps) => maps.into_iter().rev().for_each(|map| merge(into, map)),
        Value::Scalar(..) => {}
    }
}

fn size(node: &Node) -> usize {
    let inside: usize = match &node.value {
        Value::Scalar(..) => 0,
        Value::List(items) => items.iter().map(size).sum(),
        Value::Map(entries) => entries.iter().map(|entry| size(&entry.value)).sum(),
    };
    inside + 1
}

/// Returns the type of a bare word in YAML 1.1, as the contemporary Go library reads it.
pub(in crate::validate) fn kind(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Kind::Null,
        _ if boolean(text).is_some() => return Kind::Bool,
        _ => {}
    }
    if integer(text) {
        return Kind::Int;
    }
    let digits = text.trim_start_matches(['+', '-']);
    let starts = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    match starts && digits.contains(|c: char| c.is_ascii_digit()) {
        true if text.replace('_', "").parse::<f64>().is_ok() => Kind::Float,
        _ if matches!(digits, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") => Kind::Float,
        _ => Kind::Text,
    }
}

/// Returns the boolean value of a bare word.
#[must_use]
pub fn boolean(text: &str) -> Option<bool> {
    let lower = text.to_ascii_lowercase();
    let spelled = [
        lower.as_str(),
        &lower.to_ascii_uppercase(),
        &format!(
            "{}{}",
            lower.get(..1)?.to_ascii_uppercase(),
            lower.get(1..)?
        ),
    ]
    .contains(&text);
    match lower.as_str() {
        "true" | "yes" | "on" | "y" if spelled => Some(true),
        "false" | "no" | "off" | "n" if spelled => Some(false),
        _ => None,
    }
}

fn integer(text: &str) -> bool {
    let digits = text.trim_start_matches(['+', '-']).replace('_', "");
    let all = |text: &str, radix| !text.is_empty() && text.chars().all(|c| c.is_digit(radix));
    match digits.get(..2) {
        Some("0x" | "0X") => all(&digits[2..], 16),
        Some("0b") => all(&digits[2..], 2),
        Some("0o") => all(&digits[2..], 8),
        _ => all(&digits, 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_and_value_has_its_place() {
        let root = parse("#cloud-config\na:\n  - b: é\n    c: [x, \"y\"]\n  - d:\n").unwrap();
        let a = root.child("a").unwrap();
        let b = a.items()[0].entry("b").unwrap();
        assert_eq!(
            (b.at, b.value.at),
            (At { line: 3, column: 5 }, At { line: 3, column: 8 })
        );
        let y = &a.items()[0].child("c").unwrap().items()[1];
        assert_eq!(
            (y.at, y.kind()),
            (
                At {
                    line: 4,
                    column: 12
                },
                Kind::Text
            )
        );
        let d = a.items()[1].entry("d").unwrap();
        assert_eq!((d.at.line, d.value.kind()), (5, Kind::Null));
    }

    #[test]
    fn bare_words_mean_what_yaml_1_1_says() {
        for (text, expected) in [
            ("yes", Kind::Bool),
            ("Off", Kind::Bool),
            ("yEs", Kind::Text),
            ("0644", Kind::Int),
            ("0x1f", Kind::Int),
            ("1_000", Kind::Int),
            ("1.10", Kind::Float),
            ("1e3", Kind::Float),
            ("1.2.3", Kind::Text),
            (".inf", Kind::Float),
            ("infinity", Kind::Text),
            ("nan", Kind::Text),
            ("-", Kind::Text),
            ("e1", Kind::Text),
            ("~", Kind::Null),
            ("52:54:00:12:34:56", Kind::Text),
        ] {
            assert_eq!(kind(text), expected, "{text}");
        }
    }

    #[test]
    fn merged_keys_are_overridden_and_are_no_duplicates() {
        let root = parse("x: &x {a: 1, b: 2}\ny:\n  <<: *x\n  b: 3\n").unwrap();
        let y = root.child("y").unwrap();
        assert_eq!(y.child("b").and_then(Node::scalar), Some("3"));
        assert_eq!(y.child("a").and_then(Node::scalar), Some("1"));
        assert_eq!(root.duplicate_keys(), Vec::<&Entry>::new());
        let twice = parse("a: 1\na: 2\n").unwrap();
        assert_eq!(twice.duplicate_keys()[0].at.line, 2);
    }

    #[test]
    fn what_is_too_deep_or_too_large_is_refused() {
        assert!(parse(&"[".repeat(10_000)).is_err());
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..9 {
            let before = vec![format!("*a{}", i - 1); 10].join(", ");
            text.push_str(&format!("a{i}: &a{i} [{before}]\n"));
        }
        assert!(parse(&text).unwrap_err().message.contains("values"));
    }
}
