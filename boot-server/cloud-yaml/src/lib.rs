//! Cloud-configs that coreos-cloudinit refuses as a whole although they are YAML 1.2: nothing of such a config is
//! applied, and bootcfg and matchbox answer 404 for it.
//!
//! Source: Go's YAML library of 2015 (go-yaml v2, a port of libyaml), which all three use. Errors that every parser
//! of YAML finds are left to the callers' own parsers.

mod tabs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use granit_parser::{Event, Parser};

/// A place in a text at which it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// Line, counted from 1.
    pub line: usize,
    /// Column, counted from 1.
    pub column: usize,
    /// Reason for the refusal.
    pub reason: Reason,
}

/// Reason for which a text is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A tab where YAML 1.1 wants spaces.
    Tab,
    /// Text after the end of the document (`...`) that is not marked as another document (`---`).
    AfterEnd,
    /// A `!!binary` value that is not base64.
    Binary,
    /// A directive other than `%YAML 1.1` and `%TAG`.
    Directive,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.reason {
            Reason::Tab => "a tab where YAML wants spaces",
            Reason::AfterEnd => "text after the end of the document (`...`)",
            Reason::Binary => "a !!binary value that is not base64",
            Reason::Directive => "a directive other than `%YAML 1.1` and `%TAG`",
        })?;
        write!(f, " at line {}, column {}", self.line, self.column)
    }
}

/// Returns the place at which the text is refused; `None` for a text that is taken, or that is not YAML at all.
#[must_use]
pub fn refused(text: &str) -> Option<Refused> {
    let at = |line, column, reason| Refused {
        line,
        column,
        reason,
    };
    if let Some(line) = directive(text) {
        return Some(at(line, 1, Reason::Directive));
    }
    if let Some((line, column)) = tabs::refused(text) {
        return Some(at(line, column, Reason::Tab));
    }
    if !text.contains("...") && !text.contains("binary") {
        return None;
    }
    let mut is_first = true;
    for next in Parser::new_from_str(text) {
        let (event, span) = next.ok()?;
        let line = span.start.line();
        match event {
            Event::DocumentEnd => is_first = false,
            Event::DocumentStart(false, _) if !is_first => {
                return Some(at(line, 1, Reason::AfterEnd));
            }
            Event::Scalar(value, _, _, Some(tag))
                if is_first && tag.suffix() == "binary" && binary(&value).is_none() =>
            {
                return Some(at(line, span.start.col() + 1, Reason::Binary));
            }
            _ => {}
        }
    }
    None
}

/// Decodes a `!!binary` value; `None` when the value is not base64.
#[must_use]
pub fn binary(written: &str) -> Option<Vec<u8>> {
    let packed: String = written.chars().filter(|c| !c.is_whitespace()).collect();
    STANDARD.decode(packed).ok()
}

/// Line of the first directive that is refused. Directives stand before the first document only.
fn directive(text: &str) -> Option<usize> {
    let lines = text.lines().zip(1..);
    let before = lines.take_while(|(line, _)| {
        let line = line.trim();
        line.is_empty() || line.starts_with(['#', '%'])
    });
    let is_refused = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some("%YAML") => words.next() != Some("1.1"),
            Some("%TAG") => false,
            word => word.is_some_and(|word| word.starts_with('%')),
        }
    };
    before
        .filter(|(line, _)| line.starts_with('%'))
        .find_map(|(line, number)| is_refused(line).then_some(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(text: &str) -> Option<(usize, Reason)> {
        refused(text).map(|refused| (refused.line, refused.reason))
    }

    #[test]
    fn text_after_the_end_is_refused_and_another_document_is_not() {
        for text in ["a: 1\n...\nb: 2\n", "a: 1\n...\nmore\n"] {
            assert_eq!(reason(text), Some((3, Reason::AfterEnd)), "{text:?}");
        }
        for text in [
            "a: 1\n...\n",
            "a: 1\n...\n# c\n",
            "a: 1\n...\n---\nb: 2\n",
            "---\na: 1\n---\nb: 2\n",
            "a: ...b\n",
        ] {
            assert_eq!(reason(text), None, "{text:?}");
        }
    }

    #[test]
    fn binary_value_that_is_not_base64_is_refused() {
        assert_eq!(
            reason("a: 1\nb: !!binary \"*\"\n"),
            Some((2, Reason::Binary))
        );
        assert_eq!(reason("a: !!binary aGVsbG8K\n"), None);
        assert_eq!(reason("a: !!binary |\n  aGVs\n  bG8K\n"), None);
        assert_eq!(reason("a: binary *\n"), None);
    }

    #[test]
    fn directive_of_another_version_is_refused() {
        for text in [
            "#cloud-config\n%YAML 1.2\n---\na: 1\n",
            "#cloud-config\n%FOO bar\n---\na: 1\n",
        ] {
            assert_eq!(reason(text), Some((2, Reason::Directive)), "{text:?}");
        }
        for text in [
            "#cloud-config\n%YAML 1.1\n---\na: 1\n",
            "%TAG !e! x\n---\na: 1\n",
            "a: |\n  x\n%b\n",
        ] {
            assert_eq!(reason(text), None, "{text:?}");
        }
    }

    #[test]
    fn tab_is_named_with_its_place() {
        let refused = Refused {
            line: 2,
            column: 1,
            reason: Reason::Tab,
        };
        assert_eq!(
            refused.to_string(),
            "a tab where YAML wants spaces at line 2, column 1"
        );
    }
}
