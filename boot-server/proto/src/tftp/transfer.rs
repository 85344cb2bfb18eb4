//! Transfer of one file to one client: a state machine without socket, file or clock.
//!
//! The owner feeds it packets and time, and sends what [`Transfer::poll_transmit`] asks for. Block
//! numbers on the wire wrap after 65535 to 0; inside, blocks are counted from 1 without wrapping.

use std::time::{Duration, Instant};

use super::packet::{DEFAULT_BLOCK_SIZE, Packet, RequestedOptions};

/// First retransmission comes after this; each later one after twice the wait before.
const FIRST_RETRANSMIT: Duration = Duration::from_secs(1);
/// The longest wait between retransmissions.
const LONGEST_RETRANSMIT: Duration = Duration::from_secs(4);
/// A longer retransmission interval is not granted: a silent client would hold its place for minutes.
const LONGEST_TIMEOUT_OPTION: u8 = 10;
/// Unanswered retransmissions before the client is given up.
const MAX_RETRANSMITS: u32 = 6;
/// The same, before the client has acknowledged anything, each [`FIRST_RETRANSMIT`] after the one before,
/// whatever the client asked for: until then nobody has shown to be at the address that asked, and what is sent
/// there may go to a stranger.
const MAX_RETRANSMITS_UNANSWERED: u32 = 2;

/// The most a server grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest block, so that no packet is fragmented on the way.
    pub block_size: u16,
    /// Largest window in blocks.
    pub window_size: u16,
}

/// Next packet to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transmit {
    /// This packet, as it is.
    OptionsAck(Vec<u8>),
    /// A DATA packet of these bytes of the file.
    Data {
        /// Block number on the wire.
        block: u16,
        /// Offset of the block in the file, in bytes.
        offset: u64,
        /// Number of bytes in the block; less than the block size (also 0) for the last block.
        len: usize,
    },
}

/// Result of a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The client acknowledged the last block.
    Done,
    /// The client sent an error.
    Aborted {
        /// TFTP error code.
        code: u16,
        /// Error text of the client.
        message: String,
    },
    /// The client fell silent.
    TimedOut,
}

/// A file being sent.
#[derive(Debug)]
pub struct Transfer {
    len: u64,
    block_size: u16,
    window_size: u16,
    /// The OACK, until the client acknowledges it as block 0.
    options_ack: Option<Vec<u8>>,
    send_options_ack: bool,
    /// Highest block acknowledged.
    acked: u64,
    /// Highest block sent since the last acknowledgement or rewind.
    sent: u64,
    /// Highest block ever sent.
    highest: u64,
    /// A window is sent again once for a repeated acknowledgement, then only for a timeout.
    rewound: bool,
    retransmit_first: Duration,
    wait: Duration,
    deadline: Instant,
    silent_rounds: u32,
    retransmits: u32,
    /// The client has acknowledged something.
    answered: bool,
    outcome: Option<Outcome>,
}

impl Transfer {
    /// Starts sending a file of `len` bytes.
    pub fn new(requested: &RequestedOptions, limits: Limits, len: u64, now: Instant) -> Transfer {
        let block_size = requested
            .block_size
            .map_or(DEFAULT_BLOCK_SIZE, |asked| asked.min(limits.block_size));
        let timeout = requested
            .timeout_seconds
            .filter(|asked| *asked <= LONGEST_TIMEOUT_OPTION);
        let window_size = requested
            .window_size
            .map_or(1, |asked| asked.min(limits.window_size));
        let mut options = Vec::new();
        if requested.block_size.is_some() {
            options.push(("blksize", u64::from(block_size)));
        }
        if requested.transfer_size {
            options.push(("tsize", len));
        }
        if let Some(seconds) = timeout {
            options.push(("timeout", u64::from(seconds)));
        }
        if requested.window_size.is_some() {
            options.push(("windowsize", u64::from(window_size)));
        }
        let options_ack = (!options.is_empty()).then(|| Packet::encode_options_ack(&options));
        let first = timeout.map_or(FIRST_RETRANSMIT, |seconds| {
            Duration::from_secs(seconds.into())
        });
        Transfer {
            len,
            block_size,
            window_size,
            send_options_ack: options_ack.is_some(),
            options_ack,
            acked: 0,
            sent: 0,
            highest: 0,
            rewound: false,
            retransmit_first: first,
            wait: FIRST_RETRANSMIT,
            deadline: now + FIRST_RETRANSMIT,
            silent_rounds: 0,
            retransmits: 0,
            answered: false,
            outcome: None,
        }
    }

    /// Block size in bytes after negotiation.
    pub fn block_size(&self) -> u16 {
        self.block_size
    }

