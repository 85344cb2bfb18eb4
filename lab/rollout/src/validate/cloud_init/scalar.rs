//! Bare words of YAML as cloud-init reads them: PyYAML's resolver, which differs from Go's.
//!
//! PyYAML knows dates and numbers to the base of 60, and takes `y`, `0o17` and `1e3` as texts (`yaml/resolver.py` of PyYAML 6.0).

use std::sync::LazyLock;

use regex_lite::Regex;
use serde_json::{Number, Value};

use crate::validate::tree::{self, Node, Style};

/// Single value by its type in Python.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// `datetime.date` or `datetime.datetime`, which no type of JSON schema fits.
    Date,
    Text,
}

/// PyYAML's patterns. Its verbose ones are written in one line.
struct Patterns {
    int: Regex,
    float: Regex,
    date: Regex,
}

static PATTERNS: LazyLock<Option<Patterns>> = LazyLock::new(|| {
    Some(Patterns {
        int: Regex::new(
            r"^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)$",
        )
        .ok()?,
        float: Regex::new(
            r"^(?:[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        )
        .ok()?,
        date: Regex::new(
            r"^(?:[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::[0-9]{2})?))?)$",
        )
        .ok()?,
    })
});

impl Scalar {
    /// Returns the type of a single value.
    pub(super) fn of(text: &str, style: Style) -> Scalar {
        match (style, text) {
            (Style::Text, _) => return Scalar::Text,
            (Style::Plain, "" | "~" | "null" | "Null" | "NULL") => return Scalar::Null,
            (Style::Plain, _) => {}
        }
        // PyYAML's pattern has no single letters.
        if let (2.., Some(value)) = (text.len(), tree::yaml::boolean(text)) {
            return Scalar::Bool(value);
        }
        let Some(patterns) = &*PATTERNS else {
            return Scalar::Text;
        };
        if patterns.int.is_match(text) {
            return Scalar::Int(integer(text));
        }
        if patterns.float.is_match(text) {
            return Scalar::Float(text.replace('_', "").parse().unwrap_or_default());
        }
        match patterns.date.is_match(text) {
            true => Scalar::Date,
            false => Scalar::Text,
        }
    }

    /// With its article, for sentences.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Scalar::Null => "nothing",
            Scalar::Bool(_) => "a boolean",
            Scalar::Int(_) => "a whole number",
            Scalar::Float(_) => "a number",
            Scalar::Date => "a date",
            Scalar::Text => "a text",
        }
    }
}

/// Returns the value of a whole number; the nearest one for a number that is too large.
fn integer(text: &str) -> i64 {
    let is_negative = text.starts_with('-');
    let digits = text.trim_start_matches(['+', '-']).replace('_', "");
    let radix = |digits: &str, radix| i64::from_str_radix(digits, radix).unwrap_or(i64::MAX);
    let value = match digits.get(..2) {
        Some("0b") => radix(&digits[2..], 2),
        Some("0x") => radix(&digits[2..], 16),
        _ if digits.contains(':') => digits.split(':').fold(0_i64, |value, part| {
            let value = value.saturating_mul(60);
            value.saturating_add(part.parse().unwrap_or_default())
        }),
        Some(_) if digits.starts_with('0') => radix(&digits, 8),
        _ => radix(&digits, 10),
    };
    if is_negative { -value } else { value }
}

/// Returns a tree as JSON. A date becomes `null`, which the schema allows nowhere that it allows a text.
pub(super) fn json(node: &Node) -> Value {
    match &node.value {
        tree::Value::List(items) => items.iter().map(json).collect(),
        tree::Value::Map(entries) => {
            let pairs = entries.iter();
            let pairs = pairs.map(|entry| (entry.key.clone(), json(&entry.value)));
            Value::Object(pairs.collect())
        }
        tree::Value::Scalar(text, style) => match Scalar::of(text, *style) {
            Scalar::Null | Scalar::Date => Value::Null,
            Scalar::Bool(value) => value.into(),
            Scalar::Int(value) => value.into(),
            Scalar::Float(value) => Number::from_f64(value).map_or(Value::Null, Value::Number),
            Scalar::Text => text.as_str().into(),
        },
    }
}

/// Returns the name of a node's type, with its article.
pub(super) fn type_name(node: &Node) -> &'static str {
    match &node.value {
        tree::Value::List(_) => "a list",
        tree::Value::Map(_) => "a mapping",
        tree::Value::Scalar(text, style) => Scalar::of(text, *style).name(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_words_are_read_as_pyyaml_reads_them() {
        let lines = include_str!("scalars.jsonl").lines();
        let mut count = 0;
        for line in lines {
            let (word, kind, value): (String, String, Value) = serde_json::from_str(line).unwrap();
            let read = Scalar::of(&word, Style::Plain);
            let told = match &read {
                Scalar::Null => ("null", Value::Null),
                Scalar::Bool(value) => ("bool", (*value).into()),
                Scalar::Int(value) => ("int", (*value).into()),
                Scalar::Float(_) => ("float", Value::Null),
                Scalar::Date => ("date", Value::Null),
                Scalar::Text => ("text", Value::Null),
            };
            assert_eq!(told, (&*kind, value), "{word}");
            count += 1;
        }
        assert!(count > 50, "{count}");
        assert_eq!(Scalar::of("7", Style::Text), Scalar::Text);
    }
}
