//! Which machine is behind an IP address, as learned from its DHCP exchange.
//!
//! TFTP and HTTP requests carry only an address; this bounded table gives them a MAC and a UUID.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

use crate::event::Who;
use crate::proto::mac::MacAddr;

/// Most addresses remembered at once; the one learned longest ago makes room.
const CAPACITY: usize = 65_536;

/// A machine that was seen with an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighbour {
    /// Its MAC.
    pub mac: MacAddr,
    /// Its SMBIOS UUID, when it told one (option 97).
    pub uuid: Option<Uuid>,
}

/// The table. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Neighbours(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    by_ip: HashMap<Ipv4Addr, (Neighbour, u64)>,
    by_age: BTreeMap<u64, Ipv4Addr>,
    tick: u64,
}

impl Neighbours {
    /// Remembers that this machine uses this address; replaces what was known of the address.
    ///
    /// A UUID told earlier by the same MAC stays known when this message carries none.
    pub fn learn(&self, ip: Ipv4Addr, mac: MacAddr, uuid: Option<Uuid>) {
        if ip.is_unspecified() || ip.is_broadcast() || ip.is_multicast() {
            return;
        }
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.tick += 1;
        let tick = table.tick;
        let before = table.by_ip.get(&ip).copied();
        let uuid = uuid.or_else(|| {
            before
                .filter(|(n, _)| n.mac == mac)
                .and_then(|(n, _)| n.uuid)
        });
        if let Some((_, age)) = table.by_ip.insert(ip, (Neighbour { mac, uuid }, tick)) {
            table.by_age.remove(&age);
        }
        table.by_age.insert(tick, ip);
        if table.by_ip.len() > CAPACITY
            && let Some((_, oldest)) = table.by_age.pop_first()
        {
            table.by_ip.remove(&oldest);
        }
    }

    /// The machine last seen with this address.
    pub fn lookup(&self, ip: Ipv4Addr) -> Option<Neighbour> {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.by_ip.get(&ip).map(|(neighbour, _)| *neighbour)
    }

    /// Describes a peer for an event: its address, and the machine behind it when known.
    pub fn who(&self, peer: std::net::SocketAddr) -> Who {
        let known = match peer.ip().to_canonical() {
            std::net::IpAddr::V4(ip) => self.lookup(ip),
            std::net::IpAddr::V6(_) => None,
        };
        Who {
            mac: known.map(|n| n.mac.to_string()),
            uuid: known.and_then(|n| n.uuid).map(|uuid| uuid.to_string()),
            peer: Some(peer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const OTHER: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

    #[test]
    fn an_address_taken_over_by_another_machine_forgets_the_first_ones_uuid() {
        let neighbours = Neighbours::default();
        let ip = Ipv4Addr::new(10, 0, 0, 5);
        let uuid = Uuid::from_u128(7);
        neighbours.learn(ip, MAC, Some(uuid));
        neighbours.learn(ip, MAC, None);
        assert_eq!(
            neighbours.lookup(ip),
            Some(Neighbour {
                mac: MAC,
                uuid: Some(uuid)
            })
        );
        neighbours.learn(ip, OTHER, None);
        assert_eq!(
            neighbours.lookup(ip),
            Some(Neighbour {
                mac: OTHER,
                uuid: None
            })
        );
    }

    #[test]
    fn the_table_does_not_grow_beyond_its_capacity() {
        let neighbours = Neighbours::default();
        let first = Ipv4Addr::from_bits(0x0a00_0000);
        for n in 0..=CAPACITY as u32 {
            neighbours.learn(Ipv4Addr::from_bits(first.to_bits() + n), MAC, None);
        }
        assert_eq!(neighbours.lookup(first), None);
        assert!(
            neighbours
                .lookup(Ipv4Addr::from_bits(first.to_bits() + 1))
                .is_some()
        );
        let table = neighbours.0.lock().unwrap();
        assert_eq!(
            (table.by_ip.len(), table.by_age.len()),
            (CAPACITY, CAPACITY)
        );
    }

    #[test]
    fn the_unspecified_address_is_nobodys() {
        let neighbours = Neighbours::default();
        neighbours.learn(Ipv4Addr::UNSPECIFIED, MAC, None);
        assert_eq!(neighbours.lookup(Ipv4Addr::UNSPECIFIED), None);
    }
}
