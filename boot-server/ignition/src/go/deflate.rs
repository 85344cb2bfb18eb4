//! Length of what Go's `compress/gzip` makes of contents at its best level.
//!
//! Butane compresses contents when that is shorter, so the length decides what a config contains. Only the length is
//! computed here: the contents are compressed with the project's own library, whose result may be shorter.
//!
//! The length follows from this: Go finds matches of at least four bytes, prefers a longer match one byte later, writes
//! blocks of 16384 tokens in the shortest of three forms, and ends the stream with an empty block.

use std::collections::HashMap;

use super::huffman::dynamic_bits;

/// Bytes of a gzip header and trailer, and of the empty block.
const FRAME: usize = 10 + 8 + 4;
const WINDOW: usize = 1 << 15;
const MIN_MATCH: usize = 4;
const MAX_MATCH: usize = 258;
const MAX_CHAIN: usize = 4096;
const MAX_TOKENS: usize = 1 << 14;
/// Longest stored block.
const MAX_STORED: usize = 65_535;
/// Contents of more bytes are not searched for matches: the first of them decide as well.
const MAX_SEARCHED: usize = 1 << 18;

/// Returns the length of the compressed contents, an estimate for long ones.
pub(crate) fn gzip_length(contents: &[u8]) -> usize {
    let searched = contents.get(..MAX_SEARCHED).unwrap_or(contents);
    let mut bits = 0;
    let mut start = 0;
    for block in tokens(searched).chunks(MAX_TOKENS) {
        let length = block
            .iter()
            .map(|token| usize::from(token.length).max(1))
            .sum::<usize>();
        bits += block_bits(block, length, bits);
        start += length;
    }
    debug_assert_eq!(start, searched.len());
    // The header of the empty block is three bits.
    let length = (bits + 3).div_ceil(8) + FRAME;
    match contents.len().checked_div(searched.len()) {
        Some(times) if times > 1 => length * contents.len() / searched.len(),
        _ => length,
    }
}

/// A literal, with length 0, or a match.
#[derive(Clone, Copy)]
struct Token {
    length: u16,
    /// Distance of a match, or a literal.
    value: u16,
}

fn tokens(contents: &[u8]) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut chains = Chains {
        contents,
        last: HashMap::new(),
        previous: vec![usize::MAX; contents.len()],
    };
    let mut previous = (0, 0);
    let mut has_literal = false;
    let mut at = 0;
    while at < contents.len() {
        let head = chains.insert(at);
        let mut found = (0, 0);
        let is_worth =
            contents.len() - at > previous.0.max(MIN_MATCH - 1) && previous.0 < MAX_MATCH;
        if is_worth && let Some(head) = head {
            found = chains.longest(at, head);
        }
        if previous.0 >= MIN_MATCH && found.0 <= previous.0 {
            // The match one byte before is at least as long.
            tokens.push(Token {
                length: short(previous.0),
                value: short(previous.1),
            });
            let end = at + previous.0 - 1;
            for inside in at + 1..end {
                chains.insert(inside);
            }
            at = end;
            previous = (0, 0);
            has_literal = false;
        } else {
            if has_literal {
                tokens.push(Token {
                    length: 0,
                    value: contents[at - 1].into(),
                });
            }
            has_literal = true;
            previous = found;
            at += 1;
        }
    }
    if has_literal && let Some(&last) = contents.last() {
        tokens.push(Token {
            length: 0,
            value: last.into(),
        });
    }
    tokens
}

/// Places of each four bytes, from the last to the first.
struct Chains<'a> {
    contents: &'a [u8],
    last: HashMap<[u8; MIN_MATCH], usize>,
    previous: Vec<usize>,
}

