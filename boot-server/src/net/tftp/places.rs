//! Limits of transfers: their number in total and for one address, the request rate of an address, and the
//! time to finish at shutdown.
//!
//! Any host can send requests with a forged source. So a transfer whose client has acknowledged nothing yet
//! holds its place only until another client needs it, and a quarter of the places is reserved for machines
//! that are known by their DHCP exchange.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use boot_server_proto::tftp::ReadRequest;

/// Transfers under way at once.
pub(super) const MAX_TRANSFERS: usize = 1024;
/// Maximum number of transfers to machines that are unknown from a DHCP exchange.
pub(super) const MAX_TRANSFERS_OF_STRANGERS: usize = MAX_TRANSFERS / 4 * 3;
/// Maximum number of transfers to one address; several machines may share one behind a relay that translates
/// addresses.
pub(super) const MAX_TRANSFERS_PER_CLIENT: usize = 64;
/// Requests an address may send at once. PXELINUX asks for a dozen names in a burst, a GRUB with its
/// modules for a hundred.
pub(super) const BURST: u32 = 512;
/// Number of requests that an address may send each second.
const REQUESTS_PER_SECOND: u32 = 64;
/// Addresses whose requests are counted.
const MAX_COUNTED: usize = 4096;
/// Time limit for running transfers after the server was told to stop.
const GRACE: Duration = Duration::from_secs(2);
/// A request that came this short a time before the client broke its transfer off was sent after that.
const AT_ONCE: Duration = Duration::from_millis(250);

/// Reasons to refuse a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// The same request is being answered, and its client has acknowledged nothing yet.
    Repeated,
    /// The maximum number of transfers is in progress, in total or for this address.
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
    next_id: u64,
    slots: HashMap<SocketAddr, Slot>,
    by_client: HashMap<IpAddr, usize>,
    /// Unacknowledged transfers, the oldest first: of unknown machines, and of known ones.
    unanswered: BTreeMap<u64, SocketAddr>,
    unanswered_known: BTreeMap<u64, SocketAddr>,
    strangers: usize,
}

#[derive(Debug)]
struct Slot {
    id: u64,
    request: ReadRequest,
    known: bool,
    answered: bool,
    /// Time at which the same request was repeated.
    repeated: Option<Instant>,
    ended: CancellationToken,
}

/// Remaining request allowance of an address, as of a time.
#[derive(Debug)]
struct Asked {
    left: f64,
    at: Instant,
}

impl Active {
    fn remove(&mut self, peer: SocketAddr) -> Option<Slot> {
        let slot = self.slots.remove(&peer)?;
        self.unanswered.remove(&slot.id);
        self.unanswered_known.remove(&slot.id);
        self.strangers -= usize::from(!slot.known);
        match self.by_client.get_mut(&peer.ip()) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                self.by_client.remove(&peer.ip());
            }
        }
        Some(slot)
    }

    /// Makes room for one more transfer; false when none may be ended for it.
    fn make_room(&mut self, known: bool) -> bool {
        if self.slots.len() < MAX_TRANSFERS
            && (known || self.strangers < MAX_TRANSFERS_OF_STRANGERS)
        {
            return true;
        }
        let oldest = match self.unanswered.first_key_value() {
            None if known => self.unanswered_known.first_key_value(),
            oldest => oldest,
        };
        let Some((_, &peer)) = oldest else {
            return false;
        };
        if let Some(slot) = self.remove(peer) {
            slot.ended.cancel();
        }
        true
    }
}

