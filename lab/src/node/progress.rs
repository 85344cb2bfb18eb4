//! Progress of a booting machine: events of its servers, output of its console, bytes sent to its network card;
//! and detection of stalls.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lab_model::evidence::clock::{RunClock, run_clock};
use lab_model::evidence::{Observation, Record};
use lab_model::scenario::Scenario;
use lab_model::timeline::{StallDetector, StallTimeouts};

use super::console::Meter;

/// Interval for counting bytes.
const COUNT_INTERVAL: Duration = Duration::from_secs(1);

/// Counters of network devices in the network namespace of the reading process (`proc_pid_net(5)`).
const DEVICES: &str = "/proc/self/net/dev";

/// Progress of one machine, shared by all tasks that observe it.
#[derive(Debug, Clone)]
pub struct Progress {
    scenario: Arc<Scenario>,
    stall_timeouts: StallTimeouts,
    clock: &'static RunClock,
    stall_detector: Arc<Mutex<StallDetector>>,
    resets: Arc<AtomicU32>,
}

impl Progress {
    /// Progress of a machine that is not switched on yet.
    #[must_use]
    pub fn new(scenario: Arc<Scenario>, stall_timeouts: StallTimeouts) -> Progress {
        Progress::with_clock(scenario, stall_timeouts, run_clock())
    }

    fn with_clock(
        scenario: Arc<Scenario>,
        stall_timeouts: StallTimeouts,
        clock: &'static RunClock,
    ) -> Progress {
        let stall_detector = Arc::new(Mutex::new(StallDetector::new(
            stall_timeouts,
            clock.now_us(),
        )));
        Progress {
            scenario,
            stall_timeouts,
            clock,
            stall_detector,
            resets: Arc::default(),
        }
    }

    /// Returns the time of the run, in microseconds since the Unix epoch.
    pub(super) fn now_us(&self) -> u64 {
        self.clock.now_us()
    }

    /// Records an observation of this machine.
    pub fn saw(&self, record: &Record) {
        if record.seen == Observation::Reset {
            self.resets.fetch_add(1, Ordering::Relaxed);
        }
        self.stall_detector().saw(record, &self.scenario);
    }

    /// Returns the number of resets so far.
    pub(super) fn resets(&self) -> u32 {
        self.resets.load(Ordering::Relaxed)
    }

    /// Records the power-on.
    pub(super) fn begin(&self) {
        *self.stall_detector() = StallDetector::new(self.stall_timeouts, self.clock.now_us());
    }

    /// Waits until there was no progress for too long; returns the reason.
    pub(super) async fn overdue(&self, console: Meter, device: Option<String>) -> String {
        let mut shown = console.bytes();
        loop {
            tokio::time::sleep(COUNT_INTERVAL).await;
            let devices = device
                .as_ref()
                .and_then(|_| fs::read_to_string(DEVICES).ok());
            let sent = devices
                .zip(device.as_deref())
                .and_then(|(all, one)| sent_to(&all, one));
            let grown = std::mem::replace(&mut shown, console.bytes()) != shown;
            if let Some(reason) = self.look(grown, sent) {
                return reason;
            }
        }
    }

    /// Processes the growth of the console and the bytes sent to the machine; returns the reason if there was no
    /// progress for too long.
    fn look(&self, grown: bool, sent: Option<u64>) -> Option<String> {
        let now_us = self.clock.now_us();
        let mut stall_detector = self.stall_detector();
        if grown {
            stall_detector.console_grew(now_us);
        }
        if let Some(bytes) = sent {
            stall_detector.received(now_us, bytes);
        }
        let deadline = stall_detector.deadline();
        let is_over = deadline.at_us.is_some_and(|at_us| at_us <= now_us);
        is_over.then_some(deadline.reason)
    }

    fn stall_detector(&self) -> MutexGuard<'_, StallDetector> {
        // No operation leaves the state inconsistent under the lock.
        self.stall_detector
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the bytes that the host sent into this device, from `/proc/net/dev`: name, eight receive counters,
/// eight transmit counters.
fn sent_to(devices: &str, device: &str) -> Option<u64> {
    let numbers = devices.lines().find_map(|line| {
        let (name, numbers) = line.split_once(':')?;
        (name.trim() == device).then_some(numbers)
    })?;
    numbers.split_whitespace().nth(8)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab_model::evidence::fake_clock::Fake;
    use lab_model::verdict::fixture::scenario;

    const SECOND: i64 = 1_000_000;

    fn progress(fake: &Fake) -> Progress {
        // Clocks of a test live as long as the test's process.
        let clock = Box::leak(Box::new(RunClock::start(fake.clone())));
        Progress::with_clock(Arc::new(scenario("pxe-dhcp")), StallTimeouts::TCG, clock)
    }

    /// V12: the wall clock steps while the console is silent.
    #[test]
    fn look_step_of_the_wall_clock_changes_no_stall_timeout() {
        for step in [200 * SECOND, -200 * SECOND, 3600 * SECOND] {
            let fake = Fake::new();
            let progress = progress(&fake);
            let silence = i64::try_from(StallTimeouts::TCG.firmware.as_secs()).unwrap();
            for second in 1..=silence {
                if second == 20 {
                    fake.step(step);
                }
                assert_eq!(progress.look(false, None), None, "{step} at {second} s");
                fake.pass(SECOND);
            }
            let reason = progress.look(false, None).unwrap();
            let whole =
                "no progress for 120 s at stage power-on; last observation: it was switched on";
            assert_eq!(reason, whole);
        }
    }

    #[test]
    fn bytes_that_the_host_sent_are_the_ninth_number() {
        let devices = "Inter-|   Receive                |  Transmit\n face |bytes packets\n    \
                       lo:     100 1 0 0 0 0 0 0 100 1 0 0 0 0 0 0\n \
                       vnet0: 2000 9 0 0 0 0 0 0 345678 80 0 0 0 0 0 0\n";
        assert_eq!(sent_to(devices, "vnet0"), Some(345_678));
        assert_eq!(sent_to(devices, "vnet"), None);
    }
}
