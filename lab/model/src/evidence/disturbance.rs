//! Reasons why an answer on a machine's console cannot be trusted.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Reason why an answer cannot be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Disturbance {
    /// The answer began, but its end did not arrive in time.
    Unended,
    /// An end marker arrived without a begin marker.
    EndWithoutBegin,
    /// A second begin marker arrived before the end marker.
    SecondBegin,
    /// The end marker is malformed.
    MalformedEnd,
    /// The guest computed no checksum: `cksum` is missing or was killed.
    NoChecksum,
    /// Length or checksum of the received answer differ from those of the guest.
    Checksum,
    /// The answer is longer than 16 MiB.
    TooLong,
}

impl fmt::Display for Disturbance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Disturbance::Unended => "the end of the answer did not arrive",
            Disturbance::EndWithoutBegin => "an end marker arrived without a begin marker",
            Disturbance::SecondBegin => "a second begin marker arrived",
            Disturbance::MalformedEnd => "the end marker is malformed",
            Disturbance::NoChecksum => "the machine computed no checksum",
            Disturbance::Checksum => "the checksum differs from the machine's",
            Disturbance::TooLong => "it is longer than 16 MiB",
        })
    }
}
