//! Sequence diagram of a machine's boot, as data: lanes for participants, rows for messages.
//!
//! Pure: made from the captured packets alone, so that the diagram shows the network traffic and not what a
//! server believes it sent. `html` renders it.

mod answers;
mod build;
mod labels;
mod lanes;
#[cfg(test)]
mod tests;

use lab_model::evidence::packet::Frame;

pub use build::{Moment, build};
pub(crate) use labels::label;
pub use lanes::Relay;

/// Traffic between a machine and all other hosts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Diagram {
    /// Participants; the first is the machine itself.
    pub lanes: Vec<Lane>,
    /// Rows in the order of time.
    pub rows: Vec<Row>,
}

impl Diagram {
    /// Returns the index of the row that shows this frame of the capture.
    #[must_use]
    pub fn row_of(&self, frame: &Frame) -> Option<usize> {
        self.rows.iter().position(|row| row.frames.contains(frame))
    }
}

/// Participant of the diagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    pub role: Role,
    /// Address, with the port if it is not the protocol's default, or a relay's name; `None` for a server that never
    /// appeared.
    pub address: Option<String>,
}

/// Role of a participant; several roles of one program are distinguished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The machine that boots.
    Machine,
    /// DHCP relay.
    Relay,
    /// DHCP server.
    Dhcp,
    /// ProxyDHCP server.
    Proxy,
    /// TFTP server.
    Tftp,
    /// HTTP server.
    Http,
    /// Any other host.
    Other,
}

impl Role {
    /// Returns the heading of the lane.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Role::Machine => "machine",
            Role::Relay => "relay",
            Role::Dhcp => "DHCP",
            Role::Proxy => "proxy",
            Role::Tftp => "TFTP",
            Role::Http => "HTTP",
            Role::Other => "other",
        }
    }
}

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Time in microseconds since the Unix epoch.
    pub at_us: u64,
    /// Frames of the captures that the row represents.
    pub frames: Vec<Frame>,
    pub what: Shown,
}

/// Content of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Shown {
    /// One packet, or several equal ones.
    Message(Message),
    /// File transfer.
    Transfer(TransferShown),
    /// Event of the machine that is not a packet.
    Note { text: String, tone: Tone },
    /// Silence, in seconds.
    Silence(f64),
    /// Number of rows omitted.
    LeftOut(usize),
}

/// One or more packets.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Index of the sender's lane.
    pub from: usize,
    /// Index of the receiver's lane; for a broadcast, the furthest receiver.
    pub to: usize,
    /// Title of a few words.
    pub title: String,
    /// Names and values that matter for booting.
    pub details: Vec<(String, String)>,
    pub tone: Tone,
    /// Number of repetitions in a row.
    pub times: usize,
}

/// File transfer.
#[derive(Debug, Clone, PartialEq)]
pub struct TransferShown {
    /// Index of the sender's lane.
    pub from: usize,
    /// Index of the receiver's lane.
    pub to: usize,
    /// Name of the file, without its folder.
    pub file: String,
    /// HTTP status code.
    pub status: Option<u16>,
    /// Number of bytes that arrived.
    pub bytes: u64,
    /// Announced size, in bytes.
    pub announced: Option<u64>,
    /// Duration, in seconds.
    pub seconds: f64,
    /// Number of retransmitted packets.
    pub retransmits: u64,
    /// Longest silence, in seconds.
    pub longest_silence: f64,
    /// Abnormal end, if any.
    pub ending: Option<&'static str>,
    pub tone: Tone,
}

/// Significance of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Progress of the boot.
    Good,
    /// Neither good nor bad.
    Plain,
    /// An error.
    Bad,
    /// Request without an answer.
    Unanswered,
}
