//! Time base of leases: it advances with the time since boot, so that stepping the wall clock neither ends a
//! lease nor extends it. The wall clock is for the lease file and for people.
//!
//! A host without a hardware clock starts in 1970 and gives leases before NTP sets the clock. dnsmasq has
//! `HAVE_BROKEN_RTC` for such hosts. Here the leases move with the clock: see [`LeaseClock::adopt`] for a
//! running server, [`clamp_ends`] for one that is started later.

use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use nix::time::{ClockId, clock_gettime};

use super::record::{DECLINE_TIME, LeaseRecord, LeaseState};

/// Differences below this are NTP's corrections, and not worth a new lease file.
const LEAST_JUMP: Duration = Duration::from_secs(2);
/// An end further away was written by a clock that was wrong, and not with a longer lease time.
const LONGEST_LEASE: Duration = Duration::from_secs(400 * 24 * 3600);
const NANOS_PER_SECOND: i128 = 1_000_000_000;

/// Both clocks of a host at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockReading {
    /// Time since boot, the time asleep included (`CLOCK_BOOTTIME`).
    pub since_boot: Duration,
    /// The wall clock.
    pub wall: SystemTime,
}

impl ClockReading {
    /// Reads both clocks.
    pub fn now() -> ClockReading {
        // Every Linux since 2.6.39 has this clock.
        let since_boot = clock_gettime(ClockId::CLOCK_BOOTTIME).map_or_else(
            |_| Duration::ZERO,
            |time| {
                let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
                let nanos = u32::try_from(time.tv_nsec()).unwrap_or(0);
                Duration::new(seconds, nanos)
            },
        );
        ClockReading {
            since_boot,
            wall: SystemTime::now(),
        }
    }

    /// Returns the wall clock's time at boot, in nanoseconds since the Unix epoch.
    fn wall_at_boot(&self) -> i128 {
        let nanos =
            |duration: Duration| i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX / 4);
        let wall = match self.wall.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => nanos(since),
            Err(before) => -nanos(before.duration()),
        };
        wall - nanos(self.since_boot)
    }
}

/// The clock of leases: the wall clock as it was when the server started, carried on by the time since
/// boot.
#[derive(Debug, Clone, Copy)]
pub struct LeaseClock {
    wall_at_boot: i128,
}

impl LeaseClock {
    /// Returns a clock that shows the wall clock's time now.
    pub fn new(reading: ClockReading) -> LeaseClock {
        LeaseClock {
            wall_at_boot: reading.wall_at_boot(),
        }
    }

    /// Returns the time for leases at a reading, whatever the wall clock shows.
    pub fn time(&self, reading: ClockReading) -> SystemTime {
        let since_boot = i128::try_from(reading.since_boot.as_nanos()).unwrap_or(0);
        let nanos = self.wall_at_boot + since_boot;
        let whole = u64::try_from(nanos.abs() / NANOS_PER_SECOND).unwrap_or(u64::MAX);
        let rest = u32::try_from(nanos.abs() % NANOS_PER_SECOND).unwrap_or(0);
        let distance = Duration::new(whole, rest);
        let time = match nanos < 0 {
            true => SystemTime::UNIX_EPOCH.checked_sub(distance),
            false => SystemTime::UNIX_EPOCH.checked_add(distance),
        };
        time.unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// Follows the wall clock when somebody has set it; returns by how many seconds. All times that were
    /// taken from this clock have to be shifted by them.
    pub fn adopt(&mut self, reading: ClockReading) -> Option<i64> {
        let by = reading.wall_at_boot() - self.wall_at_boot;
        if by.unsigned_abs() < LEAST_JUMP.as_nanos() {
            return None;
        }
        let seconds = i64::try_from(by / NANOS_PER_SECOND).ok()?;
        self.wall_at_boot += i128::from(seconds) * NANOS_PER_SECOND;
        Some(seconds)
    }
}

/// Returns a time shifted by seconds; as it is when the result cannot be represented.
pub(super) fn shifted(time: SystemTime, seconds: i64) -> SystemTime {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let shifted = match seconds < 0 {
        true => time.checked_sub(distance),
        false => time.checked_add(distance),
    };
    shifted.unwrap_or(time)
}

/// Leases of a file that would have ended too late.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clamped {
    /// The leases with their new ends.
    pub records: Vec<LeaseRecord>,
    /// Number of seconds by which the wall clock is behind the time at which the file was written.
    pub clock_behind: Option<u64>,
}

