//! The lines of a text around a place, for drawing: found without going through the whole text again.

use std::path::Path;

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

/// Number of lines shown before and after the faulty one.
const AROUND: usize = 1;

/// A text and where its lines begin.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn of(text: &'a str) -> Lines<'a> {
        let ends = text.match_indices('\n').map(|(at, end)| at + end.len());
        Lines {
            text,
            starts: std::iter::once(0).chain(ends).collect(),
        }
    }

    /// Returns a line, counted from 1, without its end.
    pub(super) fn line(&self, number: usize) -> Option<&'a str> {
        let line = number.checked_sub(1)?;
        let text = self.text.get(self.start(line)..self.start(line + 1))?;
        Some(text.trim_end_matches(['\r', '\n']))
    }

    /// Returns the byte offset of a line, counted from 0; the end of the text for lines beyond it.
    fn start(&self, line: usize) -> usize {
        self.starts.get(line).copied().unwrap_or(self.text.len())
    }
}

/// A few lines of a file, and the place in them that is meant.
#[derive(Debug)]
pub(super) struct Excerpt<'a> {
    name: String,
    text: &'a str,
    /// The first of the lines, counted from 0.
    first_line: usize,
    line_count: usize,
    /// The column of the place in characters, counted from 0.
    column: usize,
    /// The place, in bytes from the beginning of the file.
    offset: usize,
    /// Offset of the shown lines in the text, in bytes.
    start: usize,
}

impl<'a> Excerpt<'a> {
    /// Creates an excerpt of the lines around a place, whose line and column in characters are counted from 1.
    pub(super) fn new(path: &Path, lines: &Lines<'a>, line: usize, column: usize) -> Option<Self> {
        // A place behind the last line is its end: where there is nothing, nothing can be pointed at.
        let last = lines.starts.len() - 1;
        let last = last.saturating_sub(usize::from(lines.start(last) == lines.text.len()));
        let (line, column) = match line.saturating_sub(1) {
            line if line > last => (last, usize::MAX),
            line => (line, column),
        };
        let start_of_line = lines.start(line);
        let rest = lines.text.get(start_of_line..lines.start(line + 1))?;
        let rest = rest.trim_end_matches(['\r', '\n']);
        // miette draws nothing at the very end of a text: its last character is pointed at.
        let column = match start_of_line + rest.len() == lines.text.len() {
            true => column.min(rest.chars().count()),
            false => column,
        };
        let before: Vec<char> = rest.chars().take(column.saturating_sub(1)).collect();
        let bytes: usize = before.iter().copied().map(char::len_utf8).sum();
        let offset = start_of_line + bytes;
        let first_line = line.saturating_sub(AROUND);
        let start = lines.start(first_line);
        Some(Excerpt {
            name: path.display().to_string(),
            text: lines.text.get(start..lines.start(line + AROUND + 1))?,
            first_line,
            line_count: lines.starts.len(),
            column: before.len(),
            offset,
            start,
        })
    }

    /// Returns the offset of the place from the beginning of the excerpt, in bytes.
    pub(super) fn offset(&self) -> usize {
        self.offset - self.start
    }
}

impl SourceCode for Excerpt<'_> {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let read = self.text.read_span(span, lines_before, lines_after)?;
        // Without lines around it, it is the place itself that is asked for: miette counts bytes.
        let column = match (lines_before, lines_after) {
            (0, 0) => self.column,
            _ => read.column(),
        };
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            read.data(),
            *read.span(),
            read.line() + self.first_line,
            column,
            self.line_count,
        )))
    }
}
