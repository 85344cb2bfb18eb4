//! Data URLs (RFC 2397) as Ignition's library reads and writes them.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A text that is not a data URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// No `data:`.
    #[error("missing data prefix")]
    Prefix,
    /// A media type or parameter that is malformed.
    #[error("invalid media type or parameter of a data URL")]
    MediaType,
    /// No comma before the data.
    #[error("missing comma before data")]
    Comma,
    /// A character that data cannot have.
    #[error("invalid data character")]
    Character,
    /// Data that is not base64.
    #[error("illegal base64 data")]
    Base64,
    /// A `%` without two hexadecimal digits.
    #[error("invalid escape sequence")]
    Escape,
}

/// Writes bytes as escaped text, which suits ASCII.
pub(crate) fn escape(bytes: &[u8]) -> String {
    let mut escaped = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// Decodes a data URL.
pub(crate) fn decode(url: &str) -> Result<Vec<u8>, Invalid> {
    let rest = url.strip_prefix("data:").ok_or(Invalid::Prefix)?;
    let (head, data) = split_head(rest)?;
    let is_base64 = match head.rsplit_once(';') {
        Some((_, "base64")) => true,
        Some((_, last)) if !last.contains('=') => return Err(Invalid::MediaType),
        _ => false,
    };
    if is_base64 {
        let is_data = |b: u8| b.is_ascii_alphanumeric() || b"+/=".contains(&b);
        if !data.bytes().all(is_data) {
            return Err(Invalid::Character);
        }
        return STANDARD.decode(data).map_err(|_| Invalid::Base64);
    }
    if !data
        .bytes()
        .all(|b| matches!(b, 0x21..=0x7e) && !b"<>#\"{}|\\^[]`".contains(&b))
    {
        return Err(Invalid::Character);
    }
    unescape(data)
}

/// Splits the media type and parameters from the data, and checks them.
fn split_head(text: &str) -> Result<(&str, &str), Invalid> {
    let is_token = |b: u8| (0x21..=0x7e).contains(&b) && !b"()<>@,;:\\\"/[]?=".contains(&b);
    let token_end = |text: &str| {
        text.bytes()
            .position(|b| !is_token(b))
            .unwrap_or(text.len())
    };
    let mut at = token_end(text);
    if at > 0 {
        if text.as_bytes().get(at) != Some(&b'/') {
            return Err(Invalid::MediaType);
        }
        at += 1;
        at += token_end(&text[at..]);
    }
    loop {
        match text.as_bytes().get(at) {
            Some(b',') => return Ok((&text[..at], &text[at + 1..])),
            Some(b';') => {}
            None => return Err(Invalid::Comma),
            Some(_) => return Err(Invalid::MediaType),
        }
        at += 1;
        let attribute = token_end(&text[at..]);
        if attribute == 0 {
            return Err(Invalid::MediaType);
        }
        at += attribute;
        if text.as_bytes().get(at) == Some(&b'=') {
            at += 1;
            let value = match text[at..].strip_prefix('"') {
                Some(quoted) => 2 + quoted.find('"').ok_or(Invalid::MediaType)?,
                None => token_end(&text[at..]),
            };
            if value == 0 {
                return Err(Invalid::MediaType);
            }
            at += value;
        }
    }
}

fn unescape(data: &str) -> Result<Vec<u8>, Invalid> {
    let mut bytes = Vec::with_capacity(data.len());
    let mut rest = data.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || {
            let digit = rest.next().and_then(|b| char::from(b).to_digit(16));
            digit
                .and_then(|digit| u8::try_from(digit).ok())
                .ok_or(Invalid::Escape)
        };
        bytes.push(digit()? << 4 | digit()?);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_url_is_decoded() {
        for (url, data) in [
            ("data:,a%20b", "a b"),
            ("data:;base64,YQ==", "a"),
            ("data:text/plain;charset=utf-8,x", "x"),
            ("data:text/plain;charset=\"utf-8\";base64,eA==", "x"),
            ("data:,", ""),
        ] {
            assert_eq!(decode(url).as_deref(), Ok(data.as_bytes()), "{url}");
        }
    }

    #[test]
    fn malformed_data_url_is_refused() {
        for (url, error) in [
            ("data:;base64,%%%", Invalid::Character),
            ("data:;base64,a", Invalid::Base64),
            ("data:", Invalid::Comma),
            ("data:text,x", Invalid::MediaType),
            ("data:;base65,x", Invalid::MediaType),
            ("data:,a b", Invalid::Character),
            ("data:,%zz", Invalid::Escape),
            ("http:", Invalid::Prefix),
        ] {
            assert_eq!(decode(url), Err(error), "{url}");
        }
    }
}
