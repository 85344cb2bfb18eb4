//! Lock that a lab's processes inherit and that marks the lab as running, however it ends and from wherever it
//! is checked. The kernel releases it when the last of them is gone, and with the host. An image that a lab
//! serves is held so.

use std::fs::{File, TryLockError};
use std::path::Path;

use rustix::io::{FdFlags, fcntl_setfd};

use super::StoreError;

/// A file or folder that is held while this lives, or any process that was started meanwhile.
#[derive(Debug)]
pub struct Hold {
    _lock: File,
}

impl Hold {
    /// Holds what is there. Of an image's folder the caller has to have a [`super::Use`] of the store, so that it is
    /// there still.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn of(held: &Path) -> Result<Hold, StoreError> {
        let lock = File::open(held).map_err(StoreError::file(held))?;
        lock.lock_shared().map_err(StoreError::file(held))?;
        // The standard library has files closed in programs that are started.
        fcntl_setfd(&lock, FdFlags::empty())
            .map_err(|error| StoreError::file(held)(error.into()))?;
        Ok(Hold { _lock: lock })
    }
}

/// True if any process holds the lock.
#[must_use]
pub fn is_held(held: &Path) -> bool {
    File::open(held).is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}
