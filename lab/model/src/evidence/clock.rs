//! Clock of a run. Pure, except for [`System`].
//!
//! The host's wall clock may step while machines run, through NTP, an administrator or a resumed virtual
//! machine. Orders of events and waits must not be affected, so all times of a run are the wall clock at its
//! start plus the monotonic time since. Wall clock times from other sources (a boot server's events, the
//! kernel's time of a frame) are corrected by the steps noticed so far.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

/// Number of remembered steps. Corrected times are at most seconds old.
const STEPS: usize = 64;

/// Minimum difference of the clocks, in microseconds, that counts as a step.
const STEP_US: i64 = 2_000;

/// Uncertainty of the time of a step and of a foreign time, in microseconds.
const SLACK_US: i64 = 2_000_000;

/// Clocks to read.
pub trait Source: Debug + Send + Sync {
    /// Returns the wall clock, in microseconds since the Unix epoch.
    fn wall_us(&self) -> u64;
    /// Returns the monotonic clock, in microseconds since an arbitrary time.
    fn monotonic_us(&self) -> u64;
}

/// The host's clocks.
#[derive(Debug)]
pub struct System(Instant);

impl Default for System {
    fn default() -> System {
        System(Instant::now())
    }
}

impl Source for System {
    fn wall_us(&self) -> u64 {
        boot_server_events::now_us()
    }

    fn monotonic_us(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// Clock that begins with the wall clock and never steps.
#[derive(Debug)]
pub struct RunClock {
    source: Box<dyn Source>,
    wall_start_us: u64,
    monotonic_start_us: u64,
    steps: Mutex<VecDeque<Step>>,
}

/// Difference between wall clock and run clock during an interval.
#[derive(Debug, Clone, Copy)]
struct Step {
    /// Wall clock minus run clock, in microseconds.
    ahead_us: i64,
    /// Run times of the first and last observation of this difference.
    first_us: i64,
    last_us: i64,
}

impl RunClock {
    /// Starts a clock.
    #[must_use]
    pub fn start(source: impl Source + 'static) -> RunClock {
        let (wall_start_us, monotonic_start_us) = (source.wall_us(), source.monotonic_us());
        let start = Step {
            ahead_us: 0,
            first_us: signed(wall_start_us),
            last_us: signed(wall_start_us),
        };
        RunClock {
            source: Box::new(source),
            wall_start_us,
            monotonic_start_us,
            steps: Mutex::new(VecDeque::from([start])),
        }
    }

    /// Returns the time of the run, in microseconds since the Unix epoch. Notices steps of the wall clock.
    pub fn now_us(&self) -> u64 {
        let elapsed = self.source.monotonic_us() - self.monotonic_start_us;
        let now_us = self.wall_start_us + elapsed;
        let ahead_us = signed(self.source.wall_us()) - signed(now_us);
        let mut steps = self.steps();
        match steps.back_mut() {
            Some(step) if (step.ahead_us - ahead_us).abs() <= STEP_US => {
                step.last_us = signed(now_us);
            }
            _ => {
                if steps.len() == STEPS {
                    steps.pop_front();
                }
                steps.push_back(Step {
                    ahead_us,
                    first_us: signed(now_us),
                    last_us: signed(now_us),
                });
            }
        }
        now_us
    }

    /// Returns the time of the run at which the wall clock showed `wall_us`, shortly before now.
    pub fn corrected(&self, wall_us: u64) -> u64 {
        let now_us = self.now_us();
        let steps = self.steps();
        let wall_us = signed(wall_us);
        let mut until_us = signed(now_us);
        for step in steps.iter().rev() {
            let at_us = wall_us - step.ahead_us;
            // A step is noticed after it happened.
            if (step.first_us - SLACK_US..=until_us + SLACK_US).contains(&at_us) {
                return u64::try_from(at_us).unwrap_or(0).min(now_us);
            }
            until_us = step.first_us;
        }
        // Times before the run, or from another clock, use the current difference.
        let ahead_us = steps.back().map_or(0, |step| step.ahead_us);
        u64::try_from(wall_us - ahead_us).unwrap_or(0)
    }

    fn steps(&self) -> MutexGuard<'_, VecDeque<Step>> {
        // No operation leaves the state inconsistent under the lock.
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn signed(us: u64) -> i64 {
    i64::try_from(us).unwrap_or(i64::MAX)
}

/// Returns the clock of this process's run; it starts with the first call.
pub fn run_clock() -> &'static RunClock {
    static CLOCK: OnceLock<RunClock> = OnceLock::new();
    CLOCK.get_or_init(|| RunClock::start(System::default()))
}

/// Returns the time of the run, in microseconds since the Unix epoch.
pub fn now_us() -> u64 {
    run_clock().now_us()
}

#[cfg(test)]
mod tests {
    use super::super::fake_clock::{Fake, START_US};
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn since_start(us: u64) -> i64 {
        i64::try_from(us).unwrap() - START_US
    }

    #[test]
    fn now_us_begins_with_the_wall_clock_and_never_steps() {
        let fake = Fake::new();
        let clock = RunClock::start(fake.clone());
        assert_eq!(since_start(clock.now_us()), 0);
        for step in [200 * SECOND, -500 * SECOND, 3600 * SECOND] {
            let before = clock.now_us();
            fake.step(step);
            assert_eq!(clock.now_us(), before);
            fake.pass(SECOND);
            assert_eq!(clock.now_us(), before + 1_000_000);
        }
    }

    #[test]
    fn corrected_times_keep_their_order_over_steps() {
        for step in [200 * SECOND, -200 * SECOND, 7 * SECOND, -7 * SECOND] {
            let fake = Fake::new();
            let clock = RunClock::start(fake.clone());
            let mut corrected = Vec::new();
            for second in 0..60 {
                if second == 30 {
                    // Stamped before the step, taken in after.
                    let stamped = fake.wall_us();
                    fake.pass(SECOND / 2);
                    fake.step(step);
                    corrected.push(clock.corrected(stamped));
                    fake.pass(SECOND / 2);
                } else {
                    fake.pass(SECOND);
                }
                corrected.push(clock.corrected(fake.wall_us()));
            }
            assert!(corrected.is_sorted(), "{step}: {corrected:?}");
            let whole = since_start(*corrected.last().unwrap());
            assert_eq!(whole, 60 * SECOND, "{step}");
        }
    }

    #[test]
    fn corrected_time_of_an_event_a_moment_ago_is_that_moment() {
        let fake = Fake::new();
        let clock = RunClock::start(fake.clone());
        fake.pass(10 * SECOND);
        fake.step(-300 * SECOND);
        clock.now_us();
        fake.pass(10 * SECOND);
        let stamped = fake.wall_us();
        fake.pass(SECOND / 10);
        assert_eq!(since_start(clock.corrected(stamped)), 20 * SECOND);
    }
}
