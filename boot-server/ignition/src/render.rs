//! Values → JSON, with the fields in the order of Go's structs.

use crate::go::json::push_string;
use crate::schema::{Field, Kind, Minor, Shape, Written, is_zero};
use crate::value::{Struct, Value, is_empty};

/// Library whose JSON is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Butane's: a struct in which nothing is set is left out.
    OmitEmpty,
    /// Go's `encoding/json`: a struct is always written.
    KeepEmpty,
}

/// Writes a config.
pub(crate) fn to_json(config: &Struct, shape: &Shape, minor: Minor, style: Style) -> String {
    let mut writer = Writer {
        json: String::new(),
        minor,
        style,
    };
    writer.object(config, shape);
    writer.json
}

/// Indents JSON by two spaces, as Go's `MarshalIndent` does.
#[must_use]
pub fn indented(json: &str) -> String {
    let mut text = String::with_capacity(json.len() * 2);
    let mut depth = 0;
    let mut is_in_string = false;
    let mut chars = json.chars().peekable();
    let newline = |text: &mut String, depth: usize| {
        text.push('\n');
        text.push_str(&"  ".repeat(depth));
    };
    while let Some(c) = chars.next() {
        match c {
            _ if is_in_string => {
                text.push(c);
                match c {
                    '\\' => text.extend(chars.next()),
                    '"' => is_in_string = false,
                    _ => {}
                }
            }
            '{' | '[' => {
                text.push(c);
                if let Some(end) = chars.next_if(|c| matches!(c, '}' | ']')) {
                    text.push(end);
                } else {
                    depth += 1;
                    newline(&mut text, depth);
                }
            }
            '}' | ']' => {
                depth -= 1;
                newline(&mut text, depth);
                text.push(c);
            }
            ',' => {
                text.push(c);
                newline(&mut text, depth);
            }
            ':' => text.push_str(": "),
            c => {
                is_in_string = c == '"';
                text.push(c);
            }
        }
    }
    text
}

struct Writer {
    json: String,
    minor: Minor,
    style: Style,
}

impl Writer {
    fn object(&mut self, fields: &Struct, shape: &Shape) {
        self.json.push('{');
        let mut is_first = true;
        for field in shape.fields_in(self.minor) {
            let value = fields.get(field.name);
            if !self.is_written(field, value) {
                continue;
            }
            if !is_first {
                self.json.push(',');
            }
            is_first = false;
            push_string(&mut self.json, field.json_name().as_bytes());
            self.json.push(':');
            match (value, field.kind) {
                (Some(value), kind) => self.value(value, kind),
                (None, Kind::Struct(shape)) => self.object(&Struct::default(), shape),
                (None, Kind::Bool) => self.json.push_str("false"),
                (None, Kind::Int | Kind::Uint) => self.json.push('0'),
                (None, Kind::Texts | Kind::List(_) | Kind::Labels) => self.json.push_str("null"),
                (None, Kind::Text) => self.json.push_str("\"\""),
            }
        }
        self.json.push('}');
    }

    fn is_written(&self, field: &Field, value: Option<&Value>) -> bool {
        if self.style == Style::KeepEmpty && matches!(field.kind, Kind::Struct(_)) {
            return match field.written {
                Written::Never => false,
                Written::IfPresent => value.is_some(),
                _ => true,
            };
        }
        match field.written_in(self.minor) {
            Written::Always => true,
            Written::Never => false,
            Written::IfNotZero => value.is_some_and(|value| !is_zero(value)),
            Written::IfPresent => value.is_some(),
            Written::Generated => value.is_some_and(|value| !is_zero(value)),
            Written::IfSet => value.is_some_and(|value| !is_empty(value)),
        }
    }

    fn value(&mut self, value: &Value, kind: Kind) {
        match value {
            Value::Bool(value) => self.json.push_str(if *value { "true" } else { "false" }),
            Value::Int(value) => self.json.push_str(&value.to_string()),
            Value::Text(text) => push_string(&mut self.json, text.as_bytes()),
            Value::Bytes(bytes) => push_string(&mut self.json, bytes),
            Value::List(items) => {
                self.json.push('[');
                let item_kind = match kind {
                    Kind::List(shape) => Kind::Struct(shape),
                    _ => Kind::Text,
                };
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        self.json.push(',');
                    }
                    self.value(item, item_kind);
                }
                self.json.push(']');
            }
            Value::Struct(fields) => {
                if let Kind::Struct(shape) = kind {
                    self.object(fields, shape);
                }
            }
            Value::Labels(labels) => {
                self.json.push('{');
                for (index, (name, label)) in labels.iter().enumerate() {
                    if index > 0 {
                        self.json.push(',');
                    }
                    push_string(&mut self.json, name.as_bytes());
                    self.json.push(':');
                    push_string(&mut self.json, label.as_bytes());
                }
                self.json.push('}');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_indented_as_go_does() {
        let json = r#"{"a":[1,"b\",{"],"c":{},"d":[]}"#;
        let text = "{\n  \"a\": [\n    1,\n    \"b\\\",{\"\n  ],\n  \"c\": {},\n  \"d\": []\n}";
        assert_eq!(indented(json), text);
    }
}
