//! Parser of the head of an HTTP/1 request or response (RFC 9112).

use super::parts::Range;
use crate::evidence::packet::PacketContent;

/// Request whose answer is awaited.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) is_head: bool,
    pub(super) target: String,
}

/// Maximum number of header lines per head.
const HEADER_LIMIT: usize = 64;

/// First words of messages.
const BEGINNINGS: [&[u8]; 8] = [
    b"HTTP/1.",
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"OPTIONS ",
    b"DELETE ",
    b"PATCH ",
];

/// Relevant parts of a head.
pub(super) struct Head {
    /// Length in bytes.
    pub(super) length: usize,
    /// Length of the body in bytes; `None` if only its end shows it.
    pub(super) body: Option<u64>,
    /// True if the body is chunked (RFC 9112 §7.1).
    pub(super) is_chunked: bool,
    /// Place of the body in its file, if the body is a part.
    pub(super) range: Option<Range>,
    pub(super) said: PacketContent,
}

/// True if the bytes may be the beginning of a message.
pub(super) fn is_begun(bytes: &[u8]) -> bool {
    BEGINNINGS.iter().any(|beginning| {
        let common = beginning.len().min(bytes.len());
        common > 0 && beginning.get(..common) == bytes.get(..common)
    })
}

/// Terminates a partially captured head after its last complete line.
pub(super) fn closed(head: &[u8]) -> Vec<u8> {
    let lines = head.windows(2).rposition(|two| two == b"\r\n");
    let mut closed = head.get(..lines.unwrap_or(0)).unwrap_or_default().to_vec();
    closed.extend_from_slice(b"\r\n\r\n");
    closed
}

/// Parses a head; `None` if it is incomplete. `asked` is the request that a response answers.
pub(super) fn parse(bytes: &[u8], asked: Option<&Asked>) -> Result<Option<Head>, httparse::Error> {
    let mut headers = [httparse::EMPTY_HEADER; HEADER_LIMIT];
    if bytes.starts_with(b"HTTP/") {
        let mut response = httparse::Response::new(&mut headers);
        let parsed = response.parse(bytes)?;
        let (httparse::Status::Complete(length), Some(status)) = (parsed, response.code) else {
            return Ok(None);
        };
        let content_length = content_length(response.headers);
        let is_bodiless =
            status < 200 || matches!(status, 204 | 304) || asked.is_some_and(|asked| asked.is_head);
        Ok(Some(Head {
            length,
            body: if is_bodiless { Some(0) } else { content_length },
            is_chunked: header(response.headers, "transfer-encoding")
                .is_some_and(|coding| coding.trim().eq_ignore_ascii_case("chunked")),
            range: header(response.headers, "content-range").and_then(|text| Range::parse(&text)),
            said: PacketContent::HttpResponse {
                status,
                length: content_length,
                target: asked.map(|asked| asked.target.clone()),
                body: None,
            },
        }))
    } else {
        let mut request = httparse::Request::new(&mut headers);
        let parsed = request.parse(bytes)?;
        let (httparse::Status::Complete(length), Some(method), Some(target)) =
            (parsed, request.method, request.path)
        else {
            return Ok(None);
        };
        Ok(Some(Head {
            length,
            // A request without a length has no body (RFC 9112 §6.3).
            body: Some(content_length(request.headers).unwrap_or(0)),
            is_chunked: false,
            range: None,
            said: PacketContent::HttpRequest {
                method: method.to_owned(),
                target: target.to_owned(),
                host: header(request.headers, "host"),
                user_agent: header(request.headers, "user-agent"),
            },
        }))
    }
}

/// Returns `Content-Length`, unless the body is chunked (RFC 9112 §6.3).
fn content_length(headers: &[httparse::Header<'_>]) -> Option<u64> {
    if header(headers, "transfer-encoding").is_some() {
        return None;
    }
    header(headers, "content-length")?.trim().parse().ok()
}

fn header(headers: &[httparse::Header<'_>], name: &str) -> Option<String> {
    headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case(name))
        .map(|header| String::from_utf8_lossy(header.value).into_owned())
}
/// Returns the type of the handshake message with which a TLS connection begins; `None` for other data
/// (RFC 8446 §5.1: a record of type 22 and of version 3.x).
pub(super) fn tls_handshake(begin: &[u8]) -> Option<u8> {
    match begin {
        [22, 3, 0..=4, _, _, handshake, ..] => Some(*handshake),
        _ => None,
    }
}
