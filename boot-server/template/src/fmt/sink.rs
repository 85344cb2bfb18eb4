//! Sink of formatted text: bytes with a limit on their number.

use crate::exec::error::Exhausted;

/// Bytes that one render may still write, over all that it formats.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    left: usize,
    limit: usize,
}

impl Allowance {
    pub(crate) fn new(limit: usize) -> Allowance {
        Allowance { left: limit, limit }
    }

    /// Takes bytes off before they are made.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), Exhausted> {
        self.left = self
            .left
            .checked_sub(bytes)
            .ok_or(Exhausted::Bytes(self.limit))?;
        Ok(())
    }
}

/// A text being written.
pub(crate) struct Sink<'a> {
    pub(crate) bytes: Vec<u8>,
    allowance: &'a mut Allowance,
}

impl<'a> Sink<'a> {
    pub(crate) fn new(allowance: &'a mut Allowance) -> Sink<'a> {
        Sink {
            bytes: Vec::new(),
            allowance,
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Exhausted> {
        self.allowance.take(bytes.len())?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    pub(crate) fn text(&mut self, text: &str) -> Result<(), Exhausted> {
        self.write(text.as_bytes())
    }

    /// Holds bytes against the budget that are about to be made; they are taken off when they are written.
    pub(crate) fn reserve(&mut self, bytes: usize) -> Result<(), Exhausted> {
        let mut after = *self.allowance;
        after.take(bytes)
    }

    /// Writes a byte several times.
    pub(crate) fn fill(&mut self, byte: u8, count: usize) -> Result<(), Exhausted> {
        self.allowance.take(count)?;
        self.bytes.resize(self.bytes.len() + count, byte);
        Ok(())
    }
}
