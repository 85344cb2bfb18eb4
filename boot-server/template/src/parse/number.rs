//! Number constants: Go's syntax for them, and which types they can be of.

use crate::fmt::quote::quote_text;

use super::error::SyntaxError;
use super::unquote::unquote_char;

/// A constant of a template.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Int(i64),
    Float(f64),
    Complex(f64, f64),
    /// An integer that does not fit `int`: an error where it is used.
    Overflow,
}

/// Returns the value of a character constant.
pub(super) fn character(text: &str) -> Result<Number, SyntaxError> {
    let inside = text.strip_prefix('\'').unwrap_or(text);
    let (unit, tail) = unquote_char(inside, '\'').map_err(|_| SyntaxError::InvalidLiteral)?;
    match tail {
        "'" => Ok(Number::Int(unit.code())),
        _ => Err(SyntaxError::MalformedCharacter(text.to_owned())),
    }
}

/// Returns the value of a pair such as `1+2i`, which Go reads by `fmt.Sscan`.
pub(super) fn complex(text: &str) -> Result<Number, SyntaxError> {
    let mut rest = text;
    let real = scan_float(&mut rest);
    let sign = rest.get(..1).filter(|sign| matches!(*sign, "+" | "-"));
    let sign = sign.ok_or(SyntaxError::ScanComplex)?;
    rest = rest.get(1..).unwrap_or_default();
    let imaginary = scan_float(&mut rest);
    if !rest.starts_with('i') {
        return Err(SyntaxError::ScanComplex);
    }
    let imaginary = format!("{sign}{imaginary}");
    Ok(Number::Complex(
        scanned_float(real)?,
        scanned_float(&imaginary)?,
    ))
}

/// Takes what `fmt.Sscan` takes for a float. The `i` of an infinity that is none is lost, as there.
fn scan_float<'a>(text: &mut &'a str) -> &'a str {
    let bytes = text.as_bytes();
    let mut end = 0;
    let is = |at: usize, set: &[u8]| bytes.get(at).is_some_and(|byte| set.contains(byte));
    end += usize::from(is(end, b"+-"));
    end += usize::from(is(end, b"iI"));
    let mut digits: &[u8] = b"0123456789_";
    let mut exponent: &[u8] = b"eEp";
    if is(end, b"0") {
        end += 1;
        if is(end, b"xX") {
            end += 1;
            digits = b"0123456789aAbBcCdDeEfF_";
            exponent = b"pP";
        }
    }
    let run = |from: usize| (from..).find(|at| !is(*at, digits)).unwrap_or(from);
    end = run(end);
    if is(end, b".") {
        end = run(end + 1);
    }
    if is(end, exponent) {
        end += 1;
        end += usize::from(is(end, b"+-"));
        digits = b"0123456789_";
        end = (end..).find(|at| !is(*at, digits)).unwrap_or(end);
    }
    let (token, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    *text = rest;
    token
}

fn scanned_float(text: &str) -> Result<f64, SyntaxError> {
    parse_float(text).ok_or_else(|| SyntaxError::ParseFloat {
        text: quote_text(text),
        why: match is_beyond_range(text) {
            true => "value out of range",
            false => "invalid syntax",
        },
    })
}

/// True if a text that is no value has the syntax of a float: with other digits it is a value.
fn is_beyond_range(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    // The exponent of a hexadecimal float is not optional.
    let (prefix, mark, digits, without) = match lower.find("0x") {
        Some(at) => (at + 2, 'p', lower.get(at + 2..).unwrap_or_default(), ""),
        None => (0, 'e', lower.as_str(), "0"),
    };
    let (mantissa, exponent) = digits.split_once(mark).unwrap_or((digits, without));
    let small: String = mantissa
        .chars()
        .map(|char| match char.is_ascii_hexdigit() {
            true => '0',
            false => char,
        })
        .collect();
    let prefix = text.get(..prefix).unwrap_or_default();
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let is_exponent = exponent.bytes().any(|byte| byte.is_ascii_digit())
        && exponent
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'_');
    is_exponent
        && has_valid_underscores(text)
        && parse_float(&format!("{prefix}{small}{mark}0")).is_some()
}

