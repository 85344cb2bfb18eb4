//! An image that a lab serves is not cleared, however long the lab stays: a lock on the image's folder, which
//! the lab's processes inherit. The kernel gives it back when the last of them is gone.

use std::fs::{File, TryLockError};
use std::path::Path;

use rustix::io::{FdFlags, fcntl_setfd};

use super::StoreError;

/// An image's folder that is not cleared while this lives, or any process that was started meanwhile.
#[derive(Debug)]
pub struct Hold {
    _lock: File,
}

impl Hold {
    /// Holds `folder`. The caller has to have a [`super::Use`] of the store, so that it is there still.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn of(folder: &Path) -> Result<Hold, StoreError> {
        let lock = File::open(folder).map_err(StoreError::file(folder))?;
        lock.lock_shared().map_err(StoreError::file(folder))?;
        // The standard library has files closed in programs that are started.
        fcntl_setfd(&lock, FdFlags::empty())
            .map_err(|error| StoreError::file(folder)(error.into()))?;
        Ok(Hold { _lock: lock })
    }
}

/// Whether anybody holds `folder`.
pub(super) fn is_held(folder: &Path) -> bool {
    File::open(folder).is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}
