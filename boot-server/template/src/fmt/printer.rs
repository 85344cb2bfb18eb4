//! Formatting of one value by one verb: files `print.go` and `format.go` of Go's `fmt`.

use super::quote::{Charset, quote, quote_char, unicode_name};
use super::{MOST_NESTED, Sink, float};
use crate::exec::error::Exhausted;
use crate::value::Value;

/// Flags, width and precision of a directive.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flags {
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
    pub(super) minus: bool,
    pub(super) plus: bool,
    pub(super) sharp: bool,
    pub(super) space: bool,
    pub(super) zero: bool,
    /// `%#v`: Go syntax.
    pub(super) go_syntax: bool,
}

pub(crate) struct Printer<'a> {
    out: Sink<'a>,
    pub(super) flags: Flags,
}

/// Signedness of a number's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Signed,
    Unsigned,
}

type Printed = Result<(), Exhausted>;

impl<'a> Printer<'a> {
    pub(crate) fn new(out: Sink<'a>) -> Printer<'a> {
        Printer {
            out,
            flags: Flags::default(),
        }
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.out.bytes
    }

    pub(crate) fn literal(&mut self, bytes: &[u8]) -> Printed {
        self.out.write(bytes)
    }

    pub(super) fn char(&mut self, char: char) -> Printed {
        self.out.text(char.encode_utf8(&mut [0; 4]))
    }

    /// Prints an argument.
    pub(crate) fn print(&mut self, value: &Value, verb: char) -> Printed {
        match (value, verb) {
            (Value::Nil, 'T' | 'v') => self.pad(b"<nil>"),
            (Value::Nil, _) => self.bad_verb(None, verb),
            (_, 'T') => self.string(value.type_name().as_bytes(), 's', value),
            // The address of a value is nothing that a config can rely on, and `%w` is for errors.
            (_, 'p' | 'w') => self.bad_verb(Some(value), verb),
            _ => self.value(value, verb, 0),
        }
    }

    fn value(&mut self, value: &Value, verb: char, depth: usize) -> Printed {
        if depth > MOST_NESTED {
            return Err(Exhausted::Depth(MOST_NESTED));
        }
        match value {
            Value::Nil if self.flags.go_syntax => self.out.text("interface {}(nil)"),
            Value::Nil => self.out.text("<nil>"),
            Value::Bool(bool) if matches!(verb, 't' | 'v') => {
                self.pad(if *bool { b"true" } else { b"false" })
            }
            Value::Bool(_) => self.bad_verb(Some(value), verb),
            Value::Int(int) => self.integer(*int as u64, Sign::Signed, verb, value),
            Value::Uint(uint) => self.integer(*uint, Sign::Unsigned, verb, value),
            Value::Byte(byte) => self.integer(u64::from(*byte), Sign::Unsigned, verb, value),
            Value::Float(float) => self.float(*float, verb, value),
            Value::Complex(real, imaginary) => self.complex(*real, *imaginary, verb, value),
            Value::String(text) => self.string(text, verb, value),
            Value::List(list) => {
                let (open, between, close) = match self.flags.go_syntax {
                    true => (&b"[]interface {}{"[..], &b", "[..], &b"}"[..]),
                    false => (&b"["[..], &b" "[..], &b"]"[..]),
                };
                self.out.write(open)?;
                for (index, item) in list.iter().enumerate() {
                    if index > 0 {
                        self.out.write(between)?;
                    }
                    self.value(item, verb, depth + 1)?;
                }
                self.out.write(close)
            }
            Value::Map(map) | Value::StringMap(map) => {
                let (between, close) = match self.flags.go_syntax {
                    true => {
                        self.out.text(value.type_name())?;
                        self.out.text("{")?;
                        (", ", "}")
                    }
                    false => {
                        self.out.text("map[")?;
                        (" ", "]")
                    }
                };
                for (index, (key, item)) in map.iter().enumerate() {
                    if index > 0 {
                        self.out.text(between)?;
                    }
                    self.value(&Value::from(&**key), verb, depth + 1)?;
                    self.out.text(":")?;
                    self.value(item, verb, depth + 1)?;
                }
                self.out.text(close)
            }
        }
    }

    /// Tells that a verb is not for this value: `%!d(string=x)`.
    fn bad_verb(&mut self, value: Option<&Value>, verb: char) -> Printed {
        self.out.text("%!")?;
        self.char(verb)?;
        match value {
            None => self.out.text("(<nil>")?,
            Some(value) => {
                self.out.text("(")?;
                self.out.text(value.type_name())?;
                self.out.text("=")?;
                self.value(value, 'v', 0)?;
            }
        }
        self.out.text(")")
    }

    /// Writes a text, filled up to the width.
    fn pad(&mut self, text: &[u8]) -> Printed {
        let Some(width) = self.flags.width else {
            return self.out.write(text);
        };
        let padding = width.saturating_sub(count_chars(text));
        if self.flags.minus {
            self.out.write(text)?;
            return self.fill(padding);
        }
        self.fill(padding)?;
        self.out.write(text)
    }

    fn fill(&mut self, count: usize) -> Printed {
        self.out
            .fill(if self.flags.zero { b'0' } else { b' ' }, count)
    }

    fn pad_with_spaces(&mut self, text: &[u8]) -> Printed {
        let zero = std::mem::take(&mut self.flags.zero);
        let padded = self.pad(text);
        self.flags.zero = zero;
        padded
    }

    fn string(&mut self, text: &[u8], verb: char, value: &Value) -> Printed {
        match verb {
            'v' if self.flags.go_syntax => self.quoted(text),
            'v' | 's' => {
                let text = self.truncated(text);
                self.pad(text)
            }
            'x' => self.hex_string(text, b"0123456789abcdefx"),
            'X' => self.hex_string(text, b"0123456789ABCDEFX"),
            'q' => self.quoted(text),
            _ => self.bad_verb(Some(value), verb),
        }
    }

    /// Returns as many characters as the precision allows.
    fn truncated<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        let Some(precision) = self.flags.precision else {
            return text;
        };
        let mut left = precision;
        let mut length = 0;
        // A character has at most four bytes: what is behind is not even looked at.
        let looked_at = precision.saturating_mul(4).min(text.len());
        for chunk in text.get(..looked_at).unwrap_or(text).utf8_chunks() {
            let valid = chunk.valid().chars().map(char::len_utf8);
            // Each byte that belongs to no character counts as one.
            let invalid = chunk.invalid().iter().map(|_| 1);
            for size in valid.chain(invalid) {
                if left == 0 {
                    return text.get(..length).unwrap_or(text);
                }
                left -= 1;
                length += size;
            }
        }
        text.get(..length).unwrap_or(text)
    }

