//! `html`, `js` and `urlquery`.

use crate::unicode::is_print;

pub(super) fn html(text: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(text.len());
    for byte in text {
        let replaced: &[u8] = match byte {
            0 => "\u{fffd}".as_bytes(),
            b'"' => b"&#34;",
            b'\'' => b"&#39;",
            b'&' => b"&amp;",
            b'<' => b"&lt;",
            b'>' => b"&gt;",
            byte => std::slice::from_ref(byte),
        };
        escaped.extend_from_slice(replaced);
    }
    escaped
}

pub(super) fn js(text: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        for char in chunk.valid().chars() {
            let replaced = match char {
                '\\' => "\\\\",
                '\'' => "\\'",
                '"' => "\\\"",
                '<' => "\\u003C",
                '>' => "\\u003E",
                '&' => "\\u0026",
                '=' => "\\u003D",
                char if char < ' ' || (!char.is_ascii() && !is_print(char)) => {
                    let escape = format!("\\u{:04X}", u32::from(char));
                    escaped.extend_from_slice(escape.as_bytes());
                    continue;
                }
                char => {
                    escaped.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
                    continue;
                }
            };
            escaped.extend_from_slice(replaced.as_bytes());
        }
        // To Go an invalid byte is the printable U+FFFD, of which it writes the bytes that are there.
        escaped.extend_from_slice(chunk.invalid());
    }
    escaped
}

pub(super) fn urlquery(text: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b' ' => escaped.push(b'+'),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(*byte);
            }
            byte => escaped.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
    escaped
}
