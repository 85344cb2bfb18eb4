//! Reports of refused clients without a flood of log lines: the first refusal at once, then a count per minute.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Interval at which a count is reported.
const EVERY: Duration = Duration::from_secs(60);

/// Refusals for one reason.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<Option<Since>>);

#[derive(Debug)]
struct Since {
    told: Instant,
    untold: u64,
}

impl Refusals {
    /// Counts a refusal. Returns how many there were since the last time that this returned a number.
    pub(super) fn count(&self, now: Instant) -> Option<u64> {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let untold = since.as_ref().map_or(0, |since| since.untold) + 1;
        match &mut *since {
            Some(since) if now.saturating_duration_since(since.told) < EVERY => {
                since.untold = untold;
                None
            }
            since => {
                *since = Some(Since {
                    told: now,
                    untold: 0,
                });
                Some(untold)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_refusal_is_told_at_once_and_the_others_once_a_minute() {
        let (refusals, start) = (Refusals::default(), Instant::now());
        assert_eq!(refusals.count(start), Some(1));
        for _ in 0..100 {
            assert_eq!(refusals.count(start + Duration::from_secs(59)), None);
        }
        assert_eq!(refusals.count(start + EVERY), Some(101));
        assert_eq!(refusals.count(start + EVERY), None);
    }
}
