//! When to stop waiting for a machine: each phase of a boot has a silence of its own, and every sign of
//! progress begins it anew. A slow transfer is no dead one; a dead one is found long before the overall
//! deadline.
//!
//! Pure: signs go in with their times, a [`Deadline`] comes out.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use boot_server::event::BootEvent;

use super::classify::classify;
use super::signatures::is_kernel_line;
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
            Seen::Reset => {
                (self.phase, self.stage) = (Phase::Firmware, StageName::PowerOn);
                self.answers.clear();
                self.progress(record.at_us, StageName::PowerOn, "it was reset");
            }
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
