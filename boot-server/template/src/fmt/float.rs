//! Floating-point numbers as text: package `strconv`, file `ftoa.go`.

/// Decimal digits of a number: `0.d1d2d3…` times ten to the power of `point`.
struct Digits {
    digits: Vec<u8>,
    point: i32,
}

impl Digits {
    /// Reads what Rust writes with `{:e}`: both round exactly, so that only the layout differs.
    fn of_exponent_form(text: &str) -> Digits {
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let mut digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        let point = match digits.is_empty() {
            true => 0,
            false => exponent.parse::<i32>().unwrap_or_default() + 1,
        };
        Digits { digits, point }
    }

    fn at(&self, index: i32) -> u8 {
        let digit = usize::try_from(index)
            .ok()
            .and_then(|index| self.digits.get(index));
        digit.copied().unwrap_or(b'0')
    }
}

/// More decimals than this are zeros in any `float64`.
const MOST_DECIMALS: usize = 1100;

/// Returns a number as `strconv.FormatFloat` does. `verb` is one of `eEfgGbxX`; without a precision the
/// shortest text that stands for this number.
///
/// A precision has to be held against the budget beforehand: so many bytes are made.
pub(super) fn format(value: f64, verb: u8, precision: Option<usize>) -> Vec<u8> {
    if value.is_nan() {
        return b"NaN".to_vec();
    }
    let mut out = Vec::new();
    if value.is_sign_negative() {
        out.push(b'-');
    }
    let value = value.abs();
    if value.is_infinite() {
        let sign: &[u8] = if out.is_empty() { b"+" } else { b"-" };
        return [sign, b"Inf"].concat();
    }
    match verb {
        b'b' => binary(&mut out, value),
        b'x' | b'X' => hexadecimal(&mut out, value, verb, precision),
        b'e' | b'E' => {
            let (digits, precision) = match precision {
                None => {
                    let digits = Digits::of_exponent_form(&format!("{value:e}"));
                    let count = digits.digits.len().saturating_sub(1);
                    (digits, count)
                }
                Some(precision) => (fixed_exponent(value, precision), precision),
            };
            exponent_form(&mut out, &digits, precision, verb);
        }
        b'f' => {
            let precision = precision.unwrap_or(6);
            let shown = precision.min(MOST_DECIMALS);
            out.extend_from_slice(format!("{value:.shown$}").as_bytes());
            out.resize(out.len() + (precision - shown), b'0');
        }
        _ => general(&mut out, value, verb, precision),
    }
    out
}

fn fixed_exponent(value: f64, precision: usize) -> Digits {
    let shown = precision.min(MOST_DECIMALS);
    Digits::of_exponent_form(&format!("{value:.shown$e}"))
}

/// `%g`: with an exponent only where it is large or very small.
fn general(out: &mut Vec<u8>, value: f64, verb: u8, precision: Option<usize>) {
    let digits = match precision {
        None => Digits::of_exponent_form(&format!("{value:e}")),
        Some(precision) => fixed_exponent(value, precision.max(1) - 1),
    };
    let count = i32::try_from(digits.digits.len()).unwrap_or(i32::MAX);
    let wanted = match precision {
        None => count,
        Some(precision) => i32::try_from(precision.max(1)).unwrap_or(i32::MAX),
    };
    let threshold = match precision {
        None => 6,
        Some(_) if wanted > count && count >= digits.point => count,
        Some(_) => wanted,
    };
    // `%e` is used below 0.0001 and from a million on.
    let exponent = digits.point - 1;
    if exponent < -4 || exponent >= threshold {
        let decimals = usize::try_from(wanted.min(count) - 1).unwrap_or_default();
        return exponent_form(out, &digits, decimals, verb + b'e' - b'g');
    }
    let wanted = if wanted > digits.point { count } else { wanted };
    let decimals = (wanted - digits.point).max(0);
    for index in 0..digits.point {
        out.push(digits.at(index));
    }
    if digits.point <= 0 {
        out.push(b'0');
    }
    if decimals > 0 {
        out.push(b'.');
        for index in 0..decimals {
            out.push(digits.at(digits.point + index));
        }
    }
}

