//! Reason why a file was not sent by TFTP.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Kind of a TFTP failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TftpFailureCode {
    /// No such file.
    NotFound,
    /// The request is refused: the file is not for this client, or the request asks for what is not served.
    Refused,
    /// The client asked for the size and broke off, as EDK2 does before it asks for the file.
    SizeOnly,
    /// The client broke off.
    ClientAborted,
    /// The client did not answer any more.
    TimedOut,
    /// The client began another transfer, or all places were taken.
    NoPlace,
    /// The server is stopping.
    Stopping,
    /// The disk or the network failed.
    Io,
    /// A reason that this version has no kind for.
    #[serde(other)]
    Other,
}

impl TftpFailureCode {
    /// True if the client ended the transfer of its own accord.
    pub fn is_of_client(self) -> bool {
        matches!(
            self,
            TftpFailureCode::SizeOnly | TftpFailureCode::ClientAborted
        )
    }
}

/// Reason why a file was not sent by TFTP: its kind for programs, its text for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(from = "Recorded")]
pub struct TftpFailure {
    /// Kind of the reason.
    #[serde(rename = "reason_code")]
    pub code: TftpFailureCode,
    #[serde(rename = "reason")]
    text: String,
}

/// Reason as it is recorded; events of older versions have no code.
#[derive(Deserialize, schemars::JsonSchema)]
struct Recorded {
    reason: String,
    reason_code: Option<TftpFailureCode>,
}

impl From<Recorded> for TftpFailure {
    fn from(recorded: Recorded) -> TftpFailure {
        match recorded.reason_code {
            Some(code) => TftpFailure::new(code, recorded.reason),
            None => TftpFailure::from(recorded.reason),
        }
    }
}

impl TftpFailure {
    /// A reason of this kind, in these words.
    pub fn new(code: TftpFailureCode, text: impl Into<String>) -> TftpFailure {
        let text = text.into();
        TftpFailure { code, text }
    }

    /// The reason in words.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl From<String> for TftpFailure {
    /// Reads the kind out of the text of an event without a code.
    fn from(text: String) -> TftpFailure {
        const NOT_FOUND: [&str; 3] = ["not found", "no such", "there is no"];
        let lower = text.to_lowercase();
        let code = if text.starts_with("the client only asked for the size") {
            TftpFailureCode::SizeOnly
        } else if text.starts_with("the client broke off") || text.contains("abort") {
            TftpFailureCode::ClientAborted
        } else if NOT_FOUND.iter().any(|sign| lower.contains(sign)) {
            TftpFailureCode::NotFound
        } else {
            TftpFailureCode::Other
        };
        TftpFailure { code, text }
    }
}

impl From<&str> for TftpFailure {
    fn from(text: &str) -> TftpFailure {
        TftpFailure::from(text.to_owned())
    }
}

impl fmt::Display for TftpFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
