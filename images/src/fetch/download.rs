//! Attempt at a download: a `Range` to resume a partial file (RFC 9110, section 14), with `If-Range` so that
//! two versions of a file are never joined.

use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_RANGE, ETAG, HeaderMap, IF_RANGE, LAST_MODIFIED, RANGE,
};
use reqwest::{Client, Response, StatusCode};

use super::partial::Partial;
use super::retry::Fault;
use super::{FetchError, Step};

/// Goes on with `partial` until it is whole.
pub(super) async fn go_on(
    client: &Client,
    url: &str,
    partial: &mut Partial,
    tell: &mut dyn FnMut(Step<'_>) -> bool,
) -> Result<(), Fault> {
    // What is hashed and signed are the bytes as they are stored.
    let mut request = client.get(url).header(ACCEPT_ENCODING, "identity");
    let have = partial.len();
    if let Some(validator) = partial.validator() {
        request = request
            .header(RANGE, format!("bytes={have}-"))
            .header(IF_RANGE, validator);
    }
    let mut response = request.send().await.map_err(|error| Fault::of(&error))?;
    let total = match response.status() {
        StatusCode::PARTIAL_CONTENT => match continued(&response, partial) {
            Some(total) => total,
            None => {
                restart(partial, None)?;
                return Err(Fault::Passing(
                    "the server resumed at an offset other than the requested one".into(),
                ));
            }
        },
        // Nothing is left to send: the last attempt ended just before it could say so.
        StatusCode::RANGE_NOT_SATISFIABLE
            if have > 0 && unsatisfied_length(&response) == Some(have) =>
        {
            return Ok(());
        }
        StatusCode::RANGE_NOT_SATISFIABLE if have > 0 => {
            restart(partial, None)?;
            return Err(Fault::Passing(
                "the server's file is shorter than the part already fetched".into(),
            ));
        }
        status if status.is_success() => {
            restart(partial, validator(response.headers()))?;
            response.content_length()
        }
        status => return Err(Fault::of_status(url, status)),
    };
    while let Some(chunk) = response.chunk().await.map_err(|error| Fault::of(&error))? {
        partial.append(&chunk).map_err(Fault::Final)?;
        let step = Step::Bytes {
            have: partial.len(),
            total,
        };
        if !tell(step) {
            return Err(Fault::Final(FetchError::Stopped {
                url: url.to_owned(),
            }));
        }
    }
    match total {
        Some(total) if partial.len() < total => Err(Fault::Passing(format!(
            "connection closed after {} of {total} bytes",
            partial.len()
        ))),
        _ => Ok(()),
    }
}

fn restart(partial: &mut Partial, validator: Option<String>) -> Result<(), Fault> {
    partial.restart(validator).map_err(Fault::Final)
}

/// Returns the total length, if the answer resumes exactly where `partial` ends, with the same file.
fn continued(response: &Response, partial: &Partial) -> Option<Option<u64>> {
    let headers = response.headers();
    let same = match (validator(headers), partial.validator()) {
        (Some(now), Some(before)) => now == before,
        _ => true,
    };
    let range = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let (start, total) = parse_content_range(range)?;
    (same && start == partial.len()).then_some(total)
}

/// Returns the whole length in the `bytes */10` of a 416 (RFC 9110, section 15.5.17).
fn unsatisfied_length(response: &Response) -> Option<u64> {
    let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes */")?.parse().ok()
}

/// First byte and whole length of `bytes 5-9/10` or `bytes 5-9/*`.
fn parse_content_range(range: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = range.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    let total = match total {
        "*" => None,
        number => Some(number.parse().ok()?),
    };
    Some((start.parse().ok()?, total))
}

/// Returns the validator for `If-Range`: a strong `ETag`, else `Last-Modified` (RFC 9110, section 13.1.5).
fn validator(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::to_owned);
    text(ETAG)
        .filter(|tag| !tag.starts_with("W/"))
        .or_else(|| text(LAST_MODIFIED))
}

/// Something short, whole.
pub(super) async fn short(
    client: &Client,
    url: &str,
    limit_bytes: usize,
) -> Result<Vec<u8>, Fault> {
    let response = client.get(url).header(ACCEPT_ENCODING, "identity").send();
    let mut response = response.await.map_err(|error| Fault::of(&error))?;
    if !response.status().is_success() {
        return Err(Fault::of_status(url, response.status()));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| Fault::of(&error))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > limit_bytes {
            return Err(Fault::Final(FetchError::TooLong {
                url: url.to_owned(),
                limit_bytes,
            }));
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_range_is_read() {
        assert_eq!(parse_content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(parse_content_range("bytes 0-9/*"), Some((0, None)));
        assert_eq!(parse_content_range("bytes */10"), None);
        assert_eq!(parse_content_range("lines 5-9/10"), None);
    }

    #[test]
    fn a_weak_etag_is_no_validator() {
        let mut headers = HeaderMap::new();
        headers.insert(ETAG, "W/\"a\"".parse().unwrap());
        assert_eq!(validator(&headers), None);
        headers.insert(
            LAST_MODIFIED,
            "Tue, 10 Nov 2026 00:00:00 GMT".parse().unwrap(),
        );
        assert_eq!(
            validator(&headers).as_deref(),
            Some("Tue, 10 Nov 2026 00:00:00 GMT")
        );
        headers.insert(ETAG, "\"b\"".parse().unwrap());
        assert_eq!(validator(&headers).as_deref(), Some("\"b\""));
    }
}
