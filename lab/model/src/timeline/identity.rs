//! Assignment of a server's event to a machine.
//!
//! A request identifies its machine in three ways: MAC, UUID and assigned address. If they name different nodes,
//! a machine used another's identity: evidence against the sender, and none for the named node.

use std::collections::HashMap;
use std::net::IpAddr;

use boot_server_events::{BootEvent, Identifier, Who};
use boot_server_proto::dhcp::MessageType;
use boot_server_proto::mac::MacAddr;
use uuid::Uuid;

use crate::evidence::packet::{PacketContent, Wire};
use crate::evidence::{Observation, Record};
use crate::scenario::{DhcpService, Scenario};

/// Actual sender of a request, and the machine named in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asker<'s> {
    /// Name of the node that sent the request.
    pub(super) node: &'s str,
    /// Name of another node whose identity it used.
    pub(super) claimed: Option<&'s str>,
}

/// Names of the nodes by their identifying properties.
#[derive(Debug)]
pub(super) struct Identities<'s> {
    by_mac: HashMap<MacAddr, &'s str>,
    by_uuid: HashMap<Uuid, &'s str>,
    /// Owners of addresses, in the order of time.
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
            by_uuid: nodes().map(|n| (n.uuid, n.name.as_str())).collect(),
            by_address: HashMap::new(),
        };
        // A requested address may be refused; it counts only if a foreign server answers, whose answer is not
        // recorded.
        let others_dhcp = scenario.services.dhcp != DhcpService::BootServer;
        for record in records {
            let Observation::Server { entry, .. } = &record.seen else {
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
            if let (Some(node), Some(address)) = (identities.of_mac(mac_of(who, None)), address) {
                let holders = identities.by_address.entry(IpAddr::V4(*address));
                holders.or_default().push((entry.at_us, node));
            }
        }
        // If no server of the lab receives these messages, the packets count.
        if [DhcpService::Dnsmasq, DhcpService::None].contains(&scenario.services.dhcp) {
            for packet in &packets.packets {
                let PacketContent::Dhcp(said) = &packet.what else {
                    continue;
                };
                if let (Some(node), Some(given)) =
                    (identities.of_mac(said.client.parse().ok()), said.given)
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

    /// Returns the sender of the request in the event at `at_us`. `told` is a MAC from a path or query.
    pub(super) fn asker(&self, at_us: u64, who: &Who, told: Option<&str>) -> Option<Asker<'s>> {
        let names_a_mac = who.mac.is_some() || told.is_some();
        let [by_mac, by_uuid] = self.claims(who, told);
        let by_address = who
            .peer
            .and_then(|peer| self.holder(at_us, peer.ip().to_canonical()));
        if names_a_mac && by_mac.is_none() && by_address.is_none() {
            // A foreign MAC: the sender is none of the nodes, whatever else it claims.
            return None;
        }
        // Properties that a machine cannot choose come first.
        let node = by_address.or(by_mac).or(by_uuid)?;
        let claimed = [by_mac, by_uuid]
            .into_iter()
            .flatten()
            .find(|other| *other != node);
        Some(Asker { node, claimed })
    }

    /// Returns the nodes of the MAC and UUID in the event.
    pub(super) fn claims(&self, who: &Who, told: Option<&str>) -> [Option<&'s str>; 2] {
        let uuid = who.uuid.as_ref().and_then(Identifier::valid);
        [
            self.of_mac(mac_of(who, told)),
            uuid.and_then(|uuid| self.by_uuid.get(uuid).copied()),
        ]
    }

    /// Returns another node that a message at the port of `node` names as its sender. `names` are values that
    /// identify a machine: MACs and UUIDs.
    pub(super) fn borrowed<'n>(
        &self,
        node: &str,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Option<&'s str> {
        let owner = |name: &str| match name.parse() {
            Ok(uuid) => self.by_uuid.get(&uuid).copied(),
            Err(_) => self.of_mac(name.replace("%3A", ":").replace("%3a", ":").parse().ok()),
        };
        let mut owners = names.into_iter().filter_map(owner);
        owners.find(|owner| *owner != node)
    }

    /// Returns the owner of the address at that time.
    fn holder(&self, at_us: u64, address: IpAddr) -> Option<&'s str> {
        let holders = self.by_address.get(&address)?;
        let at_that_time = holders.iter().rfind(|(since, _)| *since <= at_us);
        at_that_time.or(holders.first()).map(|(_, node)| *node)
    }

    fn of_mac(&self, mac: Option<MacAddr>) -> Option<&'s str> {
        self.by_mac.get(&mac?).copied()
    }
}

/// Returns the MAC in an event; `told` counts only if the event has no other.
fn mac_of(who: &Who, told: Option<&str>) -> Option<MacAddr> {
    match &who.mac {
        Some(mac) => mac.valid().copied(),
        None => told?.parse().ok(),
    }
}
