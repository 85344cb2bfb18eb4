//! Machines by IP address, as learned from their DHCP exchanges.
//!
//! TFTP and HTTP requests carry only an address; this bounded table gives them a MAC and a UUID.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use boot_server_events::{Identifier, Who};
use boot_server_proto::mac::MacAddr;
use uuid::Uuid;

use super::arp;

/// Most addresses remembered at once; the one learned longest ago makes room.
const CAPACITY: usize = 65_536;

/// A machine that was seen with an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighbour {
    /// MAC of the machine.
    pub mac: MacAddr,
    /// SMBIOS UUID, if the machine sent one (option 97).
    pub uuid: Option<Uuid>,
}

/// The table. Clones share it.
#[derive(Debug, Clone)]
pub struct Neighbours {
    table: Arc<Mutex<Table>>,
    /// Lookup of the MAC that answers for an address.
    arp: fn(Ipv4Addr) -> Option<MacAddr>,
}

impl Default for Neighbours {
    fn default() -> Self {
        Neighbours {
            table: Arc::default(),
            arp: arp::lookup,
        }
    }
}

/// Trustworthiness of the knowledge about an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// The server's own DHCP service assigned the address.
    Given,
    /// A request to another server says so, which anyone can send.
    Claimed,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    neighbour: Neighbour,
    source: Source,
    age: u64,
}

#[derive(Debug, Default)]
struct Table {
    by_ip: HashMap<Ipv4Addr, Entry>,
    by_age: BTreeMap<u64, Ipv4Addr>,
    tick: u64,
}

impl Neighbours {
    /// Remembers that this machine uses this address; replaces what was known of the address.
    ///
    /// Keeps an earlier UUID of the same MAC when this message carries none.
    pub fn learn(&self, ip: Ipv4Addr, mac: MacAddr, uuid: Option<Uuid>) {
        self.remember(ip, mac, uuid, Source::Given);
    }

    /// Remembers that a machine says to use this address. Believed unless the kernel's ARP table has
    /// another MAC for the address.
    pub fn learn_claimed(&self, ip: Ipv4Addr, mac: MacAddr, uuid: Option<Uuid>) {
        self.remember(ip, mac, uuid, Source::Claimed);
    }

    fn remember(&self, ip: Ipv4Addr, mac: MacAddr, uuid: Option<Uuid>, source: Source) {
        if ip.is_unspecified() || ip.is_broadcast() || ip.is_multicast() {
            return;
        }
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.tick += 1;
        let age = table.tick;
        let before = table.by_ip.get(&ip).copied();
        let uuid = uuid.or_else(|| {
            before
                .filter(|entry| entry.neighbour.mac == mac)
                .and_then(|entry| entry.neighbour.uuid)
        });
        let entry = Entry {
            neighbour: Neighbour { mac, uuid },
            source,
            age,
        };
        if let Some(old) = table.by_ip.insert(ip, entry) {
            table.by_age.remove(&old.age);
        }
        table.by_age.insert(age, ip);
        if table.by_ip.len() > CAPACITY
            && let Some((_, oldest)) = table.by_age.pop_first()
        {
            table.by_ip.remove(&oldest);
        }
    }

    /// Returns the machine last seen with this address.
    pub fn lookup(&self, ip: Ipv4Addr) -> Option<Neighbour> {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = table.by_ip.get(&ip).copied();
        drop(table);
        let entry = entry?;
        let is_forged = entry.source == Source::Claimed
            && (self.arp)(ip).is_some_and(|mac| mac != entry.neighbour.mac);
        (!is_forged).then_some(entry.neighbour)
    }

    /// Describes a peer for an event: its address, and the machine behind it when known.
    pub fn who(&self, peer: std::net::SocketAddr) -> Who {
        let known = match peer.ip().to_canonical() {
            std::net::IpAddr::V4(ip) => self.lookup(ip),
            std::net::IpAddr::V6(_) => None,
        };
        Who {
            mac: known.map(|n| n.mac.into()),
            uuid: known.and_then(|n| n.uuid).map(Identifier::Valid),
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
    fn lookup_of_a_claim_that_arp_contradicts_finds_nobody() {
        let neighbours = Neighbours {
            arp: |ip| (ip.octets()[3] == 5).then_some(MAC),
            ..Neighbours::default()
        };
        let ip = |last| Ipv4Addr::new(10, 0, 0, last);
        let found = |last| neighbours.lookup(ip(last)).map(|neighbour| neighbour.mac);
        neighbours.learn_claimed(ip(5), MAC, None);
        assert_eq!(found(5), Some(MAC));
        neighbours.learn_claimed(ip(5), OTHER, None);
        assert_eq!(found(5), None);
        // Behind a router there is no ARP.
        neighbours.learn_claimed(ip(6), OTHER, None);
        assert_eq!(found(6), Some(OTHER));
        // The server's own lease, given a moment ago.
        neighbours.learn(ip(5), OTHER, None);
        assert_eq!(found(5), Some(OTHER));
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
        let table = neighbours.table.lock().unwrap();
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
