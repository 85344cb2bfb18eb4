//! Count of connections, in total and from each network, and the choice of a connection to close for another.
//!
//! A connection is *idle* until the head of a request is read, and after each answer. Connections cost a client
//! nothing, so idle ones hold their place only until somebody else needs it.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// The label of connections whose request is being answered.
const ANSWERING: &str = "answering";
/// The label of connections that wait for a request.
const IDLE: &str = "idle";

/// The connections of one server. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    table: Arc<Mutex<Table>>,
    freed: Arc<Notify>,
    total: usize,
    per_network: usize,
    metrics: Option<Arc<Metrics>>,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    slots: HashMap<u64, Slot>,
    /// Idle connections by when they became so.
    idle: BTreeMap<u64, u64>,
    by_network: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Slot {
    network: IpAddr,
    /// Key among the idle connections.
    idle: Option<u64>,
    evicted: CancellationToken,
}

/// Reasons to refuse a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// The client's network has its share of connections already.
    Share,
    /// All places are taken by clients that are being answered.
    Full,
}

/// A client's place; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    connections: Connections,
    id: u64,
    evicted: CancellationToken,
}

/// Place of a client; records if another connection was closed for it.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) place: Place,
    pub(super) evicted: bool,
}

impl Table {
    fn next(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn remove(&mut self, id: u64) -> Option<Slot> {
        let slot = self.slots.remove(&id)?;
        if let Some(key) = slot.idle {
            self.idle.remove(&key);
        }
        if let Some(count) = self.by_network.get_mut(&slot.network) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_network.remove(&slot.network);
            }
        }
        Some(slot)
    }
}

impl Connections {
    pub(super) fn new(
        total: usize,
        per_network: usize,
        metrics: Option<Arc<Metrics>>,
    ) -> Connections {
        Connections {
            table: Arc::default(),
            freed: Arc::default(),
            total,
            per_network,
            metrics,
        }
    }

    /// Gives a client a place; the connection that has been idle longest makes room.
    ///
    /// # Errors
    /// [`NoPlace`].
    pub(super) fn admit(&self, client: IpAddr) -> Result<Admitted, NoPlace> {
        let network = network(client);
        let mut table = self.table();
        let mine = table.by_network.get(&network).copied().unwrap_or_default();
        if mine >= self.per_network {
            return Err(NoPlace::Share);
        }
        let mut evicted = false;
        if table.slots.len() >= self.total {
            let (_, &oldest) = table.idle.first_key_value().ok_or(NoPlace::Full)?;
            if let Some(slot) = table.remove(oldest) {
                slot.evicted.cancel();
                self.count(IDLE, -1);
            }
            evicted = true;
        }
        let id = table.next();
        let token = CancellationToken::new();
        let slot = Slot {
            network,
            idle: Some(id),
            evicted: token.clone(),
        };
        table.slots.insert(id, slot);
        table.idle.insert(id, id);
        *table.by_network.entry(network).or_default() += 1;
        self.count(IDLE, 1);
        Ok(Admitted {
            place: Place {
                connections: self.clone(),
                id,
                evicted: token,
            },
            evicted,
        })
    }

    /// Waits until a connection ends or becomes idle. Register before asking for a place.
    pub(super) fn freed(&self) -> tokio::sync::futures::Notified<'_> {
        self.freed.notified()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, state: &'static str, change: i64) {
        if let Some(metrics) = &self.metrics {
            metrics.http_connections(state, change);
        }
    }
}

impl Place {
    /// Cancelled when another client has the place.
    pub(super) fn evicted(&self) -> &CancellationToken {
        &self.evicted
    }

    /// A request has come: the place is kept until it is answered.
    pub(super) fn answering(&self) {
        let mut table = self.connections.table();
        let idle = table.slots.get_mut(&self.id).and_then(|s| s.idle.take());
        if let Some(key) = idle {
            table.idle.remove(&key);
            self.connections.count(IDLE, -1);
            self.connections.count(ANSWERING, 1);
        }
    }

    /// The answer is complete.
    pub(super) fn idle(&self) {
        let mut table = self.connections.table();
        let key = table.next();
        let Some(slot) = table.slots.get_mut(&self.id).filter(|s| s.idle.is_none()) else {
            return;
        };
        slot.idle = Some(key);
        table.idle.insert(key, self.id);
        self.connections.count(ANSWERING, -1);
        self.connections.count(IDLE, 1);
        drop(table);
        self.connections.freed.notify_one();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let removed = self.connections.table().remove(self.id);
        if let Some(slot) = removed {
            let state = if slot.idle.is_some() { IDLE } else { ANSWERING };
            self.connections.count(state, -1);
        }
        self.connections.freed.notify_one();
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

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn admit(connections: &Connections, client: &str) -> Result<Place, NoPlace> {
        let admitted = connections.admit(address(client))?;
        Ok(admitted.place)
    }

    #[test]
    fn one_network_has_its_share_and_gets_it_back() {
        let connections = Connections::new(10, 2, None);
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
        let connections = Connections::new(3, 9, None);
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
    fn metrics_tell_how_many_connections_are_in_each_state() {
        let metrics = Arc::new(Metrics::default());
        let connections = Connections::new(1, 9, Some(Arc::clone(&metrics)));
        let lines = |state: &str| {
            let text = metrics.render();
            let start = format!("boot_server_http_connections{{state=\"{state}\"}} ");
            let line = text.lines().find_map(|line| line.strip_prefix(&start));
            line.map(str::to_owned)
        };
        let place = admit(&connections, "10.0.0.1").unwrap();
        assert_eq!(lines("idle").as_deref(), Some("1"));
        place.answering();
        assert_eq!(lines("idle").as_deref(), Some("0"));
        assert_eq!(lines("answering").as_deref(), Some("1"));
        place.idle();
        let other = admit(&connections, "10.0.0.2").unwrap();
        drop(place);
        assert_eq!(lines("idle").as_deref(), Some("1"));
        drop(other);
        assert_eq!(lines("idle").as_deref(), Some("0"));
        assert_eq!(lines("answering").as_deref(), Some("0"));
    }
}
