//! Destination of a server's reply (RFC 2131 §4.1).

use std::net::{Ipv4Addr, SocketAddrV4};

use boot_server_proto::dhcp::{Message, MessageType};
use boot_server_proto::mac::MacAddr;

use super::server_options::Addressing;

/// The port that servers and relay agents listen on.
const SERVER_PORT: u16 = 67;
/// The port that clients listen on.
const CLIENT_PORT: u16 = 68;

/// Returns the destination of a reply, and the MAC that reaches a client which does not answer for that address
/// yet.
pub(super) fn destination(
    request: &Message,
    reply: &Message,
    addressing: Addressing,
) -> (SocketAddrV4, Option<MacAddr>) {
    if !request.relay_agent.is_unspecified() {
        let relay = SocketAddrV4::new(request.relay_agent, SERVER_PORT);
        return (relay, None);
    }
    let broadcast = (SocketAddrV4::new(Ipv4Addr::BROADCAST, CLIENT_PORT), None);
    if matches!(reply.message_type(), Ok(Some(MessageType::Nak))) {
        return broadcast;
    }
    // A client that discovers has no address yet, whatever it says (RFC 2131 §4.4.1).
    let is_offer = matches!(reply.message_type(), Ok(Some(MessageType::Offer)));
    if !request.client_address.is_unspecified() && !is_offer {
        let client = SocketAddrV4::new(request.client_address, CLIENT_PORT);
        return (client, None);
    }
    match request.mac() {
        Some(mac)
            if addressing == Addressing::AsAsked
                && !request.wants_broadcast()
                && !reply.your_address.is_unspecified() =>
        {
            let to = SocketAddrV4::new(reply.your_address, CLIENT_PORT);
            (to, Some(mac))
        }
        _ => broadcast,
    }
}

/// True if an address can be one host's: not a network's, a group's or a reserved one.
pub(super) fn is_unicast_host(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    !matches!(first, 0 | 127 | 224..=255)
}
