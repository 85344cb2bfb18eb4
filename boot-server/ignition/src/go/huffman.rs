//! Codes of a deflate block as Go chooses them.

/// Returns the bits of a block with codes of its own, without the extra bits of its matches.
pub(super) fn dynamic_bits(literals: &mut Vec<usize>, distances: &mut Vec<usize>) -> usize {
    let used = |counts: &[usize]| {
        counts
            .iter()
            .rposition(|&count| count > 0)
            .map_or(0, |last| last + 1)
    };
    literals.truncate(used(literals));
    distances.truncate(used(distances));
    if distances.is_empty() {
        distances.push(1);
    }
    let (literal_codes, distance_codes) = (code_lengths(literals, 15), code_lengths(distances, 15));
    let lengths = [literal_codes.as_slice(), distance_codes.as_slice()].concat();
    let runs = run_counts(&lengths);
    const ORDER: [usize; 19] = [
        16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
    ];
    let written = ORDER
        .iter()
        .rposition(|&code| runs[code] > 0)
        .map_or(4, |last| (last + 1).max(4));
    let cost = |counts: &[usize], codes: &[usize]| -> usize {
        counts
            .iter()
            .zip(codes)
            .map(|(count, length)| count * length)
            .sum()
    };
    let header = 3 + 5 + 5 + 4 + 3 * written;
    let run_bits =
        cost(&runs, &code_lengths(&runs, 7)) + runs[16] * 2 + runs[17] * 3 + runs[18] * 7;
    header + run_bits + cost(literals, &literal_codes) + cost(distances, &distance_codes)
}

/// Returns how often each code of the run-length encoding of code lengths is used (RFC 1951, section 3.2.7).
fn run_counts(lengths: &[usize]) -> [usize; 19] {
    let mut counts = [0; 19];
    for run in lengths.chunk_by(PartialEq::eq) {
        let (length, mut left) = (run[0], run.len());
        if length == 0 {
            while left >= 11 {
                counts[18] += 1;
                left -= left.min(138);
            }
            if left >= 3 {
                counts[17] += 1;
                left = 0;
            }
        } else {
            counts[length] += 1;
            left -= 1;
            while left >= 3 {
                counts[16] += 1;
                left -= left.min(6);
            }
        }
        counts[length] += left;
    }
    counts
}

/// Returns the lengths of the shortest prefix code whose codes have at most `limit` bits, by package merge.
fn code_lengths(counts: &[usize], limit: usize) -> Vec<usize> {
    let mut lengths = vec![0; counts.len()];
    let mut symbols: Vec<usize> = (0..counts.len())
        .filter(|&symbol| counts[symbol] > 0)
        .collect();
    symbols.sort_by_key(|&symbol| counts[symbol]);
    if symbols.len() <= 2 {
        for symbol in symbols {
            lengths[symbol] = 1;
        }
        return lengths;
    }
    // Each item is a weight and the number of the rarest symbols in it at each level.
    let mut items: Vec<(usize, Vec<usize>)> = Vec::new();
    for _ in 0..limit {
        let mut packages = items
            .chunks_exact(2)
            .map(|pair| {
                (
                    pair[0].0 + pair[1].0,
                    [pair[0].1.as_slice(), pair[1].1.as_slice()].concat(),
                )
            })
            .peekable();
        let mut leaves = symbols.iter().copied().peekable();
        let mut merged = Vec::new();
        loop {
            let is_package = match (packages.peek(), leaves.peek()) {
                // Go's choice between codes of the same cost, whose lengths take more or fewer bits to write.
                (Some((weight, _)), Some(&leaf)) => *weight <= counts[leaf],
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (None, None) => break,
            };
            if is_package {
                merged.extend(packages.next());
            } else if let Some(leaf) = leaves.next() {
                merged.push((counts[leaf], vec![leaf]));
            }
        }
        items = merged;
    }
    for (_, symbols) in items.iter().take(2 * symbols.len() - 2) {
        for &symbol in symbols {
            lengths[symbol] += 1;
        }
    }
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_the_shortest_within_the_limit() {
        assert_eq!(code_lengths(&[5, 0, 1, 1], 15), [1, 0, 2, 2]);
        assert_eq!(code_lengths(&[8, 4, 2, 1, 1], 15), [1, 2, 3, 4, 4]);
        assert_eq!(code_lengths(&[8, 4, 2, 1, 1], 3), [1, 3, 3, 3, 3]);
    }
}
