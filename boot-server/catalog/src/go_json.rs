//! JSON text as Go's `encoding/json` writes it: compact, with `<`, `>` and `&` escaped.
//!
//! Scripts that compare answers byte for byte rely on it.

use serde::Serialize;

/// Serialises a value. Struct fields keep their order; maps should be sorted ones.
///
/// # Errors
/// A map key is not text.
pub fn to_string<T: Serialize>(value: &T) -> serde_json::Result<String> {
    let json = serde_json::to_string(value)?;
    let mut text = String::with_capacity(json.len());
    // These characters occur only inside strings, so they can be replaced in the whole text.
    for char in json.chars() {
        match char {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                text.push_str(&format!("\\u{:04x}", u32::from(char)));
            }
            other => text.push(other),
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    #[test]
    fn html_characters_are_escaped_in_keys_and_values() {
        let json = super::to_string(&serde_json::json!({"a&": "<\u{2028}>"})).unwrap();
        assert_eq!(json, r#"{"a\u0026":"\u003c\u2028\u003e"}"#);
    }
}
