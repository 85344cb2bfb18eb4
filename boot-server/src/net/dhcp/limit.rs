//! Rate limits for one client, and for all together. A booting machine sends a few messages each second; a
//! client that sends hundreds is broken or hostile, and must not delay others.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use boot_server_proto::mac::MacAddr;

/// Messages that a client may send at once.
const CLIENT_BURST: f64 = 100.0;
/// Messages that a client may send each second for long.
const CLIENT_PER_SECOND: f64 = 50.0;
/// Messages of all clients at once, and each second: several times what any DHCP server needs.
const ALL_PER_SECOND: f64 = 50_000.0;
/// Clients watched at once.
const CAPACITY: usize = 65_536;
/// A client that was silent for this long has its whole burst again and need not be remembered.
const FORGET_AFTER: Duration = Duration::from_secs(3);

/// Decision about a received message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The message is answered.
    Allowed,
    /// The message is dropped, the first since this client was within its limit.
    FirstDropped,
    /// The message is dropped, as earlier ones were.
    Dropped,
    /// The messages of all clients together exceed the limit; the first such message.
    FirstOverload,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    filled: Instant,
    dropping: bool,
}

impl Bucket {
    fn full(burst: f64, now: Instant) -> Bucket {
        Bucket {
            tokens: burst,
            filled: now,
            dropping: false,
        }
    }

    fn take(&mut self, burst: f64, per_second: f64, now: Instant) -> Verdict {
        let since = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + since * per_second).min(burst);
        self.filled = now;
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            // A client that goes on and on is within its limit now and then: it is told of again only
            // after it was quiet.
            self.dropping &= self.tokens < burst / 2.0;
            return Verdict::Allowed;
        }
        match std::mem::replace(&mut self.dropping, true) {
            true => Verdict::Dropped,
            false => Verdict::FirstDropped,
        }
    }
}

/// The watch over one socket.
#[derive(Debug)]
pub(super) struct Limiter {
    clients: HashMap<MacAddr, Bucket>,
    all: Bucket,
    swept: Instant,
}

impl Limiter {
    pub(super) fn new(now: Instant) -> Limiter {
        Limiter {
            clients: HashMap::new(),
            all: Bucket::full(ALL_PER_SECOND, now),
            swept: now,
        }
    }

    /// Decides if a message that arrives now is answered.
    pub(super) fn admit(&mut self, mac: MacAddr, now: Instant) -> Verdict {
        match self.all.take(ALL_PER_SECOND, ALL_PER_SECOND, now) {
            Verdict::FirstDropped => return Verdict::FirstOverload,
            Verdict::Allowed => {}
            dropped => return dropped,
        }
        let due = now.saturating_duration_since(self.swept) >= FORGET_AFTER;
        if due && self.clients.len() > CAPACITY / 2 {
            self.swept = now;
            self.clients
                .retain(|_, bucket| now.saturating_duration_since(bucket.filled) < FORGET_AFTER);
        }
        if self.clients.len() >= CAPACITY && !self.clients.contains_key(&mac) {
            // Too many clients to track each: only the limit of all together applies.
            return Verdict::Allowed;
        }
        let fresh = || Bucket::full(CLIENT_BURST, now);
        let bucket = self.clients.entry(mac).or_insert_with(fresh);
        bucket.take(CLIENT_BURST, CLIENT_PER_SECOND, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const B: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

    #[test]
    fn a_client_that_floods_is_cut_off_told_of_once_and_heard_again_later() {
        let start = Instant::now();
        let mut limiter = Limiter::new(start);
        let verdicts: Vec<Verdict> = (0..300)
            .map(|n| limiter.admit(A, start + Duration::from_millis(n)))
            .collect();
        let count = |wanted| verdicts.iter().filter(|v| **v == wanted).count();
        assert_eq!(count(Verdict::FirstDropped), 1);
        assert!(
            (110..117).contains(&count(Verdict::Allowed)),
            "{verdicts:?}"
        );
        assert_eq!(
            limiter.admit(B, start + Duration::from_millis(300)),
            Verdict::Allowed
        );
        assert_eq!(
            limiter.admit(A, start + Duration::from_secs(4)),
            Verdict::Allowed
        );
    }

    #[test]
    fn a_machine_that_boots_is_never_cut_off() {
        let start = Instant::now();
        let mut limiter = Limiter::new(start);
        // Three loaders of eight messages each within two seconds, then renewals.
        for n in 0..24 {
            let now = start + Duration::from_millis(n * 80);
            assert_eq!(limiter.admit(A, now), Verdict::Allowed);
        }
        for n in 0..100 {
            let now = start + Duration::from_secs(10 + n);
            assert_eq!(limiter.admit(A, now), Verdict::Allowed);
        }
    }

    #[test]
    fn all_clients_together_have_a_limit_too() {
        let now = Instant::now();
        let mut limiter = Limiter::new(now);
        let mut overloads = 0;
        for n in 0..60_000u32 {
            let [a, b, c, d] = n.to_be_bytes();
            let verdict = limiter.admit(MacAddr([2, 0, a, b, c, d]), now);
            overloads += usize::from(verdict == Verdict::FirstOverload);
        }
        assert_eq!(overloads, 1);
        assert_eq!(limiter.admit(A, now), Verdict::Dropped);
    }

    #[test]
    fn the_watch_does_not_grow_beyond_its_capacity_and_forgets_the_silent() {
        let start = Instant::now();
        let mut limiter = Limiter::new(start);
        for n in 0..200_000u64 {
            let [.., a, b, c] = n.to_be_bytes();
            let now = start + Duration::from_micros(n * 40);
            limiter.admit(MacAddr([2, 0, 0, a, b, c]), now);
        }
        assert!(limiter.clients.len() <= CAPACITY);
        limiter.admit(A, start + Duration::from_secs(60));
        assert!(
            limiter.clients.len() <= CAPACITY / 2 + 1,
            "{}",
            limiter.clients.len()
        );
    }
}
