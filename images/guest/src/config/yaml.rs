//! YAML as a tree that keeps each scalar's own text.
//!
//! coreos-cloudinit's YAML library is a lenient YAML 1.1 reader: `permissions: 0640` gives a text
//! field the text `0640`, `reboot-strategy: off` gives it `off`, and a value of the wrong type
//! loses only itself. That needs the text and the style of scalars, not a typed deserializer.

use std::collections::HashMap;

use cloud_yaml::Reason;
use granit_parser::{Event, Parser, ScalarStyle, StrInput};
use thiserror::Error;

/// A text that is not YAML.
#[derive(Debug, Error)]
pub enum YamlError {
    /// The parser's own complaint, which names line and column.
    #[error("not valid YAML: {0}")]
    Syntax(#[from] granit_parser::ScanError),
    /// An alias inside its own anchor, or without an anchor.
    #[error("line {line}: unknown alias")]
    Alias {
        /// Line number, from 1.
        line: usize,
    },
    /// A tab where YAML wants spaces.
    #[error("line {line}: found a tab where YAML requires spaces")]
    Tab {
        /// Line number, from 1.
        line: usize,
    },
    /// Something after the end of the document (`...`) that is not marked as another one (`---`).
    #[error("line {line}: found text after the end of the document (`...`)")]
    AfterEnd {
        /// Line number, from 1.
        line: usize,
    },
    /// A directive other than `%YAML 1.1` and `%TAG`.
    #[error("line {line}: found a directive other than `%YAML 1.1` and `%TAG`")]
    Directive {
        /// Line of the config, counted from 1.
        line: usize,
    },
    /// `!!binary` that is not base64.
    #[error("line {line}: !!binary value is not base64")]
    Binary {
        /// Line number, from 1.
        line: usize,
    },
    /// Aliases of aliases that would fill the memory.
    #[error("aliases expand to more than {MAX_NODES} values")]
    TooLarge,
}

/// Most values a document may have once its aliases are written out.
const MAX_NODES: usize = 200_000;

/// Value and its line number (from 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The line, from 1.
    pub line: usize,
    /// Value of the node.
    pub value: Value,
}

/// Content of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A single value: its text, and whether it was written without quotes.
    Scalar {
        /// The text after quotes and escapes.
        text: String,
        /// Written without quotes: YAML decides the type by the text.
        plain: bool,
    },
    /// A list of nodes.
    List(Vec<Node>),
    /// Keys (with `-` read as `_`) and values, in order.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// Returns the value of a map's key; the last one of duplicates.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.iter().rev().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// True for YAML's null: empty, `~` or `null`, unquoted.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }
}

/// Reads the first document of `text`; an empty text is an empty scalar.
///
/// # Errors
/// [`YamlError`] when it is not YAML or an alias cannot be followed.
pub fn parse(text: &str) -> Result<Node, YamlError> {
    if let Some(refused) = cloud_yaml::refused(text) {
        let line = refused.line;
        return Err(match refused.reason {
            Reason::Tab => YamlError::Tab { line },
            Reason::AfterEnd => YamlError::AfterEnd { line },
            Reason::Binary => YamlError::Binary { line },
            Reason::Directive => YamlError::Directive { line },
        });
    }
    let mut builder = Builder {
        events: Parser::new_from_str(text),
        anchors: HashMap::new(),
        nodes: 0,
    };
    let mut root = Node {
        line: 1,
        value: Value::Scalar {
            text: String::new(),
            plain: true,
        },
    };
    while let Some((event, line)) = builder.next_event()? {
        match event {
            Event::StreamStart | Event::DocumentStart(..) => {}
            Event::StreamEnd | Event::DocumentEnd => break,
            event => root = builder.node(event, line)?,
        }
    }
    // What follows the first document is not used, but broken YAML after it is still broken.
    while builder.next_event()?.is_some() {}
    Ok(root)
}

struct Builder<'a> {
    events: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl<'a> Builder<'a> {
    fn next_event(&mut self) -> Result<Option<(Event<'a>, usize)>, YamlError> {
        for next in self.events.by_ref() {
            let (event, span) = next?;
            // What stands beside the values; an anchor's number comes with its node as well.
            if !matches!(event, Event::Comment(..) | Event::Anchor(..)) {
                return Ok(Some((event, span.start.line())));
            }
        }
        Ok(None)
    }

    /// Returns the node that `event` begins, with everything inside it.
    fn node(&mut self, event: Event<'a>, line: usize) -> Result<Node, YamlError> {
        self.count(1)?;
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_binary = tag.is_some_and(|tag| tag.suffix() == "binary");
                let (text, plain) = match is_binary {
                    true => (
                        super::raw::binary(&text).ok_or(YamlError::Binary { line })?,
                        false,
                    ),
                    false => (text.into_owned(), style == ScalarStyle::Plain),
                };
                (anchor, Value::Scalar { text, plain })
            }
            Event::SequenceStart(_, anchor, _) => (anchor, self.list()?),
            Event::MappingStart(_, anchor, _) => (anchor, self.map()?),
            Event::Alias(anchor) => {
                let node = self
                    .anchors
                    .get(&anchor)
                    .ok_or(YamlError::Alias { line })?
                    .clone();
                self.count(size(&node))?;
                return Ok(node);
            }
            _ => return Err(YamlError::Alias { line }),
        };
        let node = Node { line, value };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self) -> Result<Value, YamlError> {
        let mut items = Vec::new();
        while let Some((event, line)) = self.next_event()? {
            if matches!(event, Event::SequenceEnd) {
                break;
            }
            items.push(self.node(event, line)?);
        }
        Ok(Value::List(items))
    }

    fn map(&mut self) -> Result<Value, YamlError> {
        let mut merged = Vec::new();
        let mut entries = Vec::new();
        while let Some((event, line)) = self.next_event()? {
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let key = self.node(event, line)?;
            let Some((event, line)) = self.next_event()? else {
                break;
            };
            let value = self.node(event, line)?;
            match key.value {
                // `<<`: what is merged comes first, so that the map's own keys win.
                Value::Scalar { text, plain: true } if text == "<<" => merge(&mut merged, value),
                Value::Scalar { text, .. } => entries.push((text.replace('-', "_"), value)),
                // Nothing the agent knows has a list or a map as its key.
                Value::List(_) | Value::Map(_) => {}
            }
        }
        merged.append(&mut entries);
        Ok(Value::Map(merged))
    }

    fn count(&mut self, nodes: usize) -> Result<(), YamlError> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            Err(YamlError::TooLarge)
        } else {
            Ok(())
        }
    }
}

