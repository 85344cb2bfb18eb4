//! Count of connections, in total and from each network, and the choice of a connection to close for another.
//!
//! A connection is *idle* until the head of a request is read, and after each answer. Connections cost a client
//! nothing, so idle ones hold their place only until somebody else needs it.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::metrics::HttpConnections;

/// The connections of one server. Clones share them.
#[derive(Debug, Clone)]
pub(in crate::net) struct Connections(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    table: Mutex<Table>,
    /// Counts the changes to idle, so that the longest idle connection is known.
    turns: AtomicU64,
    /// A client waits for a place.
    is_wanted: AtomicBool,
    freed: Notify,
    total: usize,
    per_network: usize,
    metrics: HttpConnections,
    cut_off: CancellationToken,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    slots: HashMap<u64, Slot>,
    /// Connections that were idle at the last look at all of them, with their turns, the longest idle first. Those
    /// that answered since have another turn.
    idle: VecDeque<(u64, u64)>,
    by_network: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Slot {
    network: IpAddr,
    activity: Arc<Activity>,
}

/// State of a connection. It changes twice with each request, and therefore without a lock.
#[derive(Debug)]
struct Activity {
    /// The turn in which the connection became idle, or [`ANSWERING`], or [`EVICTED`].
    idle_since: AtomicU64,
    evicted: CancellationToken,
}

/// In place of a turn: a request is being answered.
const ANSWERING: u64 = 0;
/// In place of a turn: another client has the place.
const EVICTED: u64 = u64::MAX;

/// Reasons to refuse a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::net) enum NoPlace {
    /// The client's network has its share of connections already.
    Share,
    /// All places are taken by clients that are being answered.
    Full,
}

/// A client's place; given back when dropped.
#[derive(Debug)]
pub(in crate::net) struct Place {
    connections: Connections,
    id: u64,
    activity: Arc<Activity>,
}

/// Place of a client; records if another connection was closed for it.
#[derive(Debug)]
pub(in crate::net) struct Admitted {
    pub(in crate::net) place: Place,
    pub(in crate::net) evicted: bool,
}

impl Table {
    fn remove(&mut self, id: u64) -> Option<Slot> {
        let slot = self.slots.remove(&id)?;
        if let Some(count) = self.by_network.get_mut(&slot.network) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_network.remove(&slot.network);
            }
        }
        Some(slot)
    }

    /// Removes the connection that has been idle longest; false if all are being answered.
    fn evict(&mut self) -> bool {
        if self.evict_known() {
            return true;
        }
        let idle = self.slots.iter().filter_map(|(id, slot)| {
            let since = slot.activity.idle_since.load(Ordering::SeqCst);
            (since != ANSWERING).then_some((since, *id))
        });
        let mut idle: Vec<(u64, u64)> = idle.collect();
        idle.sort_unstable();
        self.idle = idle.into();
        self.evict_known()
    }

    /// Does the same with those that were idle at the last look at all connections.
    fn evict_known(&mut self) -> bool {
        while let Some((since, id)) = self.idle.pop_front() {
            let is_idle = self.slots.get(&id).is_some_and(|slot| {
                let state = &slot.activity.idle_since;
                let evicted =
                    state.compare_exchange(since, EVICTED, Ordering::SeqCst, Ordering::SeqCst);
                evicted.is_ok()
            });
            if is_idle && let Some(slot) = self.remove(id) {
                slot.activity.evicted.cancel();
                return true;
            }
        }
        false
    }
}

impl Connections {
    /// Places for so many connections; `cut_off` takes all of them away.
    pub(in crate::net) fn new(
        total: usize,
        per_network: usize,
        metrics: HttpConnections,
        cut_off: CancellationToken,
    ) -> Connections {
        Connections(Arc::new(Shared {
            table: Mutex::default(),
            turns: AtomicU64::new(ANSWERING),
            is_wanted: AtomicBool::new(false),
            freed: Notify::new(),
            total,
            per_network,
            metrics,
            cut_off,
        }))
    }

