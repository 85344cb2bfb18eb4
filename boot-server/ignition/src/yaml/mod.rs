//! YAML as Go's library reads it (go-yaml v3, and v2 for Container Linux Configs), with places.
//!
//! The parser is the project's; what the Go libraries refuse or read otherwise is here.

pub(crate) mod decode;
mod mismatch;
mod read;
mod scalar;

use std::rc::Rc;

pub(crate) use mismatch::first;
pub use mismatch::{Mismatch, MismatchProblem};
pub(crate) use read::read;

/// A place in a text, both counted from 1. Columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Line, counted from 1.
    pub line: usize,
    /// Column, counted from 1.
    pub column: usize,
}

/// A text that is not YAML, or not the YAML that Go reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidYaml {
    /// A byte sequence that is not UTF-8.
    #[error("invalid YAML: not UTF-8")]
    Encoding,
    /// A text longer than [`crate::MAX_TEXT`].
    #[error("invalid YAML: longer than 4 MiB")]
    TooLong,
    /// A control character, which YAML forbids even in comments.
    #[error("invalid YAML: control character (U+{0:04X})")]
    ControlCharacter(u32),
    /// Lists and mappings nested deeper than any config needs.
    #[error("invalid YAML: lists and mappings nested deeper than 100")]
    TooDeep,
    /// YAML that other parsers take and Go's does not.
    #[error("invalid YAML: {0}")]
    Refused(cloud_yaml::Refused),
    /// An error of the parser.
    #[error("invalid YAML: {message}")]
    Syntax {
        /// Message of the parser.
        message: String,
        /// Place at which the parser gave up.
        at: Place,
    },
}

impl InvalidYaml {
    /// Returns the place of the error, if it has one.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        match self {
            InvalidYaml::Syntax { at, .. } => Some(*at),
            InvalidYaml::Refused(refused) => Some(Place {
                line: refused.line,
                column: refused.column,
            }),
            InvalidYaml::Encoding
            | InvalidYaml::TooLong
            | InvalidYaml::ControlCharacter(_)
            | InvalidYaml::TooDeep => None,
        }
    }
}

/// A key and its value.
type Entry = (Rc<Node>, Rc<Node>);

/// A value and its place.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) at: Place,
    pub(crate) content: Content,
}

/// Kinds of values.
#[derive(Debug)]
pub(crate) enum Content {
    Scalar(Scalar),
    List(Vec<Rc<Node>>),
    Map(Vec<Entry>),
    /// An alias for a node that stands before it.
    Alias(Rc<Node>),
    /// An alias for a node that contains it.
    Cycle,
}

/// A scalar as written.
#[derive(Debug, Clone)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    /// True for quoted and block scalars, which are texts without a tag.
    pub(crate) is_quoted: bool,
    /// Tag with `!!` for YAML's own.
    pub(crate) tag: Option<String>,
}

impl Scalar {
    /// True for a null.
    pub(crate) fn is_null(&self) -> bool {
        let is_null = matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL");
        is_null && !self.is_quoted && self.tag.is_none()
    }
}

impl Node {
    /// Returns the node itself, or the one that an alias stands for.
    pub(crate) fn target(&self) -> &Node {
        match &self.content {
            Content::Alias(target) => target,
            _ => self,
        }
    }

    /// Returns a value of a mapping; of equal keys the last.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, value)| value)
    }

    /// Returns a key of a mapping and its value; of equal keys the last.
    pub(crate) fn entry(&self, key: &str) -> Option<(&Node, &Node)> {
        let Content::Map(entries) = &self.content else {
            return None;
        };
        let found = entries
            .iter()
            .rev()
            .find(|(name, _)| name.key_text() == key);
        found.map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// Returns the text of a key; a key that is not a scalar has none.
    pub(crate) fn key_text(&self) -> &str {
        match &self.content {
            Content::Scalar(scalar) => &scalar.text,
            _ => "",
        }
    }
}