/// Adds what `<<: value` brings; of a list of maps the first ones win.
fn merge(into: &mut Vec<(String, Node)>, value: Node) {
    match value.value {
        Value::Map(entries) => into.extend(entries),
        Value::List(maps) => maps.into_iter().rev().for_each(|map| merge(into, map)),
        Value::Scalar { .. } => {}
    }
}

fn size(node: &Node) -> usize {
    match &node.value {
        Value::Scalar { .. } => 1,
        Value::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Map(entries) => 1 + entries.iter().map(|(_, value)| size(value)).sum::<usize>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar<'a>(node: &'a Node, key: &str) -> &'a str {
        match &node.entry(key).unwrap().value {
            Value::Scalar { text, .. } => text,
            other => panic!("{key} is {other:?}"),
        }
    }

    #[test]
    fn comments_are_no_values() {
        let node =
            parse("#cloud-config\n# on top\na: 1 # beside\nb:\n  # inside\n  - x\n").unwrap();
        assert_eq!(scalar(&node, "a"), "1");
        assert!(matches!(&node.entry("b").unwrap().value, Value::List(items) if items.len() == 1));
    }

    #[test]
    fn scalars_keep_the_text_they_were_written_with() {
        let node = parse("a: 0640\nb: off\nc: \"0x1\"\nd: 1_000\n").unwrap();
        assert_eq!(scalar(&node, "a"), "0640");
        assert_eq!(scalar(&node, "b"), "off");
        assert_eq!(scalar(&node, "c"), "0x1");
        assert_eq!(scalar(&node, "d"), "1_000");
    }

    #[test]
    fn hyphens_in_keys_are_underscores_and_the_last_of_two_keys_wins() {
        let node = parse("write-files: a\nwrite_files: b\n").unwrap();
        assert_eq!(scalar(&node, "write_files"), "b");
    }

    #[test]
    fn aliases_and_merges_are_written_out() {
        let node = parse("x: &x {a: 1, b: 2}\ny:\n  <<: *x\n  b: 3\n").unwrap();
        let y = node.entry("y").unwrap();
        assert_eq!((scalar(y, "a"), scalar(y, "b")), ("1", "3"));
    }

    #[test]
    fn aliases_of_aliases_are_bounded() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..9 {
            let before = vec![format!("*a{}", i - 1); 10].join(", ");
            text.push_str(&format!("a{i}: &a{i} [{before}]\n"));
        }
        assert!(matches!(parse(&text), Err(YamlError::TooLarge)));
    }

    #[test]
    fn an_unknown_escape_is_an_error_with_its_line() {
        let error = parse("a: b\nc: \"\\$x\"\n").unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
    }

    #[test]
    fn tab_before_a_key_and_text_after_the_end_refuse_the_whole_text() {
        for text in ["a: 1\n\tb: 2\n", "a: 1\n\t\nb: 2\n", "a: 1\n\t# c\n"] {
            // The parser itself refuses some of them.
            let refused = parse(text);
            let is_refused = matches!(
                refused,
                Err(YamlError::Syntax(_) | YamlError::Tab { line: 2 })
            );
            assert!(is_refused, "{text:?}: {refused:?}");
        }
        for text in ["a: 1\n...\nb: 2\n", "a: 1\n...\nmore\n"] {
            let after = parse(text);
            assert!(
                matches!(after, Err(YamlError::AfterEnd { line: 3 })),
                "{text:?}: {after:?}"
            );
        }
        for text in [
            "a: 1\n...\n",
            "a: 1\n...\n# c\n",
            "a: 1\n...\n---\nb: 2\n",
            "---\na: 1\n---\nb: 2\n",
        ] {
            assert_eq!(scalar(&parse(text).unwrap(), "a"), "1", "{text:?}");
        }
    }

    #[test]
    fn binary_value_is_decoded_or_refused_with_its_line() {
        let node = parse("a: !!binary aGVsbG8K\n").unwrap();
        assert_eq!(scalar(&node, "a"), "hello\n");
        assert!(matches!(
            parse("a: 1\nb: !!binary \"*\"\n"),
            Err(YamlError::Binary { line: 2 })
        ));
    }
}
