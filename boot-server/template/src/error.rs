//! Errors of templates, with their place.

use std::fmt;

pub use crate::exec::error::{CallError, Exhausted, FunctionError, Reason};
pub use crate::parse::error::SyntaxError;

/// A place in a template's text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// Column in bytes, counted from 0, as Go's messages have it.
    byte_column: usize,
}

impl Place {
    /// Returns the place of a byte of a text.
    pub(crate) fn of(text: &str, at: usize) -> Place {
        let before = text.get(..at).unwrap_or(text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        Place {
            line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
            column: line.chars().count() + 1,
            byte_column: line.len(),
        }
    }
}

/// A text is not a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template: {template}:{line}: {kind}{}", in_action(.kind, template, *.action_line))]
pub struct ParseError {
    /// Name of the template.
    pub template: String,
    /// The place of the mistake: where the parser stopped, or the block that nothing closes.
    pub place: Place,
    /// Line as Go reports it, which can be a later one than that of [`ParseError::place`].
    pub line: usize,
    /// Line on which the action began, if on another one.
    pub action_line: Option<usize>,
    /// Kind of the mistake.
    pub kind: SyntaxError,
}

fn in_action(kind: &SyntaxError, template: &str, line: Option<usize>) -> String {
    match (line, kind) {
        (Some(line), SyntaxError::Token(message)) if message.ends_with(" action") => {
            format!(" started at {template}:{line}")
        }
        (Some(line), _) => format!(" in action started at {template}:{line}"),
        (None, _) => String::new(),
    }
}

/// A template cannot be executed with these values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecError {
    /// Name of the whole template.
    pub template: Box<str>,
    /// Name of the `{{define}}` that was being executed; the whole template's outside of any.
    pub definition: Box<str>,
    /// Place of the failed action in the text.
    pub place: Place,
    /// The action that was being executed, as Go writes it.
    pub context: Box<str>,
    /// Kind of the failure.
    pub reason: Reason,
}

impl fmt::Display for ExecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place {
            line, byte_column, ..
        } = self.place;
        write!(
            f,
            "template: {}:{line}:{byte_column}: executing {} at <{}>: {}",
            self.template,
            crate::fmt::quote::quote_text(&self.definition),
            self.context,
            self.reason
        )
    }
}

impl std::error::Error for ExecError {}
