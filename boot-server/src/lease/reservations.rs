//! Fixed addresses, and whose they are.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use boot_server_proto::dhcp::Options;
use boot_server_proto::mac::MacAddr;
use uuid::Uuid;

use super::client::LeaseClient;

/// Identifier of a machine with a fixed address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ReservedFor {
    /// Hardware address of the network card.
    Mac(MacAddr),
    /// Client identifier, type byte included (option 61).
    ClientId(Vec<u8>),
    /// SMBIOS UUID as the machine shows it; both byte orders of option 97 match.
    Machine(Uuid),
}

/// A fixed address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserved {
    /// Identifier of the machine that owns the reservation.
    pub whose: ReservedFor,
    /// The machine's address.
    pub address: Ipv4Addr,
    /// The host name given with it.
    pub hostname: Option<String>,
    /// Options that override those of the pool.
    pub options: Options,
}

/// The reservations of a pool.
#[derive(Debug, Default)]
pub(super) struct Reservations {
    all: Vec<Reserved>,
    by_owner: HashMap<ReservedFor, usize>,
    by_address: HashMap<Ipv4Addr, usize>,
}

impl Reservations {
    pub(super) fn new(all: Vec<Reserved>) -> Reservations {
        let numbered = || all.iter().enumerate();
        Reservations {
            by_owner: numbered().map(|(n, r)| (r.whose.clone(), n)).collect(),
            by_address: numbered().map(|(n, r)| (r.address, n)).collect(),
            all,
        }
    }

    /// Returns the reservation of a machine: by its MAC, else by its client identifier, else by its UUID.
    pub(super) fn of(&self, who: &LeaseClient<'_>) -> Option<&Reserved> {
        if self.all.is_empty() {
            return None;
        }
        let find = |whose: ReservedFor| self.by_owner.get(&whose);
        let number = find(ReservedFor::Mac(who.mac))
            .or_else(|| find(ReservedFor::ClientId(who.client_id?.to_vec())))
            .or_else(|| find(ReservedFor::Machine(who.machine_id?.uuid())))
            .or_else(|| find(ReservedFor::Machine(Uuid::from_bytes(who.machine_id?.0))));
        self.all.get(*number?)
    }

    /// Returns all reserved addresses.
    pub(super) fn addresses(&self) -> impl Iterator<Item = &Ipv4Addr> {
        self.by_address.keys()
    }

    /// Returns the reservation of this address.
    pub(super) fn at(&self, address: Ipv4Addr) -> Option<&Reserved> {
        self.all.get(*self.by_address.get(&address)?)
    }
}
