//! Parts of a file by HTTP (RFC 9110 §14.4), which are hashed as one file.
//!
//! The parts have to follow each other without a gap, over one connection or several. Parts in another order are not
//! joined, because a hash cannot be computed backwards.

use std::collections::HashMap;
use std::net::IpAddr;

use super::content::Gathering;
use crate::evidence::packet::Direction;

/// Maximum number of files of which the next part is waited for.
const FILE_LIMIT: usize = 64;

/// Status of an answer that is a part (RFC 9110 §15.3.7).
pub(super) const PARTIAL_CONTENT: u16 = 206;

/// `Content-Range` of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    /// Offset of the first byte.
    start: u64,
    /// Size of the whole file in bytes.
    total: u64,
}

impl Range {
    /// Parses `bytes FIRST-LAST/TOTAL`; `None` if the size is unknown.
    pub(super) fn parse(header: &str) -> Option<Range> {
        let (places, total) = header.trim().strip_prefix("bytes ")?.split_once('/')?;
        let (start, _) = places.split_once('-')?;
        Some(Range {
            start: start.trim().parse().ok()?,
            total: total.trim().parse().ok()?,
        })
    }
}

/// File by the address of its server and its target.
type File = (Option<IpAddr>, String);

/// Part whose body is being received.
#[derive(Debug)]
pub(super) struct Part {
    file: File,
    range: Range,
}

/// Files of which some parts arrived.
#[derive(Debug, Default)]
pub(super) struct Parts(HashMap<File, Begun>);

#[derive(Debug)]
struct Begun {
    content: Gathering,
    next: u64,
    total: u64,
}

impl Parts {
    /// Begins a part; `None` if it does not follow the parts that arrived.
    pub(super) fn begin(
        &mut self,
        file: File,
        range: Range,
        direction: Option<Direction>,
    ) -> Option<(Part, Gathering)> {
        let before = self.0.remove(&file);
        let content = match range.start {
            0 => Gathering::of(direction)?,
            start => {
                let follows =
                    before.filter(|begun| (begun.next, begun.total) == (start, range.total));
                follows?.content
            }
        };
        Some((Part { file, range }, content))
    }

    /// Ends a part of this length; returns the content of the whole file after its last part.
    pub(super) fn end(&mut self, part: Part, content: Gathering, length: u64) -> Option<Gathering> {
        let Part { file, range } = part;
        let next = range.start.saturating_add(length);
        if next == range.total {
            return Some(content);
        }
        if self.0.len() < FILE_LIMIT {
            let total = range.total;
            let begun = Begun {
                content,
                next,
                total,
            };
            self.0.insert(file, begun);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_range_of_a_known_size_is_read() {
        let range = Range { start: 5, total: 9 };
        assert_eq!(Range::parse("bytes 5-8/9"), Some(range));
        for other in ["bytes 5-8/*", "bytes */9", "items 5-8/9", "bytes 5/9", ""] {
            assert_eq!(Range::parse(other), None, "{other}");
        }
    }
}