impl Chains<'_> {
    /// Adds a place, and returns the one before with the same four bytes.
    fn insert(&mut self, at: usize) -> Option<usize> {
        let bytes = self.contents.get(at..at + MIN_MATCH)?.try_into().ok()?;
        let before = self.last.insert(bytes, at);
        self.previous[at] = before.unwrap_or(usize::MAX);
        before
    }

    /// Returns length and distance of the longest match.
    fn longest(&self, at: usize, head: usize) -> (usize, usize) {
        let most = MAX_MATCH.min(self.contents.len() - at);
        let wanted = &self.contents[at..at + most];
        let mut best = (MIN_MATCH - 1, 0);
        let mut candidate = head;
        for _ in 0..MAX_CHAIN {
            if candidate == usize::MAX || at - candidate > WINDOW {
                break;
            }
            let length = wanted
                .iter()
                .zip(&self.contents[candidate..])
                .take_while(|(wanted, found)| wanted == found)
                .count();
            // A short match far away costs more than its literals.
            if length > best.0 && (length > MIN_MATCH || at - candidate <= 4096) {
                best = (length, at - candidate);
                if length == most {
                    break;
                }
            }
            candidate = self.previous[candidate];
        }
        if best.1 == 0 { (0, 0) } else { best }
    }
}

fn short(value: usize) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}

/// Returns the bits of a block that begins after some bits of the stream.
fn block_bits(tokens: &[Token], length: usize, before: usize) -> usize {
    let mut literals = vec![0; 286];
    let mut distances = vec![0; 30];
    let mut extra = 0;
    literals[256] = 1;
    for token in tokens {
        if token.length == 0 {
            literals[usize::from(token.value)] += 1;
        } else {
            let (code, bits) = length_code(token.length.into());
            literals[257 + code] += 1;
            extra += bits;
            let (code, bits) = distance_code(token.value.into());
            distances[code] += 1;
            extra += bits;
        }
    }
    let fixed_literal = |symbol: usize| match symbol {
        144..=255 => 9,
        256..=279 => 7,
        _ => 8,
    };
    let fixed: usize = literals
        .iter()
        .enumerate()
        .map(|(symbol, n)| n * fixed_literal(symbol))
        .sum::<usize>()
        + distances.iter().sum::<usize>() * 5;
    let huffman = (3 + fixed).min(dynamic_bits(&mut literals, &mut distances)) + extra;
    if length <= MAX_STORED && (length + 5) * 8 < huffman {
        // A stored block begins at a byte.
        return (before + 3).div_ceil(8) * 8 - before + (length + 4) * 8;
    }
    huffman
}

/// Returns the code of a match's length, from 0, and its extra bits.
fn length_code(length: usize) -> (usize, usize) {
    match length {
        MAX_MATCH => (28, 0),
        3..=10 => (length - 3, 0),
        _ => grouped(length - 3, 2),
    }
}

fn distance_code(distance: usize) -> (usize, usize) {
    match distance {
        ..=4 => (distance.saturating_sub(1), 0),
        _ => grouped(distance - 1, 1),
    }
}

/// Codes in groups of 2ⁿ, each with one more extra bit than the group before.
fn grouped(value: usize, group_bits: usize) -> (usize, usize) {
    let extra = value.ilog2() as usize - group_bits;
    let group = 1 << group_bits;
    (group * extra + (value >> extra), extra)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_of_length_and_distance_is_that_of_rfc_1951() {
        for (length, code) in [
            (3, (0, 0)),
            (10, (7, 0)),
            (11, (8, 1)),
            (12, (8, 1)),
            (13, (9, 1)),
            (257, (27, 5)),
        ] {
            assert_eq!(length_code(length), code, "{length}");
        }
        for (distance, code) in [
            (1, (0, 0)),
            (4, (3, 0)),
            (5, (4, 1)),
            (9, (6, 2)),
            (24577, (29, 13)),
        ] {
            assert_eq!(distance_code(distance), code, "{distance}");
        }
    }

    #[test]
    fn length_is_that_of_go() {
        // Recorded from Butane v0.29.0.
        for (times, length) in [(60, 27), (80, 27), (100, 27), (200, 27)] {
            assert_eq!(gzip_length("q".repeat(times).as_bytes()), length, "{times}");
        }
        let berths: String = (0..60)
            .map(|n| format!("berth {} is free\n", n % 5))
            .collect();
        assert_eq!(gzip_length(berths.as_bytes()), 63);
    }
}
