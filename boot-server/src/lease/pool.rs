//! Pool of one subnet: its addresses, and the owner of each.

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use boot_server_proto::mac::MacAddr;

use super::client::LeaseClient;
use super::clock::shifted;
use super::error::{LeaseError, NotThisAddress};
use super::offers::{Asker, Candidate, Offers};
use super::record::{DECLINE_TIME, LeaseRecord, LeaseState};
use super::reservations::{Reservations, Reserved};

/// Duration for which an offered address is held for its client.
const OFFER_TIME: Duration = Duration::from_secs(60);

/// Maximum number of declined addresses examined for reclaiming.
const MAX_DECLINED_LOOKED_AT: usize = 64;

/// Configuration of a pool.
#[derive(Debug, Clone)]
pub struct PoolPlan {
    /// The subnet served.
    pub subnet: ipnet::Ipv4Net,
    /// First address of the pool.
    pub first: Ipv4Addr,
    /// Last address of the pool, included.
    pub last: Ipv4Addr,
    /// Duration of a lease.
    pub lease_time: Duration,
    /// Fixed addresses of known machines.
    pub reserved: Vec<Reserved>,
    /// Addresses never given, e.g. the server's own.
    pub excluded: Vec<Ipv4Addr>,
}

/// An address to offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offered {
    /// Address to offer.
    pub address: Ipv4Addr,
    /// True if the address is new to the machine and not reserved for it: another host may use it.
    pub fresh: bool,
}

/// Use of a pool, in addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Addresses that it may give: its range, and reserved ones beside it.
    pub addresses: u64,
    /// Leases that have not expired.
    pub leases: u64,
    /// Offers that were not requested yet.
    pub offered: u64,
    /// Addresses set aside because another host uses them.
    pub declined: u64,
    /// Addresses that can be given at once, those kept for reservations included.
    pub free: u64,
    /// Offers taken back for another machine, since the start.
    pub offers_taken_back: u64,
    /// Declined addresses offered again before their time, since the start.
    pub declined_reclaimed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Offered,
    Bound,
    Declined,
}

