//! JSON strings as Go's `encoding/json` writes them: safe inside HTML.

use std::fmt::Write;

/// Appends a string, with U+FFFD for bytes that are not UTF-8.
pub(crate) fn push_string(json: &mut String, bytes: &[u8]) {
    json.push('"');
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => json.push_str("\\\""),
                '\\' => json.push_str("\\\\"),
                '\n' => json.push_str("\\n"),
                '\r' => json.push_str("\\r"),
                '\t' => json.push_str("\\t"),
                '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                    let _ = write!(json, "\\u{:04x}", u32::from(c));
                }
                c => json.push(c),
            }
        }
        for _ in chunk.invalid() {
            json.push_str("\\ufffd");
        }
    }
    json.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn string_is_safe_inside_html() {
        let mut json = String::new();
        push_string(&mut json, b"a<\"\\\x01\x08\n\xff\xe2\x80\xa8");
        assert_eq!(json, r#""a\u003c\"\\\u0001\u0008\n\ufffd\u2028""#);
    }
}
