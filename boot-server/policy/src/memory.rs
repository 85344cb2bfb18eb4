//! Memory of machines that were just given an NBP, which tells an iPXE that the server sent from an iPXE ROM.
//!
//! `undionly.kpxe` and a network card's iPXE ROM send the same DHCP packets. Whoever is to be
//! chainloaded once must therefore be remembered, or would be chainloaded for ever.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use boot_server_proto::mac::MacAddr;

/// Duration for which a machine that fetched an NBP and keeps sending requests counts as running it. Each
/// request restarts the time, so a program that asks again and again is never sent its NBP again.
pub const CHAIN_MEMORY: Duration = Duration::from_secs(300);
/// Exchanges in which a machine is sent to an NBP without our seeing it fetch one (it may come from
/// another TFTP server); after these it counts as chainloaded.
pub const MAX_UNSEEN_FETCHES: usize = 3;
/// Machines remembered at once; the one heard of longest ago makes room.
const CAPACITY: usize = 16_384;

#[derive(Debug)]
struct Entry {
    /// Transaction ids in which it was sent to an NBP.
    sent: Vec<u32>,
    fetched: bool,
    last: Instant,
    age: u64,
}

/// The memory; bounded, and forgetting by itself.
#[derive(Debug, Default)]
pub struct ChainMemory {
    entries: HashMap<MacAddr, Entry>,
    by_age: BTreeMap<u64, MacAddr>,
    tick: u64,
}

impl ChainMemory {
    /// An iPXE was sent to an NBP in the exchange `xid`.
    pub fn nbp_sent(&mut self, mac: MacAddr, xid: u32, now: Instant) {
        let entry = self.touch(mac, now);
        if !entry.sent.contains(&xid) && entry.sent.len() < MAX_UNSEEN_FETCHES {
            entry.sent.push(xid);
        }
    }

    /// The machine has fetched an NBP, whole.
    pub fn nbp_fetched(&mut self, mac: MacAddr, now: Instant) {
        self.touch(mac, now).fetched = true;
    }

    /// True if the iPXE that asks in the exchange `xid` was loaded from this server.
    ///
    /// The answer stays the same within an exchange: a client whose offer named the NBP finds the
    /// NBP in its acknowledgement too.
    pub fn is_chained(&mut self, mac: MacAddr, xid: u32, now: Instant) -> bool {
        if !self.entries.contains_key(&mac) {
            return false;
        }
        let entry = self.touch(mac, now);
        let unseen = entry.sent.len() >= MAX_UNSEEN_FETCHES && !entry.sent.contains(&xid);
        entry.fetched |= unseen;
        entry.fetched
    }

    fn forget(&mut self, mac: MacAddr) {
        if let Some(entry) = self.entries.remove(&mac) {
            self.by_age.remove(&entry.age);
        }
    }

    fn touch(&mut self, mac: MacAddr, now: Instant) -> &mut Entry {
        let expired = |entry: &Entry| now.saturating_duration_since(entry.last) >= CHAIN_MEMORY;
        if self.entries.get(&mac).is_some_and(expired) {
            self.forget(mac);
        }
        if !self.entries.contains_key(&mac)
            && self.entries.len() >= CAPACITY
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.entries.remove(&oldest);
        }
        self.tick += 1;
        let age = self.tick;
        let entry = self.entries.entry(mac).or_insert_with(|| Entry {
            sent: Vec::new(),
            fetched: false,
            last: now,
            age,
        });
        self.by_age.remove(&entry.age);
        self.by_age.insert(age, mac);
        entry.age = age;
        entry.last = now;
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    #[test]
    fn a_machine_that_fetched_its_nbp_counts_as_chained_until_it_is_silent_for_long() {
        let start = Instant::now();
        let mut memory = ChainMemory::default();
        assert!(!memory.is_chained(MAC, 1, start));
        memory.nbp_sent(MAC, 1, start);
        assert!(!memory.is_chained(MAC, 1, start));
        memory.nbp_fetched(MAC, start);
        let mut now = start;
        for xid in 2..20 {
            now += CHAIN_MEMORY - Duration::from_secs(1);
            assert!(memory.is_chained(MAC, xid, now));
        }
        assert!(!memory.is_chained(MAC, 21, now + CHAIN_MEMORY));
    }

    #[test]
    fn without_a_fetch_seen_the_fourth_exchange_counts_as_chained() {
        let now = Instant::now();
        let mut memory = ChainMemory::default();
        for xid in [7, 7, 8, 9] {
            assert!(!memory.is_chained(MAC, xid, now));
            memory.nbp_sent(MAC, xid, now);
        }
        assert!(
            !memory.is_chained(MAC, 9, now),
            "the acknowledgement follows its offer"
        );
        assert!(memory.is_chained(MAC, 10, now));
        assert!(memory.is_chained(MAC, 9, now));
    }

    #[test]
    fn the_memory_does_not_grow_beyond_its_capacity() {
        let now = Instant::now();
        let mut memory = ChainMemory::default();
        for n in 0..=CAPACITY as u32 {
            let [a, b, c, d] = n.to_be_bytes();
            memory.nbp_fetched(MacAddr([2, 0, a, b, c, d]), now);
        }
        assert_eq!(
            (memory.entries.len(), memory.by_age.len()),
            (CAPACITY, CAPACITY)
        );
        assert!(!memory.is_chained(MacAddr([2, 0, 0, 0, 0, 0]), 1, now));
        assert!(memory.is_chained(MacAddr([2, 0, 0, 0, 0, 1]), 1, now));
    }
}
