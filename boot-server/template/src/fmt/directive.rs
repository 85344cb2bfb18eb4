//! `fmt.Sprintf`: the directives of a format.

use super::printer::{Flags, Printer};
use crate::exec::error::Exhausted;
use crate::value::Value;

/// Widths, precisions and argument numbers from here on are none.
const TOO_LARGE: i64 = 1_000_000;

struct Format<'f> {
    text: &'f [u8],
    at: usize,
    /// Position of the last `]`: no argument number is closed behind it.
    last_bracket: Option<usize>,
    /// The argument that is next.
    argument: usize,
    arguments: &'f [Value],
    /// Arguments were taken out of order.
    reordered: bool,
    /// The last argument number was a good one.
    good_number: bool,
}

/// Prints values by a format.
pub(crate) fn sprintf(
    printer: &mut Printer<'_>,
    format: &[u8],
    arguments: &[Value],
) -> Result<(), Exhausted> {
    let mut format = Format {
        text: format,
        at: 0,
        last_bracket: format.iter().rposition(|byte| *byte == b']'),
        argument: 0,
        arguments,
        reordered: false,
        good_number: true,
    };
    while format.at < format.text.len() {
        let rest = format.text.get(format.at..).unwrap_or_default();
        let literal = rest
            .iter()
            .position(|byte| *byte == b'%')
            .unwrap_or(rest.len());
        printer.literal(rest.get(..literal).unwrap_or_default())?;
        format.at += literal + 1;
        if literal < rest.len() && !format.directive(printer)? {
            break;
        }
    }
    let extra = arguments.get(format.argument..).unwrap_or_default();
    if format.reordered || extra.is_empty() {
        return Ok(());
    }
    printer.flags = Flags::default();
    printer.literal(b"%!(EXTRA ")?;
    for (index, value) in extra.iter().enumerate() {
        if index > 0 {
            printer.literal(b", ")?;
        }
        if *value != Value::Nil {
            printer.literal(value.type_name().as_bytes())?;
            printer.literal(b"=")?;
        }
        printer.print(value, 'v')?;
    }
    printer.literal(b")")
}

