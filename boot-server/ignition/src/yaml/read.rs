//! Text → nodes.

use std::collections::HashMap;
use std::rc::Rc;

use granit_parser::{Event, Options, Parser, ScalarStyle, Span, StrInput, Tag};

use super::{Content, Entry, InvalidYaml, Node, Place, Scalar};

/// Deepest nesting. A config needs about ten levels; the readers recurse.
const MAX_DEPTH: usize = 100;

/// Reads the first document of a text; none for a text without one.
///
/// # Errors
/// The text is not YAML, or Go's parser refuses it.
pub(crate) fn read(text: &[u8]) -> Result<Option<Rc<Node>>, InvalidYaml> {
    if text.len() > crate::MAX_TEXT {
        return Err(InvalidYaml::TooLong);
    }
    let text = std::str::from_utf8(text).map_err(|_| InvalidYaml::Encoding)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some(bad) = text.chars().find(|&c| !is_printable(c)) {
        return Err(InvalidYaml::ControlCharacter(bad.into()));
    }
    if let Some(refused) = cloud_yaml::refused(text)
        && refused.reason != cloud_yaml::Reason::AfterEnd
        && refused.reason != cloud_yaml::Reason::Binary
    {
        return Err(InvalidYaml::Refused(refused));
    }
    let mut reader = Reader {
        text,
        events: Parser::new_from_str_with_options(text, options()),
        anchors: HashMap::new(),
        last_end: 0,
    };
    while let Some((event, span)) = reader.next_event()? {
        match event {
            Event::StreamStart | Event::DocumentStart(..) => {}
            Event::StreamEnd | Event::DocumentEnd => break,
            event => return reader.node(event, span, 0).map(Some),
        }
    }
    Ok(None)
}

fn options() -> Options {
    granit_parser::options! {
        emit_comments: false,
        emit_anchor_events: true,
        block_scalar_eof_without_line_feed: true,
    }
}

/// Characters that libyaml takes.
fn is_printable(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{7e}' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..)
        && c != '\u{feff}'
}

struct Reader<'a> {
    text: &'a str,
    events: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Option<Rc<Node>>>,
    /// Byte offset at which the last event ended.
    last_end: usize,
}

impl<'a> Reader<'a> {
    fn next_event(&mut self) -> Result<Option<(Event<'a>, Span)>, InvalidYaml> {
        match self.events.next() {
            None => Ok(None),
            Some(Ok(next)) => Ok(Some(next)),
            Some(Err(error)) => Err(InvalidYaml::Syntax {
                message: error.info(),
                at: Place {
                    line: error.marker().line(),
                    column: error.marker().col() + 1,
                },
            }),
        }
    }

    fn node(
        &mut self,
        event: Event<'a>,
        span: Span,
        depth: usize,
    ) -> Result<Rc<Node>, InvalidYaml> {
        if depth > MAX_DEPTH {
            return Err(InvalidYaml::TooDeep);
        }
        let before = self.last_end;
        self.last_end = span.end.byte_offset().unwrap_or(before);
        let mut at = place(&span);
        if span.is_empty() && self.starts_with_colon(&span) {
            // A value that is not written stands behind the colon.
            at.column += 1;
        }
        if let Some(tag) = span.tag_start() {
            at = earlier(at, tag.line(), tag.col());
        }
        let anchor = event.anchor_id().filter(|&id| id != 0);
        if let Some(id) = anchor {
            if let Some((Event::Anchor(..), of)) = self.next_event()? {
                at = earlier(at, of.start.line(), of.start.col());
            }
            self.anchors.insert(id, None);
        }
        let content = match event {
            Event::Scalar(text, style, _, tag) => {
                if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded)
                    && let Some(header) = self.header(before, span.start.byte_offset())
                {
                    at = earlier(at, header.line, header.column - 1);
                }
                Content::Scalar(Scalar {
                    text: text.into_owned(),
                    is_quoted: style != ScalarStyle::Plain,
                    tag: tag.map(|tag| short(&tag)),
                })
            }
            Event::SequenceStart(..) => Content::List(self.list(depth)?),
            Event::MappingStart(..) => Content::Map(self.map(depth)?),
            Event::Alias(id) => match self.anchors.get(&id) {
                Some(Some(target)) => Content::Alias(Rc::clone(target)),
                _ => Content::Cycle,
            },
            _ => {
                let message = "no value".to_owned();
                return Err(InvalidYaml::Syntax { message, at });
            }
        };
        let node = Rc::new(Node { at, content });
        if let Some(id) = anchor {
            self.anchors.insert(id, Some(Rc::clone(&node)));
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Rc<Node>>, InvalidYaml> {
        let mut items = Vec::new();
        while let Some((event, span)) = self.next_event()? {
            if matches!(event, Event::SequenceEnd) {
                break;
            }
            items.push(self.node(event, span, depth + 1)?);
        }
        Ok(items)
    }

    fn map(&mut self, depth: usize) -> Result<Vec<Entry>, InvalidYaml> {
        let mut entries = Vec::new();
        while let Some((event, span)) = self.next_event()? {
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let key = self.node(event, span, depth + 1)?;
            let Some((event, span)) = self.next_event()? else {
                break;
            };
            entries.push((key, self.node(event, span, depth + 1)?));
        }
        Ok(entries)
    }

    fn starts_with_colon(&self, span: &Span) -> bool {
        let rest = span.start.byte_offset().and_then(|at| self.text.get(at..));
        rest.is_some_and(|rest| rest.starts_with(':'))
    }

    /// Returns the place of a block scalar's `|` or `>`: the parser's span begins with the text after it.
    fn header(&self, from: usize, to: Option<usize>) -> Option<Place> {
        let between = self.text.get(from..to?)?;
        let mut is_comment = false;
        let mut last = ' ';
        let found = between.char_indices().find_map(|(index, c)| {
            is_comment = c != '\n' && (is_comment || c == '#' && last.is_whitespace());
            last = c;
            (!is_comment && matches!(c, '|' | '>')).then_some(index)
        })?;
        let before = self.text.get(..from + found)?;
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Some(Place {
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..)?.chars().count() + 1,
        })
    }
}

fn place(span: &Span) -> Place {
    Place {
        line: span.start.line(),
        column: span.start.col() + 1,
    }
}

/// Returns the earlier of two places; the second has its column from 0.
fn earlier(at: Place, line: usize, col: usize) -> Place {
    if (line, col + 1) < (at.line, at.column) {
        Place {
            line,
            column: col + 1,
        }
    } else {
        at
    }
}

fn short(tag: &Tag) -> String {
    if tag.handle() == "tag:yaml.org,2002:" {
        format!("!!{}", tag.suffix())
    } else {
        format!("{}{}", tag.handle(), tag.suffix())
    }
}