    /// Window size in blocks after negotiation.
    pub fn window_size(&self) -> u16 {
        self.window_size
    }

    /// Packets that were sent again.
    pub fn retransmits(&self) -> u32 {
        self.retransmits
    }

    /// True if the client has acknowledged anything yet.
    pub fn is_answered(&self) -> bool {
        self.answered
    }

    /// Returns the result of the transfer, once it has ended.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// Returns the number of the last block. A file that fills its blocks exactly ends with an empty one.
    fn last_block(&self) -> u64 {
        self.len / u64::from(self.block_size) + 1
    }

    /// Takes a packet that the client sent to this transfer.
    pub fn handle_packet(&mut self, now: Instant, packet: &Packet) {
        if self.outcome.is_some() {
            return;
        }
        match packet {
            Packet::Ack(block) => self.handle_ack(now, *block),
            Packet::Error { code, message } => {
                self.outcome = Some(Outcome::Aborted {
                    code: *code,
                    message: message.clone(),
                });
            }
            // Any other packet is not meant for a sender: it is ignored, and the client stops or continues.
            Packet::Read(_) | Packet::Write(_) | Packet::Data { .. } | Packet::OptionsAck(_) => {}
        }
    }

    /// Takes an acknowledgement: [`Transfer::handle_packet`] without a packet around it.
    pub fn handle_ack(&mut self, now: Instant, block: u16) {
        if self.outcome.is_some() {
            return;
        }
        if self.options_ack.is_some() {
            if block == 0 {
                self.options_ack = None;
                self.send_options_ack = false;
                self.progress(now);
            }
            return;
        }
        // The wire's 16 bits, counted from the highest acknowledged block.
        let ahead = u64::from(block.wrapping_sub(self.acked as u16));
        if ahead == 0 {
            self.handle_repeated_ack(now);
        } else if self.acked + ahead <= self.highest {
            self.acked += ahead;
            // RFC 7440 §4: the next window starts behind what was acknowledged; after a loss that is
            // inside the window just sent.
            self.sent = self.acked;
            self.progress(now);
            if self.acked == self.last_block() {
                self.outcome = Some(Outcome::Done);
            }
        }
        // Otherwise it acknowledges what was never sent, or an old block: ignored.
    }

    /// RFC 1350's lockstep must not answer a repeated acknowledgement, or every packet doubles
    /// (RFC 1123 §4.2.3.1). With a window it means that the window's first block was lost.
    fn handle_repeated_ack(&mut self, now: Instant) {
        if self.window_size > 1 && self.sent > self.acked && !self.rewound {
            self.rewound = true;
            self.sent = self.acked;
            self.deadline = now + self.wait;
        }
    }

    fn progress(&mut self, now: Instant) {
        self.answered = true;
        self.rewound = false;
        self.silent_rounds = 0;
        self.wait = self.retransmit_first;
        self.deadline = now + self.wait;
    }

    /// Takes the passing of time; does nothing before [`Transfer::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.outcome.is_some() || now < self.deadline {
            return;
        }
        self.silent_rounds += 1;
        let most = match self.answered {
            true => MAX_RETRANSMITS,
            false => MAX_RETRANSMITS_UNANSWERED,
        };
        if self.silent_rounds > most {
            self.outcome = Some(Outcome::TimedOut);
            return;
        }
        if self.answered {
            self.wait = (self.wait * 2).min(LONGEST_RETRANSMIT.max(self.retransmit_first));
        }
        self.deadline = now + self.wait;
        self.rewound = false;
        if self.options_ack.is_some() {
            self.send_options_ack = true;
            self.retransmits += 1;
        } else {
            self.sent = self.acked;
        }
    }

    /// Returns the next packet to send now, if any. Call until it returns `None`.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        if self.outcome.is_some() {
            return None;
        }
        if let Some(packet) = &self.options_ack {
            return std::mem::take(&mut self.send_options_ack)
                .then(|| Transmit::OptionsAck(packet.clone()));
        }
        let window_end = self.acked + u64::from(self.window_size);
        if self.sent >= window_end.min(self.last_block()) {
            return None;
        }
        self.sent += 1;
        if self.sent <= self.highest {
            self.retransmits += 1;
        }
        self.highest = self.highest.max(self.sent);
        let offset = (self.sent - 1) * u64::from(self.block_size);
        let len = (self.len - offset).min(u64::from(self.block_size));
        // Wrapping is meant: RFC 1350 has no more bits, and every boot client counts on after 65535 with 0.
        Some(Transmit::Data {
            block: self.sent as u16,
            offset,
            len: len as usize,
        })
    }

    /// Returns the time at which [`Transfer::handle_timeout`] must be called; `None` after the end.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.outcome.is_none().then_some(self.deadline)
    }
}
