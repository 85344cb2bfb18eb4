//! JSON as a tree with positions. `serde_json` reports malformed JSON in its own words.

use super::{At, Entry, Node, Style, Value};

/// Maximum nesting, as in `serde_json`.
const MAX_DEPTH: usize = 128;

/// Reads a text.
///
/// # Errors
/// What `serde_json` says of it.
pub fn parse(text: &str) -> serde_json::Result<Node> {
    serde_json::from_str::<serde::de::IgnoredAny>(text)?;
    let mut reader = Reader {
        text,
        position: 0,
        at: At { line: 1, column: 1 },
    };
    // The text is JSON, so that nothing here meets what it does not know.
    Ok(reader.value(0).unwrap_or(Node {
        at: At { line: 1, column: 1 },
        value: Value::Map(Vec::new()),
    }))
}

struct Reader<'a> {
    text: &'a str,
    position: usize,
    at: At,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.text.get(self.position..)?.chars().next()
    }

    fn step(&mut self) -> Option<char> {
        let char = self.peek()?;
        self.position += char.len_utf8();
        if char == '\n' {
            self.at.line += 1;
            self.at.column = 1;
        } else {
            self.at.column += 1;
        }
        Some(char)
    }

    /// Passes white space and what separates values.
    fn skip(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\r' | '\n' | ',' | ':')) {
            self.step();
        }
    }

    fn value(&mut self, depth: usize) -> Option<Node> {
        self.skip();
        let at = self.at;
        let value = match self.peek()? {
            _ if depth > MAX_DEPTH => return None,
            '{' => {
                self.step();
                let mut entries = Vec::new();
                while self.next_is_not('}')? {
                    let key_at = self.at;
                    let key = self.string()?;
                    let value = self.value(depth + 1)?;
                    entries.push(Entry {
                        key,
                        at: key_at,
                        value,
                    });
                }
                Value::Map(entries)
            }
            '[' => {
                self.step();
                let mut items = Vec::new();
                while self.next_is_not(']')? {
                    items.push(self.value(depth + 1)?);
                }
                Value::List(items)
            }
            '"' => Value::Scalar(self.string()?, Style::Text),
            _ => {
                let start = self.position;
                while matches!(self.peek(), Some(c) if c.is_ascii_alphanumeric() || "+-.".contains(c))
                {
                    self.step();
                }
                let text = self.text.get(start..self.position)?;
                (!text.is_empty()).then(|| Value::Scalar(text.to_owned(), Style::Plain))?
            }
        };
        Some(Node { at, value })
    }

    /// Returns true if another value precedes the end of this list or object; passes the end.
    fn next_is_not(&mut self, end: char) -> Option<bool> {
        self.skip();
        if self.peek()? == end {
            self.step();
            return Some(false);
        }
        Some(true)
    }

    fn string(&mut self) -> Option<String> {
        let start = self.position;
        self.step();
        loop {
            match self.step()? {
                '\\' => {
                    self.step();
                }
                '"' => break,
                _ => {}
            }
        }
        // Half a character (`\ud800`) is what Go makes of it.
        boot_server_proto::json::from_str(self.text.get(start..self.position)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::tree::Kind;

    #[test]
    fn every_key_and_value_has_its_place() {
        let root =
            parse("{\n\t\"a\": [1, true,\n  \"é\\\"}\", null], \"b\": {\"c\": -1.5e3}}").unwrap();
        let a = root.entry("a").unwrap();
        assert_eq!((a.at.line, a.at.column), (2, 2));
        let places: Vec<_> = a
            .value
            .items()
            .iter()
            .map(|i| (i.at.line, i.at.column))
            .collect();
        assert_eq!(places, [(2, 8), (2, 11), (3, 3), (3, 11)]);
        let kinds: Vec<_> = a.value.items().iter().map(Node::kind).collect();
        assert_eq!(kinds, [Kind::Int, Kind::Bool, Kind::Text, Kind::Null]);
        assert_eq!(a.value.items()[2].scalar(), Some("é\"}"));
        let c = root.child("b").and_then(|b| b.entry("c")).unwrap();
        assert_eq!((c.at.line, c.at.column), (3, 24));
        assert_eq!(c.value.kind(), Kind::Float);
    }

    #[test]
    fn a_key_that_stands_twice_is_found_however_deep() {
        let root = parse("{\"a\": [{\"x\": 1,\n\"x\": 2}], \"b\": {\"x\": 1}}").unwrap();
        let twice: Vec<_> = root
            .duplicate_keys()
            .iter()
            .map(|e| (e.key.clone(), e.at.line))
            .collect();
        assert_eq!(twice, [("x".to_owned(), 2)]);
    }

    proptest::proptest! {
        #[test]
        fn what_is_json_is_read_as_serde_json_reads_it(
            keys in proptest::collection::vec("\\PC{0,6}", 0..5),
            texts in proptest::collection::vec("\\PC{0,9}", 0..5),
            numbers in proptest::collection::vec(-1e9..1e9f64, 0..3),
        ) {
            let object: serde_json::Map<String, serde_json::Value> =
                keys.iter().map(|key| (key.clone(), serde_json::json!([texts, numbers, null, {}]))).collect();
            let json = serde_json::Value::Object(object);
            for text in [json.to_string(), serde_json::to_string_pretty(&json).unwrap()] {
                let theirs: serde_json::Value = serde_json::from_str(&text).unwrap();
                proptest::prop_assert_eq!(to_json(&parse(&text).unwrap()), theirs);
            }
        }
    }

    fn to_json(node: &Node) -> serde_json::Value {
        match &node.value {
            Value::Scalar(text, Style::Text) => text.as_str().into(),
            Value::Scalar(text, Style::Plain) => serde_json::from_str(text).unwrap(),
            Value::List(items) => items.iter().map(to_json).collect(),
            Value::Map(entries) => serde_json::Value::Object(
                entries
                    .iter()
                    .map(|e| (e.key.clone(), to_json(&e.value)))
                    .collect(),
            ),
        }
    }
}
