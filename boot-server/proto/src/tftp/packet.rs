//! TFTP packets as bytes.

/// Block size without the option (RFC 1350 §2).
pub const DEFAULT_BLOCK_SIZE: u16 = 512;
/// Least block size a client may ask for (RFC 2348).
const MIN_BLOCK_SIZE: u16 = 8;
/// Largest block size a client may ask for (RFC 2348).
const MAX_BLOCK_SIZE: u16 = 65464;

/// Reasons that bytes are not a TFTP packet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Cut off before its fixed fields.
    #[error("{0} bytes are too short for a TFTP packet")]
    Short(usize),
    /// The opcode is not one of RFC 1350's and RFC 2347's.
    #[error("unknown TFTP opcode {0}")]
    Opcode(u16),
    /// A text field without its NUL.
    #[error("unterminated text field")]
    Unterminated,
    /// A text field that is not UTF-8.
    #[error("a text field is not UTF-8")]
    NotText,
    /// An option name without a value.
    #[error("option `{0}` has no value")]
    NoValue(String),
}

/// Transfer mode of a file (RFC 1350 §1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// Bytes as they are.
    Octet,
    /// Any other mode; `netascii` is not served, because no boot client requests it.
    Other(String),
}

/// The options of a read request that are understood; `None` when not asked or not valid, in which
/// case they are not acknowledged (RFC 2347).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestedOptions {
    /// Bytes in a block.
    pub block_size: Option<u16>,
    /// The client wants to know the file's size.
    pub transfer_size: bool,
    /// Seconds between retransmissions.
    pub timeout_seconds: Option<u8>,
    /// Blocks sent before an acknowledgement is awaited.
    pub window_size: Option<u16>,
}

/// A client asks for a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadRequest {
    /// File name as sent.
    pub file: String,
    /// Requested transfer mode.
    pub mode: Mode,
    /// Options it asks for.
    pub options: RequestedOptions,
}

/// Error codes (RFC 1350 §5, RFC 2347).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "RFC 1350's own names")]
pub enum ErrorCode {
    NotDefined = 0,
    FileNotFound = 1,
    AccessViolation = 2,
    DiskFull = 3,
    IllegalOperation = 4,
    UnknownTransferId = 5,
    FileExists = 6,
    NoSuchUser = 7,
    OptionsRefused = 8,
}

/// A packet, as a server meets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// Read request (RRQ).
    Read(ReadRequest),
    /// WRQ; only its file name matters, as it is refused.
    Write(String),
    /// Data block (DATA).
    Data {
        /// Block number, which wraps at 65535.
        block: u16,
        /// Bytes of the block.
        bytes: Vec<u8>,
    },
    /// ACK of a block.
    Ack(u16),
    /// Error packet (ERROR).
    Error {
        /// Code as sent.
        code: u16,
        /// Text for people, possibly empty.
        message: String,
    },
    /// Option acknowledgement (OACK, RFC 2347).
    OptionsAck(Vec<(String, String)>),
}

impl Packet {
    /// Reads a datagram.
    ///
    /// # Errors
    /// What keeps it from being a TFTP packet.
    pub fn decode(datagram: &[u8]) -> Result<Packet, DecodeError> {
        let short = || DecodeError::Short(datagram.len());
        let (opcode, rest) = datagram.split_first_chunk::<2>().ok_or_else(short)?;
        match u16::from_be_bytes(*opcode) {
            1 => Ok(Packet::Read(read_request(rest)?)),
            2 => Ok(Packet::Write(take_text(rest)?.0)),
            3 => {
                let (block, bytes) = rest.split_first_chunk::<2>().ok_or_else(short)?;
                Ok(Packet::Data {
                    block: u16::from_be_bytes(*block),
                    bytes: bytes.to_vec(),
                })
            }
            4 => {
                let (block, _) = rest.split_first_chunk::<2>().ok_or_else(short)?;
                Ok(Packet::Ack(u16::from_be_bytes(*block)))
            }
            5 => {
                let (code, text) = rest.split_first_chunk::<2>().ok_or_else(short)?;
                // Some firmware leaves the message's NUL or all of it out: no reason to doubt the code.
                let message = text.split(|byte| *byte == 0).next().unwrap_or_default();
                let message = String::from_utf8_lossy(message).into_owned();
                Ok(Packet::Error {
                    code: u16::from_be_bytes(*code),
                    message,
                })
            }
            6 => Ok(Packet::OptionsAck(options(rest)?)),
            other => Err(DecodeError::Opcode(other)),
        }
    }

    /// Returns the block of an ACK; `None` for any other packet. Transfers hear little else.
    pub fn decode_ack(datagram: &[u8]) -> Option<u16> {
        match datagram {
            [0, 4, high, low, ..] => Some(u16::from_be_bytes([*high, *low])),
            _ => None,
        }
    }

    /// Returns an ERROR packet.
    pub fn encode_error(code: ErrorCode, message: &str) -> Vec<u8> {
        let mut out = vec![0, 5, 0, code as u8];
        out.extend(message.bytes().filter(|byte| *byte != 0));
        out.push(0);
        out
    }

    /// Returns the four bytes before a DATA packet's contents.
    pub fn data_header(block: u16) -> [u8; 4] {
        let [high, low] = block.to_be_bytes();
        [0, 3, high, low]
    }

    /// Returns an OACK packet.
    pub(super) fn encode_options_ack(options: &[(&str, u64)]) -> Vec<u8> {
        let mut out = vec![0, 6];
        for (name, value) in options {
            out.extend(name.bytes());
            out.push(0);
            out.extend(value.to_string().bytes());
            out.push(0);
        }
        out
    }
}