impl Places {
    /// Counts a request of an address; true when it may be answered.
    pub(super) fn may_ask(&self, client: IpAddr, now: Instant) -> bool {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let burst = f64::from(BURST);
        if asked.len() >= MAX_COUNTED && !asked.contains_key(&client) {
            // Spoofed addresses can fill the table with one request each: they must neither make it grow nor
            // lock real ones out, nor wipe out what is known of one that floods.
            asked.retain(|_, entry| entry.left < burst / 2.0);
            if asked.len() >= MAX_COUNTED {
                asked.clear();
            }
        }
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

    /// Takes a place for a request of a machine that is `known` from its DHCP exchange, or not.
    ///
    /// A client has one transfer at a port (RFC 1350 §4): a request that differs from the one being answered, or
    /// that comes after the client has acknowledged something, ends that transfer and takes its place.
    ///
    /// # Errors
    /// [`NoPlace`].
    pub(super) fn take(
        self: &Arc<Places>,
        peer: SocketAddr,
        request: &ReadRequest,
        known: bool,
        now: Instant,
    ) -> Result<Place, NoPlace> {
        let mut active = self.active();
        if let Some(slot) = active.slots.get_mut(&peer)
            && slot.request == *request
            && !slot.answered
        {
            slot.repeated = Some(now);
            return Err(NoPlace::Repeated);
        }
        if let Some(before) = active.remove(peer) {
            before.ended.cancel();
        }
        let mine = active.by_client.get(&peer.ip()).copied().unwrap_or(0);
        if mine >= MAX_TRANSFERS_PER_CLIENT || !active.make_room(known) {
            self.count.store(active.slots.len(), Ordering::Relaxed);
            return Err(NoPlace::Full);
        }
        let id = active.next_id;
        active.next_id += 1;
        let ended = CancellationToken::new();
        let slot = Slot {
            id,
            request: request.clone(),
            known,
            answered: false,
            repeated: None,
            ended: ended.clone(),
        };
        active.slots.insert(peer, slot);
        active.by_client.insert(peer.ip(), mine + 1);
        active.strangers += usize::from(!known);
        let unanswered = match known {
            true => &mut active.unanswered_known,
            false => &mut active.unanswered,
        };
        unanswered.insert(id, peer);
        self.count.store(active.slots.len(), Ordering::Relaxed);
        drop(active);
        Ok(Place {
            places: Arc::clone(self),
            peer,
            id,
            ended,
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
    id: u64,
    ended: CancellationToken,
}

impl Place {
    /// Returns the number of transfers in progress, this one included.
    pub(super) fn active(&self) -> usize {
        self.places.count.load(Ordering::Relaxed)
    }

    /// True if the transfer must end now because the server stops.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.places.stop_at.get().is_some_and(|stop| now >= *stop)
    }

    /// Cancelled when another request has this transfer's place.
    pub(super) fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    /// Keeps the place for good: the client has acknowledged something.
    pub(super) fn answered(&self) {
        let mut active = self.places.active();
        active.unanswered.remove(&self.id);
        active.unanswered_known.remove(&self.id);
        if let Some(slot) = active.slots.get_mut(&self.peer)
            && slot.id == self.id
        {
            slot.answered = true;
        }
    }

    /// True if the same request came again just now: the client broke its transfer off and asked anew, and its
    /// request was read first.
    pub(super) fn take_repeated(&self, now: Instant) -> bool {
        let mut active = self.places.active();
        let slot = active.slots.get_mut(&self.peer);
        let repeated = slot
            .filter(|slot| slot.id == self.id)
            .and_then(|slot| slot.repeated.take());
        repeated.is_some_and(|at| now.saturating_duration_since(at) <= AT_ONCE)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut active = self.places.active();
        if active
            .slots
            .get(&self.peer)
            .is_some_and(|slot| slot.id == self.id)
        {
            active.remove(self.peer);
            self.places
                .count
                .store(active.slots.len(), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use boot_server_proto::tftp::{Mode, RequestedOptions};

    use super::*;

    fn peer(host: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], port))
    }

    fn request(file: &str) -> ReadRequest {
        ReadRequest {
            file: file.to_owned(),
            mode: Mode::Octet,
            options: RequestedOptions::default(),
        }
    }

    fn take(places: &Arc<Places>, peer: SocketAddr) -> Result<Place, NoPlace> {
        places.take(peer, &request("f"), false, Instant::now())
    }

    #[test]
    fn one_address_has_a_limited_number_of_places_and_gets_them_back() {
        let places = Arc::new(Places::default());
        let full = MAX_TRANSFERS_PER_CLIENT as u16;
        let mut held: Vec<Place> = (0..full)
            .map(|port| take(&places, peer(1, port)).unwrap())
            .collect();
        assert_eq!(take(&places, peer(1, 0)).unwrap_err(), NoPlace::Repeated);
        assert_eq!(take(&places, peer(1, full)).unwrap_err(), NoPlace::Full);
        let other = take(&places, peer(2, 0)).unwrap();
        assert_eq!(other.active(), held.len() + 1);
        held.pop();
        assert!(take(&places, peer(1, full)).is_ok());
    }

    #[test]
    fn request_that_differs_or_follows_an_acknowledgement_takes_the_place() {
        let places = Arc::new(Places::default());
        let now = Instant::now();
        let ask = |file| places.take(peer(1, 1), &request(file), false, now);
        let first = ask("big").unwrap();
        assert_eq!(ask("big").unwrap_err(), NoPlace::Repeated);
        let second = ask("exact").unwrap();
        assert!(first.ended().is_cancelled() && !second.ended().is_cancelled());
        second.answered();
        let third = ask("exact").unwrap();
        assert!(second.ended().is_cancelled() && !third.ended().is_cancelled());
        // What ended late gives back no place of others.
        drop((first, second));
        assert_eq!(third.active(), 1);
        drop(third);
        assert!(places.active().by_client.is_empty());
    }

    #[test]
    fn request_right_before_the_error_is_a_new_one_and_an_old_repetition_is_not() {
        let places = Arc::new(Places::default());
        let now = Instant::now();
        let ask = |at| places.take(peer(1, 1), &request("f"), false, at);
        let place = ask(now).unwrap();
        assert!(!place.take_repeated(now));
        ask(now).unwrap_err();
        assert!(place.take_repeated(now + Duration::from_millis(1)));
        assert!(!place.take_repeated(now + Duration::from_millis(1)));
        ask(now).unwrap_err();
        assert!(!place.take_repeated(now + Duration::from_secs(1)));
    }

    #[test]
    fn oldest_unanswered_stranger_makes_room_and_answered_ones_do_not() {
        let places = Arc::new(Places::default());
        let strangers = MAX_TRANSFERS_OF_STRANGERS;
        let held: Vec<Place> = (0..strangers)
            .map(|n| take(&places, peer((n % 100) as u8, n as u16)).unwrap())
            .collect();
        held[0].answered();
        let honest = take(&places, peer(201, 0)).unwrap();
        assert!(!held[0].ended().is_cancelled());
        assert!(held[1].ended().is_cancelled());
        assert_eq!(honest.active(), strangers);
        held.iter().chain([&honest]).for_each(Place::answered);
        assert_eq!(take(&places, peer(202, 0)).unwrap_err(), NoPlace::Full);
    }

    #[test]
    fn quarter_of_the_places_is_for_known_machines() {
        let places = Arc::new(Places::default());
        let now = Instant::now();
        let held: Vec<Place> = (0..MAX_TRANSFERS_OF_STRANGERS)
            .map(|n| take(&places, peer((n % 100) as u8, n as u16)).unwrap())
            .collect();
        held.iter().for_each(Place::answered);
        let known: Vec<_> = (MAX_TRANSFERS_OF_STRANGERS..MAX_TRANSFERS)
            .map(|n| {
                places.take(
                    peer(110 + (n % 50) as u8, n as u16),
                    &request("f"),
                    true,
                    now,
                )
            })
            .collect();
        assert!(known.iter().all(Result::is_ok));
        assert!(known.iter().flatten().all(|p| !p.ended().is_cancelled()));
        // The oldest known one that answered nothing makes room for a known one, not for a stranger.
        assert_eq!(take(&places, peer(201, 0)).unwrap_err(), NoPlace::Full);
        assert!(places.take(peer(202, 0), &request("f"), true, now).is_ok());
        assert!(known[0].as_ref().unwrap().ended().is_cancelled());
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
    fn counting_requests_takes_bounded_memory_and_remembers_who_floods() {
        let (places, now) = (Places::default(), Instant::now());
        let flooding = peer(1, 0).ip();
        while places.may_ask(flooding, now) {}
        for n in 0..MAX_COUNTED as u32 * 3 {
            places.may_ask(IpAddr::from((n | 0xc000_0000).to_be_bytes()), now);
        }
        assert!(places.asked.lock().unwrap().len() <= MAX_COUNTED);
        assert!(!places.may_ask(flooding, now));
    }

    #[test]
    fn a_stopping_server_gives_transfers_a_moment() {
        let places = Arc::new(Places::default());
        let (place, now) = (take(&places, peer(1, 0)).unwrap(), Instant::now());
        assert!(!place.is_over(now + GRACE));
        places.stop(now);
        assert!(!place.is_over(now));
        assert!(place.is_over(now + GRACE));
    }
}
