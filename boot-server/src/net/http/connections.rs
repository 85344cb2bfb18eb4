//! How many connections there are, in all and from each address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The connections of one server.
#[derive(Debug)]
pub(super) struct Connections {
    places: Arc<Semaphore>,
    by_address: Arc<ByAddress>,
    per_address: usize,
}

type ByAddress = Mutex<HashMap<IpAddr, usize>>;

/// A place that no client has yet.
pub(super) struct FreePlace<'a> {
    connections: &'a Connections,
    permit: Option<OwnedSemaphorePermit>,
}

/// A client's place; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    by_address: Arc<ByAddress>,
    address: IpAddr,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Connections {
    pub(super) fn new(total: usize, per_address: usize) -> Connections {
        Connections {
            places: Arc::new(Semaphore::new(total.min(Semaphore::MAX_PERMITS))),
            by_address: Arc::default(),
            per_address,
        }
    }

    /// Waits until one more connection may be accepted.
    pub(super) async fn wait_for_place(&self) -> FreePlace<'_> {
        // The semaphore is never closed.
        let permit = Arc::clone(&self.places).acquire_owned().await.ok();
        FreePlace {
            connections: self,
            permit,
        }
    }
}

impl FreePlace<'_> {
    /// Gives it to a client, unless that has its share already.
    pub(super) fn of(self, address: IpAddr) -> Option<Place> {
        let by_address = &self.connections.by_address;
        let mut counts = by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= self.connections.per_address {
            return None;
        }
        *count += 1;
        drop(counts);
        Some(Place {
            by_address: Arc::clone(by_address),
            address,
            _permit: self.permit,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self
            .by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    #[tokio::test]
    async fn one_address_has_its_share_and_gets_it_back() {
        let connections = Connections::new(10, 2);
        let first = connections.wait_for_place().await.of(ONE);
        let _second = connections.wait_for_place().await.of(ONE).unwrap();
        assert!(connections.wait_for_place().await.of(ONE).is_none());
        assert!(connections.wait_for_place().await.of(OTHER).is_some());
        drop(first);
        assert!(connections.wait_for_place().await.of(ONE).is_some());
    }

    #[tokio::test]
    async fn all_addresses_together_have_a_limit_and_nothing_is_left_of_those_gone() {
        let connections = Connections::new(1, 9);
        let place = connections.wait_for_place().await.of(ONE).unwrap();
        assert_eq!(connections.places.available_permits(), 0);
        drop(place);
        assert_eq!(connections.places.available_permits(), 1);
        assert!(connections.by_address.lock().unwrap().is_empty());
    }
}
