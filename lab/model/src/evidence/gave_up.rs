//! Reason why the lab stopped waiting for a machine.
//!
//! Records have the reason as text, which [`GaveUp`] renders and reads back: a reason that this version does not know
//! stays as it was recorded.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Reason why the lab stopped waiting for a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(from = "String", into = "String")]
pub enum GaveUp {
    /// The run was interrupted.
    Interrupted,
    /// The overall deadline passed.
    Deadline {
        /// Length of the deadline.
        seconds: u64,
    },
    /// Any other reason, in words for people: no progress for too long, a text on the console, a shell that failed.
    Other(String),
}

const INTERRUPTED: &str = "interrupted";
const DEADLINE: (&str, &str) = ("timed out after ", " s");

/// Text of [`GaveUp::Deadline`] in recordings of earlier versions.
const DEADLINE_BEFORE: (&str, &str) = ("the deadline of ", " s came first");

impl fmt::Display for GaveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GaveUp::Interrupted => f.write_str(INTERRUPTED),
            GaveUp::Deadline { seconds } => write!(f, "{}{seconds}{}", DEADLINE.0, DEADLINE.1),
            GaveUp::Other(text) => f.write_str(text),
        }
    }
}

impl From<String> for GaveUp {
    /// Reads a reason as it was recorded.
    fn from(text: String) -> GaveUp {
        let seconds = || {
            [DEADLINE, DEADLINE_BEFORE]
                .into_iter()
                .find_map(|(before, after)| {
                    let rest = text.strip_prefix(before)?;
                    rest.strip_suffix(after)?.parse().ok()
                })
        };
        match seconds() {
            Some(seconds) => GaveUp::Deadline { seconds },
            None if text == INTERRUPTED => GaveUp::Interrupted,
            None => GaveUp::Other(text),
        }
    }
}

impl From<&str> for GaveUp {
    fn from(text: &str) -> GaveUp {
        GaveUp::from(text.to_owned())
    }
}

impl From<GaveUp> for String {
    fn from(reason: GaveUp) -> String {
        reason.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gave_up_recorded_text_is_the_same_reason_again() {
        let other = GaveUp::Other("no progress for 60 s at stage dhcp; the last was: x".into());
        let deadline = GaveUp::Deadline { seconds: 300 };
        for reason in [GaveUp::Interrupted, deadline, other] {
            let text = reason.to_string();
            assert_eq!(GaveUp::from(text.as_str()), reason, "{text}");
        }
        let recorded = serde_json::from_str("\"the deadline of 300 s came first\"");
        assert_eq!(recorded.ok(), Some(GaveUp::Deadline { seconds: 300 }));
    }

    #[test]
    fn gave_up_text_that_only_mentions_a_deadline_is_another_reason() {
        for text in [
            "no deadline",
            "the deadline of x s came first",
            "timed out after a while",
            "interrupted twice",
        ] {
            assert_eq!(GaveUp::from(text), GaveUp::Other(text.into()));
        }
    }
}
