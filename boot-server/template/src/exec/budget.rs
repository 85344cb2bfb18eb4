//! Limits of one render. Go's templates have no such limits.

use super::error::Exhausted;
use crate::fmt::Allowance;

/// The most that one render may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Actions, iterations, calls, and further ones for work that grows with the values.
    pub steps: u64,
    /// Bytes written: the output, and the texts that functions make on the way.
    pub bytes: usize,
}

impl Default for Budget {
    /// Returns the default budget: a million steps and 64 MiB, more than any config needs, and done within
    /// seconds.
    fn default() -> Budget {
        Budget {
            steps: 1_000_000,
            bytes: 64 << 20,
        }
    }
}

/// Bytes that are compared or copied in the time of a step.
const BYTES_A_STEP: usize = 256;

/// Parts of a pipeline, each a field or an argument, that are evaluated in the time of a step.
const PARTS_A_STEP: u32 = 16;

/// Remaining budget of a render.
#[derive(Debug)]
pub(super) struct Meter {
    budget: Budget,
    steps: u64,
    /// Parts since the last whole step.
    parts: u32,
    pub(super) bytes: Allowance,
}

impl Meter {
    pub(super) fn new(budget: Budget) -> Meter {
        Meter {
            budget,
            steps: 0,
            parts: 0,
            bytes: Allowance::new(budget.bytes),
        }
    }

    /// Steps that were taken.
    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    pub(super) fn step(&mut self) -> Result<(), Exhausted> {
        self.take(1)
    }

    /// Counts a part of a pipeline.
    pub(super) fn part(&mut self) -> Result<(), Exhausted> {
        self.parts += 1;
        match self.parts >= PARTS_A_STEP {
            true => {
                self.parts = 0;
                self.step()
            }
            false => Ok(()),
        }
    }

    /// Counts work that grows with the size of a value.
    pub(super) fn work(&mut self, bytes: usize) -> Result<(), Exhausted> {
        self.take((bytes / BYTES_A_STEP) as u64)
    }

    pub(super) fn take(&mut self, steps: u64) -> Result<(), Exhausted> {
        self.steps = self.steps.saturating_add(steps);
        match self.steps > self.budget.steps {
            true => Err(Exhausted::Steps(self.budget.steps)),
            false => Ok(()),
        }
    }
}
