//! [`Message`] → bytes: long options split (RFC 3396), unused header fields lent to options that
//! do not fit (option 52), padded to BOOTP's least length.

use super::decode::COOKIE;
use super::message::{
    DEFAULT_MAX_MESSAGE_LEN, HEADER_LEN, MAX_HEADER_BOOT_FILE_LEN, MAX_HEADER_SERVER_NAME_LEN,
    MIN_MESSAGE_LEN, Message, Op,
};
use super::options::code;

/// Reasons that a message cannot be encoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The client would not accept a message this long.
    #[error("option {code} does not fit a message of {limit} bytes")]
    TooLong {
        /// First option that found no room.
        code: u8,
        /// Largest message the client accepts.
        limit: usize,
    },
    /// The boot file name is longer than its header field; option 67 is the place for it.
    #[error("boot file name of {0} bytes is longer than the header's {MAX_HEADER_BOOT_FILE_LEN}")]
    BootFile(usize),
    /// The server name is longer than its header field.
    #[error("server name of {0} bytes is longer than the header's {MAX_HEADER_SERVER_NAME_LEN}")]
    ServerName(usize),
}

/// Options that a client can do without when there is no room for all: whatever is not listed here.
/// The relay agent's own comes last: RFC 3046 §2.2 has it left out rather than cut.
const NEEDED: [u8; 13] = [
    code::SUBNET_MASK,
    code::ROUTER,
    code::LEASE_TIME,
    code::MESSAGE_TYPE,
    code::SERVER_ID,
    code::VENDOR_SPECIFIC,
    code::VENDOR_CLASS,
    code::CLIENT_ID,
    code::TFTP_SERVER_NAME,
    code::BOOT_FILE_NAME,
    code::MACHINE_ID,
    code::SUBNET_SELECTION,
    code::RELAY_AGENT_INFO,
];
/// Code, length and value of option 52, and the end mark.
const OVERLOAD_AND_END_LEN: usize = 4;

/// An options field being filled.
struct Area {
    bytes: Vec<u8>,
    /// Bytes it may hold, its end mark not counted.
    capacity: usize,
}

impl Area {
    fn new(capacity: usize) -> Area {
        Area {
            bytes: Vec::new(),
            capacity,
        }
    }

    fn fits(&self, len: usize) -> bool {
        self.bytes.len() + len <= self.capacity
    }
}

impl Message {
    /// Encodes the message in at most `limit` bytes, without the options that do not fit and that the client
    /// can do without; returns their codes as well.
    ///
    /// # Errors
    /// A header name is too long, or what the client needs fits nowhere.
    pub fn encode_fitting(&self, limit: usize) -> Result<(Vec<u8>, Vec<u8>), EncodeError> {
        let mut message;
        let mut fitting = self;
        let mut dropped = Vec::new();
        loop {
            match fitting.encode(limit) {
                Ok(bytes) => return Ok((bytes, dropped)),
                Err(error @ EncodeError::TooLong { .. }) => {
                    let codes = || fitting.options.iter().map(|(code, _)| code);
                    let spare = codes().filter(|code| !NEEDED.contains(code)).last();
                    let relay = codes().find(|code| *code == code::RELAY_AGENT_INFO);
                    let code = spare.or(relay).ok_or(error)?;
                    message = fitting.clone();
                    message.options.remove(code);
                    dropped.push(code);
                    fitting = &message;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Encodes the message in at most `limit` bytes, at least [`MIN_MESSAGE_LEN`].
    ///
    /// # Errors
    /// A header name is too long, or the options fit nowhere.
    pub fn encode(&self, limit: usize) -> Result<Vec<u8>, EncodeError> {
        if self.boot_file.len() > MAX_HEADER_BOOT_FILE_LEN {
            return Err(EncodeError::BootFile(self.boot_file.len()));
        }
        if self.server_name.len() > MAX_HEADER_SERVER_NAME_LEN {
            return Err(EncodeError::ServerName(self.server_name.len()));
        }
        let mut main = Area::new(limit.saturating_sub(HEADER_LEN + OVERLOAD_AND_END_LEN));
        let mut file = Area::new(if self.boot_file.is_empty() { 127 } else { 0 });
        let mut sname = Area::new(if self.server_name.is_empty() { 63 } else { 0 });
        for (code, bytes) in self.options.iter() {
            let area = [&mut main, &mut file, &mut sname]
                .into_iter()
                .find(|area| area.fits(encoded_len(bytes)))
                .ok_or(EncodeError::TooLong { code, limit })?;
            encode_option(code, bytes, &mut area.bytes);
        }
        let overload = u8::from(!file.bytes.is_empty()) | (u8::from(!sname.bytes.is_empty()) << 1);
        let mut out = self.encode_header();
        push_field::<64>(&mut out, &self.server_name, &sname.bytes);
        push_field::<128>(&mut out, &self.boot_file, &file.bytes);
        out.extend(COOKIE.to_be_bytes());
        if overload != 0 {
            // Before all others: the relay agent's option is to be the last (RFC 3046 §2.1).
            out.extend([code::OVERLOAD, 1, overload]);
        }
        out.extend_from_slice(&main.bytes);
        out.push(code::END);
        if out.len() < MIN_MESSAGE_LEN {
            out.resize(MIN_MESSAGE_LEN, code::PAD);
        }
        Ok(out)
    }

    fn encode_header(&self) -> Vec<u8> {
        let op = match self.op {
            Op::Request => 1,
            Op::Reply => 2,
        };
        let mut out = Vec::with_capacity(DEFAULT_MAX_MESSAGE_LEN);
        out.extend([op, self.hardware_type, self.hardware_len, self.hops]);
        out.extend(self.xid.to_be_bytes());
        out.extend(self.secs.to_be_bytes());
        out.extend(self.flags.to_be_bytes());
        out.extend(self.client_address.octets());
        out.extend(self.your_address.octets());
        out.extend(self.next_server.octets());
        out.extend(self.relay_agent.octets());
        out.extend(self.hardware_address);
        out
    }
}

/// Returns the bytes an option takes on the wire. An empty option is one empty part.
fn encoded_len(bytes: &[u8]) -> usize {
    bytes.len() + 2 * bytes.len().div_ceil(255).max(1)
}

/// Writes an option in parts of at most 255 bytes (RFC 3396 §5).
fn encode_option(code: u8, bytes: &[u8], out: &mut Vec<u8>) {
    if bytes.is_empty() {
        out.extend([code, 0]);
    }
    for part in bytes.chunks(255) {
        out.extend([code, u8::try_from(part.len()).unwrap_or(u8::MAX)]);
        out.extend_from_slice(part);
    }
}

/// Writes a header field: its name, or options with their end mark; the rest is zero.
fn push_field<const N: usize>(out: &mut Vec<u8>, name: &[u8], options: &[u8]) {
    let end = out.len() + N;
    if options.is_empty() {
        out.extend_from_slice(name);
    } else {
        out.extend_from_slice(options);
        out.push(code::END);
    }
    out.resize(end, 0);
}
