//! Whose a server's event is.
//!
//! A machine tells who it is in three ways: its MAC, its UUID, and the address it was given. When
//! they name different nodes, a machine asked in another's name: that is evidence against the asker,
//! and none for the one it named.

use std::collections::HashMap;
use std::net::IpAddr;

use boot_server::event::{BootEvent, Who};

use crate::evidence::{Record, Seen};
use crate::scenario::{MacAddr, Scenario};

/// Who asked, and in whose name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asker<'s> {
    /// Name of the node that asked.
    pub(super) node: &'s str,
    /// Name of another node that it claimed to be.
    pub(super) claimed: Option<&'s str>,
}

/// The names of the nodes by what they can be told by.
#[derive(Debug)]
pub(super) struct Identities<'s> {
    by_mac: HashMap<MacAddr, &'s str>,
    by_uuid: HashMap<String, &'s str>,
    by_address: HashMap<IpAddr, &'s str>,
}

impl<'s> Identities<'s> {
    /// Learns addresses from the DHCP exchanges in the evidence.
    pub(super) fn learn(scenario: &'s Scenario, records: &[Record]) -> Identities<'s> {
        let nodes = || scenario.nodes.iter();
        let mut identities = Identities {
            by_mac: nodes().map(|node| (node.mac, node.name.as_str())).collect(),
            by_uuid: nodes()
                .map(|n| (n.uuid.to_string(), n.name.as_str()))
                .collect(),
            by_address: HashMap::new(),
        };
        for record in records {
            let Seen::Server { entry, .. } = &record.seen else {
                continue;
            };
            let (who, address) = match &entry.what {
                BootEvent::DhcpReply {
                    who,
                    message,
                    address,
                    ..
                } if message == "ack" => (who, address),
                BootEvent::DhcpRequest {
                    who,
                    message,
                    address,
                    ..
                } if message == "request" => (who, address),
                _ => continue,
            };
            if let (Some(node), Some(address)) = (identities.of_mac(who.mac.as_deref()), address) {
                identities.by_address.insert(IpAddr::V4(*address), node);
            }
        }
        identities
    }

    /// Who sent the request that the event is about. `told` is a MAC that stands in a path or query.
    pub(super) fn asker(&self, who: &Who, told: Option<&str>) -> Option<Asker<'s>> {
        let mac = who.mac.as_deref().or(told);
        let by_mac = self.of_mac(mac);
        let by_uuid = who
            .uuid
            .as_ref()
            .and_then(|uuid| self.by_uuid.get(&uuid.to_ascii_lowercase()).copied());
        let by_address = who
            .peer
            .and_then(|peer| self.by_address.get(&peer.ip().to_canonical()).copied());
        if mac.is_some() && by_mac.is_none() && by_address.is_none() {
            // A MAC of no node of ours: whatever else it says, it is not one of them.
            return None;
        }
        // What a machine cannot choose comes first.
        let node = by_address.or(by_mac).or(by_uuid)?;
        let claimed = [by_mac, by_uuid]
            .into_iter()
            .flatten()
            .find(|other| *other != node);
        Some(Asker { node, claimed })
    }

    fn of_mac(&self, mac: Option<&str>) -> Option<&'s str> {
        let mac = MacAddr::parse_any(mac?)?;
        self.by_mac.get(&mac).copied()
    }
}
