//! Events of one kind beyond a rate are counted and not written: a flood of 11 MB/s on the network would be
//! 21 MB/s on the disk that the leases are on. journald's `RateLimitBurst=` is the model. Pure.

use std::collections::BTreeMap;

use boot_server_events::{BootEvent, Event};

/// Events of one kind written in one second. A thousand machines that are switched on at once stay below.
const PER_SECOND: u64 = 1000;
const MICROS_PER_SECOND: u64 = 1_000_000;

/// The kinds of events in the current second.
#[derive(Debug, Default)]
pub(super) struct Collapser {
    second: u64,
    seen: BTreeMap<&'static str, u64>,
}

impl Collapser {
    /// True if an event is to be written.
    pub(super) fn admit(&mut self, event: &Event) -> bool {
        let Some(kind) = kind(&event.what) else {
            return true;
        };
        let seen = self.seen.entry(kind).or_default();
        *seen += 1;
        *seen <= PER_SECOND
    }

    /// Returns a summary of the events suppressed in the second before this time, once that second is over.
    pub(super) fn turn(&mut self, at_us: u64) -> Vec<Event> {
        let second = at_us / MICROS_PER_SECOND;
        if second == self.second {
            return Vec::new();
        }
        self.second = second;
        let over = std::mem::take(&mut self.seen).into_iter();
        over.filter_map(|(kind, seen)| {
            let count = seen.checked_sub(PER_SECOND).filter(|count| *count > 0)?;
            let kind = kind.to_owned();
            let what = BootEvent::EventsCollapsed { kind, count };
            Some(Event { at_us, what })
        })
        .collect()
    }

    /// True if [`Collapser::turn`] has something to report.
    pub(super) fn is_pending(&self) -> bool {
        self.seen.values().any(|seen| *seen > PER_SECOND)
    }
}

/// Returns the kind of an event that any host on the network can cause; `None` for events of the server itself.
fn kind(event: &BootEvent) -> Option<&'static str> {
    event.who().map(|_| event.name())
}

#[cfg(test)]
mod tests {
    use boot_server_events::Who;

    use super::*;

    fn ignored(at_us: u64) -> Event {
        let (who, reason) = (Who::default(), "".into());
        let what = BootEvent::DhcpIgnored { who, reason };
        Event { at_us, what }
    }

    #[test]
    fn collapser_a_flood_of_one_kind_is_cut_and_counted_by_the_second() {
        let mut collapser = Collapser::default();
        let sent = 14_000;
        let written = (0..sent).filter(|_| collapser.admit(&ignored(5)));
        assert_eq!(written.count() as u64, PER_SECOND);
        assert_eq!(collapser.turn(MICROS_PER_SECOND - 1), []);
        assert!(collapser.is_pending());
        let at_us = MICROS_PER_SECOND;
        let what = BootEvent::EventsCollapsed {
            kind: "dhcp_ignored".into(),
            count: sent - PER_SECOND,
        };
        assert_eq!(collapser.turn(at_us), [Event { at_us, what }]);
        assert!(collapser.admit(&ignored(at_us)) && !collapser.is_pending());
    }

    #[test]
    fn collapser_what_the_server_says_of_itself_is_always_written() {
        let mut collapser = Collapser::default();
        let jumped = Event {
            at_us: 0,
            what: BootEvent::ClockJumped { by_seconds: 1 },
        };
        let all = (0..10 * PER_SECOND).all(|_| collapser.admit(&jumped));
        assert!(all && !collapser.is_pending());
    }
}
