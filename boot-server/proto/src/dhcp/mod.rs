//! DHCPv4 messages (RFC 2131), their options as ordered raw bytes (RFC 2132, RFC 3396), and typed
//! readings of those that network booting needs (RFC 4578, RFC 3004, RFC 5071).
//!
//! Decoding is strict about lengths and lenient about meaning: bytes that cannot be split into
//! options are an error, values nobody knows survive as they are.

mod arch;
mod decode;
mod encode;
mod fields;
mod message;
mod message_type;
mod options;
mod pxe;
mod vpn;

#[cfg(test)]
mod tests;

pub use arch::ClientArch;
pub use decode::DecodeError;
pub use encode::EncodeError;
pub use fields::{FieldError, IpxeFeatures, MachineId};
pub use message::{
    DEFAULT_MAX_MESSAGE_LEN, HEADER_LEN, IP_UDP_HEADERS_LEN, MAX_HEADER_BOOT_FILE_LEN,
    MAX_HEADER_SERVER_NAME_LEN, MIN_MESSAGE_LEN, Message, Op,
};
pub use message_type::{MessageType, UnknownMessageType};
pub use options::{Options, code};
pub use pxe::{DISCOVERY_USE_BOOT_FILE, pxe_discovery_control, pxe_raspberry_pi};
pub use vpn::{InvalidVpn, SelectedVpn, VIRTUAL_SUBNET, VIRTUAL_SUBNET_CONTROL, Vpn};
