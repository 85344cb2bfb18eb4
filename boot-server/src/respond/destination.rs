//! Where a server's reply goes (RFC 2131 §4.1).

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::proto::dhcp::{Message, MessageType};

/// The port that servers and relay agents listen on.
const SERVER_PORT: u16 = 67;
/// The port that clients listen on.
const CLIENT_PORT: u16 = 68;

/// Where to send a reply of this type to this request.
///
/// A client without an address that does not ask for broadcast would be sent a unicast frame by its
/// hardware address; RFC 2131 allows broadcast where that cannot be done, and boot ROMs take it.
pub(super) fn destination(request: &Message, reply: MessageType) -> SocketAddrV4 {
    if !request.relay_agent.is_unspecified() {
        return SocketAddrV4::new(request.relay_agent, SERVER_PORT);
    }
    let unicast = !request.client_address.is_unspecified() && reply != MessageType::Nak;
    let address = if unicast {
        request.client_address
    } else {
        Ipv4Addr::BROADCAST
    };
    SocketAddrV4::new(address, CLIENT_PORT)
}
