//! Context shared by the services of one server.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::interface::Interface;
use super::neighbours::Neighbours;
use crate::event_sink::EventSink;
use crate::policy::Policy;

/// Shared by DHCP, TFTP and the router advertiser.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) interface: Interface,
    pub(super) neighbours: Neighbours,
    pub(super) events: EventSink,
    policy: Mutex<Policy>,
}

impl Context {
    pub(super) fn new(
        interface: Interface,
        neighbours: Neighbours,
        events: EventSink,
        policy: Policy,
    ) -> Arc<Context> {
        Arc::new(Context {
            interface,
            neighbours,
            events,
            policy: Mutex::new(policy),
        })
    }

    /// Returns the policy, for one decision; never held across an await.
    pub(super) fn policy(&self) -> MutexGuard<'_, Policy> {
        self.policy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
