//! Typed readings of the options that decide how a machine boots.

use std::net::Ipv4Addr;

use uuid::Uuid;

use super::arch::ClientArch;
use super::message::{DEFAULT_MAX_MESSAGE_LEN, IP_UDP_HEADERS_LEN, Message};
use super::message_type::MessageType;
use super::options::code;

/// An option whose bytes do not have the shape its RFC gives it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid length of option {code} ({name}): {len} bytes")]
pub struct FieldError {
    /// Option code (RFC 2132).
    pub code: u8,
    /// Option name for messages.
    pub name: &'static str,
    /// Length of the value in bytes.
    pub len: usize,
}

/// Client machine identifier (option 97): a type byte 0 and a UUID, kept as its bytes so that it
/// can be echoed exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MachineId(pub [u8; 16]);

impl MachineId {
    /// Returns the UUID as the machine's own tools and iPXE's `${uuid}` show it.
    ///
    /// On the wire are SMBIOS's bytes, whose first three fields are little-endian since SMBIOS 2.6:
    /// so send iPXE (1.0.0+git-20190125 in QEMU, as ROM and as NBP) and EDK2 (OVMF 2022.11).
    pub fn uuid(&self) -> Uuid {
        Uuid::from_bytes_le(self.0)
    }
}

/// Link selection, sub-option 5 of the relay agent's option 82 (RFC 3527 §3).
const LINK_SELECTION: u8 = 5;

/// Server identifier override, sub-option 11 of option 82 (RFC 5107 §4).
const SERVER_ID_OVERRIDE: u8 = 11;

/// Returns the first sub-option of this code among encapsulated options without padding (RFC 3046 §2.0).
pub(super) fn sub_option(mut options: &[u8], wanted: u8) -> Option<&[u8]> {
    while let Some((&[code, len], tail)) = options.split_first_chunk::<2>() {
        let (bytes, rest) = tail.split_at_checked(usize::from(len))?;
        if code == wanted {
            return Some(bytes);
        }
        options = rest;
    }
    None
}

/// iPXE's encapsulated option 175, as far as it is read here: its presence means iPXE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpxeFeatures(pub Vec<u8>);

impl Message {
    /// Option 53.
    ///
    /// # Errors
    /// It is not one byte.
    pub fn message_type(&self) -> Result<Option<MessageType>, FieldError> {
        let Some(bytes) = self.options.bytes(code::MESSAGE_TYPE) else {
            return Ok(None);
        };
        match bytes {
            [value] => Ok(Some(MessageType::from_wire(*value))),
            _ => Err(FieldError {
                code: code::MESSAGE_TYPE,
                name: "message type",
                len: bytes.len(),
            }),
        }
    }

    /// Option 93, all of its values in order; empty when absent.
    ///
    /// # Errors
    /// It is empty or of odd length.
    pub fn client_arch(&self) -> Result<Vec<ClientArch>, FieldError> {
        let Some(bytes) = self.options.bytes(code::CLIENT_ARCH) else {
            return Ok(Vec::new());
        };
        match bytes.as_chunks::<2>() {
            (values, []) if !values.is_empty() => Ok(values
                .iter()
                .map(|value| ClientArch::from_wire(u16::from_be_bytes(*value)))
                .collect()),
            _ => Err(FieldError {
                code: code::CLIENT_ARCH,
                name: "client architecture",
                len: bytes.len(),
            }),
        }
    }

    /// Option 97.
    ///
    /// # Errors
    /// It is not 17 bytes, or not of type 0.
    pub fn machine_id(&self) -> Result<Option<MachineId>, FieldError> {
        let Some(bytes) = self.options.bytes(code::MACHINE_ID) else {
            return Ok(None);
        };
        match bytes.split_first_chunk::<1>() {
            Some(([0], uuid)) => uuid.try_into().ok().map(|id| Some(MachineId(id))),
            _ => None,
        }
        .ok_or(FieldError {
            code: code::MACHINE_ID,
            name: "machine identifier",
            len: bytes.len(),
        })
    }

    /// Option 60 as text.
    pub fn vendor_class(&self) -> Option<String> {
        self.text_bytes(code::VENDOR_CLASS).map(text)
    }

    /// Option 77's classes: RFC 3004's length-prefixed list when it is one, else the bytes as one
    /// class (iPXE sends a bare `iPXE`).
    pub fn user_classes(&self) -> Vec<Vec<u8>> {
        let Some(bytes) = self.text_bytes(code::USER_CLASS) else {
            return Vec::new();
        };
        // With its NULs, as the last class may be one byte longer than it seems.
        let mut rest = self.options.bytes(code::USER_CLASS).unwrap_or_default();
        let mut classes = Vec::new();
        while let Some((&len, tail)) = rest.split_first().filter(|(len, _)| **len > 0) {
            let Some((class, tail)) = tail.split_at_checked(usize::from(len)) else {
                break;
            };
            classes.push(without_nuls(class).to_vec());
            rest = tail;
        }
        if without_nuls(rest).is_empty() && !classes.is_empty() {
            classes
        } else {
            vec![bytes.to_vec()]
        }
    }