    /// Gives a client a place; the connection that has been idle longest makes room.
    ///
    /// # Errors
    /// [`NoPlace`].
    pub(in crate::net) fn admit(&self, client: IpAddr) -> Result<Admitted, NoPlace> {
        let network = network(client);
        let mut table = self.table();
        let mine = table.by_network.get(&network).copied().unwrap_or_default();
        if mine >= self.0.per_network {
            return Err(NoPlace::Share);
        }
        let mut evicted = false;
        if table.slots.len() >= self.0.total {
            // Before the look, so that a connection which becomes idle after it tells.
            self.0.is_wanted.store(true, Ordering::SeqCst);
            if !table.evict() {
                return Err(NoPlace::Full);
            }
            self.0.metrics.opened(-1);
            evicted = true;
        }
        table.next += 1;
        let id = table.next;
        let activity = Arc::new(Activity {
            idle_since: AtomicU64::new(self.turn()),
            evicted: self.0.cut_off.child_token(),
        });
        let slot = Slot {
            network,
            activity: Arc::clone(&activity),
        };
        table.slots.insert(id, slot);
        *table.by_network.entry(network).or_default() += 1;
        self.0.metrics.opened(1);
        Ok(Admitted {
            place: Place {
                connections: self.clone(),
                id,
                activity,
            },
            evicted,
        })
    }

    /// Waits until a connection ends or becomes idle. Register before asking for a place.
    pub(in crate::net) fn freed(&self) -> tokio::sync::futures::Notified<'_> {
        self.0.freed.notified()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the next turn, from 1.
    fn turn(&self) -> u64 {
        self.0.turns.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Wakes the client that waits for a place.
    fn tell_freed(&self) {
        let wanted = &self.0.is_wanted;
        if wanted.load(Ordering::SeqCst) && wanted.swap(false, Ordering::SeqCst) {
            self.0.freed.notify_one();
        }
    }
}

impl Place {
    /// Cancelled when another client has the place, or when all connections are cut off.
    pub(in crate::net) fn evicted(&self) -> &CancellationToken {
        &self.activity.evicted
    }

    /// A request has come: the place is kept until it is answered.
    pub(in crate::net) fn answering(&self) {
        let state = &self.activity.idle_since;
        let since = state.load(Ordering::SeqCst);
        if since == ANSWERING || since == EVICTED {
            return;
        }
        let kept = state.compare_exchange(since, ANSWERING, Ordering::SeqCst, Ordering::SeqCst);
        if kept.is_ok() {
            self.connections.0.metrics.answering(1);
        }
    }

    /// The answer is complete.
    pub(in crate::net) fn idle(&self) {
        let state = &self.activity.idle_since;
        if state.load(Ordering::SeqCst) == ANSWERING {
            state.store(self.connections.turn(), Ordering::SeqCst);
            self.connections.0.metrics.answering(-1);
            self.connections.tell_freed();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.connections.table().remove(self.id).is_some() {
            self.connections.0.metrics.opened(-1);
        }
        if self.activity.idle_since.load(Ordering::SeqCst) == ANSWERING {
            self.connections.0.metrics.answering(-1);
        }
        self.connections.tell_freed();
    }
}

/// Returns the network that counts as one client: an IPv4 address, or an IPv6 network of 64 bits, of which each
/// host has as many addresses as it likes (RFC 7421).
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn connections(total: usize, per_network: usize, metrics: HttpConnections) -> Connections {
        Connections::new(total, per_network, metrics, CancellationToken::new())
    }

    fn admit(connections: &Connections, client: &str) -> Result<Place, NoPlace> {
        let admitted = connections.admit(address(client))?;
        Ok(admitted.place)
    }

    #[test]
    fn one_network_has_its_share_and_gets_it_back() {
        let connections = connections(10, 2, HttpConnections::default());
        for (mine, others) in [
            (["10.0.0.1"; 3], "10.0.0.2"),
            (["fd00::1", "fd00::2", "fd00::ffff:0:0:3"], "fd00:0:0:1::1"),
            (["::ffff:10.0.0.7", "10.0.0.7", "10.0.0.7"], "10.0.0.8"),
        ] {
            let first = admit(&connections, mine[0]).unwrap();
            let _second = admit(&connections, mine[1]).unwrap();
            assert_eq!(admit(&connections, mine[2]).unwrap_err(), NoPlace::Share);
            assert!(admit(&connections, others).is_ok());
            drop(first);
            assert!(admit(&connections, mine[2]).is_ok());
        }
        assert!(connections.table().by_network.is_empty());
    }

