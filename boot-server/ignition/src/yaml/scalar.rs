//! Scalars → null, truth values, numbers and texts.
//!
//! Source: `resolve.go` and `decode.go` of go-yaml v3.0.1 and v2.2.

use super::Scalar;

/// Version of Go's YAML library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Library {
    /// go-yaml v2: Container Linux Configs.
    V2,
    /// go-yaml v3: Butane.
    V3,
}

/// A scalar's value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Resolved {
    Null,
    Bool(bool),
    Int(i64),
    /// An integer above `i64::MAX`.
    Large(u64),
    Float(f64),
    Timestamp,
    Text,
    /// The decoded bytes of a `!!binary` value.
    Binary(Vec<u8>),
}

impl Resolved {
    /// Returns the tag as Go's messages write it.
    pub(super) fn tag(&self) -> &'static str {
        match self {
            Resolved::Null => "!!null",
            Resolved::Bool(_) => "!!bool",
            Resolved::Int(_) | Resolved::Large(_) => "!!int",
            Resolved::Float(_) => "!!float",
            Resolved::Timestamp => "!!timestamp",
            Resolved::Text => "!!str",
            Resolved::Binary(_) => "!!binary",
        }
    }
}

/// A tag that contradicts its value, or a `!!binary` value that is not base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WrongTag;

/// Tags that say something about a scalar's kind.
const KNOWN_TAGS: [&str; 5] = ["!!bool", "!!int", "!!float", "!!null", "!!timestamp"];

/// Resolves a scalar.
pub(super) fn resolve(scalar: &Scalar, library: Library) -> Result<Resolved, WrongTag> {
    let tag = scalar.tag.as_deref().filter(|tag| *tag != "!");
    match tag {
        Some("!!str") => return Ok(Resolved::Text),
        Some("!!binary") => {
            let bytes = cloud_yaml::binary(&scalar.text).ok_or(WrongTag)?;
            return Ok(Resolved::Binary(bytes));
        }
        // A tag that the library does not know makes a text of everything.
        Some(tag) if !KNOWN_TAGS.contains(&tag) => return Ok(Resolved::Text),
        _ if tag.is_none() && (scalar.is_quoted || scalar.tag.is_some()) => {
            return Ok(Resolved::Text);
        }
        _ => {}
    }
    let resolved = plain(&scalar.text, library, tag.is_none());
    match tag {
        None => Ok(resolved),
        Some(tag) if tag == resolved.tag() => Ok(resolved),
        Some("!!float") => match resolved {
            Resolved::Int(value) => Ok(Resolved::Float(value as f64)),
            _ => Err(WrongTag),
        },
        Some(_) => Err(WrongTag),
    }
}

fn plain(text: &str, library: Library, may_be_timestamp: bool) -> Resolved {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Resolved::Null,
        "true" | "True" | "TRUE" => return Resolved::Bool(true),
        "false" | "False" | "FALSE" => return Resolved::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Resolved::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Resolved::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Resolved::Float(f64::NEG_INFINITY),
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" if library == Library::V2 => {
            return Resolved::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" if library == Library::V2 => {
            return Resolved::Bool(false);
        }
        _ => {}
    }
    match text.as_bytes().first() {
        Some(b'.') => match text.parse() {
            Ok(value) if is_float(text) => Resolved::Float(value),
            _ => Resolved::Text,
        },
        Some(b'+' | b'-' | b'0'..=b'9') => number(text, may_be_timestamp),
        _ => Resolved::Text,
    }
}

fn number(text: &str, may_be_timestamp: bool) -> Resolved {
    if may_be_timestamp && is_timestamp(text) {
        return Resolved::Timestamp;
    }
    let plain = text.replace('_', "");
    let (is_negative, digits) = match plain.as_bytes().first() {
        Some(b'-') => (true, &plain[1..]),
        Some(b'+') => (false, &plain[1..]),
        _ => (false, plain.as_str()),
    };
    if let Some(value) = integer(digits) {
        let value = if is_negative { -value } else { value };
        if let Ok(value) = i64::try_from(value) {
            return Resolved::Int(value);
        }
        if let (Ok(value), b'0'..=b'9') = (u64::try_from(value), plain.as_bytes()[0]) {
            return Resolved::Large(value);
        }
    }
    if is_float(&plain)
        && let Ok(value) = plain.parse()
    {
        return Resolved::Float(value);
    }
    Resolved::Text
}