impl Format<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Prints one directive, whose `%` is read. False at the end of the format.
    fn directive(&mut self, printer: &mut Printer<'_>) -> Result<bool, Exhausted> {
        self.good_number = true;
        let mut flags = Flags::default();
        while let Some(byte) = self.peek() {
            match byte {
                b'#' => flags.sharp = true,
                b'0' => flags.zero = !flags.minus,
                b'+' => flags.plus = true,
                b'-' => (flags.minus, flags.zero) = (true, false),
                b' ' => flags.space = true,
                _ => break,
            }
            self.at += 1;
        }
        let mut after_number = self.argument_number();
        if self.peek() == Some(b'*') {
            self.at += 1;
            match self.integer_argument() {
                None => printer.literal(b"%!(BADWIDTH)")?,
                Some(width) => {
                    if width < 0 {
                        (flags.minus, flags.zero) = (true, false);
                    }
                    flags.width = usize::try_from(width.unsigned_abs()).ok();
                }
            }
            after_number = false;
        } else {
            flags.width = self.number();
            if after_number && flags.width.is_some() {
                self.good_number = false;
            }
        }
        if self.peek() == Some(b'.') && self.at + 1 < self.text.len() {
            self.at += 1;
            if after_number {
                self.good_number = false;
            }
            after_number = self.argument_number();
            if self.peek() == Some(b'*') {
                self.at += 1;
                let precision = self.integer_argument();
                flags.precision = precision.and_then(|precision| usize::try_from(precision).ok());
                if flags.precision.is_none() {
                    printer.literal(b"%!(BADPREC)")?;
                }
                after_number = false;
            } else {
                flags.precision = Some(self.number().unwrap_or_default());
            }
        }
        if !after_number {
            self.argument_number();
        }
        let rest = self.text.get(self.at..).unwrap_or_default();
        let Some((verb, size)) = first_char(rest) else {
            printer.literal(b"%!(NOVERB)")?;
            return Ok(false);
        };
        self.at += size;
        printer.flags = flags;
        self.verb(printer, verb)?;
        Ok(true)
    }

    fn verb(&mut self, printer: &mut Printer<'_>, verb: char) -> Result<(), Exhausted> {
        let value = self.arguments.get(self.argument);
        let complaint: &[u8] = match (verb, value) {
            ('%', _) => return printer.literal(b"%"),
            _ if !self.good_number => b"(BADINDEX)",
            (_, None) => b"(MISSING)",
            (_, Some(value)) => {
                if verb == 'v' {
                    let flags = &mut printer.flags;
                    flags.go_syntax = std::mem::take(&mut flags.sharp);
                    flags.plus = false;
                }
                self.argument += 1;
                return printer.print(value, verb);
            }
        };
        printer.literal(b"%!")?;
        printer.char(verb)?;
        printer.literal(complaint)
    }

    /// Reads a number; none when there is none or it is too large, and then nothing of the format is left.
    fn number(&mut self) -> Option<usize> {
        let mut number: Option<i64> = None;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            let so_far = number.unwrap_or_default();
            if so_far > TOO_LARGE {
                self.at = self.text.len();
                return None;
            }
            number = Some(so_far * 10 + i64::from(digit - b'0'));
            self.at += 1;
        }
        number.and_then(|number| usize::try_from(number).ok())
    }

    /// Reads `[n]`, the number of the next argument. True if there was one.
    fn argument_number(&mut self) -> bool {
        if self.peek() != Some(b'[') {
            return false;
        }
        self.reordered = true;
        let is_closed = self.last_bracket.is_some_and(|last| last > self.at);
        let inside = self.text.get(self.at + 1..).unwrap_or_default();
        // Go looks for a number only in three bytes or more.
        let length = match is_closed && inside.len() >= 2 {
            true => inside.iter().position(|byte| *byte == b']'),
            false => None,
        };
        let Some(length) = length else {
            self.good_number = false;
            self.at += 1;
            return false;
        };
        let digits = inside.get(..length).unwrap_or_default();
        self.at += length + 2;
        let number = index_of(digits);
        match number {
            Some(index) if index < self.arguments.len() => {
                self.argument = index;
                true
            }
            number => {
                self.good_number = false;
                number.is_some() || digits_are_zero(digits)
            }
        }
    }

    /// Takes the next argument for a width or precision.
    fn integer_argument(&mut self) -> Option<i64> {
        let value = self.arguments.get(self.argument)?;
        self.argument += 1;
        let number = match value {
            Value::Int(int) => *int,
            Value::Uint(uint) => i64::try_from(*uint).ok()?,
            Value::Byte(byte) => i64::from(*byte),
            _ => return None,
        };
        (-TOO_LARGE..=TOO_LARGE).contains(&number).then_some(number)
    }
}

/// Returns the index for an argument number; the numbers begin at 1.
fn index_of(digits: &[u8]) -> Option<usize> {
    let mut number: i64 = 0;
    for digit in digits {
        if !digit.is_ascii_digit() || number > TOO_LARGE {
            return None;
        }
        number = number * 10 + i64::from(digit - b'0');
    }
    usize::try_from(number - 1)
        .ok()
        .filter(|_| !digits.is_empty())
}

/// True for the argument number 0: a number, though of no argument.
fn digits_are_zero(digits: &[u8]) -> bool {
    !digits.is_empty() && digits.iter().all(|digit| *digit == b'0')
}

fn first_char(bytes: &[u8]) -> Option<(char, usize)> {
    // No more than one character is examined.
    let chunk = bytes.get(..bytes.len().min(4))?.utf8_chunks().next()?;
    match chunk.valid().chars().next() {
        Some(char) => Some((char, char.len_utf8())),
        None => Some((char::REPLACEMENT_CHARACTER, 1)),
    }
}
