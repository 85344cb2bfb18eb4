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

/// Error of a function that a caller gives to templates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FunctionError(String);

impl FunctionError {
    /// Returns the error as templates show it.
    pub fn of(error: &dyn std::error::Error) -> FunctionError {
        FunctionError(error.to_string())
    }
}

/// Reasons that a function does not take its arguments, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "Go's own sentences say it")]
pub enum CallError {
    #[error("missing argument for comparison")]
    MissingArgument,
    #[error("invalid type for comparison")]
    InvalidType,
    #[error("incompatible types for comparison")]
    IncompatibleTypes,
    #[error("non-comparable type {value}: {type_name}")]
    Incomparable {
        value: String,
        type_name: &'static str,
    },
    #[error("non-comparable types {left}: {left_type}, {right_type}: {right}")]
    IncomparableTypes {
        left: String,
        left_type: &'static str,
        right_type: &'static str,
        right: String,
    },
    #[error("reflect: call of reflect.Value.Type on zero Value")]
    NoType,
    #[error("len of nil pointer")]
    LenOfNil,
    #[error("len of type {0}")]
    LenOfType(&'static str),
    #[error("cannot index slice/array with nil")]
    IndexIsNil,
    #[error("cannot index slice/array with type {0}")]
    IndexOfType(&'static str),
    #[error("index out of range: {0}")]
    IndexOutOfRange(i64),
    #[error("index of untyped nil")]
    IndexOfUntypedNil,
    #[error("index of nil pointer")]
    IndexOfNil,
    #[error("reflect: string index out of range")]
    StringIndexOutOfRange,
    #[error("reflect: slice index out of range")]
    SliceIndexOutOfRange,
    #[error("can't index item of type {0}")]
    NotIndexable(&'static str),
    #[error("value is nil; should be of type string")]
    KeyIsNil,
    #[error("value has type {0}; should be string")]
    KeyOfType(&'static str),
    #[error("slice of untyped nil")]
    SliceOfNil,
    #[error("too many slice indexes: {0}")]
    TooManyIndexes(usize),
    #[error("cannot 3-index slice a string")]
    ThreeIndexString,
    #[error("can't slice item of type {0}")]
    NotSliceable(&'static str),
    #[error("invalid slice index: {0} > {1}")]
    InvalidSlice(usize, usize),
    #[error("call of nil")]
    CallOfNil,
    #[error("non-function of type {0}")]
    NotAFunction(&'static str),
    #[error("expected string")]
    NotAString,
    #[error("{0:?} is not a defined function")]
    UnknownFunction(String),
    #[error(transparent)]
    Function(#[from] FunctionError),
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
    #[error("error calling {function}: {error}")]
    Call {
        /// Name of the function.
        function: String,
        /// Error of the function.
        error: Box<CallError>,
    },
    /// Arguments that do not fit, found before a function is called.
    #[error("{0}")]
    Invalid(String),
    /// The render was stopped.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
}
