//! Request lines as Go's server takes them: bytes that hyper refuses in a target become `%XX`.
//!
//! Boot firmware and hand-written kernel lines send `"`, `<`, `>` and UTF-8 as they are. bootcfg, matchbox and Pixiecore
//! answered those.

/// The place in the heads of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    /// In the method, or in the empty lines before it.
    #[default]
    Method,
    /// Behind the first space of a request line.
    Target,
    /// At the beginning of a header line.
    LineStart,
    /// In a header line.
    Line,
}

/// Follows the bytes of a connection from head to head. Bodies are never read here, so that what follows a
/// head is the next one, or does not matter.
#[derive(Debug, Default)]
pub struct RequestLines {
    place: Place,
}

impl RequestLines {
    /// Takes the next bytes; returns rewritten ones when some had to be escaped.
    pub fn escape(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut escaped: Option<Vec<u8>> = None;
        let mut rest = bytes;
        while !rest.is_empty() {
            let place = self.place;
            let end = rest.iter().position(|byte| place.ends_at(*byte));
            let (part, after) = rest.split_at(end.map_or(rest.len(), |end| end + 1));
            let last = part.split_last().filter(|_| end.is_some());
            match last {
                Some((byte, before)) if place == Place::Target && is_refused(*byte) => {
                    let text = escaped.get_or_insert_with(|| {
                        let mut text = Vec::with_capacity(bytes.len() + 16);
                        let done = bytes.len() - rest.len();
                        text.extend_from_slice(bytes.get(..done).unwrap_or_default());
                        text
                    });
                    text.extend_from_slice(before);
                    text.extend_from_slice(format!("%{byte:02X}").as_bytes());
                }
                _ => {
                    if let Some(text) = &mut escaped {
                        text.extend_from_slice(part);
                    }
                    self.place = last.map_or(place, |(byte, _)| place.after(*byte));
                }
            }
            rest = after;
        }
        escaped
    }
}

impl Place {
    /// True for a byte that may lead to another place, or that is to be escaped.
    fn ends_at(self, byte: u8) -> bool {
        match self {
            Place::Method => byte == b' ',
            Place::Target => byte == b'\n' || is_refused(byte),
            Place::LineStart => true,
            Place::Line => byte == b'\n',
        }
    }

    /// Returns the place behind such a byte.
    fn after(self, byte: u8) -> Place {
        match (self, byte) {
            (Place::Method, b' ') => Place::Target,
            (Place::Target | Place::Line, b'\n') => Place::LineStart,
            (Place::LineStart, b'\r') => Place::LineStart,
            (Place::LineStart, b'\n') => Place::Method,
            (Place::LineStart, _) => Place::Line,
            (place, _) => place,
        }
    }
}

/// True for what the type of targets does not take and Go's does. Control characters are refused by both.
fn is_refused(byte: u8) -> bool {
    matches!(byte, b'"' | b'<' | b'>' | b'`' | b'#' | 0x80..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8], chunk: usize) -> Vec<u8> {
        let mut lines = RequestLines::default();
        let parts = bytes.chunks(chunk);
        parts
            .flat_map(|part| lines.escape(part).unwrap_or_else(|| part.to_vec()))
            .collect()
    }

    #[test]
    fn refused_bytes_are_escaped_in_targets_only_wherever_the_stream_is_cut() {
        let sent =
            "GET /a?b=\"<\u{e9}>#` HTTP/1.1\r\nhost: \"<x>\"\r\n\r\n\r\nGET /\"> HTTP/1.1\r\n\r\n";
        let wanted = "GET /a?b=%22%3C%C3%A9%3E%23%60 HTTP/1.1\r\nhost: \"<x>\"\r\n\r\n\r\n\
                      GET /%22%3E HTTP/1.1\r\n\r\n";
        for chunk in 1..sent.len() {
            let escaped = String::from_utf8(all(sent.as_bytes(), chunk)).unwrap();
            assert_eq!(escaped, wanted, "cut after each {chunk}");
        }
    }

    #[test]
    fn stream_without_such_bytes_is_not_copied() {
        let sent = b"GET /ipxe?uuid=1 HTTP/1.1\r\nhost: \"x\"\r\n\r\n";
        assert_eq!(RequestLines::default().escape(sent), None);
    }
}