/// Integers of Go's base 0: a prefix, or a leading zero for octal.
fn integer(digits: &str) -> Option<i128> {
    let parse = |digits: &str, radix| {
        let is_plain = digits.bytes().all(|b| b.is_ascii_alphanumeric());
        (is_plain && !digits.is_empty())
            .then(|| i128::from_str_radix(digits, radix).ok())
            .flatten()
    };
    let prefix = digits.get(..2).unwrap_or_default();
    let rest = digits.get(2..).unwrap_or_default();
    match prefix {
        "0x" | "0X" => parse(rest, 16),
        "0b" | "0B" => parse(rest, 2),
        "0o" | "0O" => parse(rest, 8),
        _ if digits.len() > 1 && digits.starts_with('0') => parse(&digits[1..], 8),
        _ => parse(digits, 10),
    }
}

/// True for `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`.
fn is_float(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_mantissa = match mantissa.split_once('.') {
        Some(("", fraction)) => is_digits(fraction),
        Some((whole, fraction)) => is_digits(whole) && (fraction.is_empty() || is_digits(fraction)),
        None => is_digits(mantissa),
    };
    let is_exponent = exponent
        .is_none_or(|exponent| is_digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)));
    is_mantissa && is_exponent
}

/// True for dates and times as YAML 1.1 writes them: `2001-12-14`, with a time behind `T`, `t` or a space.
fn is_timestamp(text: &str) -> bool {
    let is_digits = |text: &str, most: usize| {
        !text.is_empty() && text.len() <= most && text.bytes().all(|b| b.is_ascii_digit())
    };
    let mut parts = text.splitn(3, '-');
    let (Some(year), Some(month), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let day = rest.split(['T', 't', ' ']).next().unwrap_or_default();
    let in_range = |text: &str, most: u32| {
        is_digits(text, 2)
            && text
                .parse()
                .is_ok_and(|value: u32| (1..=most).contains(&value))
    };
    if year.len() != 4 || !is_digits(year, 4) || !in_range(month, 12) || !in_range(day, 31) {
        return false;
    }
    let time = &rest[day.len()..];
    time.is_empty() || time.len() > 1 && time[1..].contains(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(text: &str) -> Resolved {
        let scalar = Scalar {
            text: text.to_owned(),
            is_quoted: false,
            tag: None,
        };
        resolve(&scalar, Library::V3).expect("no tag, no contradiction")
    }

    #[test]
    fn number_with_leading_zero_is_octal_and_otherwise_a_float() {
        assert_eq!(resolved("0644"), Resolved::Int(0o644));
        assert_eq!(resolved("0o644"), Resolved::Int(0o644));
        assert_eq!(resolved("-0x1F"), Resolved::Int(-31));
        assert_eq!(resolved("0888"), Resolved::Float(888.0));
        assert_eq!(resolved("1_000"), Resolved::Int(1000));
        assert_eq!(resolved("644.0"), Resolved::Float(644.0));
        assert_eq!(resolved("18446744073709551615"), Resolved::Large(u64::MAX));
    }

    #[test]
    fn word_of_yaml_1_1_is_a_truth_value_for_the_older_library() {
        let resolved = |text: &str| {
            let scalar = Scalar {
                text: text.to_owned(),
                is_quoted: false,
                tag: None,
            };
            resolve(&scalar, Library::V2)
        };
        assert_eq!(resolved("yes"), Ok(Resolved::Bool(true)));
        assert_eq!(resolved("off"), Ok(Resolved::Bool(false)));
        assert_eq!(resolved("0o644"), Ok(Resolved::Int(0o644)));
    }

    #[test]
    fn word_of_yaml_1_1_is_a_text() {
        for text in [
            "yes",
            "on",
            "1.6.0",
            "a",
            "-",
            "+",
            ".",
            "0x",
            "1e",
            "2024-13-01",
        ] {
            assert_eq!(resolved(text), Resolved::Text, "{text}");
        }
        assert_eq!(resolved("2024-01-31"), Resolved::Timestamp);
    }
}
