//! Events and log lines of DHCP messages.

use std::net::Ipv4Addr;

use boot_server_events::{BootEvent, DhcpRole, Identifier, IgnoreCode, IgnoreReason, Who};
use boot_server_proto::dhcp::MessageType;
use tracing::debug;

use super::{DhcpService, Request, Role};
use crate::policy::BootStep;
use crate::respond::Reply;

impl<A> DhcpService<A> {
    /// Tells of a request, and learns what it says about addresses.
    pub(super) fn heard(&self, request: &Request) {
        let (message, client) = (&request.message, &request.client);
        let address = match message.client_address {
            none if none.is_unspecified() => message.requested_address(),
            own => Some(own),
        };
        let settled = matches!(client.message, MessageType::Request | MessageType::Inform);
        // A server knows from its own answers who has which address; a proxy learns it from the requests to the
        // other server. A request to the boot service does not prove an address outside the subnet, which would
        // receive the answer.
        let is_believed = |address: &Ipv4Addr| match self.role {
            Role::Server(_) => false,
            Role::BootService => self.context.interface.subnet.contains(address),
            Role::Proxy | Role::Pixiecore(_) => true,
        };
        if let Some(address) = address.filter(|address| settled && is_believed(address)) {
            self.context
                .neighbours
                .learn_claimed(address, client.mac, client.uuid);
        }
        if client.message == MessageType::Discover
            && let Some(discovers) = &self.discovers
        {
            // A full queue means that an advertisement is about to be sent anyway.
            let _ = discovers.try_send(client.mac);
        }
        self.context.events.emit(BootEvent::DhcpRequest {
            who: who(request),
            port: self.port,
            xid: message.xid,
            message: client.message,
            arch: client.arch.iter().map(|arch| arch.to_wire()).collect(),
            user_class: message.user_class_text(),
            vendor_class: message.vendor_class(),
            address,
        });
    }

    /// Tells of a reply that was sent.
    pub(super) fn answered(&self, request: &Request, step: &BootStep, reply: &Reply) {
        let kind = reply.message.message_type().ok().flatten();
        let message = kind.unwrap_or(MessageType::Other(0));
        let boot_file = step.boot_file().filter(|_| kind != Some(MessageType::Nak));
        let next_server =
            Some(reply.message.next_server).filter(|address| !address.is_unspecified());
        debug!(
            address = reply.address.map(tracing::field::display),
            boot_file, why = step.why, to = %reply.to, "{message}"
        );
        let why = match kind {
            Some(MessageType::Nak) => "the address is refused",
            _ => step.why,
        };
        self.context.events.emit(BootEvent::DhcpReply {
            who: who(request),
            xid: request.message.xid,
            message,
            role: self.role_name(),
            address: reply.address,
            next_server,
            boot_file: boot_file.map(str::to_owned),
            step: why.to_owned(),
        });
    }

    /// Tells of a request that is not answered.
    pub(super) fn ignored(&self, request: &Request, code: IgnoreCode, reason: impl Into<String>) {
        let reason = IgnoreReason::new(code, reason);
        debug!(reason = reason.text(), "no answer");
        self.context.events.emit(BootEvent::DhcpIgnored {
            who: who(request),
            reason,
        });
    }

    fn role_name(&self) -> DhcpRole {
        match self.role {
            Role::Server(_) => DhcpRole::Dhcp,
            Role::Proxy => DhcpRole::ProxyDhcp,
            Role::Pixiecore(_) => DhcpRole::Pixiecore,
            Role::BootService => DhcpRole::BootService,
        }
    }
}

/// Returns the identity of the sender of a request.
pub(super) fn who(request: &Request) -> Who {
    Who {
        mac: Some(request.client.mac.into()),
        uuid: request.client.uuid.map(Identifier::Valid),
        peer: Some(request.from.into()),
    }
}
