//! Request, boot step and lease → the reply and where to send it. Pure: no sockets, no clock.

mod boot_fields;
mod destination;
mod dhcp;
mod proxy;
mod pxelinux;
#[cfg(test)]
mod tests;
mod variables;

use std::net::{Ipv4Addr, SocketAddrV4};

pub use dhcp::{DhcpServer, Network};
pub use proxy::{ProxyStyle, boot_service_ack, proxy_offer};
pub use pxelinux::{PxelinuxError, RenderedConfig, pxelinux_config};
pub use variables::{ExpandError, Machine, expand};

use crate::proto::dhcp::Message;

/// A reply ready to be encoded and sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// What to say.
    pub message: Message,
    /// Where to.
    pub to: SocketAddrV4,
    /// The address given with it.
    pub address: Option<Ipv4Addr>,
}

/// What comes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// An answer is sent.
    Reply(Box<Reply>),
    /// Nothing is sent, and why. For releases and declines this is as it should be.
    Silence(String),
}

impl Answer {
    fn silence(why: impl Into<String>) -> Answer {
        Answer::Silence(why.into())
    }
}
