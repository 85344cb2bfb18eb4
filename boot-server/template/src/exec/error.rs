//! Reasons that a template cannot be executed, in Go's words where Go has them.

use crate::fmt::quote::quote_text;

/// A budget that a render used up. Go has none of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Exhausted {
    /// Actions, iterations and calls.
    #[error("out of budget: more than {0} steps")]
    Steps(u64),
    /// Bytes written by actions and functions.
    #[error("out of budget: more than {0} bytes written")]
    Bytes(usize),
    /// Values within values.
    #[error("out of budget: value nested deeper than {0}")]
    Depth(usize),
}

/// An error of execution.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// A key that a map lacks, with [`MissingKey::Error`](crate::MissingKey::Error).
    #[error("map has no entry for key {}", quote_text(.0))]
    MissingKey(String),
    /// A key of nothing at all, with [`MissingKey::Error`](crate::MissingKey::Error).
    #[error("nil data; no entry for key {}", quote_text(.0))]
    KeyOfNil(String),
    /// A key of a null.
    #[error("nil pointer evaluating {0}.{1}")]
    FieldOfNull(&'static str, String),
    /// A field of a value that is not a map.
    #[error("can't evaluate field {0} in type {1}")]
    NoField(String, &'static str),
    /// A template that is not defined.
    #[error("template {} not defined", quote_text(.0))]
    UnknownTemplate(String),
    /// Templates that call each other without end.
    #[error("exceeded maximum template depth ({0})")]
    TooDeep(usize),
    /// A variable that a skipped part would have declared.
    #[error("undefined variable: {0}")]
    UndefinedVariable(String),
    /// A value that is neither a list nor a map.
    #[error("range can't iterate over {0}")]
    NotIterable(String),
    /// A function that does not take its arguments.
    #[error("error calling {function}: {message}")]
    Call {
        /// Name of the function.
        function: String,
        /// Message of the function.
        message: String,
    },
    /// Arguments that do not fit, found before a function is called.
    #[error("{0}")]
    Invalid(String),
    /// The render was stopped.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
}
