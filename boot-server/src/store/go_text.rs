//! JSON files as matchbox writes them: Go's `json.MarshalIndent` with a tab, and `json.Marshal` for metadata.

use boot_server_catalog::go_json;
use serde_json::Value;

/// Numbers outside of this range have an exponent (Go, `encoding/json`, `floatEncoder`).
const PLAIN: std::ops::Range<f64> = 1e-6..1e21;

/// An object whose keys keep their order.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(&'static str, Node)>);

#[derive(Debug)]
enum Node {
    Value(Value),
    Fields(Fields),
}

impl Fields {
    /// Adds a field, unless its value is empty (`omitempty`).
    #[must_use]
    pub(super) fn with(mut self, key: &'static str, value: impl Into<Value>) -> Fields {
        let value = value.into();
        let is_empty = match &value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(map) => map.is_empty(),
            Value::Bool(_) | Value::Number(_) => false,
        };
        if !is_empty {
            self.0.push((key, Node::Value(value)));
        }
        self
    }

    /// Adds an object, which may be empty, if there is one.
    #[must_use]
    pub(super) fn with_fields(mut self, key: &'static str, fields: Option<Fields>) -> Fields {
        self.0
            .extend(fields.map(|fields| (key, Node::Fields(fields))));
        self
    }

    /// Returns the object with each field on a line of its own.
    pub(super) fn indented(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, Some(0));
        text
    }

    fn write(&self, text: &mut String, depth: Option<usize>) {
        list(
            text,
            ['{', '}'],
            self.0.iter(),
            depth,
            |text, (name, node), depth| {
                key(text, name, depth);
                match node {
                    Node::Value(value) => write(text, value, depth),
                    Node::Fields(fields) => fields.write(text, depth),
                }
            },
        );
    }
}

/// Returns a value on one line; keys of maps are sorted.
pub(super) fn compact(value: &Value) -> String {
    let mut text = String::new();
    write(&mut text, value, None);
    text
}

/// Writes a value; `depth` is the number of tabs before its own line.
fn write(text: &mut String, value: &Value, depth: Option<usize>) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(value) => text.push_str(&value.to_string()),
        Value::Number(number) => text.push_str(&go_number(number.as_f64().unwrap_or_default())),
        Value::String(value) => text.push_str(&quoted(value)),
        Value::Array(items) => {
            list(text, ['[', ']'], items.iter(), depth, write);
        }
        Value::Object(map) => {
            list(
                text,
                ['{', '}'],
                map.iter(),
                depth,
                |text, (name, value), depth| {
                    key(text, name, depth);
                    write(text, value, depth);
                },
            );
        }
    }
}

fn key(text: &mut String, name: &str, depth: Option<usize>) {
    text.push_str(&quoted(name));
    text.push_str(if depth.is_some() { ": " } else { ":" });
}

fn list<T>(
    text: &mut String,
    [open, close]: [char; 2],
    items: impl Iterator<Item = T>,
    depth: Option<usize>,
    mut one: impl FnMut(&mut String, T, Option<usize>),
) {
    let line = |text: &mut String, depth: usize| {
        text.push('\n');
        text.extend(std::iter::repeat_n('\t', depth));
    };
    text.push(open);
    let mut is_empty = true;
    for item in items {
        if !is_empty {
            text.push(',');
        }
        is_empty = false;
        if let Some(depth) = depth {
            line(text, depth + 1);
        }
        one(text, item, depth.map(|depth| depth + 1));
    }
    if let (Some(depth), false) = (depth, is_empty) {
        line(text, depth);
    }
    text.push(close);
}

fn quoted(value: &str) -> String {
    // Text is always JSON.
    go_json::to_string(&value).unwrap_or_default()
}

fn go_number(number: f64) -> String {
    if number == 0.0 || PLAIN.contains(&number.abs()) {
        return number.to_string();
    }
    let text = format!("{number:e}");
    match text.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_go() {
        for (number, text) in [
            (1e6, "1000000"),
            (12_345_678_901_234_567_890.0, "12345678901234567000"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
            (1e-6, "0.000001"),
            (1e-7, "1e-7"),
            (-0.0, "-0"),
            (0.1, "0.1"),
            (-1.5e-9, "-1.5e-9"),
        ] {
            assert_eq!(go_number(number), text);
        }
    }

    #[test]
    fn empty_objects_and_lists_stay_on_their_line() {
        let value = serde_json::json!({"a": {}, "b": [], "c": [1, {"d": null}]});
        let text = Fields::default().with("x", value.clone()).indented();
        assert_eq!(
            text,
            "{\n\t\"x\": {\n\t\t\"a\": {},\n\t\t\"b\": [],\n\t\t\"c\": [\n\t\t\t1,\n\t\t\t{\n\t\t\t\t\"d\": null\n\t\t\t}\n\t\t]\n\t}\n}"
        );
        assert_eq!(compact(&value), r#"{"a":{},"b":[],"c":[1,{"d":null}]}"#);
    }
}
