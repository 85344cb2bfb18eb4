//! Bytes → [`Message`].

use std::net::Ipv4Addr;

use super::message::{Message, Op};
use super::options::{Options, code};

/// Reasons that a datagram is not a DHCP message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Shorter than the fixed header with its cookie.
    #[error("{0} bytes are too short for a DHCP message")]
    Short(usize),
    /// Neither a request nor a reply.
    #[error("op {0} is neither request (1) nor reply (2)")]
    Op(u8),
    /// A hardware address longer than its field.
    #[error("hardware address length {0} is longer than its field of 16 bytes")]
    HardwareLen(u8),
    /// The options do not start with the magic cookie.
    #[error("magic cookie {0:08x} is not DHCP's 63825363")]
    Cookie(u32),
    /// Option 52 has a value other than 1, 2 or 3.
    #[error("option overload is {0:?}, not 1, 2 or 3")]
    Overload(Vec<u8>),
}

/// The magic cookie before the options (RFC 2131 §3).
pub(super) const COOKIE: u32 = 0x6382_5363;

/// Options by which a client names itself, and which are stored or told: RFC 3396 lets a client join parts
/// of any of them to as much as a datagram holds, and no client has a reason to.
const IDENTITIES: [u8; 8] = [
    code::HOST_NAME,
    code::REQUESTED_ADDRESS,
    code::PARAMETER_LIST,
    code::VENDOR_CLASS,
    code::CLIENT_ID,
    code::USER_CLASS,
    code::CLIENT_ARCH,
    code::MACHINE_ID,
];
/// Longest of those options in bytes: one part. A longer one counts as absent; cut, it could be another
/// client's.
const MAX_IDENTITY_LEN: usize = 255;

/// Takes bytes off the front; the caller has no way to reach past the end.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn slice(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    fn address(&mut self) -> Option<Ipv4Addr> {
        self.take::<4>().map(Ipv4Addr::from)
    }
}

impl Message {
    /// Reads a datagram.
    ///
    /// # Errors
    /// Whatever keeps it from being split into header and options. A missing end mark is forgiven, and so is
    /// a last option that is cut off, which then counts as absent: dnsmasq gives such a client an address.
    pub fn decode(datagram: &[u8]) -> Result<Message, DecodeError> {
        let short = DecodeError::Short(datagram.len());
        let mut header = Reader(datagram);
        let (mut message, server_name, boot_file) = read_header(&mut header).ok_or(short)??;
        let mut options = Options::default();
        read_options(header.0, &mut options);
        let overload = match options.remove(code::OVERLOAD).as_deref() {
            None => 0,
            Some([value @ 1..=3]) => *value,
            Some(other) => return Err(DecodeError::Overload(other.to_vec())),
        };
        // RFC 2131 §4.1: first the options field, then `file`, then `sname`.
        if overload & 1 != 0 {
            read_options(&boot_file, &mut options);
        } else {
            message.boot_file = until_nul(&boot_file);
        }
        if overload & 2 != 0 {
            read_options(&server_name, &mut options);
        } else {
            message.server_name = until_nul(&server_name);
        }
        for code in IDENTITIES {
            if options
                .bytes(code)
                .is_some_and(|bytes| bytes.len() > MAX_IDENTITY_LEN)
            {
                options.remove(code);
            }
        }
        message.options = options;
        Ok(message)
    }
}

type Header = (Message, [u8; 64], [u8; 128]);

fn read_header(bytes: &mut Reader<'_>) -> Option<Result<Header, DecodeError>> {
    let op = match bytes.byte()? {
        1 => Op::Request,
        2 => Op::Reply,
        other => return Some(Err(DecodeError::Op(other))),
    };
    let hardware_type = bytes.byte()?;
    let hardware_len = bytes.byte()?;
    if hardware_len > 16 {
        return Some(Err(DecodeError::HardwareLen(hardware_len)));
    }
    let message = Message {
        op,
        hardware_type,
        hardware_len,
        hops: bytes.byte()?,
        xid: bytes.take().map(u32::from_be_bytes)?,
        secs: bytes.take().map(u16::from_be_bytes)?,
        flags: bytes.take().map(u16::from_be_bytes)?,
        client_address: bytes.address()?,
        your_address: bytes.address()?,
        next_server: bytes.address()?,
        relay_agent: bytes.address()?,
        hardware_address: bytes.take()?,
        server_name: Vec::new(),
        boot_file: Vec::new(),
        options: Options::default(),
    };
    let server_name = bytes.take::<64>()?;
    let boot_file = bytes.take::<128>()?;
    let cookie = bytes.take().map(u32::from_be_bytes)?;
    if cookie != COOKIE {
        return Some(Err(DecodeError::Cookie(cookie)));
    }
    Some(Ok((message, server_name, boot_file)))
}

fn read_options(field: &[u8], into: &mut Options) {
    let mut field = Reader(field);
    loop {
        let code = match field.byte() {
            None | Some(code::END) => return,
            Some(code::PAD) => continue,
            Some(code) => code,
        };
        let part = field.byte().and_then(|len| field.slice(usize::from(len)));
        let Some(part) = part else { return };
        into.join(code, part);
    }
}

fn until_nul(field: &[u8]) -> Vec<u8> {
    field
        .iter()
        .copied()
        .take_while(|byte| *byte != 0)
        .collect()
}
