//! [`Message`] → bytes: long options split (RFC 3396), unused header fields lent to options that
//! do not fit (option 52), padded to BOOTP's least length.

use super::decode::COOKIE;
use super::options::code;
use super::{
    HEADER_LEN, MAX_HEADER_BOOT_FILE_LEN, MAX_HEADER_SERVER_NAME_LEN, MIN_MESSAGE_LEN, Message, Op,
};

/// Why a message cannot be sent.
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

/// An options field being filled.
struct Area {
    bytes: Vec<u8>,
    /// Bytes it may hold, its end mark included.
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
        self.bytes.len() + len < self.capacity
    }
}

impl Message {
    /// The message as bytes of at most `limit`, at least [`MIN_MESSAGE_LEN`].
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
        // Three bytes of the options field are kept for option 52.
        let options_capacity = limit.saturating_sub(HEADER_LEN);
        let mut main = Area::new(options_capacity.saturating_sub(3));
        let mut file = Area::new(if self.boot_file.is_empty() { 128 } else { 0 });
        let mut sname = Area::new(if self.server_name.is_empty() { 64 } else { 0 });
        for (code, bytes) in self.options.iter() {
            let encoded = split(code, bytes);
            let area = [&mut main, &mut file, &mut sname]
                .into_iter()
                .find(|area| area.fits(encoded.len()))
                .ok_or(EncodeError::TooLong { code, limit })?;
            area.bytes.extend(encoded);
        }
        let overload = u8::from(!file.bytes.is_empty()) | (u8::from(!sname.bytes.is_empty()) << 1);
        let file = field(&self.boot_file, file.bytes);
        let sname = field(&self.server_name, sname.bytes);
        let mut out = self.encode_header();
        out.extend(padded::<64>(&sname));
        out.extend(padded::<128>(&file));
        out.extend(COOKIE.to_be_bytes());
        out.extend(main.bytes);
        if overload != 0 {
            out.extend([code::OVERLOAD, 1, overload]);
        }
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
        let mut out = Vec::with_capacity(MIN_MESSAGE_LEN);
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

/// An option in parts of at most 255 bytes (RFC 3396 §5). An empty option is one empty part.
fn split(code: u8, bytes: &[u8]) -> Vec<u8> {
    if bytes.is_empty() {
        return vec![code, 0];
    }
    let mut out = Vec::with_capacity(bytes.len() + 2);
    for part in bytes.chunks(255) {
        out.extend([code, u8::try_from(part.len()).unwrap_or(u8::MAX)]);
        out.extend(part);
    }
    out
}

/// What a header field holds: its name, or options with their end mark.
fn field(name: &[u8], mut options: Vec<u8>) -> Vec<u8> {
    if options.is_empty() {
        return name.to_vec();
    }
    options.push(code::END);
    options
}

fn padded<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    for (to, from) in out.iter_mut().zip(bytes) {
        *to = *from;
    }
    out
}