/// Returns the value of any other number.
pub(super) fn number(text: &str) -> Result<Number, SyntaxError> {
    if let Some(imaginary) = text.strip_suffix('i').and_then(parse_float) {
        return Ok(Number::Complex(0.0, imaginary));
    }
    let unsigned = parse_unsigned(text);
    if let Some(int) = parse_signed(text) {
        // Go takes the digit `e` for an exponent where a sign hides the `0x`.
        return Ok(
            match text.starts_with(['+', '-']) && text.contains(['e', 'E']) {
                true => Number::Float(int as f64),
                false => Number::Int(int),
            },
        );
    }
    if unsigned.is_some() {
        return Ok(Number::Overflow);
    }
    let Some(float) = parse_float(text) else {
        return Err(SyntaxError::IllegalNumber(quote_text(text)));
    };
    match text.contains(['.', 'e', 'E', 'p', 'P']) {
        true => Ok(Number::Float(float)),
        false => Err(SyntaxError::IntegerOverflow(quote_text(text))),
    }
}

fn parse_signed(text: &str) -> Option<i64> {
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let magnitude = i128::from(parse_unsigned(digits)?);
    i64::try_from(if is_negative { -magnitude } else { magnitude }).ok()
}

/// Go's `strconv.ParseUint` with base 0.
fn parse_unsigned(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let (radix, digits) = match lower.get(..2) {
        Some("0x") if lower.len() > 2 => (16, lower.get(2..)?),
        Some("0o") if lower.len() > 2 => (8, lower.get(2..)?),
        Some("0b") if lower.len() > 2 => (2, lower.get(2..)?),
        Some(octal) if octal.starts_with('0') => (8, lower.get(1..)?),
        _ => (10, &*lower),
    };
    if !has_valid_underscores(text) {
        return None;
    }
    let digits: String = digits.chars().filter(|char| *char != '_').collect();
    match digits.chars().all(|digit| digit.is_digit(radix)) {
        true => u64::from_str_radix(&digits, radix).ok(),
        false => None,
    }
}

/// Go's `strconv.ParseFloat`; none for what is not a number, or beyond the largest.
fn parse_float(text: &str) -> Option<f64> {
    if !has_valid_underscores(text) {
        return None;
    }
    let plain: String = text.chars().filter(|char| *char != '_').collect();
    let unsigned = plain.trim_start_matches(['+', '-']);
    if plain.len() > unsigned.len() + 1 {
        return None;
    }
    let value = match unsigned.get(..2) {
        Some("0x" | "0X") => hex_float(unsigned.get(2..)?)?,
        _ => decimal_float(unsigned)?,
    };
    Some(if plain.starts_with('-') {
        -value
    } else {
        value
    })
}

fn decimal_float(text: &str) -> Option<f64> {
    // Rust takes `inf` and `nan` too.
    let is_number = text.bytes().any(|byte| byte.is_ascii_digit())
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    let value: f64 = text.parse().ok()?;
    (is_number && value.is_finite()).then_some(value)
}

