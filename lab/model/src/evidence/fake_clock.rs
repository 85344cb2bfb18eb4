//! Clocks for tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::clock::Source;

/// First time of a [`Fake`], in microseconds since the Unix epoch.
pub const START_US: i64 = 1_700_000_000_000_000;

/// Clocks that a test sets.
#[derive(Debug, Clone, Default)]
pub struct Fake {
    wall_us: Arc<AtomicI64>,
    monotonic_us: Arc<AtomicI64>,
}

impl Fake {
    pub fn new() -> Fake {
        let fake = Fake::default();
        fake.step(START_US);
        fake
    }

    /// Time passes.
    pub fn pass(&self, us: i64) {
        self.wall_us.fetch_add(us, Ordering::Relaxed);
        self.monotonic_us.fetch_add(us, Ordering::Relaxed);
    }

    /// Somebody sets the wall clock.
    pub fn step(&self, us: i64) {
        self.wall_us.fetch_add(us, Ordering::Relaxed);
    }
}

impl Source for Fake {
    fn wall_us(&self) -> u64 {
        microseconds(&self.wall_us)
    }

    fn monotonic_us(&self) -> u64 {
        microseconds(&self.monotonic_us)
    }
}

fn microseconds(clock: &AtomicI64) -> u64 {
    let us = clock.load(Ordering::Relaxed);
    u64::try_from(us).expect("a time after 1970")
}
