//! Shortages in the log: the first of a burst at once, then their number once a minute. A pool without a
//! free address fails a hundred times a second, and nobody reads a hundred lines a second.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use boot_server_events::{BootEvent, Shortage};

/// Interval at which a continuing shortage is reported again.
const AGAIN: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Burst {
    told: Instant,
    since: u64,
    detail: String,
}

/// The shortages that last.
#[derive(Debug, Default)]
pub(super) struct Outages(HashMap<Shortage, Burst>);

impl Outages {
    /// Counts a shortage; returns an event when it is the first.
    pub(super) fn hit(
        &mut self,
        reason: Shortage,
        detail: &str,
        count: u64,
        now: Instant,
    ) -> Option<BootEvent> {
        if let Some(burst) = self.0.get_mut(&reason) {
            burst.since += count;
            detail.clone_into(&mut burst.detail);
            return None;
        }
        let burst = Burst {
            told: now,
            since: 0,
            detail: String::new(),
        };
        self.0.insert(reason, burst);
        Some(BootEvent::DhcpShortage {
            reason,
            count,
            detail: detail.to_owned(),
        })
    }

    /// Returns the shortages of the last minute to report now. A shortage that did not recur is over.
    pub(super) fn due(&mut self, now: Instant) -> Vec<BootEvent> {
        let mut events = Vec::new();
        self.0.retain(|reason, burst| {
            if now.saturating_duration_since(burst.told) < AGAIN {
                return true;
            }
            if burst.since == 0 {
                return false;
            }
            events.push(BootEvent::DhcpShortage {
                reason: *reason,
                count: std::mem::take(&mut burst.since),
                detail: std::mem::take(&mut burst.detail),
            });
            burst.told = now;
            true
        });
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(event: &BootEvent) -> u64 {
        match event {
            BootEvent::DhcpShortage { count, .. } => *count,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn outages_of_a_burst_are_told_first_then_counted_once_a_minute() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut outages = Outages::default();
        let hit = |outages: &mut Outages, second| {
            outages.hit(Shortage::PoolExhausted, "none", 1, at(second))
        };
        assert_eq!(hit(&mut outages, 0).as_ref().map(count), Some(1));
        for second in 0..59 {
            assert_eq!(hit(&mut outages, second), None);
            assert_eq!(outages.due(at(second)), []);
        }
        let told = outages.due(at(60));
        assert_eq!(told.iter().map(count).collect::<Vec<_>>(), [59]);
        // Another reason is a separate burst.
        let other = outages.hit(Shortage::LeaseNotKept, "disk full", 1, at(61));
        assert_eq!(other.as_ref().map(count), Some(1));
        // The shortage is over, and a new one begins.
        assert_eq!(outages.due(at(130)), []);
        assert_eq!(hit(&mut outages, 200).as_ref().map(count), Some(1));
    }
}
