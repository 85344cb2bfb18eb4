//! The value of a string or character literal: package `strconv`, file `quote.go`.

/// The literal has an escape that Go does not know, or is not closed where it should be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InvalidLiteral;

/// Returns the bytes that a literal in double quotes or back quotes represents.
pub(super) fn unquote(literal: &str) -> Result<Vec<u8>, InvalidLiteral> {
    if let Some(raw) = inside(literal, '`') {
        return Ok(raw.bytes().filter(|byte| *byte != b'\r').collect());
    }
    let mut rest = inside(literal, '"').ok_or(InvalidLiteral)?;
    let mut bytes = Vec::with_capacity(rest.len());
    while !rest.is_empty() {
        let (unit, after) = unquote_char(rest, '"')?;
        match unit {
            Unit::Byte(byte) => bytes.push(byte),
            Unit::Char(char) => bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        rest = after;
    }
    Ok(bytes)
}

fn inside(literal: &str, quote: char) -> Option<&str> {
    literal.strip_prefix(quote)?.strip_suffix(quote)
}

/// A byte or a character of a literal.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Byte(u8),
    Char(char),
}

impl Unit {
    /// Returns the number that a character constant represents.
    pub(super) fn code(&self) -> i64 {
        match self {
            Unit::Byte(byte) => i64::from(*byte),
            Unit::Char(char) => i64::from(u32::from(*char)),
        }
    }
}

/// Returns the first byte or character of a literal's inside, and what follows it.
pub(super) fn unquote_char(text: &str, quote: char) -> Result<(Unit, &str), InvalidLiteral> {
    let mut chars = text.chars();
    let first = chars.next().ok_or(InvalidLiteral)?;
    if first == quote {
        return Err(InvalidLiteral);
    }
    if first != '\\' {
        return Ok((Unit::Char(first), chars.as_str()));
    }
    let escape = chars.next().ok_or(InvalidLiteral)?;
    let rest = chars.as_str();
    let simple = match escape {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        '\\' => '\\',
        '\'' | '"' if escape == quote => escape,
        'x' => {
            let (code, rest) = digits(rest, 2, 16)?;
            let byte = u8::try_from(code).map_err(|_| InvalidLiteral)?;
            return Ok((Unit::Byte(byte), rest));
        }
        'u' | 'U' => {
            let count = if escape == 'u' { 4 } else { 8 };
            let (code, rest) = digits(rest, count, 16)?;
            let char = char::from_u32(code).ok_or(InvalidLiteral)?;
            return Ok((Unit::Char(char), rest));
        }
        '0'..='7' => {
            let octal = text.get(1..).unwrap_or_default();
            let (code, rest) = digits(octal, 3, 8)?;
            let byte = u8::try_from(code).map_err(|_| InvalidLiteral)?;
            return Ok((Unit::Byte(byte), rest));
        }
        _ => return Err(InvalidLiteral),
    };
    Ok((Unit::Char(simple), rest))
}

fn digits(text: &str, count: usize, radix: u32) -> Result<(u32, &str), InvalidLiteral> {
    let (digits, rest) = text.split_at_checked(count).ok_or(InvalidLiteral)?;
    if !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err(InvalidLiteral);
    }
    let code = u32::from_str_radix(digits, radix).map_err(|_| InvalidLiteral)?;
    Ok((code, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unquote_escapes_become_bytes_and_characters() {
        let bytes = unquote(r#""a\tb\x00\u00fc\377\\\"""#).unwrap();
        assert_eq!(bytes, b"a\tb\x00\xc3\xbc\xff\\\"");
        assert_eq!(unquote("`a\\n\r\n`").unwrap(), b"a\\n\n");
    }

    #[test]
    fn unquote_unknown_escapes_are_invalid() {
        for literal in [
            r#""\q""#,
            r#""\u12""#,
            r#""\400""#,
            r#""\ud800""#,
            r#""\'""#,
        ] {
            assert_eq!(unquote(literal), Err(InvalidLiteral), "{literal}");
        }
    }
}
