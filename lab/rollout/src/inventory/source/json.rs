//! JSON, with the place of every key and value; Kea's, which has comments, too.

use boot_server_catalog::problem::Problem;
use jsonc_parser::ast;
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::{Document, Entry, Lines, Node, Place, Value};

/// JSON and nothing else.
const STRICT: ParseOptions = ParseOptions {
    allow_comments: false,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// JSON as Kea reads it.
const KEA: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_trailing_commas: true,
    ..STRICT
};

/// Reads a document.
pub(super) fn read(document: &Document) -> Result<Node, Vec<Problem>> {
    parse(document, &document.text, &STRICT)
}

/// Reads a configuration of Kea: comments are `#`, `//` and `/* */`, and a comma may end a list.
pub(in crate::inventory) fn read_kea(document: &Document) -> Result<Node, Vec<Problem>> {
    parse(document, &without_hash_comments(&document.text), &KEA)
}

fn parse(document: &Document, text: &str, options: &ParseOptions) -> Result<Node, Vec<Problem>> {
    let lines = Lines::new(text);
    match parse_to_ast(text, &CollectOptions::default(), options) {
        Ok(parsed) => Ok(match parsed.value {
            Some(value) => node(&value, &lines),
            None => Node {
                at: Place::START,
                value: Value::Nothing,
            },
        }),
        Err(error) => {
            let at = lines.place(error.range().start);
            let message = format!("malformed JSON: {}", error.kind());
            let help = "put keys and strings in double quotes, and a comma between entries but not after the last";
            Err(vec![document.error(at, message, help)])
        }
    }
}

/// Returns the same text, of the same length, with spaces in place of Kea's comments.
pub(in crate::inventory) fn without_comments(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let (mut in_text, mut escaped) = (false, false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let next = letters.peek().copied();
        if !in_text && (letter == '#' || (letter == '/' && next == Some('/'))) {
            kept.push(' ');
            while let Some(letter) = letters.next_if(|letter| *letter != '\n') {
                kept.extend(std::iter::repeat_n(' ', letter.len_utf8()));
            }
            continue;
        }
        if !in_text && letter == '/' && next == Some('*') {
            kept.push(' ');
            let mut before = ' ';
            for letter in letters.by_ref() {
                match letter {
                    '\n' => kept.push('\n'),
                    other => kept.extend(std::iter::repeat_n(' ', other.len_utf8())),
                }
                if before == '*' && letter == '/' {
                    break;
                }
                before = letter;
            }
            continue;
        }
        match letter {
            _ if escaped => escaped = false,
            '\\' if in_text => escaped = true,
            '"' => in_text = !in_text,
            _ => {}
        }
        kept.push(letter);
    }
    kept
}

/// Returns the same text, of the same length, with spaces in place of comments that begin with `#`.
fn without_hash_comments(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let (mut in_text, mut escaped, mut in_comment) = (false, false, false);
    for letter in text.chars() {
        in_comment = letter != '\n' && (in_comment || (letter == '#' && !in_text));
        if in_comment {
            kept.extend(std::iter::repeat_n(' ', letter.len_utf8()));
            continue;
        }
        if !escaped && letter == '"' {
            in_text = !in_text;
        }
        escaped = in_text && !escaped && letter == '\\';
        kept.push(letter);
    }
    kept
}

fn node(value: &ast::Value<'_>, lines: &Lines<'_>) -> Node {
    Node {
        at: lines.place(value.range().start),
        value: match value {
            ast::Value::StringLit(text) => Value::Text(text.value.to_string()),
            ast::Value::NumberLit(number) => Value::Number(number.value.to_owned()),
            ast::Value::BooleanLit(truth) => Value::Truth(truth.value),
            ast::Value::NullKeyword(_) => Value::Nothing,
            ast::Value::Array(items) => {
                let items = items.elements.iter();
                Value::List(items.map(|item| node(item, lines)).collect())
            }
            ast::Value::Object(object) => {
                let entries = object.properties.iter().map(|property| Entry {
                    key: property.name.as_str().to_owned(),
                    at: lines.place(property.range.start),
                    node: node(&property.value, lines),
                });
                Value::Table(entries.collect())
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn kea_has_comments_and_a_hash_in_text_is_none() {
        let text = "# ä\n{ // one\n \"a\": \"# \\\"#\", /* two */ # three \"\n \"b\": [1,],\n}";
        let document = Document::new(Path::new("kea.conf"), text);
        let Value::Table(entries) = read_kea(&document).unwrap().value else {
            panic!("no table")
        };
        assert_eq!(entries[0].node.value, Value::Text("# \"#".into()));
        assert_eq!(entries[1].at, Place { line: 4, column: 2 });
    }
}
