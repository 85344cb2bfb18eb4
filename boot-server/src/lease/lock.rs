//! Lock of a lease file: two servers with the same file would give the same addresses.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::error::JournalError;
use crate::state_file;

/// The right to a lease file, for as long as it lives; the kernel ends it with the process.
///
/// The lease file itself is replaced now and then, so a file beside it is what is locked.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the right to a lease file.
    ///
    /// # Errors
    /// Another server has it, or the file beside it cannot be made.
    pub(super) fn take(leases: &Path) -> Result<Lock, JournalError> {
        let path = beside(leases, ".lock");
        let failed = |source: io::Error| JournalError::Io {
            path: path.clone(),
            source,
        };
        let file = state_file::write(&path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Lock { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(JournalError::InUse {
                path: leases.to_owned(),
            }),
            Err(error) => Err(failed(error.into())),
        }
    }
}

/// Returns a file's name with something appended.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
