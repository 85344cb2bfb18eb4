//! Reads a file in large pieces for small blocks.

use std::io;

use crate::net::files::Content;

/// Bytes read from a file at once.
pub(super) const READ_AHEAD_BYTES: usize = 128 * 1024;

/// The piece of a file that is at hand.
#[derive(Debug, Default)]
pub(super) struct ReadAhead {
    start: u64,
    bytes: Vec<u8>,
}

impl ReadAhead {
    /// Appends `len` bytes of the file to `out`.
    ///
    /// # Errors
    /// The file became shorter, or the disk fails.
    pub(super) fn read(
        &mut self,
        content: &Content,
        offset: u64,
        len: usize,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        if self.part(offset, len).is_none() {
            let left = usize::try_from(content.len().saturating_sub(offset)).unwrap_or(usize::MAX);
            self.bytes.clear();
            content.read_into(offset, left.min(READ_AHEAD_BYTES.max(len)), &mut self.bytes)?;
            self.start = offset;
        }
        out.extend_from_slice(self.part(offset, len).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn part(&self, offset: u64, len: usize) -> Option<&[u8]> {
        let from = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        self.bytes.get(from..from.checked_add(len)?)
    }
}