    /// Option 77 as text for people.
    pub fn user_class_text(&self) -> Option<String> {
        let classes = self.user_classes();
        (!classes.is_empty()).then(|| {
            classes
                .iter()
                .map(|c| text(c))
                .collect::<Vec<_>>()
                .join(",")
        })
    }

    /// Option 175.
    pub fn ipxe_features(&self) -> Option<IpxeFeatures> {
        self.options
            .bytes(code::IPXE)
            .map(|bytes| IpxeFeatures(bytes.to_vec()))
    }

    /// Option 50; an option of another length counts as absent.
    pub fn requested_address(&self) -> Option<Ipv4Addr> {
        self.address_option(code::REQUESTED_ADDRESS)
    }

    /// Option 61, when it is a client identifier: a type byte and at least one more (RFC 2132 §9.14).
    pub fn client_id(&self) -> Option<&[u8]> {
        self.options
            .bytes(code::CLIENT_ID)
            .filter(|bytes| bytes.len() >= 2)
    }

    /// Option 12 as text.
    pub fn host_name(&self) -> Option<String> {
        let bytes = self.text_bytes(code::HOST_NAME)?;
        (1..=255).contains(&bytes.len()).then(|| text(bytes))
    }

    /// Returns the subnet that the client's address is to be of, when the message says so: the relay's link
    /// selection (RFC 3527), else the subnet selection option (RFC 3011).
    pub fn selected_link(&self) -> Option<Ipv4Addr> {
        self.relay_address(LINK_SELECTION)
            .or_else(|| self.address_option(code::SUBNET_SELECTION))
    }

    /// Returns the address by which the client is to know its server, when its relay agent says so: the relay's
    /// own, so that it hears renewals too (RFC 5107). Only a relay agent may say it.
    pub fn server_id_override(&self) -> Option<Ipv4Addr> {
        self.relay_address(SERVER_ID_OVERRIDE)
            .filter(|address| !self.relay_agent.is_unspecified() && !address.is_unspecified())
    }

    fn relay_address(&self, sub: u8) -> Option<Ipv4Addr> {
        let info = self.options.bytes(code::RELAY_AGENT_INFO)?;
        let octets: [u8; 4] = sub_option(info, sub)?.try_into().ok()?;
        Some(Ipv4Addr::from(octets))
    }

    /// Option 82 of a relay agent, as it is: the same for all clients behind one port.
    pub fn relay_circuit(&self) -> Option<&[u8]> {
        let info = self.options.bytes(code::RELAY_AGENT_INFO)?;
        (!self.relay_agent.is_unspecified()).then_some(info)
    }

    /// Option 54; an option of another length counts as absent.
    pub fn server_id(&self) -> Option<Ipv4Addr> {
        self.address_option(code::SERVER_ID)
    }

    /// True if option 55 requests this option.
    pub fn requests_parameter(&self, code: u8) -> bool {
        self.options
            .bytes(code::PARAMETER_LIST)
            .is_some_and(|list| list.contains(&code))
    }

    /// Longest message this client accepts, from option 57 (which counts the IP and UDP headers);
    /// never below what RFC 2131 §2 makes every client accept.
    pub fn max_message_len(&self) -> usize {
        self.options
            .bytes(code::MAX_MESSAGE_SIZE)
            .and_then(|bytes| bytes.try_into().ok())
            .map_or(DEFAULT_MAX_MESSAGE_LEN, |bytes| {
                usize::from(u16::from_be_bytes(bytes)).saturating_sub(IP_UDP_HEADERS_LEN)
            })
            // More than an Ethernet frame holds would be fragmented, which boot ROMs cannot join.
            .clamp(DEFAULT_MAX_MESSAGE_LEN, 1500 - IP_UDP_HEADERS_LEN)
    }

    /// Returns an option of text, less the NULs at its end (RFC 2132 §2).
    pub fn text_bytes(&self, code: u8) -> Option<&[u8]> {
        self.options.bytes(code).map(without_nuls)
    }

    fn address_option(&self, code: u8) -> Option<Ipv4Addr> {
        let octets: [u8; 4] = self.options.bytes(code)?.try_into().ok()?;
        Some(Ipv4Addr::from(octets))
    }
}

fn without_nuls(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte != 0);
    end.and_then(|end| bytes.get(..=end)).unwrap_or_default()
}

/// Renders bytes as text: control characters and invalid UTF-8 become `\x…`.
fn text(bytes: &[u8]) -> String {
    bytes.utf8_chunks().fold(String::new(), |mut out, chunk| {
        for c in chunk.valid().chars() {
            if c.is_control() {
                out.extend(c.escape_default());
            } else {
                out.push(c);
            }
        }
        for byte in chunk.invalid() {
            out.extend(std::ascii::escape_default(*byte).map(char::from));
        }
        out
    })
}
