//! Invalid value of a configuration, with its position.

/// Invalid value, and its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// Keys from the top to the value; a number counts in a list.
    pub path: Vec<String>,
    /// Problem in one sentence, without its place.
    pub message: String,
    /// Remedy, or the valid values.
    pub help: String,
}

impl ConfigProblem {
    pub(super) fn new(
        path: &[&str],
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> ConfigProblem {
        ConfigProblem {
            path: path.iter().map(|key| (*key).to_owned()).collect(),
            message: message.into(),
            help: help.into(),
        }
    }
}
