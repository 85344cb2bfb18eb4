//! When to stop waiting for a machine: each phase of a boot has a silence of its own, and every sign of
//! progress begins it anew. A slow transfer is no dead one; a dead one is found long before the overall
//! deadline.
//!
//! Pure: signs go in with their times, a [`Deadline`] comes out.

use std::collections::BTreeSet;
use std::time::Duration;

use boot_server::event::BootEvent;

use super::build::is_kernel_line;
use super::classify::classify;
use super::{Outcome, StageName};
use crate::evidence::{Record, Seen};
use crate::scenario::Scenario;

/// So many bytes to the machine are a transfer that goes on; repeated DHCP answers are far fewer.
const PROGRESS_BYTES: u64 = 16 * 1024;

/// A boot program that is loaded this often will be loaded for ever; twice what `verdict` calls a loop.
const LOADS_MAX: u32 = 8;

/// How long a machine may be without progress, by how far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silences {
    /// Switched on, nothing asked over the network yet that one of our servers hears.
    pub firmware: Duration,
    /// An address asked for, and boot options.
    pub dhcp: Duration,
    /// Boot program, script, kernel, initrd.
    pub load: Duration,
    /// From the kernel's first line to the login.
    pub system: Duration,
}

impl Silences {
    /// For machines that KVM executes.
    pub const KVM: Silences = Silences {
        firmware: Duration::from_secs(90),
        dhcp: Duration::from_secs(60),
        load: Duration::from_secs(60),
        system: Duration::from_secs(120),
    };

    /// For machines that TCG executes, on a host that has more to do: an initrd of 100 MB takes 20 s to
    /// unpack without a word when the machine is alone.
    pub const TCG: Silences = Silences {
        firmware: Duration::from_secs(120),
        dhcp: Duration::from_secs(90),
        load: Duration::from_secs(90),
        system: Duration::from_secs(180),
    };
}

/// How far a machine is, as far as waiting goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Firmware,
    Dhcp,
    Load,
    System,
    /// The shell answers: each command has a deadline of its own.
    Inside,
}

impl Phase {
    fn of(stage: StageName) -> Phase {
        match stage {
            StageName::PowerOn => Phase::Firmware,
            StageName::Dhcp | StageName::Proxy => Phase::Dhcp,
            StageName::Nbp
            | StageName::Ipxe
            | StageName::Script
            | StageName::Kernel
            | StageName::Initrd => Phase::Load,
            StageName::KernelUp
            | StageName::Ignition
            | StageName::UserlandUp
            | StageName::CloudConfig
            | StageName::ConfigApplied => Phase::System,
            StageName::Checks => Phase::Inside,
        }
    }
}

/// When waiting ends, unless there is progress before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadline {
    /// Microseconds since the Unix epoch; none where only the overall deadline counts.
    pub at_us: Option<u64>,
    /// What to say then.
    pub reason: String,
}

/// What is known of a machine's progress.
#[derive(Debug)]
pub struct Patience {
    silences: Silences,
    phase: Phase,
    stage: StageName,
    /// When there was progress last, and what it was.
    last_us: u64,
    last: String,
    /// Kinds of DHCP answers so far: only the first of each is progress, the others are repeated in vain.
    answers: BTreeSet<String>,
    bytes: u64,
    loads: u32,
    looping: Option<String>,
}

impl Patience {
    /// The machine is switched on now.
    #[must_use]
    pub fn new(silences: Silences, now_us: u64) -> Patience {
        Patience {
            silences,
            phase: Phase::Firmware,
            stage: StageName::PowerOn,
            last_us: now_us,
            last: "it was switched on".into(),
            answers: BTreeSet::new(),
            bytes: 0,
            loads: 0,
            looping: None,
        }
    }

    /// Something was seen of this machine.
    pub fn saw(&mut self, record: &Record, scenario: &Scenario) {
        match &record.seen {
            Seen::Console { line } if is_kernel_line(line) => {
                self.progress(record.at_us, StageName::KernelUp, "the kernel speaks");
            }
            Seen::Console { .. } => self.console_grew(record.at_us),
            Seen::ShellReady => self.progress(record.at_us, StageName::Checks, "the shell answers"),
            Seen::Server { entry, .. } => self.heard(entry.at_us, &entry.what, scenario),
            _ => {}
        }
    }