    #[test]
    fn connection_that_is_idle_longest_makes_room_and_one_being_answered_does_not() {
        let connections = connections(3, 9, HttpConnections::default());
        let places: Vec<Place> = (1..=3)
            .map(|n| admit(&connections, &format!("10.0.0.{n}")).unwrap())
            .collect();
        places[0].answering();
        places[1].answering();
        places[1].idle();
        // The third has been idle longer than the second by now.
        let admitted = connections.admit(address("10.0.0.4")).unwrap();
        assert!(admitted.evicted);
        let gone: Vec<bool> = places.iter().map(|p| p.evicted().is_cancelled()).collect();
        assert_eq!(gone, [false, false, true]);
        admitted.place.answering();
        places[1].answering();
        assert_eq!(admit(&connections, "10.0.0.5").unwrap_err(), NoPlace::Full);
        places[1].idle();
        assert!(admit(&connections, "10.0.0.5").is_ok());
    }

    #[test]
    fn connections_are_evicted_in_the_order_in_which_they_became_idle() {
        let connections = connections(4, 9, HttpConnections::default());
        let mut places: Vec<Place> = (1..=4)
            .map(|n| admit(&connections, &format!("10.0.0.{n}")).unwrap())
            .collect();
        let mut order = Vec::new();
        for n in 5..=10 {
            places.push(admit(&connections, &format!("10.0.0.{n}")).unwrap());
            let gone = |at: &usize| places[*at].evicted().is_cancelled() && !order.contains(at);
            let gone: Vec<usize> = (0..places.len()).filter(gone).collect();
            order.extend(gone);
            // The second answers a request after each of the first two evictions.
            if n < 7 {
                places[1].answering();
                places[1].idle();
            }
        }
        assert_eq!(order, [0, 2, 3, 4, 5, 1]);
    }

    #[tokio::test]
    async fn client_that_waits_is_told_of_each_way_in_which_a_place_becomes_free() {
        let connections = connections(2, 9, HttpConnections::default());
        let first = admit(&connections, "10.0.0.1").unwrap();
        let second = admit(&connections, "10.0.0.2").unwrap();
        first.answering();
        second.answering();
        let freed = connections.freed();
        assert_eq!(admit(&connections, "10.0.0.3").unwrap_err(), NoPlace::Full);
        first.idle();
        freed.await;
        let third = admit(&connections, "10.0.0.3").unwrap();
        third.answering();
        let freed = connections.freed();
        assert_eq!(admit(&connections, "10.0.0.4").unwrap_err(), NoPlace::Full);
        drop(second);
        freed.await;
        assert!(admit(&connections, "10.0.0.4").is_ok());
    }

    #[test]
    fn evicted_connection_whose_request_came_too_late_counts_no_more() {
        let metrics = Metrics::default();
        let connections = connections(1, 9, metrics.http_connections());
        let late = admit(&connections, "10.0.0.1").unwrap();
        let other = admit(&connections, "10.0.0.2").unwrap();
        late.answering();
        assert_eq!(states(&metrics), ["1", "0"]);
        late.idle();
        drop(late);
        assert_eq!(states(&metrics), ["1", "0"]);
        other.answering();
        assert_eq!(states(&metrics), ["0", "1"]);
        drop(other);
        assert_eq!(states(&metrics), ["0", "0"]);
    }

    /// The numbers of idle connections and of those being answered.
    fn states(metrics: &Metrics) -> [String; 2] {
        let text = metrics.render();
        ["idle", "answering"].map(|state| {
            let start = format!("boot_server_http_connections{{state=\"{state}\"}} ");
            let line = text.lines().find_map(|line| line.strip_prefix(&start));
            line.unwrap_or_default().to_owned()
        })
    }

    #[test]
    fn metrics_tell_how_many_connections_are_in_each_state() {
        let metrics = Metrics::default();
        let connections = connections(1, 9, metrics.http_connections());
        let place = admit(&connections, "10.0.0.1").unwrap();
        assert_eq!(states(&metrics), ["1", "0"]);
        place.answering();
        assert_eq!(states(&metrics), ["0", "1"]);
        place.idle();
        let other = admit(&connections, "10.0.0.2").unwrap();
        drop(place);
        assert_eq!(states(&metrics), ["1", "0"]);
        drop(other);
        assert_eq!(states(&metrics), ["0", "0"]);
    }
}