fn hex_float(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once(['p', 'P'])?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_exponent = exponent
        .trim_start_matches(['+', '-'])
        .bytes()
        .all(|byte| byte.is_ascii_digit());
    let exponent: i32 = match is_exponent {
        true => exponent.parse().ok()?,
        false => return None,
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut bits: u128 = 0;
    let mut scale = exponent;
    let mut lost = false;
    for (index, digit) in whole.chars().chain(fraction.chars()).enumerate() {
        let digit = u128::from(digit.to_digit(16)?);
        let is_fraction = index >= whole.len();
        if bits >> 100 == 0 {
            bits = bits << 4 | digit;
            scale = scale.checked_sub(if is_fraction { 4 } else { 0 })?;
        } else {
            lost |= digit != 0;
            scale = scale.checked_add(if is_fraction { 0 } else { 4 })?;
        }
    }
    bits |= u128::from(lost);
    // To 64 bits, with what is lost in the last of them: so the conversion rounds as if it saw all.
    let spare = (128 - bits.leading_zeros()).saturating_sub(64);
    let rest = bits & ((1 << spare) - 1);
    let top = (bits >> spare) as u64 | u64::from(rest != 0);
    let scale = scale.checked_add(i32::try_from(spare).ok()?)?;
    let value = match top {
        0 => 0.0,
        _ => top as f64 * power_of_two(scale / 2) * power_of_two(scale - scale / 2),
    };
    value.is_finite().then_some(value)
}

fn power_of_two(exponent: i32) -> f64 {
    2_f64.powi(exponent.clamp(-1100, 1100))
}

/// Go's `underscoreOK`: underscores stand between digits, or behind a base prefix.
fn has_valid_underscores(text: &str) -> bool {
    if !text.contains('_') {
        return true;
    }
    let text = text
        .strip_prefix(['+', '-'])
        .unwrap_or(text)
        .to_ascii_lowercase();
    let prefix = text
        .get(..2)
        .filter(|prefix| matches!(*prefix, "0x" | "0o" | "0b"));
    let is_hex = prefix == Some("0x");
    let mut last = if prefix.is_some() { '0' } else { '^' };
    for char in text.chars().skip(prefix.map_or(0, str::len)) {
        let is_digit = char.is_ascii_digit() || (is_hex && char.is_ascii_hexdigit());
        match char {
            _ if is_digit => last = '0',
            '_' if last == '0' => last = '_',
            '_' => return false,
            _ if last == '_' => return false,
            _ => last = '!',
        }
    }
    last != '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_bases_and_underscores_are_gos() {
        for (text, expected) in [
            ("0x1F", Number::Int(31)),
            ("0b101", Number::Int(5)),
            ("0o17", Number::Int(15)),
            ("017", Number::Int(15)),
            ("1_000", Number::Int(1000)),
            ("0x_f", Number::Int(15)),
            ("-0", Number::Int(0)),
            ("+7", Number::Int(7)),
            ("0xFe", Number::Int(254)),
            ("-0xFe", Number::Float(-254.0)),
            ("+0xF", Number::Int(15)),
            ("-9223372036854775808", Number::Int(i64::MIN)),
            ("9223372036854775808", Number::Overflow),
            ("1e3", Number::Float(1000.0)),
            (".5", Number::Float(0.5)),
            ("0x1p-2", Number::Float(0.25)),
            ("0x1.8p1", Number::Float(3.0)),
            ("3i", Number::Complex(0.0, 3.0)),
        ] {
            assert_eq!(number(text).unwrap(), expected, "{text}");
        }
        assert_eq!(complex("1e+2-3i").unwrap(), Number::Complex(100.0, -3.0));
    }

    #[test]
    fn number_malformed_is_refused() {
        for text in ["0x", "1_", "08", "1e400", "-", "0x1.8", "1__0", "0b12"] {
            assert!(number(text).is_err(), "{text}");
        }
        for (text, told) in [
            ("2+i", "syntax error scanning complex number"),
            ("0b1+2i", "syntax error scanning complex number"),
            ("-+2i", "strconv.ParseFloat: parsing \"-\": invalid syntax"),
            (
                "0x1+2i",
                "strconv.ParseFloat: parsing \"0x1\": invalid syntax",
            ),
            (
                "1+1_e1__0i",
                "strconv.ParseFloat: parsing \"+1_e1__0\": invalid syntax",
            ),
            (
                "1-2e400i",
                "strconv.ParseFloat: parsing \"-2e400\": value out of range",
            ),
            (
                "0x1p+99999+1i",
                "strconv.ParseFloat: parsing \"0x1p+99999\": value out of range",
            ),
        ] {
            assert_eq!(complex(text).unwrap_err().to_string(), told, "{text}");
        }
    }
}
