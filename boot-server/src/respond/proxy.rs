//! Boot options beside another DHCP server: proxyDHCP on port 67, the boot service on 4011
//! (PXE specification 2.1 §2.2), in our own and in Pixiecore's style.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::{Answer, Reply, boot_fields, destination::destination};
use crate::policy::{BootAction, BootStep, Client, Loader};
use crate::proto::dhcp::{
    ClientArch, DISCOVERY_USE_BOOT_FILE, Message, MessageType, code, pxe_discovery_control,
};

/// Whose habits are followed where they differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyStyle {
    /// Every client that can use the boot file of the offer is told to use it.
    Plain,
    /// As recorded from Pixiecore.
    Pixiecore,
}

/// The answer of a proxy to a message on port 67.
///
/// Only a Discover is answered: the offer carries all a client needs, or sends it to port 4011.
pub fn proxy_offer(
    style: ProxyStyle,
    request: &Message,
    client: &Client,
    step: &BootStep,
    server: Ipv4Addr,
) -> Answer {
    if client.message != MessageType::Discover {
        return Answer::silence("a proxy answers a discover only");
    }
    if step.action == BootAction::Nothing {
        return Answer::silence(step.why);
    }
    if style == ProxyStyle::Pixiecore && client.broken_machine_id {
        return Answer::silence("option 97 is no machine identifier");
    }
    let mut message = boot_reply(request, MessageType::Offer, step, server);
    message.set_broadcast();
    if uses_offered_file(style, client, step) {
        let control = pxe_discovery_control(DISCOVERY_USE_BOOT_FILE);
        message.options.set(code::VENDOR_SPECIFIC, control);
    }
    // The offer of a proxy is for a client without an address yet: never by unicast to `ciaddr`.
    let unaddressed = Message {
        client_address: Ipv4Addr::UNSPECIFIED,
        ..request.clone()
    };
    let to = destination(&unaddressed, MessageType::Offer);
    Answer::Reply(Box::new(Reply {
        message,
        to,
        address: None,
    }))
}

/// The answer of the boot service on port 4011: to where the request came from, as EDK2 asks from
/// port 4011 and not from 68.
pub fn boot_service_ack(
    request: &Message,
    client: &Client,
    step: &BootStep,
    server: Ipv4Addr,
    from: SocketAddrV4,
) -> Answer {
    if !matches!(client.message, MessageType::Request | MessageType::Inform) {
        return Answer::silence("the boot service answers a request only");
    }
    if step.action == BootAction::Nothing {
        return Answer::silence(step.why);
    }
    let mut message = boot_reply(request, MessageType::Ack, step, server);
    message.client_address = request.client_address;
    message.flags = 0;
    Answer::Reply(Box::new(Reply {
        message,
        to: from,
        address: None,
    }))
}

fn boot_reply(request: &Message, kind: MessageType, step: &BootStep, server: Ipv4Addr) -> Message {
    let mut message = Message::reply_to(request);
    message.options.set(code::MESSAGE_TYPE, [kind.to_wire()]);
    message.options.set_addresses(code::SERVER_ID, &[server]);
    message.options.set(code::VENDOR_CLASS, *b"PXEClient");
    if let Some(id) = request.options.bytes(code::MACHINE_ID) {
        message.options.set(code::MACHINE_ID, id);
    }
    if let Some(relay) = request.options.bytes(code::RELAY_AGENT_INFO) {
        message.options.set(code::RELAY_AGENT_INFO, relay);
    }
    boot_fields::set_header(&mut message, step, server);
    message
}

/// Whether the client is told to load the offer's boot file without asking a boot server.
///
/// EDK2 (`PxeBcDhcp4.c`) takes an offer with any of option 43's sub-options 6–10 for one with a
/// boot menu, and one without them as an invitation to port 4011, which it follows reliably.
fn uses_offered_file(style: ProxyStyle, client: &Client, step: &BootStep) -> bool {
    let is_bios = client.arch.contains(&ClientArch::Bios) || client.arch.is_empty();
    match style {
        ProxyStyle::Plain => is_bios || client.loader != Loader::Firmware,
        ProxyStyle::Pixiecore => is_bios && !matches!(step.action, BootAction::Script(_)),
    }
}
