//! Why a machine did not boot: ranked causes, each with the evidence for it and what to try.
//!
//! Pure: an attempt's evidence in, [`Finding`]s out. `verdict` says whether and at which stage a node
//! failed; this room says what that most likely comes from. Nothing here looks at files or clocks, so that
//! the explanation of a saved attempt is the same on every machine.

mod cause;

pub use cause::Cause;

use serde::{Deserialize, Serialize};

/// A possible cause of a failure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is.
    pub cause: Cause,
    /// It in one plain sentence, with the names, addresses and files of this case.
    pub sentence: String,
    /// What speaks for it, most telling first.
    pub evidence: Vec<Proof>,
    /// What to try, in the imperative.
    pub remedy: String,
    /// How strongly the evidence speaks for it, 0 to 100; findings are ranked by it.
    pub weight: u8,
}

/// One piece of evidence for a finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// When it was seen: microseconds since the Unix epoch; none for something that was not seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_us: Option<u64>,
    /// Frame number in the capture, when it is a packet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<u64>,
    /// It in words.
    pub text: String,
}
