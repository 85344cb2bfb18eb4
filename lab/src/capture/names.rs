//! Node names for MACs and addresses in a capture file.
//!
//! MACs come from the scenario; addresses are learned from DHCP acknowledgements.

use std::collections::{BTreeMap, HashSet};
use std::net::Ipv4Addr;

use boot_server_proto::dhcp::{Message, MessageType};
use boot_server_proto::mac::MacAddr;
use etherparse::{LaxSlicedPacket, TransportSlice};

use super::{CaptureSpec, pcapng};

/// UDP port of DHCP clients (RFC 2131 §4.1).
const CLIENT_PORT: u16 = 68;

/// Maximum number of named addresses; no pool has more.
const NAME_LIMIT: usize = 4096;

/// Name of the host on the network.
const HOST_NAME: &str = "boot-server";

/// Names of the machines.
#[derive(Debug)]
pub(super) struct Names {
    nodes: BTreeMap<[u8; 6], String>,
    host: Ipv4Addr,
    told: HashSet<(Ipv4Addr, [u8; 6])>,
}

impl Names {
    pub(super) fn new(spec: &CaptureSpec) -> Names {
        let by_mac = |(name, mac): &(String, MacAddr)| (mac.0, name.clone());
        Names {
            nodes: spec.nodes.iter().map(by_mac).collect(),
            host: spec.host,
            told: HashSet::new(),
        }
    }

    /// Returns the names known before the first frame: MACs and the host's address.
    pub(super) fn known(&self) -> Vec<pcapng::Name<'_>> {
        let nodes = self.nodes.iter();
        nodes
            .map(|(mac, name)| pcapng::Name::Mac(*mac, name))
            .chain([pcapng::Name::Address(self.host, HOST_NAME)])
            .collect()
    }

    /// Returns a name block if this frame assigns an address to a node for the first time.
    pub(super) fn learn(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        let packet = LaxSlicedPacket::from_ethernet(frame).ok()?;
        let TransportSlice::Udp(udp) = packet.transport? else {
            return None;
        };
        if udp.destination_port() != CLIENT_PORT {
            return None;
        }
        let message = Message::decode(udp.payload()).ok()?;
        if message.message_type() != Ok(Some(MessageType::Ack)) {
            return None;
        }
        let mac = message.mac()?.0;
        let name = self.nodes.get(&mac)?;
        let address = message.your_address;
        let is_new = !address.is_unspecified()
            && self.told.len() < NAME_LIMIT
            && self.told.insert((address, mac));
        is_new.then(|| pcapng::names(&[pcapng::Name::Address(address, name)]))
    }
}
