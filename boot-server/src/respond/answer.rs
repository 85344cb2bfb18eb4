//! Result of a request: the reply to send, or the reason that none is sent.

use std::net::{Ipv4Addr, SocketAddrV4};

use boot_server_events::Shortage;
use boot_server_proto::dhcp::Message;
use boot_server_proto::mac::MacAddr;

/// A reply ready to be encoded and sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Message to send.
    pub message: Message,
    /// Address and port of the receiver.
    pub to: SocketAddrV4,
    /// The address given with it.
    pub address: Option<Ipv4Addr>,
    /// `to` is about to become this machine's address: it does not answer for it yet, and is reached
    /// by its MAC (RFC 2131 §4.1).
    pub link: Option<MacAddr>,
    /// Probe to make before the reply is sent, because another host may use the address.
    pub probe: Option<Probe>,
}

impl Reply {
    pub(super) fn new(message: Message, to: SocketAddrV4) -> Reply {
        Reply {
            message,
            to,
            address: None,
            link: None,
            probe: None,
        }
    }
}

/// Method to detect that an address is in use (RFC 2131 §3.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// The address is on the server's own link.
    Arp(Ipv4Addr),
    /// The address is behind a relay agent.
    Echo(Ipv4Addr),
}

impl Probe {
    /// Returns the address in question.
    pub fn address(self) -> Ipv4Addr {
        match self {
            Probe::Arp(address) | Probe::Echo(address) => address,
        }
    }
}

/// Result of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// An answer is sent.
    Reply(Box<Reply>),
    /// No answer is sent, for this reason. Releases and declines get no answer.
    Silence(String),
    /// No answer is sent because addresses or the storage for leases ran out, with the details.
    Unserved(Shortage, String),
}

impl Answer {
    pub(super) fn silence(why: impl Into<String>) -> Answer {
        Answer::Silence(why.into())
    }
}
