//! Address assignment: pools, their leases and reservations.
//!
//! Pure: the present time is an argument, and each change that must survive a restart is returned as a
//! [`LeaseRecord`], to be stored by a [`LeaseStore`] before it is acknowledged. A machine is its MAC: the boot
//! ROM, iPXE and the installed system send different client identifiers, and a machine that changed its address
//! at each boot stage could not be followed.

mod client;
mod clock;
mod damage;
mod error;
mod journal;
#[cfg(test)]
mod journal_tests;
mod lock;
mod offers;
mod pool;
mod record;
mod reservations;
mod store;
#[cfg(test)]
mod tests;

pub use client::LeaseClient;
pub use clock::{Clamped, ClockReading, LeaseClock, clamp_ends};
pub use damage::{Damage, InvalidLine, LeaseFile, LineProblem, parse};
pub use error::{ForeignChange, JournalError, LeaseError, NotThisAddress, Rewritten};
pub use journal::{Durability, Journal, read_lease_file, read_leases};
pub use pool::{LeasePool, Offered, PoolPlan, Usage};
pub use record::{LeaseRecord, LeaseState};
pub use reservations::{Reserved, ReservedFor};
pub use store::{LeaseStore, MemoryOnly};