fn exponent_form(out: &mut Vec<u8>, digits: &Digits, decimals: usize, verb: u8) {
    out.push(digits.at(0));
    if decimals > 0 {
        out.push(b'.');
        let end = out.len() + decimals;
        out.extend(digits.digits.iter().skip(1).take(decimals));
        out.resize(end, b'0');
    }
    let exponent = match digits.digits.is_empty() {
        true => 0,
        false => digits.point - 1,
    };
    let sign = if exponent < 0 { '-' } else { '+' };
    let size = exponent.unsigned_abs();
    out.push(verb);
    out.extend_from_slice(format!("{sign}{size:02}").as_bytes());
}

/// Mantissa and exponent of two.
fn parts(value: f64) -> (u64, i32) {
    let bits = value.to_bits();
    let exponent = i32::try_from(bits >> 52 & 0x7ff).unwrap_or_default();
    let fraction = bits & ((1 << 52) - 1);
    match exponent {
        0 => (fraction, -1022),
        _ => (fraction | 1 << 52, exponent - 1023),
    }
}

/// `%b`: mantissa and exponent of two in decimal.
fn binary(out: &mut Vec<u8>, value: f64) {
    let (mantissa, exponent) = parts(value);
    let exponent = exponent - 52;
    let sign = if exponent >= 0 { "+" } else { "" };
    out.extend_from_slice(format!("{mantissa}p{sign}{exponent}").as_bytes());
}

/// `%x`: `0x1.8p+01`.
fn hexadecimal(out: &mut Vec<u8>, value: f64, verb: u8, precision: Option<usize>) {
    const ONE: u64 = 1 << 60;
    let (mut mantissa, mut exponent) = parts(value);
    if mantissa == 0 {
        exponent = 0;
    }
    mantissa <<= 60 - 52;
    while mantissa != 0 && mantissa & ONE == 0 {
        mantissa <<= 1;
        exponent -= 1;
    }
    if let Some(precision @ ..15) = precision {
        let shift = 4 * precision as u32;
        let extra = (mantissa << shift) & (ONE - 1);
        mantissa >>= 60 - shift;
        mantissa += u64::from((extra | (mantissa & 1)) > 1 << 59);
        mantissa <<= 60 - shift;
        if mantissa & (1 << 61) != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let digits: &[u8; 16] = match verb {
        b'X' => b"0123456789ABCDEF",
        _ => b"0123456789abcdef",
    };
    let digit = |mantissa: u64| {
        digits
            .get((mantissa >> 60 & 15) as usize)
            .copied()
            .unwrap_or(b'0')
    };
    out.extend_from_slice(&[b'0', verb, b'0' + (mantissa >> 60 & 1) as u8]);
    mantissa <<= 4;
    match precision {
        None if mantissa != 0 => {
            out.push(b'.');
            while mantissa != 0 {
                out.push(digit(mantissa));
                mantissa <<= 4;
            }
        }
        Some(precision) if precision > 0 => {
            out.push(b'.');
            for _ in 0..precision {
                out.push(digit(mantissa));
                mantissa <<= 4;
            }
        }
        _ => {}
    }
    out.push(if verb == b'X' { b'P' } else { b'p' });
    let sign = if exponent < 0 { '-' } else { '+' };
    out.extend_from_slice(format!("{sign}{:02}", exponent.unsigned_abs()).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: f64, verb: u8, precision: Option<usize>) -> String {
        String::from_utf8(format(value, verb, precision)).unwrap()
    }

    #[test]
    fn format_numbers_are_gos() {
        for (value, verb, precision, expected) in [
            (1_234_567.0, b'g', None, "1.234567e+06"),
            (123_456.5, b'g', None, "123456.5"),
            (0.0001, b'g', None, "0.0001"),
            (0.00001, b'g', None, "1e-05"),
            (0.0, b'g', None, "0"),
            (-0.0, b'g', None, "-0"),
            (1e21, b'g', Some(3), "1e+21"),
            (100_000.0, b'g', Some(3), "1e+05"),
            (1234.5678, b'g', Some(6), "1234.57"),
            (5e-324, b'g', None, "5e-324"),
            (0.0, b'e', Some(2), "0.00e+00"),
            (4_294_967_296.0, b'f', Some(0), "4294967296"),
            (4_294_967_296.0, b'b', None, "4503599627370496p-20"),
            (1.5, b'x', None, "0x1.8p+00"),
            (1.5, b'X', Some(0), "0X1P+01"),
            (f64::INFINITY, b'g', None, "+Inf"),
        ] {
            assert_eq!(text(value, verb, precision), expected);
        }
        assert_eq!(text(1.0, b'f', Some(70_000)).len(), 70_002);
    }
}
