//! Names of events, as in the key `event` of their JSON.

use super::BootEvent;

/// Names of all events.
pub const EVENT_NAMES: [&str; 20] = [
    "ready",
    "dhcp_request",
    "dhcp_reply",
    "dhcp_ignored",
    "address_in_use",
    "dhcp_shortage",
    "clock_jumped",
    "rate_limited",
    "lease_file",
    "malformed",
    "tftp_request",
    "tftp_done",
    "tftp_failed",
    "http_request",
    "router_advertisement",
    "rpc_call",
    "rpc_refused",
    "events_collapsed",
    "events_dropped",
    "reloaded",
];

impl BootEvent {
    /// Name of the event, one of [`EVENT_NAMES`].
    pub fn name(&self) -> &'static str {
        match self {
            BootEvent::Ready { .. } => "ready",
            BootEvent::DhcpRequest { .. } => "dhcp_request",
            BootEvent::DhcpReply { .. } => "dhcp_reply",
            BootEvent::DhcpIgnored { .. } => "dhcp_ignored",
            BootEvent::AddressInUse { .. } => "address_in_use",
            BootEvent::DhcpShortage { .. } => "dhcp_shortage",
            BootEvent::ClockJumped { .. } => "clock_jumped",
            BootEvent::RateLimited { .. } => "rate_limited",
            BootEvent::LeaseFile { .. } => "lease_file",
            BootEvent::Malformed { .. } => "malformed",
            BootEvent::TftpRequest { .. } => "tftp_request",
            BootEvent::TftpDone { .. } => "tftp_done",
            BootEvent::TftpFailed { .. } => "tftp_failed",
            BootEvent::HttpRequest { .. } => "http_request",
            BootEvent::RouterAdvertisement { .. } => "router_advertisement",
            BootEvent::RpcCall { .. } => "rpc_call",
            BootEvent::RpcRefused { .. } => "rpc_refused",
            BootEvent::EventsCollapsed { .. } => "events_collapsed",
            BootEvent::EventsDropped { .. } => "events_dropped",
            BootEvent::Reloaded { .. } => "reloaded",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Who;

    #[test]
    fn name_is_that_of_the_events_json() {
        let who = Who::default;
        for event in [
            BootEvent::Ready {
                listeners: Vec::new(),
            },
            BootEvent::DhcpIgnored {
                who: who(),
                reason: "".into(),
            },
            BootEvent::ClockJumped { by_seconds: 1 },
            BootEvent::LeaseFile {
                result: crate::LeaseFileState::Kept(String::new()),
            },
            BootEvent::RouterAdvertisement { who: who() },
            BootEvent::RpcRefused {
                who: who(),
                subject: None,
                reason: crate::RpcRefusal::new(crate::RpcRefusalCode::Expired, ""),
            },
            BootEvent::EventsDropped { count: 1 },
        ] {
            let json = serde_json::to_value(&event).unwrap();
            assert_eq!(json["event"], event.name());
            assert!(EVENT_NAMES.contains(&event.name()));
        }
        // serde itself lists what it knows.
        let unknown = serde_json::from_str::<BootEvent>("{\"event\":\"?\"}").unwrap_err();
        let known = unknown.to_string();
        assert!(
            EVENT_NAMES
                .iter()
                .all(|name| known.contains(&format!("`{name}`")))
        );
        assert_eq!(known.matches('`').count(), 2 * (EVENT_NAMES.len() + 1));
    }
}
