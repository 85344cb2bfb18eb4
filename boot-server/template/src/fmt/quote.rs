//! Go's quoted strings and characters: package `strconv`, file `quote.go`.

use crate::unicode::is_print;

/// Characters beyond ASCII: as they are when they are printable, or always escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charset {
    Unicode,
    Ascii,
}

/// Returns a text as a Go string literal, `%q`.
pub(crate) fn quote(text: &[u8], charset: Charset) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(text.len() + 2);
    quoted.push(b'"');
    for chunk in text.utf8_chunks() {
        for char in chunk.valid().chars() {
            push_escaped(&mut quoted, char, '"', charset);
        }
        for byte in chunk.invalid() {
            quoted.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
        }
    }
    quoted.push(b'"');
    quoted
}

/// Returns a text as a Go string literal, for messages.
pub(crate) fn quote_text(text: &str) -> String {
    String::from_utf8_lossy(&quote(text.as_bytes(), Charset::Unicode)).into_owned()
}

/// Returns a character as a Go character literal, `%q` of an integer.
pub(crate) fn quote_char(char: char, charset: Charset) -> Vec<u8> {
    let mut quoted = vec![b'\''];
    push_escaped(&mut quoted, char, '\'', charset);
    quoted.push(b'\'');
    quoted
}

fn push_escaped(out: &mut Vec<u8>, char: char, quote: char, charset: Charset) {
    let is_plain = match charset {
        Charset::Ascii => char.is_ascii() && is_print(char),
        Charset::Unicode => is_print(char),
    };
    let code = u32::from(char);
    let escaped = match char {
        _ if char == quote || char == '\\' => format!("\\{char}"),
        _ if is_plain => {
            out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
            return;
        }
        '\u{7}' => "\\a".to_owned(),
        '\u{8}' => "\\b".to_owned(),
        '\u{c}' => "\\f".to_owned(),
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        '\u{b}' => "\\v".to_owned(),
        _ if code < 0x20 || code == 0x7f => format!("\\x{code:02x}"),
        _ if code < 0x1_0000 => format!("\\u{code:04x}"),
        _ => format!("\\U{code:08x}"),
    };
    out.extend_from_slice(escaped.as_bytes());
}

/// Returns a character as `%#U` writes it: `U+002D '-'`.
pub(crate) fn unicode_name(char: char) -> String {
    let code = u32::from(char);
    match is_print(char) {
        true => format!("U+{code:04X} '{char}'"),
        false => format!("U+{code:04X}"),
    }
}
