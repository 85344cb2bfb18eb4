//! Offers that were not requested, and the choice of an offer to reclaim in an exhausted pool.
//!
//! A Discover costs its sender nothing and an offer keeps an address for a minute, so that a hundred
//! made-up MACs a minute would take a pool of a hundred addresses. dnsmasq and Kea keep nothing for an
//! offer; here the oldest offer makes room. Against a sender of thousands of Discovers a second two rules
//! protect a machine that only boots: a circuit of a relay agent (option 82) that has many offers loses
//! its own first, and a machine that asks a second time goes before those that ask for the first time.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use boot_server_proto::mac::MacAddr;

/// An offer this old is not requested any more: firmware collects offers for 4 to 8 s (PXE 2.1 §2.4.4).
const STALE_AFTER: Duration = Duration::from_secs(10);
/// No offer is taken back before this: the machine is about to request it.
const LEAST_AGE: Duration = Duration::from_millis(500);
/// Offers of one circuit that are as good as those of others: a port with a hypervisor behind it.
const CIRCUIT_OFFERS: usize = 16;
/// Offers a second that may be taken back for MACs that ask for the first time.
const FIRST_TIMERS_PER_SECOND: f64 = 10.0;
/// MACs that were refused and are remembered.
const MAX_REFUSED: usize = 65_536;
/// Maximum number of offers examined for reclaiming.
const MAX_LOOKED_AT: usize = 64;

/// Client that may take over another client's offer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker<'a> {
    pub(super) mac: MacAddr,
    pub(super) circuit: Option<&'a [u8]>,
    pub(super) now: SystemTime,
}

/// Address that an exhausted pool may reclaim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Candidate {
    /// Reclaim this offered address.
    Take(Ipv4Addr),
    /// Offers exist, but none may be reclaimed for this machine now.
    NotNow,
    /// No offer exists.
    None,
}

/// The offers of a pool that were not requested.
#[derive(Debug, Default)]
pub(super) struct Offers {
    /// Offered addresses by the time of the first offer.
    by_age: BTreeSet<(SystemTime, Ipv4Addr)>,
    circuit_of: HashMap<Ipv4Addr, Arc<[u8]>>,
    by_circuit: HashMap<Arc<[u8]>, BTreeSet<(SystemTime, Ipv4Addr)>>,
    refused: HashSet<MacAddr>,
    refused_order: VecDeque<MacAddr>,
    first_timers: f64,
    filled: Option<SystemTime>,
}

impl Offers {
    pub(super) fn insert(&mut self, since: SystemTime, address: Ipv4Addr, circuit: Option<&[u8]>) {
        self.by_age.insert((since, address));
        let Some(circuit) = circuit else { return };
        let circuit: Arc<[u8]> = circuit.into();
        let of_circuit = self.by_circuit.entry(Arc::clone(&circuit)).or_default();
        of_circuit.insert((since, address));
        self.circuit_of.insert(address, circuit);
    }

    pub(super) fn remove(&mut self, since: SystemTime, address: Ipv4Addr) {
        self.by_age.remove(&(since, address));
        let Some(circuit) = self.circuit_of.remove(&address) else {
            return;
        };
        if let Some(of_circuit) = self.by_circuit.get_mut(&circuit) {
            of_circuit.remove(&(since, address));
            if of_circuit.is_empty() {
                self.by_circuit.remove(&circuit);
            }
        }
    }

    /// Moves the times of all offers with the clock.
    pub(super) fn shift(&mut self, shift: impl Fn(SystemTime) -> SystemTime) {
        let move_all = |set: &mut BTreeSet<(SystemTime, Ipv4Addr)>| {
            *set = set.iter().map(|(since, a)| (shift(*since), *a)).collect();
        };
        move_all(&mut self.by_age);
        self.by_circuit.values_mut().for_each(move_all);
        self.filled = self.filled.map(&shift);
    }

    /// Finds an offer that makes room for a machine.
    pub(super) fn candidate(
        &mut self,
        asker: Asker<'_>,
        may_have: impl Fn(Ipv4Addr) -> bool,
    ) -> Candidate {
        let Asker { mac, circuit, now } = asker;
        if self.by_age.is_empty() {
            return Candidate::None;
        }
        if let Some(own) = circuit.and_then(|circuit| self.by_circuit.get(circuit))
            && own.len() >= CIRCUIT_OFFERS
        {
            let oldest = own
                .iter()
                .map(|(_, address)| *address)
                .find(|a| may_have(*a));
            return oldest.map_or(Candidate::NotNow, Candidate::Take);
        }
        let oldest: Vec<_> = self.by_age.iter().take(MAX_LOOKED_AT).copied().collect();
        let mut mine = oldest.iter().filter(|(_, address)| may_have(*address));
        let crowded = mine
            .clone()
            .find(|(_, address)| self.is_of_crowded(*address));
        if let Some((_, address)) = crowded {
            return Candidate::Take(*address);
        }
        let Some((since, address)) = mine.next() else {
            return Candidate::None;
        };
        let age = now.duration_since(*since).unwrap_or_default();
        let may_take = age >= STALE_AFTER
            || (age >= LEAST_AGE && (self.refused.contains(&mac) || self.take_token(now)));
        match may_take {
            true => {
                self.refused.remove(&mac);
                Candidate::Take(*address)
            }
            false => {
                self.remember(mac);
                Candidate::NotNow
            }
        }
    }

    fn is_of_crowded(&self, address: Ipv4Addr) -> bool {
        let circuit = self.circuit_of.get(&address);
        let offers = circuit.and_then(|circuit| self.by_circuit.get(circuit));
        offers.is_some_and(|offers| offers.len() >= CIRCUIT_OFFERS)
    }

    fn take_token(&mut self, now: SystemTime) -> bool {
        let since = self.filled.map_or(Duration::from_secs(1), |filled| {
            now.duration_since(filled).unwrap_or_default()
        });
        let filled = self.first_timers + since.as_secs_f64() * FIRST_TIMERS_PER_SECOND;
        self.first_timers = filled.min(FIRST_TIMERS_PER_SECOND);
        self.filled = Some(now);
        if self.first_timers < 1.0 {
            return false;
        }
        self.first_timers -= 1.0;
        true
    }

    fn remember(&mut self, mac: MacAddr) {
        if !self.refused.insert(mac) {
            return;
        }
        self.refused_order.push_back(mac);
        if self.refused_order.len() > MAX_REFUSED
            && let Some(first) = self.refused_order.pop_front()
        {
            self.refused.remove(&first);
        }
    }
}