/// Ends leases no later than a lease that is given now: those written by a clock that was ahead.
///
/// `written` is when the file was last written. Without a clock that went back, ends are left alone
/// that a longer lease time of an earlier configuration explains.
pub fn clamp_ends(
    known: &mut [LeaseRecord],
    written: Option<SystemTime>,
    lease_time: impl Fn(Ipv4Addr) -> Duration,
    now: SystemTime,
) -> Clamped {
    let behind = written
        .and_then(|written| written.duration_since(now).ok())
        .filter(|behind| *behind >= LEAST_JUMP);
    let seconds = |time: SystemTime| {
        time.duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    };
    let mut records = Vec::new();
    for record in known {
        let latest = seconds(now).saturating_add(match record.state {
            LeaseState::Bound => lease_time(record.address).as_secs(),
            LeaseState::Declined => DECLINE_TIME.as_secs(),
            LeaseState::Released => 0,
        });
        let plausible = match behind {
            Some(_) => latest,
            None => latest.saturating_add(LONGEST_LEASE.as_secs()),
        };
        if record.expires > plausible {
            record.expires = latest;
            records.push(record.clone());
        }
    }
    Clamped {
        records,
        clock_behind: behind.map(|behind| behind.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::tests::{at, ip, machine, plan};
    use crate::lease::{LeasePool, LeaseStore};

    const YEAR: u64 = 365 * 24 * 3600;

    fn reading(since_boot: u64, wall: u64) -> ClockReading {
        ClockReading {
            since_boot: Duration::from_secs(since_boot),
            wall: SystemTime::UNIX_EPOCH + Duration::from_secs(wall),
        }
    }

    /// A pool with its clock, as the server has them.
    struct Host {
        clock: LeaseClock,
        pool: LeasePool,
    }

    impl Host {
        fn start(first: ClockReading) -> Host {
            Host {
                clock: LeaseClock::new(first),
                pool: LeasePool::new(plan(10, 11), &[]),
            }
        }

        fn bind(&mut self, last: u8, address: u8, reading: ClockReading) -> Option<LeaseRecord> {
            if let Some(seconds) = self.clock.adopt(reading) {
                self.pool.shift(seconds);
            }
            let now = self.clock.time(reading);
            self.pool.bind(&machine(last), ip(address), now).ok()
        }
    }

    #[test]
    fn clock_set_from_1970_by_ntp_ends_no_lease_and_moves_its_end() {
        let mut host = Host::start(reading(10, 10));
        host.bind(1, 10, reading(20, 20)).unwrap();
        let ntp = 56 * YEAR;
        assert!(host.bind(2, 10, reading(30, ntp)).is_none());
        assert!(host.bind(2, 10, reading(3619, ntp + 3589)).is_none());
        let taken = host.bind(2, 10, reading(3621, ntp + 3591)).unwrap();
        assert_eq!(taken.expires, ntp + 3591 + 3600);
    }

    #[test]
    fn clock_ahead_and_back_ends_no_lease_and_blocks_no_address() {
        let start = 56 * YEAR;
        let mut host = Host::start(reading(0, start));
        host.bind(1, 10, reading(0, start)).unwrap();
        // Year 33,000 for one exchange.
        assert!(host.bind(2, 10, reading(10, 31_000 * YEAR)).is_none());
        host.bind(2, 11, reading(10, 31_000 * YEAR)).unwrap();
        let again = host.bind(2, 11, reading(20, start + 20)).unwrap();
        assert_eq!(again.expires, start + 20 + 3600);
        assert!(host.bind(1, 11, reading(30, start + 30)).is_none());
        // Two hours back.
        assert!(host.bind(3, 10, reading(40, start - 7200)).is_none());
        assert!(host.bind(3, 10, reading(3601, start + 3601)).is_some());
    }

    #[test]
    fn clock_small_corrections_are_no_jump() {
        let mut clock = LeaseClock::new(reading(100, 1000));
        assert_eq!(clock.adopt(reading(200, 1101)), None);
        assert_eq!(clock.adopt(reading(300, 1202)), Some(2));
        assert_eq!(clock.adopt(reading(400, 1302)), None);
        assert_eq!(clock.time(reading(400, 0)), reading(0, 1302).wall);
    }

    fn record(address: u8, expires: u64, state: LeaseState) -> LeaseRecord {
        let lease_client = machine(address);
        let mut record = LeaseRecord::new(&lease_client, None, ip(address), state, at(0));
        record.expires = expires;
        record
    }

    #[test]
    fn clamp_ends_with_a_clock_that_went_back_ends_leases_as_if_given_now() {
        let (now, lease) = (at(0), |_| Duration::from_secs(3600));
        let end = |seconds: u64| 1_000_000 + seconds;
        let mut known = [
            record(10, end(7200), LeaseState::Bound),
            record(11, end(3600), LeaseState::Bound),
            record(12, end(7200), LeaseState::Declined),
        ];
        let clamped = clamp_ends(&mut known, Some(at(7000)), lease, now);
        assert_eq!(clamped.clock_behind, Some(7000));
        let ends = known.each_ref().map(|record| record.expires);
        assert_eq!(ends, [end(3600), end(3600), end(600)]);
        assert_eq!(clamped.records.len(), 2);
    }

    #[test]
    fn clamp_ends_with_a_right_clock_leaves_longer_leases_and_ends_the_impossible() {
        let (now, lease) = (at(0), |_| Duration::from_secs(60));
        let day = 1_000_000 + 24 * 3600;
        let mut known = [
            record(10, day, LeaseState::Bound),
            record(11, u64::MAX, LeaseState::Bound),
        ];
        let clamped = clamp_ends(&mut known, Some(at(0)), lease, now);
        assert_eq!(clamped.clock_behind, None);
        let ends = known.each_ref().map(|record| record.expires);
        assert_eq!(ends, [day, 1_000_060]);
    }

    #[test]
    fn journal_shift_moves_all_ends_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("leases");
        let open = || crate::lease::Journal::open(&path, crate::lease::Durability::Death).unwrap();
        let (mut journal, _) = open();
        journal.keep(record(10, 1000, LeaseState::Bound));
        journal.keep(record(11, 0, LeaseState::Released));
        assert_eq!(journal.commit().unwrap(), None);
        journal.amend(vec![record(10, 1000, LeaseState::Bound)]);
        journal.shift(500);
        assert_eq!(journal.commit().unwrap(), None);
        drop(journal);
        let (_, known) = open();
        let ends: Vec<u64> = known.iter().map(|record| record.expires).collect();
        assert_eq!(ends, [1500, 0]);
    }
}
