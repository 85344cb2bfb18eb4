//! Notices that a file is changed while it is sent.
//!
//! Size and modification time, and not the change time: replacing a file by a rename touches that of the old
//! file, whose content stays what it was.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf, Take};

/// Size and modification time of a file when it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version {
    size: u64,
    modified: (i64, i64),
}

impl Version {
    /// Returns the version that this metadata tells.
    pub(super) fn of(metadata: &Metadata) -> Version {
        Version {
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }

    /// Size in bytes.
    pub(super) fn size(self) -> u64 {
        self.size
    }

    /// Checks that the file still is this version.
    ///
    /// # Errors
    /// It is not, or the kernel's error.
    pub(super) fn check(self, file: &File) -> io::Result<()> {
        match Version::of(&file.metadata()?) == self {
            true => Ok(()),
            false => Err(changed()),
        }
    }
}

fn changed() -> io::Error {
    io::Error::other("the file changed while it was being sent")
}

/// A part of a file as a stream, which fails when the file is changed meanwhile or ends too early.
#[derive(Debug)]
pub(super) struct UnchangedFile {
    file: Take<tokio::fs::File>,
    version: Version,
}

impl UnchangedFile {
    /// Returns the next `len` bytes of a file that was opened as this version.
    pub(super) fn new(file: tokio::fs::File, version: Version, len: u64) -> UnchangedFile {
        UnchangedFile {
            file: file.take(len),
            version,
        }
    }

    fn check(&self) -> io::Result<()> {
        let now = rustix::fs::fstat(self.file.get_ref())?;
        let now = Version {
            size: u64::try_from(now.st_size).unwrap_or_default(),
            modified: (
                now.st_mtime,
                i64::try_from(now.st_mtime_nsec).unwrap_or_default(),
            ),
        };
        match now == self.version {
            true => Ok(()),
            false => Err(changed()),
        }
    }
}

impl AsyncRead for UnchangedFile {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.file).poll_read(context, buffer))?;
        match buffer.filled().len() - before {
            0 if self.file.limit() > 0 && buffer.remaining() > 0 => {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            0 => {}
            _ => self.check()?,
        }
        Poll::Ready(Ok(()))
    }
}
