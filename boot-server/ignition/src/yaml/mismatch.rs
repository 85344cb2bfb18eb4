//! Values that do not fit their fields.

use super::Place;

/// A value that cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Place of the value.
    pub at: Place,
    /// Problem with the value.
    pub problem: MismatchProblem,
}

/// Problem with a value that cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MismatchProblem {
    /// A value of another kind than the field's.
    #[error("cannot unmarshal {found} into {wanted}")]
    Kind {
        /// Kind and text of the value, as Go writes them.
        found: String,
        /// Kind of the field.
        wanted: &'static str,
    },
    /// A key that stands twice in a mapping.
    #[error("mapping key \"{key}\" already defined at line {first}")]
    DuplicateKey {
        /// Duplicate key of the mapping.
        key: String,
        /// Line of the first one.
        first: usize,
    },
    /// A tag that contradicts its value.
    #[error("invalid value for tag {0}")]
    Tag(String),
    /// A merge key (`<<`) whose value is neither a mapping nor a list of mappings.
    #[error("map merge requires map or sequence of maps as the value")]
    Merge,
    /// An anchor inside the value that it names.
    #[error("anchor value contains itself")]
    Cycle,
    /// Aliases that would make a short text a huge config.
    #[error("document contains excessive aliasing")]
    Aliases,
}

/// Returns the first problem and its place.
pub(crate) fn first(mismatches: &[Mismatch]) -> String {
    mismatches.first().map_or_else(String::new, |mismatch| {
        format!(
            "{} (line {} col {})",
            mismatch.problem, mismatch.at.line, mismatch.at.column
        )
    })
}
