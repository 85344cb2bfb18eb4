//! Boot options beside another DHCP server: proxyDHCP on port 67, the boot service on 4011
//! (PXE specification 2.1 §2.2), in our own and in Pixiecore's style.

use std::net::{Ipv4Addr, SocketAddrV4};

use boot_server_proto::dhcp::{ClientArch, Message, MessageType, code};

use super::answer::{Answer, Reply};
use super::boot_fields::{self, VendorSays};
use super::destination::{destination, is_unicast_host};
use super::server_options::Addressing;
use crate::policy::{BootAction, BootStep, Client, Loader};

/// Program whose behaviour the proxy reproduces where programs differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyStyle {
    /// True if every client that can use the boot file of the offer is told to use it.
    Plain,
    /// Style recorded from Pixiecore.
    Pixiecore,
}

/// Returns the answer of a proxy to a message on port 67.
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
        return Answer::silence("proxyDHCP answers DISCOVER only");
    }
    if step.action == BootAction::Nothing {
        return Answer::silence(step.why);
    }
    if !request.relay_agent.is_unspecified() && !is_unicast_host(request.relay_agent) {
        return Answer::silence("the relay agent's address is not a host address");
    }
    if style == ProxyStyle::Pixiecore && client.broken_machine_id {
        return Answer::silence("option 97 is no machine identifier");
    }
    let mut message = boot_reply(request, MessageType::Offer, step, server);
    message.set_broadcast();
    let says = match uses_offered_file(style, client, step) {
        true => VendorSays::UseBootFile,
        false => VendorSays::AskBootService,
    };
    boot_fields::set_vendor(&mut message, step, says);
    finish(request, &mut message, step, server);
    // The offer of a proxy is for a client without an address yet: never by unicast to `ciaddr`.
    let unaddressed = Message {
        client_address: Ipv4Addr::UNSPECIFIED,
        ..request.clone()
    };
    let (to, _) = destination(&unaddressed, &message, Addressing::Broadcast);
    Answer::Reply(Box::new(Reply::new(message, to)))
}

/// Returns the answer of the boot service on port 4011: to where the request came from, as EDK2 asks from port
/// 4011 and not from 68.
pub fn boot_service_ack(
    request: &Message,
    client: &Client,
    step: &BootStep,
    server: Ipv4Addr,
    from: SocketAddrV4,
) -> Answer {
    if !matches!(client.message, MessageType::Request | MessageType::Inform) {
        return Answer::silence("the boot service answers REQUEST only");
    }
    if step.action == BootAction::Nothing {
        return Answer::silence(step.why);
    }
    let mut message = boot_reply(request, MessageType::Ack, step, server);
    message.client_address = request.client_address;
    message.flags = 0;
    boot_fields::set_vendor(&mut message, step, VendorSays::AskBootService);
    finish(request, &mut message, step, server);
    Answer::Reply(Box::new(Reply::new(message, from)))
}

fn boot_reply(request: &Message, kind: MessageType, step: &BootStep, server: Ipv4Addr) -> Message {
    let mut message = Message::reply_to(request);
    message.options.set(code::MESSAGE_TYPE, [kind.to_wire()]);
    message.options.set_addresses(code::SERVER_ID, &[server]);
    boot_fields::set_header(&mut message, step, server);
    message
}

/// Adds the last fields: options for clients that read nothing else, and the echoed options.
fn finish(request: &Message, message: &mut Message, step: &BootStep, server: Ipv4Addr) {
    if let BootAction::HttpNbp(_) | BootAction::RaspberryPi(_) = step.action {
        boot_fields::set_options(message, step, server);
    }
    for code in [code::MACHINE_ID, code::RELAY_AGENT_INFO] {
        if let Some(bytes) = request.options.bytes(code) {
            message.options.set(code, bytes);
        }
    }
}

/// True if the client is told to load the offer's boot file without asking a boot server.
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
