//! Reasons why an answer on a machine's console cannot be trusted.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A reason why an answer cannot be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disturbance {
    /// The answer began and its end did not come in time.
    Unended,
    /// An end marker came without a begin marker before it.
    EndWithoutBegin,
    /// A second begin marker came before the end marker.
    SecondBegin,
    /// The end marker is malformed.
    MalformedEnd,
    /// The guest computed no checksum: `cksum` is missing or was killed.
    NoChecksum,
    /// Length or checksum of what arrived are not those that the guest computed.
    Checksum,
    /// The answer is longer than 16 MiB.
    TooLong,
}

impl fmt::Display for Disturbance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Disturbance::Unended => "the end of the answer did not come",
            Disturbance::EndWithoutBegin => "an end marker came without a begin marker",
            Disturbance::SecondBegin => "a second begin marker came",
            Disturbance::MalformedEnd => "the end marker is malformed",
            Disturbance::NoChecksum => "the machine computed no checksum",
            Disturbance::Checksum => "its checksum is not the one that the machine computed",
            Disturbance::TooLong => "it is longer than 16 MiB",
        })
    }
}
