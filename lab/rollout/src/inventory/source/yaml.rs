//! YAML, with the place of every key and value.

use std::fmt;

use boot_server_catalog::problem::Problem;
use boot_server_catalog::yaml::{self, DuplicateKeys};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use super::{Document, Entry, Node, Place, Value};

/// Reads a document.
pub(super) fn read(document: &Document) -> Result<Node, Vec<Problem>> {
    match yaml::parse::<Spanned<Tree>>(&document.text, DuplicateKeys::Refuse) {
        Ok(tree) => Ok(node(tree)),
        Err(error) => {
            let at = Place {
                line: error.line.max(1),
                column: error.column.max(1),
            };
            let message = format!("malformed YAML: {}", error.message);
            let help = "write `: ` after each key, and `- ` before each list item";
            Err(vec![document.error(at, message, help)])
        }
    }
}

fn place(at: &Location) -> Place {
    let (line, column) = yaml::place(at);
    Place {
        line: line.max(1),
        column: column.max(1),
    }
}

fn node(tree: Spanned<Tree>) -> Node {
    Node {
        at: place(&tree.referenced),
        value: tree.value.0,
    }
}

/// A value with everything below it.
struct Tree(Value);

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Tree, D::Error> {
        deserializer.deserialize_any(AnyValue).map(Tree)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nothing)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Nothing)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Truth(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.to_string()))
    }

    fn visit_i128<E>(self, number: i128) -> Result<Value, E> {
        Ok(Value::Number(number.to_string()))
    }

    fn visit_u128<E>(self, number: u128) -> Result<Value, E> {
        Ok(Value::Number(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Number(number.to_string()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Tree>>()? {
            list.push(node(item));
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = pairs.next_key::<Spanned<String>>()? {
            entries.push(Entry {
                at: place(&key.referenced),
                key: key.value,
                node: node(pairs.next_value()?),
            });
        }
        Ok(Value::Table(entries))
    }
}
