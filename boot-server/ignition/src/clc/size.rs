//! Sizes with units, in sectors.
//!
//! Source: the Go package alecthomas/units, `ParseBase2Bytes`.

use crate::finding::Reason;

const BYTES_PER_SECTOR: f64 = 512.0;

/// Returns the sectors of a size such as `1.5GiB`.
pub(super) fn sectors(text: &str) -> Result<i64, Reason> {
    if text.is_empty() {
        return Ok(0);
    }
    let bytes = bytes(text, "iB").or_else(|_| bytes(text, "B"))?;
    if bytes < 0.0 {
        return Err(Reason::NegativeSize(text.to_owned()));
    }
    Ok((bytes.trunc() / BYTES_PER_SECTOR).ceil() as i64)
}

fn bytes(text: &str, suffix: &str) -> Result<f64, Reason> {
    let (is_negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0.0);
    }
    let mut sum = 0.0;
    loop {
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        // A second point begins the unit.
        let second = number.match_indices('.').nth(1).map(|(at, _)| at);
        let (number, after) = match second {
            Some(at) => (&number[..at], &rest[at..]),
            None => (number, after),
        };
        let number: f64 = number
            .parse()
            .map_err(|_| Reason::InvalidSize(text.to_owned()))?;
        let end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let unit = &after[..end];
        let power = match unit.strip_suffix(suffix) {
            Some("K") => 1,
            Some("M") => 2,
            Some("G") => 3,
            Some("T") => 4,
            Some("P") => 5,
            Some("E") => 6,
            _ if unit == "B" => 0,
            _ => return Err(Reason::UnknownUnit(unit.to_owned(), text.to_owned())),
        };
        sum += number * 1024_f64.powi(power);
        rest = &after[end..];
        if rest.is_empty() {
            return Ok(if is_negative { -sum } else { sum });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_is_rounded_up_to_sectors() {
        for (text, wanted) in [
            ("1KiB", 2),
            ("1MB", 2048),
            ("1.5GiB", 3 << 20),
            ("1GB1MB", (1 << 21) + 2048),
            ("513B", 2),
            ("0", 0),
            ("", 0),
        ] {
            assert_eq!(sectors(text), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn size_without_unit_is_refused() {
        for text in ["512", "1M", "1 GiB", "1gib"] {
            assert!(
                matches!(sectors(text), Err(Reason::UnknownUnit(..))),
                "{text}"
            );
        }
        for text in ["GiB", "abc", "-"] {
            assert!(
                matches!(sectors(text), Err(Reason::InvalidSize(_))),
                "{text}"
            );
        }
        assert_eq!(
            sectors("-1GiB"),
            Err(Reason::NegativeSize("-1GiB".to_owned()))
        );
    }
}