    fn quoted(&mut self, text: &[u8]) -> Printed {
        let text = self.truncated(text);
        let can_backquote = |text: &str| {
            text.chars().all(|char| {
                char != '`'
                    && char != '\u{7f}'
                    && char != '\u{feff}'
                    && (char >= ' ' || char == '\t')
            })
        };
        if self.flags.sharp && std::str::from_utf8(text).is_ok_and(can_backquote) {
            return self.pad(&[b"`", text, b"`"].concat());
        }
        let charset = self.charset();
        self.pad(&quote(text, charset))
    }

    fn charset(&self) -> Charset {
        match self.flags.plus {
            true => Charset::Ascii,
            false => Charset::Unicode,
        }
    }

    fn hex_string(&mut self, text: &[u8], digits: &[u8; 17]) -> Printed {
        let length = self.flags.precision.unwrap_or(usize::MAX).min(text.len());
        let text = text.get(..length).unwrap_or(text);
        let Flags { sharp, space, .. } = self.flags;
        let prefix: &[u8] = &[b'0', digits[16]];
        let mut hex = Vec::with_capacity(5 * length);
        for (index, byte) in text.iter().enumerate() {
            if index > 0 && space {
                hex.push(b' ');
            }
            if sharp && (index == 0 || space) {
                hex.extend_from_slice(prefix);
            }
            hex.push(digits[usize::from(byte >> 4)]);
            hex.push(digits[usize::from(byte & 15)]);
        }
        self.pad(&hex)
    }

