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
            Event::Scalar(_, ScalarStyle::Literal | ScalarStyle::Folded, ..) => {
                let indent = indent_of(&lines, first);
                // The end of a block scalar is the beginning of the line after it.
                let last = if span.end.col() == 0 {
                    last.saturating_sub(1)
                } else {
                    last
                };
                mark(&mut kinds, first + 1, last, Kind::Block(indent));
            }
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

/// Returns the indentation of a block scalar whose header is in this line.
fn indent_of(lines: &[&str], header: usize) -> usize {
    let content = lines
        .iter()
        .skip(header)
        .find(|line| !line.trim().is_empty());
    content.map_or(0, |line| line.len() - line.trim_start_matches(' ').len())
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
            "a: 1\n",
        ] {
            assert_eq!(refused(text), None, "{text:?}");
        }
    }
}
