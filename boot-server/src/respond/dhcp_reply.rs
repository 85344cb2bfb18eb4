//! Content of a DHCP server's replies: the pool's options, the machine's own, the boot fields, and the echoed
//! options (RFC 2131 §4.3.1, table 3).

use std::net::Ipv4Addr;
use std::time::Duration;

use boot_server_proto::dhcp::{Message, MessageType, Options, code};

use super::answer::Reply;
use super::boot_fields::{self, VendorSays};
use super::destination::destination;
use super::server_options::ServerOptions;
use crate::lease::Reserved;
use crate::policy::{BootAction, BootStep, Client, Loader};

/// iPXE's setting `no-pxedhcp` (encapsulated option 176) = 1: do not wait for proxyDHCP offers.
const IPXE_NO_PXEDHCP: [u8; 3] = [176, 1, 1];

/// Everything that a reply is made from.
pub(super) struct Context<'a> {
    pub(super) server: Ipv4Addr,
    pub(super) server_options: ServerOptions,
    /// The options of the client's pool.
    pub(super) options: &'a Options,
    pub(super) lease_time: Duration,
    pub(super) reserved: Option<&'a Reserved>,
    pub(super) request: &'a Message,
    pub(super) client: &'a Client,
    pub(super) step: &'a BootStep,
    /// True if the relay agent's VPN was used to choose the pool (RFC 6607).
    pub(super) uses_vpn: bool,
}

/// Returns an offer or acknowledgement of an address.
pub(super) fn give(context: &Context<'_>, kind: MessageType, address: Ipv4Addr) -> Reply {
    let mut message = begin(context, kind);
    message.your_address = address;
    if kind == MessageType::Ack {
        message.client_address = context.request.client_address;
    }
    let seconds = u32::try_from(context.lease_time.as_secs()).unwrap_or(u32::MAX);
    let options = &mut message.options;
    options.set_u32(code::LEASE_TIME, seconds);
    // RFC 2131 §4.4.5: the defaults of T1 and T2.
    options.set_u32(code::RENEWAL_TIME, seconds / 2);
    options.set_u32(code::REBINDING_TIME, seconds - seconds / 8);
    let mut reply = finish(context, message);
    reply.address = Some(address);
    reply
}

/// Returns the answer to an inform: all but an address and its times (RFC 2131 §4.3.5).
pub(super) fn inform_ack(context: &Context<'_>) -> Reply {
    let mut message = begin(context, MessageType::Ack);
    message.client_address = context.request.client_address;
    finish(context, message)
}

/// Returns a refusal (RFC 2131 §4.3.2): no options but those of table 3.
pub(super) fn refuse(context: &Context<'_>, why: &str) -> Reply {
    let request = context.request;
    let mut message = begin(context, MessageType::Nak);
    message.options.set(code::MESSAGE, why);
    // Through a relay, the relay is asked to broadcast it.
    if !request.relay_agent.is_unspecified() {
        message.set_broadcast();
    }
    echo(
        request,
        &mut message,
        &[code::CLIENT_ID, code::RELAY_AGENT_INFO],
    );
    confirm_vpn(context, &mut message);
    let (to, _) = destination(request, &message, context.server_options.addressing);
    Reply::new(message, to)
}

fn begin(context: &Context<'_>, kind: MessageType) -> Message {
    let mut message = Message::reply_to(context.request);
    let options = &mut message.options;
    options.set(code::MESSAGE_TYPE, [kind.to_wire()]);
    // RFC 5107 §4: the relay agent's address, so that renewals come through it.
    let stand_in = context.request.server_id_override();
    options.set_addresses(code::SERVER_ID, &[stand_in.unwrap_or(context.server)]);
    message
}

/// Returns all other options, in the order in which they are dropped for lack of room, last first.
fn finish(context: &Context<'_>, mut message: Message) -> Reply {
    let Context { request, step, .. } = *context;
    // The mask goes before the router (RFC 2132 §3.3), and what an address is good for before all
    // that is for booting.
    for code in [code::SUBNET_MASK, code::BROADCAST_ADDRESS, code::ROUTER] {
        if let Some(bytes) = context.options.bytes(code) {
            message.options.set(code, bytes);
        }
    }
    if step.action != BootAction::Nothing {
        boot_fields::set_header(&mut message, step, context.server);
        boot_fields::set_options(&mut message, step, context.server);
        boot_fields::set_vendor(&mut message, step, vendor_says(context));
    }
    if context.client.loader != Loader::Firmware {
        // No proxy is to be waited for where this server says what to boot.
        message.options.set(code::IPXE, IPXE_NO_PXEDHCP);
    }
    if let Some(hostname) = context.reserved.and_then(|own| own.hostname.as_deref()) {
        message.options.set(code::HOST_NAME, hostname);
    }
    message.options.set_all(context.options);
    if let Some(own) = context.reserved {
        message.options.set_all(&own.options);
    }
    if step.action != BootAction::Nothing {
        // After all that the firmware reads: EDK2 (Debian 12's OVMF) declined an acknowledgement in
        // which a UUID with a byte 0xff stood before the subnet mask.
        echo(request, &mut message, &[code::MACHINE_ID]);
    }
    // The client identifier by RFC 6842, the link by RFC 3011, the relay agent's last of all
    // (RFC 3046 §2.2).
    let echoed = [
        code::CLIENT_ID,
        code::SUBNET_SELECTION,
        code::RELAY_AGENT_INFO,
    ];
    echo(request, &mut message, &echoed);
    confirm_vpn(context, &mut message);
    let (to, link) = destination(request, &message, context.server_options.addressing);
    let mut reply = Reply::new(message, to);
    reply.link = link;
    reply
}

/// A full offer says `PXEClient` only when it is told to: some firmware then looks for boot servers
/// instead of using the boot file named in it.
fn vendor_says(context: &Context<'_>) -> VendorSays {
    let firmware = context.client.loader == Loader::Firmware;
    if context.server_options.pxe_vendor_class && firmware {
        VendorSays::UseBootFile
    } else {
        VendorSays::Nothing
    }
}

/// Tells the relay agent that its VPN was used: sub-option 152 is missing in the answer (RFC 6607).
fn confirm_vpn(context: &Context<'_>, reply: &mut Message) {
    if context.uses_vpn {
        reply.remove_vpn_control();
    }
}

/// Sends options back as they came.
fn echo(request: &Message, reply: &mut Message, codes: &[u8]) {
    for code in codes {
        if let Some(bytes) = request.options.bytes(*code) {
            reply.options.remove(*code);
            reply.options.set(*code, bytes);
        }
    }
}
