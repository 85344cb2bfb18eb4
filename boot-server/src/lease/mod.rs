//! Address assignment: pools, their leases and reservations.
//!
//! Pure: the present time is an argument, and each change that must survive a restart is returned as a
//! [`LeaseRecord`], to be stored by a [`LeaseStore`] before it is acknowledged. A machine is its MAC: the boot ROM, iPXE and the installed system send different client
//! identifiers, and a machine that changed its address at each boot stage could not be followed.

mod clock;
mod damage;
mod journal;
#[cfg(test)]
mod journal_tests;
mod lock;
mod offers;
mod pool;
mod record;
mod reservations;
#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;

pub use clock::{Clamped, ClockReading, LeaseClock, clamp_ends};
pub use damage::{Damage, InvalidLine, LeaseFile, LineProblem, parse};
pub use journal::{Durability, Journal, JournalError, read_lease_file, read_leases};
pub use pool::{LeasePool, Offered, PoolPlan, Usage};
pub use record::{LeaseRecord, LeaseState};
pub use reservations::{Reserved, ReservedFor};

use boot_server_proto::dhcp::MachineId;
use boot_server_proto::mac::MacAddr;

/// Client that requests an address, by all identifiers it sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseClient<'a> {
    /// MAC, the key of leases.
    pub mac: MacAddr,
    /// SMBIOS UUID (option 97).
    pub machine_id: Option<MachineId>,
    /// Client identifier (option 61).
    pub client_id: Option<&'a [u8]>,
    /// The name it gives itself (option 12).
    pub hostname: Option<&'a str>,
    /// The circuit of the relay agent that it is behind (option 82).
    pub circuit: Option<&'a [u8]>,
}

impl LeaseClient<'_> {
    /// Returns a machine that says nothing but its MAC.
    pub fn of_mac(mac: MacAddr) -> LeaseClient<'static> {
        LeaseClient {
            mac,
            machine_id: None,
            client_id: None,
            hostname: None,
            circuit: None,
        }
    }
}

/// Keeps lease records across restarts.
pub trait LeaseStore: Send {
    /// Takes a record, to be kept with the next [`LeaseStore::commit`].
    fn keep(&mut self, record: LeaseRecord);

    /// Keeps what was taken; when this returns `Ok`, a killed and restarted server knows it.
    ///
    /// `Ok` may carry a warning: all is kept, but something had happened to the place.
    ///
    /// # Errors
    /// A sentence: the record could not be stored, so it must not be acknowledged. The next commit tries again.
    fn commit(&mut self) -> Result<Option<String>, String>;

    /// Moves the ends of all records by seconds, with the next [`LeaseStore::commit`]: the wall clock was
    /// set.
    fn shift(&mut self, seconds: i64);
}

impl LeaseStore for Box<dyn LeaseStore> {
    fn keep(&mut self, record: LeaseRecord) {
        (**self).keep(record);
    }

    fn commit(&mut self) -> Result<Option<String>, String> {
        (**self).commit()
    }

    fn shift(&mut self, seconds: i64) {
        (**self).shift(seconds);
    }
}

/// Keeps nothing: for servers without a lease file.
#[derive(Debug, Default)]
pub struct MemoryOnly;

impl LeaseStore for MemoryOnly {
    fn keep(&mut self, _: LeaseRecord) {}

    fn commit(&mut self) -> Result<Option<String>, String> {
        Ok(None)
    }

    fn shift(&mut self, _: i64) {}
}

/// Reasons that no address is given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// All addresses of the pool are taken.
    #[error("no free address from {first} to {last}")]
    Exhausted {
        /// First address of the pool.
        first: Ipv4Addr,
        /// Last address of the pool.
        last: Ipv4Addr,
    },
    /// All addresses are taken, some of them by offers that are too young to be taken back.
    #[error(
        "no free address from {first} to {last}: more new machines ask than can be offered one"
    )]
    TooManyOffers {
        /// First address of the pool.
        first: Ipv4Addr,
        /// Last address of the pool.
        last: Ipv4Addr,
    },
    /// The client must start over (DHCPNAK).
    #[error("{0}")]
    Refused(String),
    /// The client's address is unknown, and RFC 2131 §4.3.2 demands silence.
    #[error("no lease of {address} is known for {mac}")]
    Unknown {
        /// MAC of the client.
        mac: MacAddr,
        /// The address it says it has.
        address: Ipv4Addr,
    },
}
