//! Contract of a store of leases, and the store of servers without a lease file.

use super::error::{JournalError, Rewritten};
use super::record::LeaseRecord;

/// Keeps lease records across restarts.
pub trait LeaseStore: Send {
    /// Takes a record, to be kept with the next [`LeaseStore::commit`].
    fn keep(&mut self, record: LeaseRecord);

    /// Keeps what was taken; when this returns `Ok`, a killed and restarted server knows it.
    ///
    /// `Ok` may carry a warning: all is kept, but something had happened to the place.
    ///
    /// # Errors
    /// The record could not be stored, so it must not be acknowledged. The next commit tries again.
    fn commit(&mut self) -> Result<Option<Rewritten>, JournalError>;

    /// Moves the ends of all records by seconds, with the next [`LeaseStore::commit`]: the wall clock was
    /// set.
    fn shift(&mut self, seconds: i64);
}

impl LeaseStore for Box<dyn LeaseStore> {
    fn keep(&mut self, record: LeaseRecord) {
        (**self).keep(record);
    }

    fn commit(&mut self) -> Result<Option<Rewritten>, JournalError> {
        (**self).commit()
    }

    fn shift(&mut self, seconds: i64) {
        (**self).shift(seconds);
    }
}

/// Keeps nothing: for servers without a lease file.
#[derive(Debug, Default)]
pub struct MemoryOnly;

impl LeaseStore for MemoryOnly {
    fn keep(&mut self, _: LeaseRecord) {}

    fn commit(&mut self) -> Result<Option<Rewritten>, JournalError> {
        Ok(None)
    }

    fn shift(&mut self, _: i64) {}
}