fn read_request(rest: &[u8]) -> Result<ReadRequest, DecodeError> {
    let (file, rest) = take_file(rest)?;
    let (mode, rest) = take_text(rest)?;
    let mode = if mode.eq_ignore_ascii_case("octet") {
        Mode::Octet
    } else {
        Mode::Other(mode)
    };
    let mut requested = RequestedOptions::default();
    for (name, value) in options(rest)? {
        let number = value.parse::<u64>().ok();
        let within = |low: u16, high: u16| {
            number
                .and_then(|n| u16::try_from(n).ok())
                .filter(|n| (low..=high).contains(n))
        };
        match name.to_ascii_lowercase().as_str() {
            // A block size above the largest is a wish for the largest (Pixiecore's rule as well);
            // one below the least is not valid.
            "blksize" => {
                requested.block_size =
                    number.filter(|n| *n >= u64::from(MIN_BLOCK_SIZE)).map(|n| {
                        u16::try_from(n)
                            .unwrap_or(MAX_BLOCK_SIZE)
                            .min(MAX_BLOCK_SIZE)
                    });
            }
            "tsize" => requested.transfer_size = number.is_some(),
            "timeout" => {
                requested.timeout_seconds = within(1, 255).and_then(|n| u8::try_from(n).ok());
            }
            "windowsize" => requested.window_size = within(1, u16::MAX),
            _ => {}
        }
    }
    Ok(ReadRequest {
        file,
        mode,
        options: requested,
    })
}

fn options(mut rest: &[u8]) -> Result<Vec<(String, String)>, DecodeError> {
    let mut options = Vec::new();
    // Some firmware pads its request with NULs.
    while rest.iter().any(|byte| *byte != 0) {
        let (name, after) = take_text(rest)?;
        if after.is_empty() {
            return Err(DecodeError::NoValue(name));
        }
        let (value, after) = take_text(after)?;
        options.push((name, value));
        rest = after;
    }
    Ok(options)
}

/// Decodes a file name. Some UEFI firmware reads option 67 one byte too far and sends the 0xff behind it: that
/// byte is dropped. Any other bytes that are not UTF-8 are not a name of this server.
fn take_file(bytes: &[u8]) -> Result<(String, &[u8]), DecodeError> {
    let (name, rest) = split_text(bytes)?;
    let name = name.strip_suffix(&[0xff]).unwrap_or(name);
    let name = String::from_utf8(name.to_vec()).map_err(|_| DecodeError::NotText)?;
    Ok((name, rest))
}

fn take_text(bytes: &[u8]) -> Result<(String, &[u8]), DecodeError> {
    let (text, rest) = split_text(bytes)?;
    let text = String::from_utf8(text.to_vec()).map_err(|_| DecodeError::NotText)?;
    Ok((text, rest))
}

fn split_text(bytes: &[u8]) -> Result<(&[u8], &[u8]), DecodeError> {
    let end = bytes
        .iter()
        .position(|byte| *byte == 0)
        .ok_or(DecodeError::Unterminated)?;
    let (text, rest) = bytes
        .split_at_checked(end)
        .ok_or(DecodeError::Unterminated)?;
    Ok((text, rest.split_first().map_or(&[][..], |(_, rest)| rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> ReadRequest {
        match Packet::decode(bytes).unwrap() {
            Packet::Read(request) => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_read_request_of_edk2_is_read_with_its_options() {
        let request = read(
            b"\x00\x01snponly.efi\0OCTET\0TSIZE\x000\0blksize\x001468\0windowsize\x004\0timeout\x003\0",
        );
        assert_eq!(request.file, "snponly.efi");
        assert_eq!(request.mode, Mode::Octet);
        assert_eq!(
            request.options,
            RequestedOptions {
                block_size: Some(1468),
                transfer_size: true,
                timeout_seconds: Some(3),
                window_size: Some(4),
            }
        );
    }

    /// RFC 2347: unknown and invalid options are not acknowledged.
    #[test]
    fn invalid_and_unknown_options_are_as_if_not_asked() {
        let request = read(
            b"\x00\x01f\0octet\0blksize\x007\0windowsize\x000\0timeout\x00256\0tsize\0x\0multicast\0\0",
        );
        assert_eq!(request.options, RequestedOptions::default());
    }

    #[test]
    fn a_name_with_the_end_of_the_dhcp_options_behind_it_is_the_name() {
        assert_eq!(read(b"\x00\x01ipxe.efi\xff\0octet\0").file, "ipxe.efi");
    }

    #[test]
    fn broken_packets_are_named() {
        for (bytes, error) in [
            (&b"\x00"[..], DecodeError::Short(1)),
            (b"\x00\x09", DecodeError::Opcode(9)),
            (b"\x00\x01file", DecodeError::Unterminated),
            (b"\x00\x01\xfff\0octet\0", DecodeError::NotText),
            (
                b"\x00\x01f\0octet\0blksize\0",
                DecodeError::NoValue("blksize".into()),
            ),
            (b"\x00\x04\x00", DecodeError::Short(3)),
        ] {
            assert_eq!(Packet::decode(bytes), Err(error));
        }
    }

    #[test]
    fn an_error_without_its_nul_keeps_its_code() {
        assert_eq!(
            Packet::decode(b"\x00\x05\x00\x08User aborted the transfer"),
            Ok(Packet::Error {
                code: 8,
                message: "User aborted the transfer".into()
            })
        );
    }
}
