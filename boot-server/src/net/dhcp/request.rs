//! A DHCP request, and what was decided about it.

use std::net::SocketAddrV4;

use boot_server_events::{Identifier, Who};
use boot_server_proto::dhcp::{Message, MessageType};
use tracing::{Span, debug_span};

use crate::policy::{BootStep, Client};
use crate::respond::{Answer, Arrival};

/// A request, read.
pub(super) struct Request {
    pub(super) message: Message,
    pub(super) client: Client,
    pub(super) from: SocketAddrV4,
    pub(super) arrival: Arrival,
}

impl Request {
    /// True for a release that its machine did not send: without a relay agent, a machine gives its address
    /// back from that address (RFC 2131 §4.4.6).
    pub(super) fn is_release_of_another(&self) -> bool {
        self.client.message == MessageType::Release
            && self.message.relay_agent.is_unspecified()
            && *self.from.ip() != self.message.client_address
    }

    /// Returns the identity of the sender.
    pub(super) fn who(&self) -> Who {
        Who {
            mac: Some(self.client.mac.into()),
            uuid: self.client.uuid.map(Identifier::Valid),
            peer: Some(self.from.into()),
        }
    }

    /// Returns the tracing span of everything that is done for the request.
    pub(super) fn span(&self) -> Span {
        debug_span!("dhcp", xid = self.message.xid, mac = %self.client.mac)
    }

    /// Returns an answer without a boot step: silence, for this reason.
    pub(super) fn unanswered(self, reason: &str) -> Answered {
        Answered {
            request: self,
            step: BootStep::none(),
            answer: Answer::Silence(reason.to_owned()),
        }
    }
}

/// A request with what was decided about it.
pub(super) struct Answered {
    pub(super) request: Request,
    pub(super) step: BootStep,
    pub(super) answer: Answer,
}
