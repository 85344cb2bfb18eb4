//! Bytes of `!!binary` values within texts.

/// The character that stands for the byte 0 of a `!!binary` value that is not UTF-8. A text in Go is any
/// bytes; these private-use characters, which no real text has, are their bytes again in a file's content.
const RAW: u32 = 0x10_ff00;

/// Returns the text of a `!!binary` value; none when it is not base64.
#[must_use]
pub fn binary(written: &str) -> Option<String> {
    Some(of_bytes(cloud_yaml::binary(written)?))
}

/// Returns the text for bytes; those that are not ASCII stay bytes where the whole is not UTF-8.
#[must_use]
pub fn of_bytes(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| {
        let chars = error.as_bytes().iter().map(|byte| match byte {
            0x80.. => char::from_u32(RAW + u32::from(*byte)).unwrap_or(char::REPLACEMENT_CHARACTER),
            ascii => char::from(*ascii),
        });
        chars.collect()
    })
}

/// Returns the bytes of a text, those of `!!binary` values unchanged.
pub(super) fn to_bytes(content: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(content.len());
    for char in content.chars() {
        match u32::from(char).checked_sub(RAW).map(u8::try_from) {
            Some(Ok(byte @ 0x80..)) => bytes.push(byte),
            _ => bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}
