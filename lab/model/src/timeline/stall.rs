//! Time limits without progress: each phase of a boot has its own, and every sign of progress restarts it. A
//! slow transfer therefore continues, and a dead one is found long before the overall limit.
//!
//! Pure: signs of progress go in with their times, a [`Deadline`] comes out.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use boot_server_events::BootEvent;

use super::classify::classify;
use super::signatures::is_kernel_line;
use super::{Outcome, StageName};
use crate::evidence::{Observation, Record};
use crate::scenario::Scenario;

/// Number of bytes to the machine that counts as transfer progress; repeated DHCP answers are far smaller.
const PROGRESS_BYTES: u64 = 16 * 1024;

/// Number of loads of a boot program that counts as an endless loop: twice `verdict`'s limit.
const LOADS_MAX: u32 = 8;

/// Time limits without progress, by phase of the boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StallTimeouts {
    /// From power-on to the first request that a server of the lab receives.
    pub firmware: Duration,
    /// While requesting an address and boot options.
    pub dhcp: Duration,
    /// While loading boot program, script, kernel and initrd.
    pub load: Duration,
    /// From the kernel's first line to the login.
    pub system: Duration,
}

impl StallTimeouts {
    /// Returns the limits for KVM.
    pub const KVM: StallTimeouts = StallTimeouts {
        firmware: Duration::from_secs(90),
        dhcp: Duration::from_secs(60),
        load: Duration::from_secs(60),
        system: Duration::from_secs(120),
    };

    /// Returns the limits for TCG on a busy host: a single machine takes 20 s to unpack an initrd of 100 MB
    /// silently.
    pub const TCG: StallTimeouts = StallTimeouts {
        firmware: Duration::from_secs(120),
        dhcp: Duration::from_secs(90),
        load: Duration::from_secs(90),
        system: Duration::from_secs(180),
    };
}

/// Phase of the boot for the time limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Firmware,
    Dhcp,
    Load,
    System,
    /// The shell answers: each command has its own time limit.
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
            | StageName::Generic
            | StageName::UserlandUp
            | StageName::CloudConfig
            | StageName::ConfigApplied => Phase::System,
            StageName::Checks => Phase::Inside,
        }
    }
}

/// End of the waiting time unless there is progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadline {
    /// Time in microseconds since the Unix epoch; `None` if only the overall limit applies.
    pub at_us: Option<u64>,
    /// Message for a machine without progress.
    pub reason: String,
}

/// Progress of a machine.
#[derive(Debug)]
pub struct StallDetector {
    stall_timeouts: StallTimeouts,
    phase: Phase,
    stage: StageName,
    /// Time and kind of the last progress.
    last_us: u64,
    last: String,
    /// Kinds of DHCP answers so far: only the first of each is progress.
    answers: BTreeSet<String>,
    bytes: u64,
    loads: u32,
    looping: Option<String>,
}

impl StallDetector {
    /// Records the power-on.
    #[must_use]
    pub fn new(stall_timeouts: StallTimeouts, now_us: u64) -> StallDetector {
        StallDetector {
            stall_timeouts,
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

    /// Records an observation of this machine.
    pub fn saw(&mut self, record: &Record, scenario: &Scenario) {
        match &record.seen {
            Observation::Console { line } if is_kernel_line(line) => {
                self.progress(record.at_us, StageName::KernelUp, "the kernel speaks");
            }
            Observation::Console { .. } => self.console_grew(record.at_us),
            Observation::ShellReady => {
                self.progress(record.at_us, StageName::Checks, "the shell answers")
            }
            Observation::Reset => {
                (self.phase, self.stage) = (Phase::Firmware, StageName::PowerOn);
                self.answers.clear();
                self.progress(record.at_us, StageName::PowerOn, "it was reset");
            }
            Observation::Server { entry, .. } => self.heard(entry.at_us, &entry.what, scenario),
            _ => {}
        }
    }

    fn heard(&mut self, at_us: u64, event: &BootEvent, scenario: &Scenario) {
        let Some(classified) = classify(at_us, event, scenario) else {
            return;
        };
        let (stage, stage_event) = (classified.stage, classified.stage_event);
        let first = match event {
            BootEvent::DhcpReply { message, role, .. } => {
                self.answers.insert(format!("{message} {role}"))
            }
            // A request is no progress, except the one that begins a phase and the one that accepts an offer.
            BootEvent::DhcpRequest { message, port, .. } => {
                self.answers.insert(format!("{message} {port}"))
            }
            BootEvent::DhcpIgnored { .. } | BootEvent::RateLimited { .. } => false,
            // Repeated requests to a server that does not answer.
            BootEvent::TftpRequest { .. } | BootEvent::TftpFailed { .. } => {
                self.answers.insert(stage_event.text.clone())
            }
            _ => true,
        };
        if stage == StageName::Nbp && stage_event.outcome == Outcome::Done {
            self.loads += 1;
            if self.loads >= LOADS_MAX {
                let name = stage_event.subject.as_deref().unwrap_or("a boot program");
                self.looping = Some(format!("{name} was loaded {} times: a loop", self.loads));
            }
        }
        if first || Phase::of(stage) > self.phase {
            self.progress(at_us, stage, &stage_event.text);
        }
    }

    /// Records console output, even a dot. It does not count while an address is requested: iPXE and EDK2 print
    /// dots while they wait.
    pub fn console_grew(&mut self, at_us: u64) {
        if self.phase != Phase::Dhcp {
            self.progress(at_us, self.stage, "a line on the console");
        }
    }

    /// Records the number of bytes sent to the machine since power-on.
    pub fn received(&mut self, at_us: u64, bytes: u64) {
        if bytes.saturating_sub(self.bytes) >= PROGRESS_BYTES {
            self.bytes = bytes;
            let stage = match self.phase {
                // A foreign server sends the data, without events.
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

    /// Returns the end of the waiting time.
    #[must_use]
    pub fn deadline(&self) -> Deadline {
        if let Some(reason) = &self.looping {
            let (at_us, reason) = (Some(0), reason.clone());
            return Deadline { at_us, reason };
        }
        let silence = match self.phase {
            Phase::Firmware => Some(self.stall_timeouts.firmware),
            Phase::Dhcp => Some(self.stall_timeouts.dhcp),
            Phase::Load => Some(self.stall_timeouts.load),
            Phase::System => Some(self.stall_timeouts.system),
            Phase::Inside => None,
        };
        let seconds = silence.unwrap_or_default().as_secs();
        Deadline {
            at_us: silence.map(|silence| self.last_us + silence.as_micros() as u64),
            reason: format!(
                "no progress for {seconds} s at stage {}; last observation: {}",
                self.stage, self.last
            ),
        }
    }
}
