//! Which machine has which address until when: the pool, its leases and reservations.
//!
//! Pure but for what it is handed: the present time comes as an argument, and each change that must
//! survive a restart is handed to a [`LeaseStore`] before it counts. A machine is its MAC: the boot
//! ROM, iPXE and the installed system send different client identifiers, and a machine that changed
//! its address at each boot stage could not be followed.

mod journal;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

pub use journal::{Journal, JournalError};

use crate::proto::mac::MacAddr;

/// How long an offered address is kept for the machine it was offered to.
const OFFER_TIME: Duration = Duration::from_secs(60);
/// How long a declined address is not given to anyone (RFC 2131 §4.3.3).
const DECLINE_TIME: Duration = Duration::from_secs(600);

/// A fixed address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserved {
    /// The machine's address.
    pub address: Ipv4Addr,
    /// The host name given with it.
    pub hostname: Option<String>,
}

/// What must survive a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LeaseRecord {
    /// The address.
    pub address: Ipv4Addr,
    /// Its owner.
    pub mac: MacAddr,
    /// When the lease ends, in seconds since the Unix epoch; 0 when it was given back.
    pub expires: u64,
}

/// Keeps lease records across restarts.
pub trait LeaseStore: Send {
    /// Keeps a record; when this returns `Ok`, a killed and restarted server knows it.
    ///
    /// # Errors
    /// A sentence: it could not be kept, so the lease must not be given.
    fn keep(&mut self, record: LeaseRecord) -> Result<(), String>;
}

impl LeaseStore for Box<dyn LeaseStore> {
    fn keep(&mut self, record: LeaseRecord) -> Result<(), String> {
        (**self).keep(record)
    }
}

/// Keeps nothing: for servers without a lease file.
#[derive(Debug, Default)]
pub struct MemoryOnly;

impl LeaseStore for MemoryOnly {
    fn keep(&mut self, _: LeaseRecord) -> Result<(), String> {
        Ok(())
    }
}

/// Why no address is given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// All addresses of the pool are taken.
    #[error("no free address from {first} to {last}")]
    Exhausted {
        /// First address of the pool.
        first: Ipv4Addr,
        /// Its last address.
        last: Ipv4Addr,
    },
    /// The client must start over (DHCPNAK).
    #[error("{0}")]
    Refused(String),
    /// Nothing is known of this client's address, and RFC 2131 §4.3.2 has us say nothing.
    #[error("no lease of {address} is known for {mac}")]
    Unknown {
        /// The client.
        mac: MacAddr,
        /// The address it says it has.
        address: Ipv4Addr,
    },
    /// The lease could not be kept.
    #[error("the lease could not be kept: {0}")]
    Store(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Offered,
    Bound,
    Declined,
}

#[derive(Debug, Clone, Copy)]
struct Holding {
    /// Of a declined address, who declined it.
    mac: MacAddr,
    state: State,
    until: SystemTime,
}

/// The addresses of one subnet.
pub struct LeasePool<S> {
    subnet: ipnet::Ipv4Net,
    first: Ipv4Addr,
    last: Ipv4Addr,
    lease_time: Duration,
    reserved: HashMap<MacAddr, Reserved>,
    reserved_addresses: HashMap<Ipv4Addr, MacAddr>,
    /// Addresses that are nobody's to have: the server's own, the router's.
    excluded: Vec<Ipv4Addr>,
    by_address: HashMap<Ipv4Addr, Holding>,
    /// The address each machine has or last had.
    by_mac: HashMap<MacAddr, Ipv4Addr>,
    /// Holdings by their end: the first to be free again comes first.
    by_end: BTreeSet<(SystemTime, Ipv4Addr)>,
    /// Addresses from here to `last` were never given to anyone.
    untouched: u32,
    store: S,
}

/// What a pool is made from.
#[derive(Debug, Clone)]
pub struct PoolPlan {
    /// The subnet served.
    pub subnet: ipnet::Ipv4Net,
    /// First address of the pool.
    pub first: Ipv4Addr,
    /// Last address of the pool, included.
    pub last: Ipv4Addr,
    /// How long a lease lasts.
    pub lease_time: Duration,
    /// Fixed addresses.
    pub reserved: HashMap<MacAddr, Reserved>,
    /// Addresses never given, e.g. the server's own.
    pub excluded: Vec<Ipv4Addr>,
}

