//! Tabs where YAML 1.1 wants spaces.
//!
//! Source: the scanner of libyaml, of which Go's library is a port: white space before a token of block
//! style, and indentation in a block scalar, is made of spaces. Within quotes and brackets tabs may stand.

use granit_parser::{Event, Parser, ScalarStyle, StructureStyle};

/// Returns the place of the first tab that is refused: line and column, from 1. None for a text that is not YAML.
pub(super) fn refused(text: &str) -> Option<(usize, usize)> {
    if !text.contains('\t') {
        return None;
    }
    let lines: Vec<&str> = text.lines().collect();
    let mut kinds = vec![Kind::Tokens; lines.len() + 2];
    let mut open: Vec<Option<usize>> = Vec::new();
    for next in Parser::new_from_str(text) {
        let Ok((event, span)) = next else {
            return None;
        };
        let (first, last) = (span.start.line(), span.end.line());
        match event {
            Event::Scalar(_, ScalarStyle::Plain, ..) => {
                mark(&mut kinds, first + 1, last, Kind::Plain)
            }
            Event::Scalar(value, ScalarStyle::Literal | ScalarStyle::Folded, ..)
                if !value.trim_matches('\n').is_empty() =>
            {
                // Its beginning is its first text, behind the indentation.
                let indent = span.start.col();
                let (header, is_explicit) = header_above(&lines, first);
                let looks = if is_explicit {
                    Kind::Block(indent)
                } else {
                    Kind::Indenting
                };
                mark(&mut kinds, header + 1, first, looks);
                // The end of a block scalar is the beginning of the line after it.
                let last = if span.end.col() == 0 {
                    last.saturating_sub(1)
                } else {
                    last
                };
                mark(&mut kinds, first + 1, last, Kind::Block(indent));
            }
            Event::Scalar(_, ScalarStyle::Literal | ScalarStyle::Folded, ..) => {}
            Event::Scalar(..) => mark(&mut kinds, first + 1, last, Kind::Free),
            Event::SequenceStart(style, ..) | Event::MappingStart(style, ..) => {
                open.push((style == StructureStyle::Flow).then_some(first));
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(Some(first)) = open.pop() {
                    mark(&mut kinds, first + 1, last, Kind::Free);
                }
            }
            _ => {}
        }
    }
    lines.iter().enumerate().find_map(|(index, line)| {
        let spaces = line.len() - line.trim_start_matches(' ').len();
        let kind = kinds.get(index + 1).copied().unwrap_or(Kind::Tokens);
        let column = match kind {
            Kind::Free => None,
            Kind::Block(indent) => {
                (spaces < indent && line[spaces..].starts_with('\t')).then_some(spaces)
            }
            Kind::Indenting => line[spaces..].starts_with('\t').then_some(spaces),
            Kind::Plain => line.starts_with('\t').then_some(0),
            Kind::Tokens => before_token(line),
        };
        column.map(|column| (index + 1, column + 1))
    })
}

/// Kind of a line, by its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Tokens of block style, comments, or nothing.
    Tokens,
    /// More of a plain scalar.
    Plain,
    /// A block scalar up to its first text, whose indentation is looked for.
    Indenting,
    /// A block scalar that is indented so far.
    Block(usize),
    /// Something in quotes or brackets.
    Free,
}

fn mark(kinds: &mut [Kind], first: usize, last: usize, kind: Kind) {
    for of_line in kinds.iter_mut().take(last + 1).skip(first) {
        *of_line = kind;
    }
}

/// Returns the line of a block scalar's header, from 1, and true if the header tells the indentation (`|2`). Between
/// header and first text are only blank lines.
fn header_above(lines: &[&str], text: usize) -> (usize, bool) {
    let above = lines.iter().enumerate().take(text.saturating_sub(1));
    let header = above.rev().find(|(_, line)| !line.trim().is_empty());
    header.map_or((0, false), |(index, line)| {
        (index + 1, tells_indentation(line))
    })
}