    fn integer(&mut self, bits: u64, sign: Sign, verb: char, value: &Value) -> Printed {
        match verb {
            'v' if self.flags.go_syntax && sign == Sign::Unsigned => {
                let sharp = std::mem::replace(&mut self.flags.sharp, true);
                let printed = self.based(bits, 16, sign, verb);
                self.flags.sharp = sharp;
                printed
            }
            'v' | 'd' => self.based(bits, 10, sign, verb),
            'b' => self.based(bits, 2, sign, verb),
            'o' | 'O' => self.based(bits, 8, sign, verb),
            'x' | 'X' => self.based(bits, 16, sign, verb),
            'c' => {
                let char = char_of(bits);
                self.pad(char.encode_utf8(&mut [0; 4]).as_bytes())
            }
            'q' => {
                let charset = self.charset();
                self.pad(&quote_char(char_of(bits), charset))
            }
            'U' => self.code_point(bits),
            _ => self.bad_verb(Some(value), verb),
        }
    }

    fn based(&mut self, bits: u64, base: u64, sign: Sign, verb: char) -> Printed {
        let is_negative = sign == Sign::Signed && (bits as i64) < 0;
        let mut rest = if is_negative {
            bits.wrapping_neg()
        } else {
            bits
        };
        let Flags {
            width, precision, ..
        } = self.flags;
        let least_digits = match (precision, width) {
            (Some(0), _) if rest == 0 => {
                let zero = std::mem::take(&mut self.flags.zero);
                let filled = self.fill(width.unwrap_or_default());
                self.flags.zero = zero;
                return filled;
            }
            (Some(precision), _) => precision,
            (None, Some(width)) if self.flags.zero => {
                let signed = is_negative || self.flags.plus || self.flags.space;
                width.saturating_sub(usize::from(signed))
            }
            _ => 0,
        };
        // From the last digit to the first.
        let digits: &[u8; 17] = match verb {
            'X' => b"0123456789ABCDEFX",
            _ => b"0123456789abcdefx",
        };
        let mut text = Vec::with_capacity(68);
        loop {
            text.push(digits[(rest % base) as usize]);
            rest /= base;
            if rest == 0 {
                break;
            }
        }
        if least_digits > text.len() {
            // Held against the budget before it is made.
            self.out.reserve(least_digits)?;
            text.resize(least_digits, b'0');
        }
        if self.flags.sharp {
            match base {
                2 => text.extend_from_slice(b"b0"),
                8 if text.last() != Some(&b'0') => text.push(b'0'),
                16 => text.extend_from_slice(&[digits[16], b'0']),
                _ => {}
            }
        }
        if verb == 'O' {
            text.extend_from_slice(b"o0");
        }
        if is_negative {
            text.push(b'-');
        } else if self.flags.plus {
            text.push(b'+');
        } else if self.flags.space {
            text.push(b' ');
        }
        text.reverse();
        self.pad_with_spaces(&text)
    }

    /// `%U`: `U+0041`, with `#` the character too.
    fn code_point(&mut self, bits: u64) -> Printed {
        let digits = self.flags.precision.unwrap_or_default().max(4);
        self.out.reserve(digits)?;
        // Rust's own widths end at 65,535.
        let hex = format!("{bits:X}");
        let mut text = b"U+".to_vec();
        text.resize(2 + digits.saturating_sub(hex.len()), b'0');
        text.extend_from_slice(hex.as_bytes());
        let char = u32::try_from(bits).ok().and_then(char::from_u32);
        if let Some(char) = char.filter(|_| self.flags.sharp)
            && let Some((_, shown)) = unicode_name(char).split_once(' ')
        {
            text.push(b' ');
            text.extend_from_slice(shown.as_bytes());
        }
        self.pad_with_spaces(&text)
    }

