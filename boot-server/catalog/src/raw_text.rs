//! Texts that are not UTF-8, in the types of those that are.
//!
//! Go's templates work on bytes, so that the replaced programs serve a config in any encoding byte for byte.
//! Here each byte that is not UTF-8 becomes a private-use character of its own, and the byte again when the
//! rendered text is served. Those characters themselves, which no real text has, are taken for bytes.

/// The character of the byte 0; plane 16 of Unicode ends at `U+10FFFF`.
const FIRST: u32 = 0x10_ff00;
/// Bytes of ASCII are always UTF-8.
const FIRST_BYTE: u8 = 0x80;

/// Returns the text for these bytes.
pub fn from_bytes(bytes: Vec<u8>) -> String {
    let bytes = match String::from_utf8(bytes) {
        Ok(text) if !is_raw(&text) => return text,
        Ok(text) => text.into_bytes(),
        Err(error) => error.into_bytes(),
    };
    let mut text = String::with_capacity(bytes.len() + bytes.len() / 2);
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            match byte_of(char) {
                None => text.push(char),
                Some(_) => push_raw(&mut text, char.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        push_raw(&mut text, chunk.invalid());
    }
    text
}

fn push_raw(text: &mut String, bytes: &[u8]) {
    let chars = bytes
        .iter()
        .filter_map(|byte| char::from_u32(FIRST + u32::from(*byte)));
    text.extend(chars);
}

/// Returns the bytes that a text encodes.
pub fn to_bytes(text: String) -> Vec<u8> {
    if !is_raw(&text) {
        return text.into_bytes();
    }
    let mut bytes = Vec::with_capacity(text.len());
    for char in text.chars() {
        match byte_of(char) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

/// True if the text has bytes that are not UTF-8.
pub fn is_raw(text: &str) -> bool {
    // Its characters begin with the byte F4, which hardly a text has.
    text.as_bytes().contains(&0xf4) && text.chars().any(|char| byte_of(char).is_some())
}

fn byte_of(char: char) -> Option<u8> {
    let byte = u8::try_from(u32::from(char).checked_sub(FIRST)?).ok()?;
    (byte >= FIRST_BYTE).then_some(byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latin_1_is_text_with_its_ascii_and_the_same_bytes_again() {
        let text = from_bytes(b"name: M\xfcller\n".to_vec());
        assert!(text.starts_with("name: M") && text.ends_with("ller\n") && is_raw(&text));
        assert_eq!(to_bytes(text), b"name: M\xfcller\n");
        assert_eq!(from_bytes("Müller \u{10ff7f}".into()), "Müller \u{10ff7f}");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_come_back(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..80)) {
            proptest::prop_assert_eq!(to_bytes(from_bytes(bytes.clone())), bytes);
        }

        #[test]
        fn any_text_comes_back(text in "[a\u{10fe00}-\u{10ffff}ü\\PC]{0,20}") {
            proptest::prop_assert_eq!(to_bytes(from_bytes(text.clone().into_bytes())), text.into_bytes());
        }
    }
}