impl From<LeaseState> for State {
    fn from(state: LeaseState) -> State {
        match state {
            // What was given back is a lease that has ended.
            LeaseState::Bound | LeaseState::Released => State::Bound,
            LeaseState::Declined => State::Declined,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Holding {
    /// Client that holds or declined the address.
    mac: MacAddr,
    state: State,
    until: SystemTime,
    /// Time of the first offer to the client; for a declined address, time of the decline.
    since: SystemTime,
}

/// The addresses of one subnet.
///
/// What it hands out as a [`LeaseRecord`] already counts here. Should the record not be kept, and the
/// client therefore not be told, then this pool only believes an address to be taken that is free:
/// never the other way round.
#[derive(Debug)]
pub struct LeasePool {
    subnet: ipnet::Ipv4Net,
    first: Ipv4Addr,
    last: Ipv4Addr,
    lease_time: Duration,
    reservations: Reservations,
    /// Addresses that no client can get: the server's own, the router's.
    excluded: Vec<Ipv4Addr>,
    by_address: HashMap<Ipv4Addr, Holding>,
    /// The address each machine has or last had.
    by_mac: HashMap<MacAddr, Ipv4Addr>,
    /// Holdings by their end: the first to be free again comes first.
    by_end: BTreeSet<(SystemTime, Ipv4Addr)>,
    /// Addresses from here to `last` were never given to anyone.
    untouched: u32,
    offers: Offers,
    /// Declined addresses, the one that rests for longest first.
    declined: BTreeSet<(SystemTime, Ipv4Addr)>,
    offers_taken_back: u64,
    declined_reclaimed: u64,
}

impl LeasePool {
    /// Creates a pool that continues with the leases of an earlier run; leases of other subnets are ignored.
    pub fn new(plan: PoolPlan, known: &[LeaseRecord]) -> LeasePool {
        let mut pool = LeasePool {
            subnet: plan.subnet,
            first: plan.first,
            last: plan.last,
            lease_time: plan.lease_time,
            reservations: Reservations::new(plan.reserved),
            excluded: plan.excluded,
            by_address: HashMap::new(),
            by_mac: HashMap::new(),
            by_end: BTreeSet::new(),
            untouched: plan.first.to_bits(),
            offers: Offers::default(),
            declined: BTreeSet::new(),
            offers_taken_back: 0,
            declined_reclaimed: 0,
        };
        let mut known: Vec<&LeaseRecord> = known
            .iter()
            .filter(|record| pool.subnet.contains(&record.address))
            .collect();
        // A machine with several addresses keeps the one that ends last.
        known.sort_by_key(|record| (record.expires, record.address));
        for record in known {
            let holding = Holding {
                mac: record.mac,
                state: record.state.into(),
                until: record.end(),
                since: record.end(),
            };
            pool.hold(record.address, holding, None);
        }
        pool
    }

    /// Returns the duration of a lease.
    pub fn lease_time(&self) -> Duration {
        self.lease_time
    }

    /// Returns the subnet served.
    pub fn subnet(&self) -> ipnet::Ipv4Net {
        self.subnet
    }

    /// Returns the reservation of a client.
    pub fn reservation(&self, who: &LeaseClient<'_>) -> Option<&Reserved> {
        self.reservations.of(who)
    }

    /// Returns the address a machine has at this time.
    pub fn address_of(&self, mac: MacAddr, now: SystemTime) -> Option<Ipv4Addr> {
        let address = self.by_mac.get(&mac)?;
        let holding = self.by_address.get(address)?;
        (holding.mac == mac && holding.state == State::Bound && holding.until > now)
            .then_some(*address)
    }

    /// Returns the size of the pool, and the number of addresses in each state at this time.
    pub fn usage(&self, now: SystemTime) -> Usage {
        let in_range = |address: &Ipv4Addr| (self.first..=self.last).contains(address);
        let range = u64::from(self.last.to_bits() - self.first.to_bits()) + 1;
        let excluded: BTreeSet<_> = self.excluded.iter().filter(|a| in_range(a)).collect();
        let reserved = self.reservations.addresses().filter(|a| !in_range(a));
        let mut usage = Usage {
            addresses: (range + reserved.count() as u64).saturating_sub(excluded.len() as u64),
            offers_taken_back: self.offers_taken_back,
            declined_reclaimed: self.declined_reclaimed,
            ..Usage::default()
        };
        for held in self.by_address.values().filter(|held| held.until > now) {
            match held.state {
                State::Bound => usage.leases += 1,
                State::Offered => usage.offered += 1,
                State::Declined => usage.declined += 1,
            }
        }
        let taken = usage.leases + usage.offered + usage.declined;
        usage.free = usage.addresses.saturating_sub(taken);
        usage
    }

    /// True if an address is offered to a machine, or is its lease.
    pub fn is_held_by(&self, mac: MacAddr, address: Ipv4Addr, now: SystemTime) -> bool {
        self.by_address.get(&address).is_some_and(|held| {
            held.mac == mac && held.until > now && held.state != State::Declined
        })
    }

    /// Moves all times: the clock that they were taken from was set.
    pub fn shift(&mut self, seconds: i64) {
        let shift = |time| shifted(time, seconds);
        for held in self.by_address.values_mut() {
            (held.until, held.since) = (shift(held.until), shift(held.since));
        }
        for set in [&mut self.by_end, &mut self.declined] {
            *set = set
                .iter()
                .map(|(time, address)| (shift(*time), *address))
                .collect();
        }
        self.offers.shift(shift);
    }

    /// Finds an address to offer and keeps it for the machine for a minute (DHCPDISCOVER).
    ///
    /// In this order: its reservation, the address it has or had, the one it asks for, one that
    /// nobody had, the one that is free for longest; in an empty pool an offer of somebody else that was
    /// not requested, or the address that was declined longest ago.
    ///
    /// # Errors
    /// [`LeaseError::Exhausted`], [`LeaseError::TooManyOffers`].
    pub fn offer(
        &mut self,
        who: &LeaseClient<'_>,
        wanted: Option<Ipv4Addr>,
        now: SystemTime,
    ) -> Result<Offered, LeaseError> {
        let had = self.by_mac.get(&who.mac).copied();
        let fixed = self.reservations.of(who).map(|reserved| reserved.address);
        let free = [fixed, had, wanted]
            .into_iter()
            .flatten()
            .find(|address| self.may_have(who, *address, now))
            .or_else(|| self.next_untouched(who, now))
            .or_else(|| self.longest_free(who, now));
        let address = match free {
            Some(address) => address,
            None => self.take_back(who, now)?,
        };
        let current = self.by_address.get(&address);
        let same = current.filter(|h| h.mac == who.mac && h.state != State::Declined);
        let fresh = same.is_none() && fixed != Some(address);
        if !same.is_some_and(|h| h.state == State::Bound && h.until > now) {
            // An active lease is not replaced: an offer promises less.
            let offered = same.filter(|h| h.state == State::Offered && h.until > now);
            let holding = Holding {
                mac: who.mac,
                state: State::Offered,
                until: now + OFFER_TIME,
                // Asking again does not make an offer younger.
                since: offered.map_or(now, |h| h.since),
            };
            self.hold(address, holding, who.circuit);
        }
        Ok(Offered { address, fresh })
    }

    /// Gives a lease on an address the machine was offered, has, or says it had (DHCPREQUEST).
    ///
    /// # Errors
    /// [`LeaseError::Refused`] when it cannot be this machine's.
    pub fn bind(
        &mut self,
        who: &LeaseClient<'_>,
        address: Ipv4Addr,
        now: SystemTime,
    ) -> Result<LeaseRecord, LeaseError> {
        if !self.subnet.contains(&address) {
            let subnet = self.subnet;
            return Err(NotThisAddress::OutsideSubnet { address, subnet }.into());
        }
        let mac = who.mac;
        let reserved = self.reservations.of(who);
        if let Some(fixed) = reserved
            && fixed.address != address
            && self.may_have(who, fixed.address, now)
        {
            let address = fixed.address;
            return Err(NotThisAddress::Reserved { address, mac }.into());
        }
        if !self.may_have(who, address, now) {
            return Err(NotThisAddress::NotFree { address, mac }.into());
        }
        let until = now + self.lease_time;
        let hostname = reserved.and_then(|reserved| reserved.hostname.as_deref());
        let record = LeaseRecord::new(who, hostname, address, LeaseState::Bound, until);
        Ok(self.hold_recorded(record, until, now))
    }

    /// Returns the address this machine has, had or has reserved, as far as this server remembers.
    pub fn recorded(&self, who: &LeaseClient<'_>) -> Option<Ipv4Addr> {
        let had = self.by_mac.get(&who.mac).copied();
        had.or_else(|| self.reservations.of(who).map(|reserved| reserved.address))
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
            let holding = Holding {
                until: now,
                ..*holding
            };
            self.hold(address, holding, None);
        }
    }

    /// Releases a machine's lease (DHCPRELEASE). A release by another machine changes nothing.
    ///
    /// # Errors
    /// [`LeaseError::Unknown`].
    pub fn release(
        &mut self,
        who: &LeaseClient<'_>,
        address: Ipv4Addr,
        now: SystemTime,
    ) -> Result<LeaseRecord, LeaseError> {
        let mac = who.mac;
        if self.address_of(mac, now) != Some(address) {
            return Err(LeaseError::Unknown { mac, address });
        }
        let record = LeaseRecord::new(who, None, address, LeaseState::Released, now);
        Ok(self.hold_recorded(record, now, now))
    }

    /// Sets aside an address that the probe before an offer found in use by another host. A lease that was
    /// acknowledged to the machine meanwhile stays a lease.
    ///
    /// # Errors
    /// [`LeaseError::Unknown`] when it is not offered to this machine.
    pub fn found_in_use(
        &mut self,
        who: &LeaseClient<'_>,
        address: Ipv4Addr,
        now: SystemTime,
    ) -> Result<LeaseRecord, LeaseError> {
        match self.by_address.get(&address) {
            Some(held) if held.state == State::Offered => self.decline(who, address, now),
            _ => Err(LeaseError::Unknown {
                mac: who.mac,
                address,
            }),
        }
    }

    /// Sets aside an address that its machine found in use by another host (DHCPDECLINE), for an unknown time.
    ///
    /// # Errors
    /// [`LeaseError::Unknown`] when it was not this machine's to decline.
    pub fn decline(
        &mut self,
        who: &LeaseClient<'_>,
        address: Ipv4Addr,
        now: SystemTime,
    ) -> Result<LeaseRecord, LeaseError> {
        let mac = who.mac;
        let holding = self.by_address.get(&address).copied();
        if !holding.is_some_and(|h| h.mac == mac && h.state != State::Declined && h.until > now) {
            return Err(LeaseError::Unknown { mac, address });
        }
        let until = now + DECLINE_TIME;
        self.by_mac.remove(&mac);
        let record = LeaseRecord::new(who, None, address, LeaseState::Declined, until);
        Ok(self.hold_recorded(record, until, now))
    }

    /// True if the client could get the address now.
    fn may_have(&self, who: &LeaseClient<'_>, address: Ipv4Addr, now: SystemTime) -> bool {
        let in_pool = (self.first..=self.last).contains(&address);
        let ours_to_give = match self.reservations.at(address) {
            Some(reserved) => self
                .reservations
                .of(who)
                .is_some_and(|own| own.address == reserved.address),
            None => in_pool,
        };
        ours_to_give
            && !self.excluded.contains(&address)
            && match self.by_address.get(&address) {
                Some(holding) if holding.until > now => {
                    holding.mac == who.mac && holding.state != State::Declined
                }
                _ => true,
            }
    }

    fn next_untouched(&mut self, who: &LeaseClient<'_>, now: SystemTime) -> Option<Ipv4Addr> {
        while self.untouched <= self.last.to_bits() {
            let address = Ipv4Addr::from_bits(self.untouched);
            self.untouched += 1;
            if !self.by_address.contains_key(&address) && self.may_have(who, address, now) {
                return Some(address);
            }
        }
        None
    }

    fn longest_free(&self, who: &LeaseClient<'_>, now: SystemTime) -> Option<Ipv4Addr> {
        self.by_end
            .iter()
            .take_while(|(until, _)| *until <= now)
            .map(|(_, address)| *address)
            .find(|address| self.may_have(who, *address, now))
    }

    /// Takes an address in an empty pool: an offer that was not requested, else the address that was
    /// declined longest ago, as ISC dhcpd reclaims abandoned addresses. Whoever declined an address does
    /// not get it.
    fn take_back(
        &mut self,
        who: &LeaseClient<'_>,
        now: SystemTime,
    ) -> Result<Ipv4Addr, LeaseError> {
        let (first, last) = (self.first, self.last);
        let in_range = |address: Ipv4Addr| (first..=last).contains(&address);
        let reservations = &self.reservations;
        let excluded = &self.excluded;
        let may_have = |address: Ipv4Addr| {
            in_range(address) && reservations.at(address).is_none() && !excluded.contains(&address)
        };
        let asker = Asker {
            mac: who.mac,
            circuit: who.circuit,
            now,
        };
        let candidate = self.offers.candidate(asker, may_have);
        if let Candidate::Take(address) = candidate {
            self.offers_taken_back += 1;
            return Ok(address);
        }
        let declined = self.declined.iter().take(MAX_DECLINED_LOOKED_AT);
        let reclaimed = declined.map(|(_, address)| *address).find(|address| {
            let by = self.by_address.get(address).map(|held| held.mac);
            may_have(*address) && by != Some(who.mac)
        });
        match (reclaimed, candidate) {
            (Some(address), _) => {
                self.declined_reclaimed += 1;
                Ok(address)
            }
            (None, Candidate::NotNow) => Err(LeaseError::TooManyOffers { first, last }),
            (None, _) => Err(LeaseError::Exhausted { first, last }),
        }
    }

    /// Lets the record count here, to the fraction of a second that it does not keep.
    fn hold_recorded(
        &mut self,
        record: LeaseRecord,
        until: SystemTime,
        now: SystemTime,
    ) -> LeaseRecord {
        let holding = Holding {
            mac: record.mac,
            state: record.state.into(),
            until,
            since: now,
        };
        self.hold(record.address, holding, None);
        record
    }

    fn hold(&mut self, address: Ipv4Addr, holding: Holding, circuit: Option<&[u8]>) {
        if let Some(old) = self.by_address.insert(address, holding) {
            self.by_end.remove(&(old.until, address));
            match old.state {
                State::Offered => self.offers.remove(old.since, address),
                State::Declined => drop(self.declined.remove(&(old.since, address))),
                State::Bound => {}
            }
            if old.mac != holding.mac && self.by_mac.get(&old.mac) == Some(&address) {
                self.by_mac.remove(&old.mac);
            }
        }
        self.by_end.insert((holding.until, address));
        match holding.state {
            State::Offered => self.offers.insert(holding.since, address, circuit),
            State::Declined => drop(self.declined.insert((holding.since, address))),
            State::Bound => {}
        }
        if holding.state != State::Declined {
            self.by_mac.insert(holding.mac, address);
        }
    }
}
