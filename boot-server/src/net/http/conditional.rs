//! Conditional requests (RFC 9110, section 13) for files whose only validator is `Last-Modified`.
//!
//! Files have no entity tags, so `If-Match` fails for every tag, and `If-None-Match` is met by every one.

use axum::http::{HeaderMap, HeaderName, Method, header};
use jiff::Timestamp;

/// The outcome of a request's conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Precondition {
    /// The request is answered.
    Met,
    /// The client has it already (304).
    NotModified,
    /// The client wants another state of the file (412).
    Failed,
}

impl Precondition {
    /// Evaluates the conditions in the order of RFC 9110, section 13.2.2. HTTP dates count whole seconds.
    pub(super) fn of(method: &Method, headers: &HeaderMap, modified: Timestamp) -> Precondition {
        let modified = modified.as_second();
        match (
            text(headers, header::IF_MATCH),
            date(headers, header::IF_UNMODIFIED_SINCE),
        ) {
            (Some("*"), _) => {}
            (Some(_), _) => return Precondition::Failed,
            (None, Some(since)) if modified > since => return Precondition::Failed,
            (None, _) => {}
        }
        let reads = matches!(*method, Method::GET | Method::HEAD);
        match (
            text(headers, header::IF_NONE_MATCH),
            date(headers, header::IF_MODIFIED_SINCE),
        ) {
            (Some("*"), _) if reads => Precondition::NotModified,
            (Some("*"), _) => Precondition::Failed,
            // A tag that we did not give is none of this file; the date does not count beside it.
            (Some(_), _) => Precondition::Met,
            (None, Some(since)) if reads && modified <= since => Precondition::NotModified,
            (None, _) => Precondition::Met,
        }
    }
}

/// True if the `Range` applies: the request has no `If-Range`, or `If-Range` names exactly this state of the file.
pub(super) fn range_is_of(headers: &HeaderMap, modified: Option<Timestamp>) -> bool {
    if !headers.contains_key(header::IF_RANGE) {
        return true;
    }
    let since = date(headers, header::IF_RANGE);
    since.is_some() && since == modified.map(Timestamp::as_second)
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    // Bytes that are not text are not a tag of this server.
    let value = headers.get(name)?;
    Some(value.to_str().unwrap_or_default().trim())
}

/// Parses an HTTP date into seconds since the Unix epoch; a malformed date is ignored.
fn date(headers: &HeaderMap, name: HeaderName) -> Option<i64> {
    let text = headers.get(name)?.to_str().ok()?;
    let parsed = jiff::fmt::rfc2822::parse(text.trim()).ok()?;
    Some(parsed.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Sun, 29 Nov 2026 10:00:00 GMT";
    const BEFORE: &str = "Sun, 29 Nov 2026 09:59:59 GMT";

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| {
                let name: HeaderName = name.parse().unwrap();
                (name, value.parse().unwrap())
            })
            .collect()
    }

    fn modified() -> Timestamp {
        let at = jiff::fmt::rfc2822::parse(DATE).unwrap().timestamp();
        // Half a second that no HTTP date can tell.
        at + jiff::SignedDuration::from_millis(500)
    }

    #[test]
    fn conditions_are_evaluated_as_rfc_9110_orders_them() {
        use Precondition::{Failed, Met, NotModified};
        for (method, fields, wanted) in [
            (Method::GET, &[][..], Met),
            (Method::GET, &[("if-modified-since", DATE)], NotModified),
            (Method::HEAD, &[("if-modified-since", DATE)], NotModified),
            (Method::POST, &[("if-modified-since", DATE)], Met),
            (Method::GET, &[("if-modified-since", BEFORE)], Met),
            (Method::GET, &[("if-modified-since", "yesterday")], Met),
            (Method::GET, &[("if-unmodified-since", DATE)], Met),
            (Method::GET, &[("if-unmodified-since", BEFORE)], Failed),
            (
                Method::GET,
                &[("if-match", "*"), ("if-unmodified-since", BEFORE)],
                Met,
            ),
            (Method::GET, &[("if-match", "\"tag\"")], Failed),
            (Method::GET, &[("if-none-match", "*")], NotModified),
            (Method::POST, &[("if-none-match", "*")], Failed),
            (
                Method::GET,
                &[("if-none-match", "\"tag\""), ("if-modified-since", DATE)],
                Met,
            ),
        ] {
            let found = Precondition::of(&method, &headers(fields), modified());
            assert_eq!(found, wanted, "{method} {fields:?}");
        }
    }

    #[test]
    fn range_counts_only_for_the_state_that_if_range_names() {
        for (value, counts) in [
            (DATE, true),
            (BEFORE, false),
            ("Sun, 29 Nov 2026 10:00:01 GMT", false),
            ("\"tag\"", false),
            ("W/\"tag\"", false),
        ] {
            let headers = headers(&[("if-range", value)]);
            assert_eq!(range_is_of(&headers, Some(modified())), counts, "{value}");
            assert!(!range_is_of(&headers, None), "{value}");
        }
        assert!(range_is_of(&HeaderMap::new(), Some(modified())));
    }
}
