//! Limits: how many transfers are under way, how many of them for one address, how often an address
//! may ask, and how long transfers may go on after the server was told to stop.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Transfers under way at once.
pub(super) const MAX_TRANSFERS: usize = 1024;
/// Of them for one address; several machines may share one behind a relay that translates addresses.
pub(super) const MAX_TRANSFERS_PER_CLIENT: usize = 64;
/// Requests an address may send at once. PXELINUX asks for a dozen names in a burst, a GRUB with its
/// modules for a hundred.
pub(super) const BURST: u32 = 512;
/// Requests an address may go on sending each second.
const REQUESTS_PER_SECOND: u32 = 64;
/// Addresses whose requests are counted; beyond, counting starts anew.
const MAX_COUNTED: usize = 4096;
/// How long transfers may go on after the server was told to stop.
const GRACE: Duration = Duration::from_secs(2);

/// Why there is no place for a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// This client port has a transfer under way.
    Taken,
    /// As many as may be are under way, at all or for this address.
    Full,
}

/// The places for transfers.
#[derive(Debug, Default)]
pub(super) struct Places {
    active: Mutex<Active>,
    asked: Mutex<HashMap<IpAddr, Asked>>,
    count: AtomicUsize,
    stop_at: OnceLock<Instant>,
}

#[derive(Debug, Default)]
struct Active {
    peers: HashSet<SocketAddr>,
    by_client: HashMap<IpAddr, usize>,
}

/// What an address has left of its requests, as of a time.
#[derive(Debug)]
struct Asked {
    left: f64,
    at: Instant,
}

impl Places {
    /// Counts a request of an address; whether it may be answered.
    pub(super) fn may_ask(&self, client: IpAddr, now: Instant) -> bool {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() >= MAX_COUNTED && !asked.contains_key(&client) {
            // Spoofed addresses can fill the table: it must neither grow nor lock real ones out.
            asked.clear();
        }
        let burst = f64::from(BURST);
        let entry = asked.entry(client).or_insert(Asked {
            left: burst,
            at: now,
        });
        let passed = now.saturating_duration_since(entry.at).as_secs_f64();
        entry.left = (entry.left + passed * f64::from(REQUESTS_PER_SECOND)).min(burst);
        entry.at = now;
        if entry.left < 1.0 {
            return false;
        }
        entry.left -= 1.0;
        true
    }

    /// Takes a place.
    ///
    /// # Errors
    /// [`NoPlace`].
    pub(super) fn take(self: &Arc<Places>, peer: SocketAddr) -> Result<Place, NoPlace> {
        let mut active = self.active();
        if active.peers.contains(&peer) {
            return Err(NoPlace::Taken);
        }
        let mine = active.by_client.get(&peer.ip()).copied().unwrap_or(0);
        if active.peers.len() >= MAX_TRANSFERS || mine >= MAX_TRANSFERS_PER_CLIENT {
            return Err(NoPlace::Full);
        }
        active.peers.insert(peer);
        active.by_client.insert(peer.ip(), mine + 1);
        self.count.store(active.peers.len(), Ordering::Relaxed);
        drop(active);
        Ok(Place {
            places: Arc::clone(self),
            peer,
        })
    }

    /// Asks all transfers to end soon.
    pub(super) fn stop(&self, now: Instant) {
        let _ = self.stop_at.set(now + GRACE);
    }

    fn active(&self) -> MutexGuard<'_, Active> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A transfer's place among those under way; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    peer: SocketAddr,
}

impl Place {
    /// How many transfers are under way, this one included.
    pub(super) fn active(&self) -> usize {
        self.places.count.load(Ordering::Relaxed)
    }

    /// Whether the transfer must end now.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.places.stop_at.get().is_some_and(|stop| now >= *stop)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut active = self.places.active();
        active.peers.remove(&self.peer);
        self.places
            .count
            .store(active.peers.len(), Ordering::Relaxed);
        let client = self.peer.ip();
        match active.by_client.get_mut(&client) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                active.by_client.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(host: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], port))
    }

    #[test]
    fn one_address_has_a_limited_number_of_places_and_gets_them_back() {
        let places = Arc::new(Places::default());
        let full = MAX_TRANSFERS_PER_CLIENT as u16;
        let mut held: Vec<Place> = (0..full)
            .map(|port| places.take(peer(1, port)).unwrap())
            .collect();
        assert_eq!(places.take(peer(1, 0)).unwrap_err(), NoPlace::Taken);
        assert_eq!(places.take(peer(1, full)).unwrap_err(), NoPlace::Full);
        let other = places.take(peer(2, 0)).unwrap();
        assert_eq!(other.active(), held.len() + 1);
        held.pop();
        assert!(places.take(peer(1, full)).is_ok());
    }

    #[test]
    fn all_addresses_together_have_a_limited_number_of_places() {
        let places = Arc::new(Places::default());
        let held: Vec<_> = (0..MAX_TRANSFERS)
            .map(|n| places.take(peer((n % 200) as u8, n as u16)))
            .collect();
        assert!(held.iter().all(Result::is_ok));
        assert_eq!(places.take(peer(201, 0)).unwrap_err(), NoPlace::Full);
    }

    #[test]
    fn an_address_that_asks_too_often_is_not_heard_until_it_paused() {
        let (places, start) = (Places::default(), Instant::now());
        let (flooding, other) = (peer(1, 0).ip(), peer(2, 0).ip());
        let answered = (0..BURST * 2).filter(|_| places.may_ask(flooding, start));
        assert_eq!(answered.count(), BURST as usize);
        assert!(places.may_ask(other, start));
        let later = start + Duration::from_secs(1);
        let answered = (0..BURST).filter(|_| places.may_ask(flooding, later));
        assert_eq!(answered.count(), REQUESTS_PER_SECOND as usize);
    }

    #[test]
    fn counting_requests_takes_bounded_memory() {
        let (places, now) = (Places::default(), Instant::now());
        for n in 0..MAX_COUNTED as u32 * 3 {
            places.may_ask(IpAddr::from(n.to_be_bytes()), now);
        }
        assert!(places.asked.lock().unwrap().len() <= MAX_COUNTED);
    }

    #[test]
    fn a_stopping_server_gives_transfers_a_moment() {
        let places = Arc::new(Places::default());
        let (place, now) = (places.take(peer(1, 0)).unwrap(), Instant::now());
        assert!(!place.is_over(now + GRACE));
        places.stop(now);
        assert!(!place.is_over(now));
        assert!(place.is_over(now + GRACE));
    }
}
