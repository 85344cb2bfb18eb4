//! Reason why a DHCP message was not answered.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Shortage;

/// Kind of a reason for silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IgnoreCode {
    /// No address is free.
    NoFreeAddress,
    /// More new machines ask than can be offered an address.
    TooManyOffers,
    /// The lease could not be kept in the lease file.
    LeaseNotKept,
    /// The rules say nothing for this client or this message.
    Policy,
    /// The Pixiecore API refuses the machine, or could not be asked.
    PixiecoreApi,
    /// The reply could not be built or sent.
    NotSent,
    /// A reason that this version has no kind for.
    #[serde(other)]
    Other,
}

impl From<Shortage> for IgnoreCode {
    fn from(shortage: Shortage) -> IgnoreCode {
        match shortage {
            Shortage::PoolExhausted => IgnoreCode::NoFreeAddress,
            Shortage::TooManyOffers => IgnoreCode::TooManyOffers,
            Shortage::LeaseNotKept => IgnoreCode::LeaseNotKept,
            // A machine was served at the cost of another.
            Shortage::OffersTakenBack | Shortage::DeclinedReclaimed => IgnoreCode::Other,
        }
    }
}

/// Reason why a DHCP message was not answered: its kind for programs, its text for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(from = "Recorded")]
pub struct IgnoreReason {
    /// Kind of the reason.
    #[serde(rename = "reason_code")]
    pub code: IgnoreCode,
    #[serde(rename = "reason")]
    text: String,
}

/// Reason as it is recorded; events of older versions have no code.
#[derive(Deserialize, schemars::JsonSchema)]
struct Recorded {
    reason: String,
    reason_code: Option<IgnoreCode>,
}

impl From<Recorded> for IgnoreReason {
    fn from(recorded: Recorded) -> IgnoreReason {
        match recorded.reason_code {
            Some(code) => IgnoreReason::new(code, recorded.reason),
            None => IgnoreReason::from(recorded.reason),
        }
    }
}

impl IgnoreReason {
    /// A reason of this kind, in these words.
    pub fn new(code: IgnoreCode, text: impl Into<String>) -> IgnoreReason {
        let text = text.into();
        IgnoreReason { code, text }
    }

    /// The reason in words.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl From<String> for IgnoreReason {
    /// Reads the kind out of the text of an event without a code.
    fn from(text: String) -> IgnoreReason {
        let code = match text.contains("no free address") {
            true => IgnoreCode::NoFreeAddress,
            false => IgnoreCode::Other,
        };
        IgnoreReason { code, text }
    }
}

impl From<&str> for IgnoreReason {
    fn from(text: &str) -> IgnoreReason {
        IgnoreReason::from(text.to_owned())
    }
}

impl fmt::Display for IgnoreReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
