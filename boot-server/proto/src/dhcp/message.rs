//! A DHCP message: its fixed header and its options.

use std::net::Ipv4Addr;

use super::message_type::MessageType;
use super::options::{Options, code};
use crate::mac::MacAddr;

/// Length of the fixed header up to and including the magic cookie (RFC 2131 §2, §3).
pub const HEADER_LEN: usize = 240;
/// A BOOTP message is at least this long; old boot ROMs and relays drop shorter ones (RFC 1542 §2.1).
pub const MIN_MESSAGE_LEN: usize = 300;
/// Message size that every client must accept: a 576 byte datagram less its IP and UDP headers (RFC 2131 §2).
pub const DEFAULT_MAX_MESSAGE_LEN: usize = 576 - IP_UDP_HEADERS_LEN;
/// IP and UDP headers without IP options.
pub const IP_UDP_HEADERS_LEN: usize = 28;
/// Largest boot file name that fits the header's field with its terminating NUL.
pub const MAX_HEADER_BOOT_FILE_LEN: usize = 127;
/// Largest server name that fits the header's field with its terminating NUL.
pub const MAX_HEADER_SERVER_NAME_LEN: usize = 63;

/// Direction of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// From a client (1).
    Request,
    /// From a server (2).
    Reply,
}

/// A DHCP message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Direction: request or reply.
    pub op: Op,
    /// Hardware type; 1 is Ethernet.
    pub hardware_type: u8,
    /// Length of the hardware address, at most 16.
    pub hardware_len: u8,
    /// Number of relays passed.
    pub hops: u8,
    /// Transaction id chosen by the client.
    pub xid: u32,
    /// Seconds since the client began.
    pub secs: u16,
    /// Flags; see [`Message::wants_broadcast`].
    pub flags: u16,
    /// `ciaddr`: the address the client already uses.
    pub client_address: Ipv4Addr,
    /// `yiaddr`: the address given to the client.
    pub your_address: Ipv4Addr,
    /// `siaddr`: the server to boot from next.
    pub next_server: Ipv4Addr,
    /// `giaddr`: the relay agent that passed the message on.
    pub relay_agent: Ipv4Addr,
    /// `chaddr`, with its padding.
    pub hardware_address: [u8; 16],
    /// `sname` up to its first NUL; empty when overloaded with options.
    pub server_name: Vec<u8>,
    /// `file` up to its first NUL; empty when overloaded with options.
    pub boot_file: Vec<u8>,
    /// All options, those of overloaded fields included.
    pub options: Options,
}

/// The broadcast bit of `flags` (RFC 2131 §2).
const BROADCAST_FLAG: u16 = 0x8000;

impl Message {
    /// Creates a client's message with nothing but its type.
    pub fn from_client(kind: MessageType, mac: MacAddr, xid: u32) -> Message {
        let mut options = Options::default();
        options.set(code::MESSAGE_TYPE, [kind.to_wire()]);
        let MacAddr([a, b, c, d, e, f]) = mac;
        Message {
            op: Op::Request,
            hardware_type: 1,
            hardware_len: 6,
            hops: 0,
            xid,
            secs: 0,
            flags: 0,
            client_address: Ipv4Addr::UNSPECIFIED,
            your_address: Ipv4Addr::UNSPECIFIED,
            next_server: Ipv4Addr::UNSPECIFIED,
            relay_agent: Ipv4Addr::UNSPECIFIED,
            hardware_address: [a, b, c, d, e, f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            server_name: Vec::new(),
            boot_file: Vec::new(),
            options,
        }
    }

    /// Creates an empty reply to `request`: same transaction, hardware address, relay and flags.
    pub fn reply_to(request: &Message) -> Message {
        Message {
            op: Op::Reply,
            hops: 0,
            secs: 0,
            client_address: Ipv4Addr::UNSPECIFIED,
            your_address: Ipv4Addr::UNSPECIFIED,
            next_server: Ipv4Addr::UNSPECIFIED,
            server_name: Vec::new(),
            boot_file: Vec::new(),
            options: Options::default(),
            ..*request
        }
    }

    /// Returns the client's MAC, when its hardware address is an Ethernet one.
    pub fn mac(&self) -> Option<MacAddr> {
        let mac = self.hardware_address.first_chunk::<6>()?;
        (self.hardware_type == 1 && self.hardware_len == 6).then_some(MacAddr(*mac))
    }

    /// True if the client requests broadcast replies.
    pub fn wants_broadcast(&self) -> bool {
        self.flags & BROADCAST_FLAG != 0
    }

    /// Sets the broadcast flag.
    pub fn set_broadcast(&mut self) {
        self.flags |= BROADCAST_FLAG;
    }
}
