//! Reasons that a template does not parse, in Go's words.

use crate::fmt::quote::quote_text;

/// An error of syntax.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// The text is not a sequence of tokens.
    #[error("{0}")]
    Token(String),
    /// A token occurs where another is needed.
    #[error("unexpected {token} in {context}")]
    Unexpected {
        /// The token as Go names it.
        token: String,
        /// The construct around it.
        context: &'static str,
    },
    /// A block is open at the end.
    #[error("unexpected EOF")]
    UnexpectedEnd,
    /// `{{end}}` or `{{else}}` outside of any block.
    #[error("unexpected {0}")]
    UnexpectedControl(&'static str),
    /// Two `{{else}}` in one block.
    #[error("expected end; found {{{{else}}}}")]
    SecondElse,
    /// `{{break}}` or `{{continue}}` outside of `{{range}}`.
    #[error("{0} outside {{{{range}}}}")]
    OutsideRange(&'static str),
    /// A pipeline is empty.
    #[error("missing value for {0}")]
    MissingValue(&'static str),
    /// A stage between `|` is empty.
    #[error("empty command")]
    EmptyCommand,
    /// A constant receives a value by `|`.
    #[error("non executable command in pipeline stage {0}")]
    NonExecutable(usize),
    /// A function that does not exist.
    #[error("function {} not defined", quote_text(.0))]
    UnknownFunction(String),
    /// A variable that was not declared.
    #[error("undefined variable {}", quote_text(.0))]
    UndefinedVariable(String),
    /// Too many variables before `:=`.
    #[error("too many declarations in {0}")]
    TooManyDeclarations(&'static str),
    /// Something other than a variable behind the comma of a `range`.
    #[error("range can only initialize variables")]
    NotAVariable,
    /// A field of a constant.
    #[error("unexpected . after term {}", quote_text(.0))]
    FieldOfConstant(String),
    /// Two templates of one name.
    #[error("template: multiple definition of template {}", quote_text(.0))]
    MultipleDefinition(String),
    /// A string or character with an unknown escape.
    #[error("invalid syntax")]
    InvalidLiteral,
    /// A character constant of several characters.
    #[error("malformed character constant: {0}")]
    MalformedCharacter(String),
    /// A number that is none.
    #[error("illegal number syntax: {0}")]
    IllegalNumber(String),
    /// A pair such as `1+2i` that Go's `fmt.Sscan` does not read.
    #[error("syntax error scanning complex number")]
    ScanComplex,
    /// A part of such a pair that is not a float.
    #[error("strconv.ParseFloat: parsing {text}: {why}")]
    ParseFloat {
        /// The part, quoted.
        text: String,
        /// Go's word for the mistake.
        why: &'static str,
    },
    /// An integer beyond 64 bits.
    #[error("integer overflow: {0}")]
    IntegerOverflow(String),
    /// More actions than any config needs.
    #[error("template too large: more than {0} nodes")]
    TooLarge(usize),
}
