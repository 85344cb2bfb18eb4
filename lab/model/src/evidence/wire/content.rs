//! Content of a transfer as it arrives at a machine's own port: its hash, and its text if it is short.

use sha2::{Digest, Sha256};

use crate::evidence::packet::{Content, Direction};

/// Maximum length of content kept as text, in bytes.
const TEXT_LIMIT_BYTES: usize = 1 << 20;

/// Maximum length of a chunked body that is reassembled, in bytes including chunk headers.
const CHUNKED_LIMIT_BYTES: usize = 4 << 20;

/// Content that is being received.
#[derive(Debug)]
pub(super) struct Gathering {
    hash: Sha256,
    /// All bytes so far, if they may be a short text or are chunked.
    bytes: Option<Vec<u8>>,
    is_chunked: bool,
    /// True if no byte is missing.
    is_whole: bool,
}

impl Gathering {
    /// Starts for this direction; `None` unless the machine is the receiver.
    pub(super) fn of(direction: Option<Direction>) -> Option<Gathering> {
        (direction == Some(Direction::ToMachine)).then(|| Gathering {
            hash: Sha256::new(),
            bytes: Some(Vec::new()),
            is_chunked: false,
            is_whole: true,
        })
    }

    /// Starts for a chunked body (RFC 9112 §7.1).
    pub(super) fn of_chunks(direction: Option<Direction>) -> Option<Gathering> {
        Gathering::of(direction).map(|gathering| Gathering {
            is_chunked: true,
            ..gathering
        })
    }

    /// Adds the next `length` bytes, of which `seen` were captured.
    pub(super) fn take(&mut self, seen: &[u8], length: usize) {
        self.is_whole &= seen.len() == length;
        if !self.is_whole {
            self.bytes = None;
            return;
        }
        if !self.is_chunked {
            self.hash.update(seen);
        }
        let limit = match self.is_chunked {
            true => CHUNKED_LIMIT_BYTES,
            false => TEXT_LIMIT_BYTES,
        };
        match &mut self.bytes {
            Some(bytes) if bytes.len() + seen.len() <= limit => bytes.extend_from_slice(seen),
            bytes => *bytes = None,
        }
    }

    /// Returns the content; `None` if it is incomplete.
    pub(super) fn finish(self) -> Option<Content> {
        if !self.is_whole {
            return None;
        }
        let (hash, bytes) = match (self.is_chunked, self.bytes) {
            (false, bytes) => (self.hash, bytes),
            (true, bytes) => {
                let joined = joined(&bytes?)?;
                (Sha256::new_with_prefix(&joined), Some(joined))
            }
        };
        let text = bytes
            .filter(|bytes| bytes.len() <= TEXT_LIMIT_BYTES)
            .and_then(|bytes| String::from_utf8(bytes).ok());
        Some(Content {
            sha256: hex::encode(hash.finalize()),
            text,
        })
    }
}

/// Joins the chunks of a body; `None` if they are malformed or the last one is missing.
fn joined(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let httparse::Status::Complete((head, length)) = httparse::parse_chunk_size(body).ok()?
        else {
            return None;
        };
        if length == 0 {
            return Some(all);
        }
        let length = usize::try_from(length).ok()?;
        let end = head.checked_add(length)?;
        all.extend_from_slice(body.get(head..end)?);
        body = body.get(end..)?.strip_prefix(b"\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf abc | sha256sum`.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn content_in_pieces_is_hashed_and_kept_as_text() {
        let mut gathering = Gathering::of(Some(Direction::ToMachine)).unwrap();
        gathering.take(b"a", 1);
        gathering.take(b"bc", 2);
        let content = gathering.finish().unwrap();
        assert_eq!(content.sha256, ABC);
        assert_eq!(content.text.as_deref(), Some("abc"));
    }

    #[test]
    fn content_with_a_gap_is_not_known() {
        let mut gathering = Gathering::of(Some(Direction::ToMachine)).unwrap();
        gathering.take(b"a", 3);
        gathering.take(b"bc", 2);
        assert_eq!(gathering.finish(), None);
    }

    #[test]
    fn what_a_machine_sends_is_not_gathered() {
        assert!(Gathering::of(Some(Direction::FromMachine)).is_none());
        assert!(Gathering::of(None).is_none());
    }

    #[test]
    fn chunks_are_joined_before_they_are_hashed() {
        let mut gathering = Gathering::of_chunks(Some(Direction::ToMachine)).unwrap();
        let body = b"1\r\na\r\n2;x=y\r\nbc\r\n0\r\n\r\n";
        gathering.take(body, body.len());
        assert_eq!(gathering.finish().unwrap().sha256, ABC);
    }

    #[test]
    fn malformed_chunks_have_no_content() {
        for body in [&b"2\r\na\r\n0\r\n\r\n"[..], b"x", b"1\r\na\r\n"] {
            let mut gathering = Gathering::of_chunks(Some(Direction::ToMachine)).unwrap();
            gathering.take(body, body.len());
            assert_eq!(gathering.finish(), None, "{body:?}");
        }
    }

    #[test]
    fn long_content_has_a_hash_and_no_text() {
        let mut gathering = Gathering::of(Some(Direction::ToMachine)).unwrap();
        let half = vec![b'x'; TEXT_LIMIT_BYTES];
        gathering.take(&half, half.len());
        gathering.take(&half, half.len());
        let content = gathering.finish().unwrap();
        assert_eq!((content.sha256.len(), content.text), (64, None));
    }
}