impl<S: LeaseStore> LeasePool<S> {
    /// A pool that continues with the leases of an earlier run.
    pub fn new(plan: PoolPlan, known: Vec<LeaseRecord>, store: S) -> LeasePool<S> {
        let mut pool = LeasePool {
            subnet: plan.subnet,
            first: plan.first,
            last: plan.last,
            lease_time: plan.lease_time,
            reserved_addresses: plan.reserved.iter().map(|(m, r)| (r.address, *m)).collect(),
            reserved: plan.reserved,
            excluded: plan.excluded,
            by_address: HashMap::new(),
            by_mac: HashMap::new(),
            by_end: BTreeSet::new(),
            untouched: plan.first.to_bits(),
            store,
        };
        for record in known {
            let until = SystemTime::UNIX_EPOCH + Duration::from_secs(record.expires);
            pool.hold(
                record.address,
                Holding {
                    mac: record.mac,
                    state: State::Bound,
                    until,
                },
            );
        }
        pool
    }

    /// How long a lease lasts.
    pub fn lease_time(&self) -> Duration {
        self.lease_time
    }

    /// The subnet served.
    pub fn subnet(&self) -> ipnet::Ipv4Net {
        self.subnet
    }

    /// The host name reserved for a machine.
    pub fn hostname(&self, mac: MacAddr) -> Option<&str> {
        self.reserved.get(&mac)?.hostname.as_deref()
    }

    /// The address a machine has at this time.
    pub fn address_of(&self, mac: MacAddr, now: SystemTime) -> Option<Ipv4Addr> {
        let address = self.by_mac.get(&mac)?;
        let holding = self.by_address.get(address)?;
        (holding.mac == mac && holding.state == State::Bound && holding.until > now)
            .then_some(*address)
    }

    /// Finds an address to offer and keeps it for the machine for a minute (DHCPDISCOVER).
    ///
    /// In this order: its reservation, the address it has or had, the one it asks for, one that
    /// nobody had, the one that is free for longest.
    ///
    /// # Errors
    /// [`LeaseError::Exhausted`].
    pub fn offer(
        &mut self,
        mac: MacAddr,
        wanted: Option<Ipv4Addr>,
        now: SystemTime,
    ) -> Result<Ipv4Addr, LeaseError> {
        let had = self.by_mac.get(&mac).copied();
        let fixed = self.reserved.get(&mac).map(|reserved| reserved.address);
        let address = [fixed, had, wanted]
            .into_iter()
            .flatten()
            .find(|address| self.may_have(mac, *address, now))
            .or_else(|| self.next_untouched(mac, now))
            .or_else(|| self.longest_free(mac, now))
            .ok_or(LeaseError::Exhausted {
                first: self.first,
                last: self.last,
            })?;
        let current = self.by_address.get(&address);
        let bound = current.is_some_and(|h| h.state == State::Bound && h.until > now);
        if !bound {
            // A lease that still runs stays what it is: an offer promises less.
            self.hold(
                address,
                Holding {
                    mac,
                    state: State::Offered,
                    until: now + OFFER_TIME,
                },
            );
        }
        Ok(address)
    }

    /// Gives a lease on an address the machine was offered, has, or says it had (DHCPREQUEST).
    ///
    /// # Errors
    /// [`LeaseError::Refused`] when it cannot be this machine's, [`LeaseError::Store`].
    pub fn bind(
        &mut self,
        mac: MacAddr,
        address: Ipv4Addr,
        now: SystemTime,
    ) -> Result<(), LeaseError> {
        if !self.subnet.contains(&address) {
            return Err(LeaseError::Refused(format!(
                "{address} is not in {}",
                self.subnet
            )));
        }
        if let Some(fixed) = self.reserved.get(&mac)
            && fixed.address != address
            && self.may_have(mac, fixed.address, now)
        {
            return Err(LeaseError::Refused(format!(
                "{} is reserved for {mac}",
                fixed.address
            )));
        }
        if !self.may_have(mac, address, now) {
            return Err(LeaseError::Refused(format!(
                "{address} is not free for {mac}"
            )));
        }
        let until = now + self.lease_time;
        let record = LeaseRecord {
            address,
            mac,
            expires: seconds(until),
        };
        self.store.keep(record).map_err(LeaseError::Store)?;
        self.hold(
            address,
            Holding {
                mac,
                state: State::Bound,
                until,
            },
        );
        Ok(())
    }

