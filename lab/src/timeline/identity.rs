//! Whose a server's event is.
//!
//! A machine tells who it is in three ways: its MAC, its UUID, and the address it was given. When
//! they name different nodes, a machine asked in another's name: that is evidence against the asker,
//! and none for the one it named.

use std::collections::HashMap;
use std::net::IpAddr;

use boot_server::event::{BootEvent, Who};
use boot_server::proto::dhcp::MessageType;

use crate::evidence::packet::{Said, Wire};
use crate::evidence::{Record, Seen};
use crate::scenario::{DhcpService, MacAddr, Scenario};

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
    /// Who had an address since when, in the order of time.
    by_address: HashMap<IpAddr, Vec<(u64, &'s str)>>,
}

impl<'s> Identities<'s> {
    /// Learns addresses from the DHCP exchanges in the evidence.
    pub(super) fn learn(
        scenario: &'s Scenario,
        records: &[Record],
        packets: &Wire,
    ) -> Identities<'s> {
        let nodes = || scenario.nodes.iter();
        let mut identities = Identities {
            by_mac: nodes().map(|node| (node.mac, node.name.as_str())).collect(),
            by_uuid: nodes()
                .map(|n| (n.uuid.to_string(), n.name.as_str()))
                .collect(),
            by_address: HashMap::new(),
        };
        // What a client asks for may be refused; only where another server answers, it is all we see.
        let others_dhcp = scenario.services.dhcp != DhcpService::BootServer;
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
                } if *message == MessageType::Ack => (who, address),
                BootEvent::DhcpRequest {
                    who,
                    message,
                    address,
                    ..
                } if others_dhcp && *message == MessageType::Request => (who, address),
                _ => continue,
            };
            if let (Some(node), Some(address)) = (identities.of_mac(who.mac.as_deref()), address) {
                let holders = identities.by_address.entry(IpAddr::V4(*address));
                holders.or_default().push((entry.at_us, node));
            }
        }
        // Where no server of ours hears any of it, the wire tells.
        if [DhcpService::Dnsmasq, DhcpService::None].contains(&scenario.services.dhcp) {
            for packet in &packets.packets {
                let Said::Dhcp(said) = &packet.what else {
                    continue;
                };
                if let (Some(node), Some(given)) =
                    (identities.of_mac(Some(&said.client)), said.given)
                    && said.is(MessageType::Ack)
                    && !given.is_unspecified()
                {
                    let holders = identities.by_address.entry(IpAddr::V4(given));
                    holders.or_default().push((packet.at_us, node));
                }
            }
        }
        for holders in identities.by_address.values_mut() {
            holders.sort_unstable();
        }
        identities
    }

    /// Who sent the request that the event at `at_us` is about. `told` is a MAC that stands in a path
    /// or query.
    pub(super) fn asker(&self, at_us: u64, who: &Who, told: Option<&str>) -> Option<Asker<'s>> {
        let mac = who.mac.as_deref().or(told);
        let by_mac = self.of_mac(mac);
        let by_uuid = who
            .uuid
            .as_ref()
            .and_then(|uuid| self.by_uuid.get(&uuid.to_ascii_lowercase()).copied());
        let by_address = who
            .peer
            .and_then(|peer| self.holder(at_us, peer.ip().to_canonical()));
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

    /// The nodes whose MAC and UUID the event names.
    pub(super) fn claims(&self, who: &Who, told: Option<&str>) -> [Option<&'s str>; 2] {
        let uuid = who.uuid.as_ref().map(|uuid| uuid.to_ascii_lowercase());
        [
            self.of_mac(who.mac.as_deref().or(told)),
            uuid.and_then(|uuid| self.by_uuid.get(&uuid).copied()),
        ]
    }

    /// Who had the address at that time.
    fn holder(&self, at_us: u64, address: IpAddr) -> Option<&'s str> {
        let holders = self.by_address.get(&address)?;
        let at_that_time = holders.iter().rfind(|(since, _)| *since <= at_us);
        at_that_time.or(holders.first()).map(|(_, node)| *node)
    }

    fn of_mac(&self, mac: Option<&str>) -> Option<&'s str> {
        let mac = MacAddr::parse_any(mac?)?;
        self.by_mac.get(&mac).copied()
    }
}
