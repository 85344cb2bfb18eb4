//! The sequence diagram of a machine's boot, as data: lanes for who took part, rows for what was said.
//!
//! Pure: it is made from the packets of the capture alone, so that it shows what went over the wire and
//! not what a server believes it sent. How it looks is `html`'s business.

mod answers;
mod build;
mod labels;
mod lanes;
#[cfg(test)]
mod tests;

pub use build::{Moment, build};
pub(in crate::report) use labels::label;

/// What went over the wire between a machine and everybody else.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Diagram {
    /// Who took part; the machine itself is the first.
    pub lanes: Vec<Lane>,
    /// What was said, in order.
    pub rows: Vec<Row>,
}

impl Diagram {
    /// Position of the row that shows this frame of the capture.
    #[must_use]
    pub fn row_of(&self, frame: u64) -> Option<usize> {
        self.rows.iter().position(|row| row.frames.contains(&frame))
    }
}

/// One who took part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// As what.
    pub role: Role,
    /// At which address, and port where it is not the protocol's own; none for a server that never
    /// showed.
    pub address: Option<String>,
}

/// The part that somebody plays in a boot; servers that run in one program are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The machine that boots.
    Machine,
    /// Gives addresses.
    Dhcp,
    /// Gives boot options beside it.
    Proxy,
    /// Sends files by TFTP.
    Tftp,
    /// Sends files by HTTP.
    Http,
    /// Anybody else.
    Other,
}

impl Role {
    /// As the head of a lane.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Role::Machine => "machine",
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
    /// Microseconds since the Unix epoch.
    pub at_us: u64,
    /// Frames of the capture that it stands for.
    pub frames: Vec<u64>,
    /// What it shows.
    pub what: Shown,
}

/// What a row shows.
#[derive(Debug, Clone, PartialEq)]
pub enum Shown {
    /// A packet, or several that say the same.
    Message(Message),
    /// A file on its way.
    Transfer(TransferShown),
    /// Something that happened to the machine and is no packet.
    Note {
        /// What.
        text: String,
        /// How it is meant.
        tone: Tone,
    },
    /// Nothing for a while, in seconds.
    Silence(f64),
    /// This many rows are left out.
    LeftOut(usize),
}

/// One or more packets.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Lane of the sender.
    pub from: usize,
    /// Lane of the receiver; of a broadcast, the furthest that heard it.
    pub to: usize,
    /// What it is, in a few words.
    pub title: String,
    /// What of it matters for booting: name and value.
    pub details: Vec<(String, String)>,
    /// How it is meant.
    pub tone: Tone,
    /// How often it was sent in a row.
    pub times: usize,
}

/// A file on its way.
#[derive(Debug, Clone, PartialEq)]
pub struct TransferShown {
    /// Lane of the sender.
    pub from: usize,
    /// Lane of the receiver.
    pub to: usize,
    /// The file's name without its folder.
    pub file: String,
    /// HTTP's status code.
    pub status: Option<u16>,
    /// Bytes that arrived.
    pub bytes: u64,
    /// Bytes that were announced.
    pub announced: Option<u64>,
    /// How long it took.
    pub seconds: f64,
    /// Packets that were sent again.
    pub retransmits: u64,
    /// Longest silence in it, in seconds.
    pub longest_silence: f64,
    /// How it ended, where that is not well.
    pub ending: Option<&'static str>,
    /// How it is meant.
    pub tone: Tone,
}

/// How a row is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// A step forward.
    Good,
    /// Neither.
    Plain,
    /// Something went wrong.
    Bad,
    /// Nobody answered.
    Unanswered,
}