    /// Whether this address was ever held by, or is reserved for, this machine.
    pub fn knows(&self, mac: MacAddr, address: Ipv4Addr) -> bool {
        self.by_mac.get(&mac) == Some(&address)
            || self
                .reserved
                .get(&mac)
                .is_some_and(|reserved| reserved.address == address)
    }

    /// The machine took another server's offer: ours is free again.
    pub fn withdraw_offer(&mut self, mac: MacAddr, now: SystemTime) {
        let Some(address) = self.by_mac.get(&mac).copied() else {
            return;
        };
        if let Some(holding) = self.by_address.get(&address)
            && holding.mac == mac
            && holding.state == State::Offered
        {
            self.hold(
                address,
                Holding {
                    until: now,
                    ..*holding
                },
            );
        }
    }

    /// The machine gives its lease back (DHCPRELEASE). Anyone else's release changes nothing.
    ///
    /// # Errors
    /// [`LeaseError::Unknown`], [`LeaseError::Store`].
    pub fn release(
        &mut self,
        mac: MacAddr,
        address: Ipv4Addr,
        now: SystemTime,
    ) -> Result<(), LeaseError> {
        if self.address_of(mac, now) != Some(address) {
            return Err(LeaseError::Unknown { mac, address });
        }
        let record = LeaseRecord {
            address,
            mac,
            expires: 0,
        };
        self.store.keep(record).map_err(LeaseError::Store)?;
        self.hold(
            address,
            Holding {
                mac,
                state: State::Bound,
                until: now,
            },
        );
        Ok(())
    }

    /// The machine found its address in use by somebody else (DHCPDECLINE).
    ///
    /// # Errors
    /// [`LeaseError::Unknown`] when it was not this machine's to decline, [`LeaseError::Store`].
    pub fn decline(
        &mut self,
        mac: MacAddr,
        address: Ipv4Addr,
        now: SystemTime,
    ) -> Result<(), LeaseError> {
        let holding = self.by_address.get(&address).copied();
        if !holding.is_some_and(|h| h.mac == mac && h.state != State::Declined && h.until > now) {
            return Err(LeaseError::Unknown { mac, address });
        }
        self.store
            .keep(LeaseRecord {
                address,
                mac,
                expires: 0,
            })
            .map_err(LeaseError::Store)?;
        self.hold(
            address,
            Holding {
                mac,
                state: State::Declined,
                until: now + DECLINE_TIME,
            },
        );
        self.by_mac.remove(&mac);
        Ok(())
    }

    /// Whether the address could be this machine's now.
    fn may_have(&self, mac: MacAddr, address: Ipv4Addr, now: SystemTime) -> bool {
        let reserved_for = self.reserved_addresses.get(&address);
        let in_pool = (self.first..=self.last).contains(&address);
        let ours_to_give = match reserved_for {
            Some(owner) => *owner == mac,
            None => in_pool,
        };
        ours_to_give
            && !self.excluded.contains(&address)
            && match self.by_address.get(&address) {
                Some(holding) if holding.until > now => {
                    holding.mac == mac && holding.state != State::Declined
                }
                _ => true,
            }
    }

    fn next_untouched(&mut self, mac: MacAddr, now: SystemTime) -> Option<Ipv4Addr> {
        while self.untouched <= self.last.to_bits() {
            let address = Ipv4Addr::from_bits(self.untouched);
            self.untouched += 1;
            if !self.by_address.contains_key(&address) && self.may_have(mac, address, now) {
                return Some(address);
            }
        }
        None
    }

    fn longest_free(&self, mac: MacAddr, now: SystemTime) -> Option<Ipv4Addr> {
        self.by_end
            .iter()
            .take_while(|(until, _)| *until <= now)
            .map(|(_, address)| *address)
            .find(|address| self.may_have(mac, *address, now))
    }

    fn hold(&mut self, address: Ipv4Addr, holding: Holding) {
        if let Some(old) = self.by_address.insert(address, holding) {
            self.by_end.remove(&(old.until, address));
            if old.mac != holding.mac && self.by_mac.get(&old.mac) == Some(&address) {
                self.by_mac.remove(&old.mac);
            }
        }
        self.by_end.insert((holding.until, address));
        self.by_mac.insert(holding.mac, address);
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
