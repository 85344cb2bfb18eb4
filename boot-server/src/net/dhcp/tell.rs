//! Events and log lines of DHCP messages.

use std::net::Ipv4Addr;

use boot_server_events::{BootEvent, DhcpRole, IgnoreCode, IgnoreReason, Who};
use boot_server_proto::dhcp::MessageType;
use tracing::debug;

use super::request::Request;
use crate::event_sink::EventSink;
use crate::policy::BootStep;
use crate::respond::Reply;

/// Tells of a request that came to `port`; `address` is the one that its machine has or asks for.
pub(super) fn request(events: &EventSink, port: u16, request: &Request, address: Option<Ipv4Addr>) {
    let (message, client) = (&request.message, &request.client);
    events.emit(BootEvent::DhcpRequest {
        who: request.who(),
        port,
        xid: message.xid,
        message: client.message,
        arch: client.arch.iter().map(|arch| arch.to_wire()).collect(),
        user_class: message.user_class_text(),
        vendor_class: message.vendor_class(),
        address,
    });
}

/// Tells of a reply that was sent.
pub(super) fn reply(
    events: &EventSink,
    role: DhcpRole,
    request: &Request,
    step: &BootStep,
    reply: &Reply,
) {
    let kind = reply.message.message_type().ok().flatten();
    let message = kind.unwrap_or(MessageType::Other(0));
    let boot_file = step.boot_file().filter(|_| kind != Some(MessageType::Nak));
    let next_server = Some(reply.message.next_server).filter(|address| !address.is_unspecified());
    debug!(
        address = reply.address.map(tracing::field::display),
        boot_file, why = step.why, to = %reply.to, "{message}"
    );
    let why = match kind {
        Some(MessageType::Nak) => "the address is refused",
        _ => step.why,
    };
    events.emit(BootEvent::DhcpReply {
        who: request.who(),
        xid: request.message.xid,
        message,
        role,
        address: reply.address,
        next_server,
        boot_file: boot_file.map(str::to_owned),
        step: why.to_owned(),
    });
}

/// Tells of a request that is not answered.
pub(super) fn ignored(
    events: &EventSink,
    request: &Request,
    code: IgnoreCode,
    reason: impl Into<String>,
) {
    let reason = IgnoreReason::new(code, reason);
    debug!(reason = reason.text(), "no answer");
    events.emit(BootEvent::DhcpIgnored {
        who: request.who(),
        reason,
    });
}

/// Reports a datagram that is no DHCP message.
pub(super) fn malformed(events: &EventSink, who: Who, reason: String) {
    debug!(?who, reason, "malformed DHCP message");
    events.emit(BootEvent::Malformed {
        who,
        protocol: "dhcp".to_owned(),
        reason,
    });
}
