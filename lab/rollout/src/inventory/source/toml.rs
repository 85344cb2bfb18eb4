//! TOML, with the place of every key and value.

use boot_server_catalog::problem::Problem;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Document, Entry, Lines, Node, Place, Value};

/// Parses a document; reports every syntax error.
pub(super) fn read(document: &Document) -> Result<Node, Vec<Problem>> {
    let lines = Lines::new(&document.text);
    let (table, errors) = DeTable::parse_recoverable(&document.text);
    if errors.is_empty() {
        return Ok(Node {
            at: Place::START,
            value: Value::Table(entries(table.get_ref(), &lines)),
        });
    }
    let told = errors.iter().map(|error| {
        let at = error
            .span()
            .map_or(Place::START, |span| lines.place(span.start));
        let message = format!("malformed TOML: {}", error.message());
        document.error(at, message, "put strings in quotes, and lists in [ ]")
    });
    Err(told.collect())
}

fn entries(table: &DeTable<'_>, lines: &Lines<'_>) -> Vec<Entry> {
    let mut entries: Vec<(usize, Entry)> = table
        .iter()
        .map(|(key, value)| {
            let start = key.span().start;
            let entry = Entry {
                key: key.get_ref().to_string(),
                at: lines.place(start),
                node: node(value, lines),
            };
            (start, entry)
        })
        .collect();
    entries.sort_by_key(|(start, _)| *start);
    entries.into_iter().map(|(_, entry)| entry).collect()
}

fn node(value: &Spanned<DeValue<'_>>, lines: &Lines<'_>) -> Node {
    Node {
        at: lines.place(value.span().start),
        value: match value.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => Value::Number(number.to_string()),
            DeValue::Float(number) => Value::Number(number.to_string()),
            DeValue::Boolean(truth) => Value::Truth(*truth),
            DeValue::Datetime(date) => Value::Number(date.to_string()),
            DeValue::Array(items) => {
                Value::List(items.iter().map(|item| node(item, lines)).collect())
            }
            DeValue::Table(table) => Value::Table(entries(table, lines)),
        },
    }
}