    fn heard(&mut self, at_us: u64, event: &BootEvent, scenario: &Scenario) {
        let Some(classified) = classify(at_us, event, scenario) else {
            return;
        };
        let (stage, sighting) = (classified.stage, classified.sighting);
        let first = match event {
            BootEvent::DhcpReply { message, role, .. } => {
                self.answers.insert(format!("{message} {role}"))
            }
            // A question is no progress, but for the one with which the phase begins, and the one by
            // which an offer is taken.
            BootEvent::DhcpRequest { message, port, .. } => {
                self.answers.insert(format!("{message} {port}"))
            }
            BootEvent::DhcpIgnored { .. } | BootEvent::RateLimited { .. } => false,
            // Asked again and again of a server that does not send.
            BootEvent::TftpRequest { .. } | BootEvent::TftpFailed { .. } => {
                self.answers.insert(sighting.text.clone())
            }
            _ => true,
        };
        if stage == StageName::Nbp && sighting.outcome == Outcome::Done {
            self.loads += 1;
            if self.loads >= LOADS_MAX {
                let name = sighting.subject.as_deref().unwrap_or("a boot program");
                self.looping = Some(format!("{name} was loaded {} times: a loop", self.loads));
            }
        }
        if first || Phase::of(stage) > self.phase {
            self.progress(at_us, stage, &sighting.text);
        }
    }

    /// The console showed something, be it only a dot. While an address is asked for that means
    /// nothing: iPXE and EDK2 draw dots as long as they ask.
    pub fn console_grew(&mut self, at_us: u64) {
        if self.phase != Phase::Dhcp {
            self.progress(at_us, self.stage, "something on the console");
        }
    }

    /// So many bytes were sent to the machine since it was switched on.
    pub fn received(&mut self, at_us: u64, bytes: u64) {
        if bytes.saturating_sub(self.bytes) >= PROGRESS_BYTES {
            self.bytes = bytes;
            let stage = match self.phase {
                // Somebody else's server sends it: nobody of ours tells.
                Phase::Firmware | Phase::Dhcp => StageName::Nbp,
                _ => self.stage,
            };
            self.progress(
                at_us,
                stage,
                &format!("{} kB over the network", bytes / 1000),
            );
        }
    }

    fn progress(&mut self, at_us: u64, stage: StageName, what: &str) {
        let phase = Phase::of(stage);
        if phase >= self.phase {
            (self.phase, self.stage) = (phase, stage);
        }
        if at_us >= self.last_us {
            self.last_us = at_us;
            what.clone_into(&mut self.last);
        }
    }