/// True for a line that ends with a block scalar's header with a number in it, and maybe a comment.
fn tells_indentation(line: &str) -> bool {
    let headers = line.match_indices(['|', '>']).filter_map(|(at, _)| {
        let behind = line.get(at + 1..)?;
        let end = behind.find(|c| !matches!(c, '+' | '-' | '1'..='9'));
        let (header, rest) = behind.split_at(end.unwrap_or(behind.len()));
        let is_end = rest.trim().is_empty()
            || rest.trim_start() != rest && rest.trim_start().starts_with('#');
        is_end.then_some(header)
    });
    headers
        .take(1)
        .any(|header| header.contains(|c: char| c.is_ascii_digit()))
}

/// Returns the place of a tab before the first token of a line, or before the value of a list's item.
fn before_token(line: &str) -> Option<usize> {
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches(' ');
        if rest.starts_with('\t') {
            return Some(line.len() - rest.len());
        }
        rest = rest
            .strip_prefix('-')
            .filter(|rest| rest.starts_with([' ', '\t']))?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tab_before_a_token_is_refused_and_one_within_a_value_is_not() {
        for (text, place) in [
            ("#cloud-config\ncoreos:\n\tetcd2:\n", (3, 1)),
            ("a: 1\n\tb: 2\n", (2, 1)),
            ("a:\n  \tb: 2\n", (2, 3)),
            ("a: 1\n\t\nb: 2\n", (2, 1)),
            ("a: 1\n  \t\nb: 2\n", (2, 3)),
            ("a: 1\n\t# c\nb: 2\n", (2, 1)),
            ("\t\na: 1\n", (1, 1)),
            ("a: 1\n\t", (2, 1)),
            ("a:\n  -\tx\n", (2, 4)),
            ("a:\n  - \tx\n", (2, 5)),
            ("a: |\n  x\n\t\n  y\n", (3, 1)),
            ("a: |\n  x\n \ty\n", (3, 2)),
            ("a: \"x\"\n\t\nb: 1\n", (2, 1)),
            // Before the indentation is known, no tab follows the spaces.
            ("a: |\n  \tx\n", (2, 3)),
            ("a: |\n \t\n  x\n", (2, 2)),
            ("a: |\n  all:\n    \tx\nb: |\n \t\n  y\n", (5, 2)),
            ("a:\n- |\n  \tx\n  y\n", (3, 3)),
            ("a: >-\n\n   \t\n  y\n", (3, 4)),
            ("a: | # |2\n\n  \tx\n", (3, 3)),
            ("a: |2\n  x\n \ty\n", (3, 2)),
        ] {
            // The parser itself refuses some of them.
            let is_broken = Parser::new_from_str(text).any(|event| event.is_err());
            match refused(text) {
                None => assert!(is_broken, "{text:?}"),
                found => assert_eq!(found, Some(place), "{text:?}"),
            }
        }
        for text in [
            "a:\tb\n",
            "a: b\t# c\n",
            "a: b\tc\n",
            "a: |\n  x\n  \ty\n\n  z\n",
            "a: |\n  all:\n  \tmake\nb: 1\n",
            "a: \"x\n\ty\"\n",
            "a: 'x\n\t\n\ty'\n",
            "a: [1,\n\t2]\nb: 1\n",
            "a: {b: 1,\n\tc: 2\n\t}\n",
            "a: - \n",
            "a: |\n  -\tx\n",
            "a: |2\n  \tx\n",
            "a|b: |2 # |\n\n  \tx\n",
            "a: |2-\n    x\n  \ty\n",
            "a: >-2\n    x\n  \ty\n",
            "a:\n  - b: |1\n      x\n     \ty\n",
            "a: |\n  x\n  \t\n",
            "a: 1\n",
        ] {
            assert_eq!(refused(text), None, "{text:?}");
        }
    }
}
