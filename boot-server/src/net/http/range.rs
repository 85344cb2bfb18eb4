//! Byte ranges (RFC 9110, section 14), as Go's `http.ServeContent` answers them.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use boot_server_events::sha256_hex;

use super::answer::Answer;

/// Requested part of a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it.
    Whole,
    /// From the first offset up to, but not including, the second.
    Range(u64, u64),
}

/// Reasons to refuse a `Range` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidRange {
    #[error("invalid range")]
    Syntax,
    #[error("invalid range: failed to overlap")]
    NoOverlap,
}

/// Reads the `Range` header for a content of this length. Several ranges at once, which no boot
/// loader asks for, are answered with the whole content, as RFC 9110 allows.
pub(crate) fn part(headers: &HeaderMap, length: u64) -> Result<Part, InvalidRange> {
    let Some(value) = headers.get(header::RANGE) else {
        return Ok(Part::Whole);
    };
    let text = value.to_str().map_err(|_| InvalidRange::Syntax)?;
    let ranges = text.strip_prefix("bytes=").ok_or(InvalidRange::Syntax)?;
    if ranges.contains(',') {
        return Ok(Part::Whole);
    }
    let (first, last) = ranges.trim().split_once('-').ok_or(InvalidRange::Syntax)?;
    let number = |text: &str| match text.bytes().all(|b| b.is_ascii_digit()) {
        true => text.parse::<u64>().map_err(|_| InvalidRange::Syntax),
        false => Err(InvalidRange::Syntax),
    };
    if first.is_empty() {
        let suffix = number(last)?.min(length);
        return match suffix {
            0 => Err(InvalidRange::NoOverlap),
            suffix => Ok(Part::Range(length - suffix, length)),
        };
    }
    let first = number(first)?;
    if first >= length {
        return Err(InvalidRange::NoOverlap);
    }
    if last.is_empty() {
        return Ok(Part::Range(first, length));
    }
    let last = number(last)?;
    if last < first {
        return Err(InvalidRange::Syntax);
    }
    Ok(Part::Range(first, last.saturating_add(1).min(length)))
}

impl Part {
    /// First offset and length of the part.
    pub(crate) fn extent(self, length: u64) -> (u64, u64) {
        match self {
            Part::Whole => (0, length),
            Part::Range(first, end) => (first, end - first),
        }
    }

    /// Sets status and headers of an answer that holds this part of a content of this length.
    pub(crate) fn describe(self, answer: Answer, length: u64) -> Answer {
        let (_, part_length) = self.extent(length);
        let answer = answer
            .header(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"))
            .header(header::CONTENT_LENGTH, HeaderValue::from(part_length));
        match self {
            Part::Whole => answer,
            Part::Range(first, end) => content_range(
                answer.status(StatusCode::PARTIAL_CONTENT),
                &format!("bytes {first}-{}/{length}", end - 1),
            ),
        }
    }
}

fn content_range(answer: Answer, text: &str) -> Answer {
    match HeaderValue::from_str(text) {
        Ok(value) => answer.header(header::CONTENT_RANGE, value),
        Err(_) => answer,
    }
}

/// Returns the answer to a range that cannot be served.
pub(crate) fn unsatisfiable(error: InvalidRange, length: u64) -> Answer {
    let line = error.to_string();
    let answer = Answer::error(StatusCode::RANGE_NOT_SATISFIABLE, &line, None, &line);
    match error {
        InvalidRange::NoOverlap => content_range(answer, &format!("bytes */{length}")),
        InvalidRange::Syntax => answer,
    }
}

/// Returns a text, or the part of it that is asked for.
pub(crate) fn serve_text(
    headers: &HeaderMap,
    content_type: &'static str,
    text: Vec<u8>,
    detail: String,
) -> Answer {
    let length = text.len() as u64;
    // A rendered text has neither date nor tag, so that no `If-Range` names it.
    let part = match headers.contains_key(header::IF_RANGE) {
        true => Ok(Part::Whole),
        false => part(headers, length),
    };
    let part = match part {
        Ok(part) => part,
        Err(error) => return unsatisfiable(error, length),
    };
    let mut bytes = axum::body::Bytes::from(text);
    let sha256 = sha256_hex(&bytes);
    if let Part::Range(first, end) = part {
        // `part` keeps both within the length, which is a `usize`.
        bytes = bytes.slice(first as usize..end as usize);
    }
    let answer = Answer::ok(content_type, bytes, detail).sha256(sha256);
    part.describe(answer, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(range: &str) -> Result<Part, InvalidRange> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, range.parse().unwrap());
        part(&headers, 10)
    }

    #[test]
    fn ranges_are_cut_to_the_content() {
        assert_eq!(part(&HeaderMap::new(), 10), Ok(Part::Whole));
        assert_eq!(asked("bytes=0-0"), Ok(Part::Range(0, 1)));
        assert_eq!(asked("bytes=3-"), Ok(Part::Range(3, 10)));
        assert_eq!(asked("bytes=3-99"), Ok(Part::Range(3, 10)));
        assert_eq!(asked("bytes=-3"), Ok(Part::Range(7, 10)));
        assert_eq!(asked("bytes=-30"), Ok(Part::Range(0, 10)));
        assert_eq!(asked("bytes=0-1,3-4"), Ok(Part::Whole));
    }

    #[test]
    fn impossible_ranges_are_told_apart_from_senseless_ones() {
        assert_eq!(asked("bytes=10-"), Err(InvalidRange::NoOverlap));
        assert_eq!(asked("bytes=-0"), Err(InvalidRange::NoOverlap));
        for senseless in ["bytes=5-4", "bytes=", "bytes=a-", "lines=1-2", "bytes=+1-2"] {
            assert_eq!(asked(senseless), Err(InvalidRange::Syntax), "{senseless}");
        }
    }
}