    /// When waiting ends.
    #[must_use]
    pub fn deadline(&self) -> Deadline {
        if let Some(reason) = &self.looping {
            let (at_us, reason) = (Some(0), reason.clone());
            return Deadline { at_us, reason };
        }
        let silence = match self.phase {
            Phase::Firmware => Some(self.silences.firmware),
            Phase::Dhcp => Some(self.silences.dhcp),
            Phase::Load => Some(self.silences.load),
            Phase::System => Some(self.silences.system),
            Phase::Inside => None,
        };
        let seconds = silence.unwrap_or_default().as_secs();
        Deadline {
            at_us: silence.map(|silence| self.last_us + silence.as_micros() as u64),
            reason: format!(
                "no progress for {seconds} s at stage {}; the last was: {}",
                self.stage, self.last
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use boot_server::event::Event;

    use super::*;
    use crate::scenario::Firmware;
    use crate::verdict::fixture::{evidence, scenario};

    const SECOND: u64 = 1_000_000;

    fn patience() -> Patience {
        Patience::new(Silences::TCG, 0)
    }

    fn seconds(patience: &Patience) -> Option<u64> {
        patience.deadline().at_us.map(|at_us| at_us / SECOND)
    }

    /// The records of a passing boot of a scenario, as servers and console give them.
    fn passing(name: &str) -> (Scenario, Vec<Record>) {
        let scenario = scenario(name);
        let records = evidence(&scenario, &scenario.nodes[0], Firmware::Bios);
        (scenario, records)
    }

    fn at(record: &Record, second: u64) -> Record {
        let mut record = record.clone();
        record.at_us = second * SECOND;
        if let Seen::Server { entry, .. } = &mut record.seen {
            entry.at_us = second * SECOND;
        }
        record
    }

    fn event(record: &Record) -> Option<&BootEvent> {
        match &record.seen {
            Seen::Server { entry, .. } => Some(&entry.what),
            _ => None,
        }
    }

    #[test]
    fn a_machine_that_says_nothing_is_given_up_after_the_firmwares_silence() {
        assert_eq!(seconds(&patience()), Some(120));
        let reason = patience().deadline().reason;
        assert!(
            reason.contains("stage power-on") && reason.contains("switched on"),
            "{reason}"
        );
    }

    #[test]
    fn discovers_and_dots_do_not_prolong_the_wait_for_an_address() {
        let (scenario, records) = passing("ipxe-chainload");
        let discover = records
            .iter()
            .find(|record| matches!(event(record), Some(BootEvent::DhcpRequest { .. })));
        let mut patience = patience();
        for second in [10, 12, 16, 24, 40, 72] {
            patience.saw(&at(discover.unwrap(), second), &scenario);
            patience.console_grew(second * SECOND);
            patience.received(second * SECOND, second * 100);
        }
        assert_eq!(seconds(&patience), Some(10 + 90));
        let reason = patience.deadline().reason;
        assert!(
            reason.contains("90 s at stage dhcp") && reason.contains("discover"),
            "{reason}"
        );
    }

    #[test]
    fn every_step_of_a_boot_begins_the_silence_anew() {
        for name in ["pxe-dhcp", "proxy-dhcp", "ipxe-chainload", "pixiecore"] {
            let (scenario, records) = passing(name);
            let mut patience = patience();
            // A minute between any two signs: as slow as a boot may be.
            for (index, record) in (1..).zip(&records) {
                let second = index * 60;
                let overdue = seconds(&patience).is_some_and(|deadline| deadline < second);
                assert!(
                    !overdue,
                    "{name} at {record:?}: {}",
                    patience.deadline().reason
                );
                patience.saw(&at(record, second), &scenario);
            }
            // Inside, the commands have deadlines of their own.
            assert_eq!(seconds(&patience), None);
        }
    }

    #[test]
    fn a_slow_transfer_is_waited_for_and_a_dead_one_is_not() {
        let (scenario, records) = passing("ipxe-chainload");
        let mut patience = patience();
        let script = records
            .iter()
            .find(|record| matches!(event(record), Some(BootEvent::HttpRequest { .. })));
        patience.saw(&at(script.unwrap(), 20), &scenario);
        // 700 bytes a second, as TFTP with much loss has it.
        for second in 20..1000 {
            patience.received(second * SECOND, second * 700);
            assert!(seconds(&patience) > Some(second), "given up at {second} s");
        }
        let last = seconds(&patience).unwrap();
        assert!((1000..1000 + 90).contains(&last), "{last}");
        // Answers to questions asked again are no transfer.
        for second in 1000..1090 {
            patience.received(second * SECOND, 700 * 1000 + second);
        }
        assert_eq!(seconds(&patience), Some(last));
    }

    #[test]
    fn what_another_ones_server_sends_is_progress_too() {
        let mut patience = patience();
        patience.received(100 * SECOND, 1_000_000);
        assert_eq!(seconds(&patience), Some(190));
        assert!(patience.deadline().reason.contains("stage nbp"));
    }

    #[test]
    fn the_systems_silence_counts_from_its_last_line() {
        let (scenario, _) = passing("ipxe-chainload");
        let console = |line: &str, second: u64| Record {
            at_us: second * SECOND,
            node: Some("node1".into()),
            seen: Seen::Console { line: line.into() },
        };
        let mut patience = patience();
        patience.saw(&console("[    0.000000] Linux version 6.1", 50), &scenario);
        patience.saw(&console("systemd[1]: Started x", 60), &scenario);
        assert_eq!(seconds(&patience), Some(60 + 180));
        // Firmware's or DHCP's events are no step back.
        let reload = Event {
            at_us: 70 * SECOND,
            what: BootEvent::Ready {
                listeners: Vec::new(),
            },
        };
        let seen = Seen::Server {
            service: "server".into(),
            entry: Box::new(reload),
        };
        patience.saw(
            &Record {
                at_us: 70 * SECOND,
                node: None,
                seen,
            },
            &scenario,
        );
        assert_eq!(seconds(&patience), Some(60 + 180));
    }

    #[test]
    fn a_loop_of_boot_programs_ends_the_wait_at_once() {
        let (scenario, records) = passing("ipxe-chainload");
        let load = records
            .iter()
            .find(|record| matches!(event(record), Some(BootEvent::TftpDone { .. })));
        let mut patience = patience();
        for second in 1..8 {
            patience.saw(&at(load.unwrap(), second), &scenario);
            assert!(seconds(&patience) > Some(second));
        }
        patience.saw(&at(load.unwrap(), 8), &scenario);
        assert_eq!(seconds(&patience), Some(0));
        assert!(
            patience
                .deadline()
                .reason
                .contains("undionly.kpxe was loaded 8 times")
        );
    }
}
