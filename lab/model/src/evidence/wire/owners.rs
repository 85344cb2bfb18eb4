//! Assignment of MACs to frames without them: frames taken on all interfaces (`-i any`) do not name their
//! receiver, raw IP frames name nobody. An address belongs to the machine that sent from it, or that leased it
//! by DHCP.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use super::file::Link;
use crate::evidence::packet::{Endpoint, PacketContent};

/// Maximum number of remembered addresses.
const ADDRESS_LIMIT: usize = 200_000;

/// MACs by address.
#[derive(Debug, Default)]
pub(super) struct Owners(HashMap<IpAddr, String>);

impl Owners {
    /// Adds missing MACs to a frame, and learns from those present.
    pub(super) fn fill(&mut self, link: Link, from: &mut Endpoint, to: &mut Endpoint) {
        if link == Link::Ethernet {
            return;
        }
        if let (Some(address), false) = (from.address, from.mac.is_empty()) {
            self.learn(address, &from.mac);
        }
        for end in [from, to] {
            if end.mac.is_empty()
                && let Some(mac) = end.address.and_then(|address| self.0.get(&address))
            {
                end.mac.clone_from(mac);
            }
        }
    }

    /// Learns the address in a DHCP message.
    pub(super) fn hear(&mut self, link: Link, said: &PacketContent) {
        if link != Link::Ethernet
            && let PacketContent::Dhcp(said) = said
            && let (true, Some(given)) = (said.from_server, said.given)
            && !said.client.is_empty()
        {
            self.learn(given.into(), &said.client);
        }
    }

    fn learn(&mut self, address: IpAddr, mac: &str) {
        let says_nothing = address.is_unspecified()
            || address.is_multicast()
            || address == IpAddr::V4(Ipv4Addr::BROADCAST);
        if says_nothing {
            return;
        }
        if let Some(known) = self.0.get_mut(&address) {
            if known != mac {
                mac.clone_into(known);
            }
        } else if self.0.len() < ADDRESS_LIMIT {
            self.0.insert(address, mac.to_owned());
        }
    }
}