    fn float(&mut self, number: f64, verb: char, value: &Value) -> Printed {
        let (format, default) = match verb {
            'v' => (b'g', None),
            'b' | 'g' | 'G' | 'x' | 'X' => (verb as u8, None),
            'f' | 'e' | 'E' => (verb as u8, Some(6)),
            'F' => (b'f', Some(6)),
            _ => return self.bad_verb(Some(value), verb),
        };
        self.formatted_float(number, format, default)
    }

    fn formatted_float(&mut self, number: f64, format: u8, default: Option<usize>) -> Printed {
        let precision = self.flags.precision.or(default);
        self.out.reserve(precision.unwrap_or_default())?;
        let mut text = float::format(number, format, precision);
        if !matches!(text.first(), Some(b'-' | b'+')) {
            text.insert(0, b'+');
        }
        if self.flags.space && !self.flags.plus && text.first() == Some(&b'+') {
            text[0] = b' ';
        }
        if matches!(text.get(1), Some(b'I' | b'N')) {
            let is_bare = text[1] == b'N' && !self.flags.space && !self.flags.plus;
            let shown = text.get(usize::from(is_bare)..).unwrap_or_default();
            return self.pad_with_spaces(shown);
        }
        if self.flags.sharp && format != b'b' {
            text = with_decimal_point(text, format, precision);
        }
        if self.flags.plus || text.first() != Some(&b'+') {
            let width = self.flags.width.unwrap_or_default();
            if self.flags.zero && width > text.len() {
                let (sign, digits) = text.split_at(1);
                self.out.write(sign)?;
                self.fill(width - text.len())?;
                return self.out.write(digits);
            }
            return self.pad(&text);
        }
        self.pad(text.get(1..).unwrap_or_default())
    }

    fn complex(&mut self, real: f64, imaginary: f64, verb: char, value: &Value) -> Printed {
        if !matches!(
            verb,
            'v' | 'b' | 'g' | 'G' | 'x' | 'X' | 'f' | 'F' | 'e' | 'E'
        ) {
            return self.bad_verb(Some(value), verb);
        }
        self.out.text("(")?;
        self.float(real, verb, value)?;
        let plus = std::mem::replace(&mut self.flags.plus, true);
        let printed = self.float(imaginary, verb, value);
        self.flags.plus = plus;
        printed?;
        self.out.text("i)")
    }
}

fn count_chars(text: &[u8]) -> usize {
    let chunks = text.utf8_chunks();
    chunks
        .map(|chunk| chunk.valid().chars().count() + chunk.invalid().len())
        .sum()
}

fn char_of(bits: u64) -> char {
    let code = u32::try_from(bits).ok();
    code.and_then(char::from_u32)
        .unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// `%#g`: a decimal point always, and the zeros that `%g` leaves out.
fn with_decimal_point(mut text: Vec<u8>, format: u8, precision: Option<usize>) -> Vec<u8> {
    let mut digits = match format {
        b'g' | b'G' | b'x' => {
            precision.map_or(6, |digits| i64::try_from(digits).unwrap_or(i64::MAX))
        }
        _ => 0,
    };
    let is_hex = matches!(format, b'x' | b'X');
    let mut tail = Vec::new();
    let (mut has_point, mut saw_nonzero) = (false, false);
    let mut index = 1;
    while let Some(byte) = text.get(index).copied() {
        match byte {
            b'.' => has_point = true,
            b'p' | b'P' => tail = text.split_off(index),
            b'e' | b'E' if !is_hex => tail = text.split_off(index),
            _ => {
                saw_nonzero |= byte != b'0';
                digits -= i64::from(saw_nonzero);
            }
        }
        index += 1;
    }
    if !has_point {
        digits -= i64::from(text.get(1..) == Some(&b"0"[..]));
        text.push(b'.');
    }
    let zeros = usize::try_from(digits).unwrap_or_default();
    text.resize(text.len() + zeros, b'0');
    text.extend(tail);
    text
}
