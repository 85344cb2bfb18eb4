//! From evidence to stages.

use std::collections::BTreeMap;

use super::classify::{Classified, classify};
use super::identity::{Asker, Identities};
use super::wire;
use super::{
    CheckSeen, Entry, Origin, Outcome, ServiceEnded, Sighting, Stage, StageName, Timeline,
};
use crate::evidence::packet::{Said, Wire};
use crate::evidence::{Record, Seen};
use crate::scenario::{Node, Scenario};

/// How many of the last console lines are kept.
const LAST_CONSOLE_LINES: usize = 20;

/// How many lines of trouble are kept.
const TROUBLE_LINES: usize = 10;

/// What iPXE says of itself when it starts, as ROM or as boot program.
const IPXE_BANNER: &str = "Open Source Network Boot Firmware";

/// Console text that tells of a config's application, and whether that is good news. The agent of the
/// stand-in, its initrd, Ignition itself, coreos-cloudinit.
const APPLIED: &[(&str, Outcome)] = &[
    ("guest-agent: cloud-config applied", Outcome::Done),
    ("guest-agent: script started", Outcome::Done),
    ("guest-agent: nothing applied", Outcome::Failed),
    ("guest-agent: FAILED", Outcome::Failed),
    ("stand-in: Ignition finished successfully", Outcome::Done),
    ("stand-in: FAILED: Ignition", Outcome::Failed),
    ("Ignition failed", Outcome::Failed),
    ("Failed to apply cloud-config", Outcome::Failed),
];

/// Console text that tells of trouble, whoever wrote it.
const TROUBLE: &[&str] = &[
    "Kernel panic",
    "Oops:",
    "emergency mode",
    "Entering emergency",
    "Out of memory",
    "Failed to start",
    "Ignition failed",
    "No bootable device",
    "Could not boot",
    "No more network devices",
    "Connection timed out",
    "No such file or directory (http",
    "PXE-E",
    "TFTP open timeout",
    "Unable to locate configuration file",
    "Exec format error",
    "Not enough memory",
    "Initramfs unpacking failed",
];

/// The timeline of `node`, out of everything that was seen in the attempt: records, and packets of the
/// captures (an empty [`Wire`] where there are none yet).
pub fn build(scenario: &Scenario, node: &Node, records: &[Record], packets: &Wire) -> Timeline {
    let identities = Identities::learn(scenario, records, packets);
    let mut records: Vec<&Record> = records.iter().collect();
    records.sort_by_key(|record| time_us(record));
    let mut builder = Builder {
        scenario,
        node,
        identities: &identities,
        entries: Vec::new(),
        kernel_is_up: false,
        timeline: Timeline {
            node: node.name.clone(),
            stages: Vec::new(),
            checks: Vec::new(),
            gave_up: None,
            powered_off: None,
            services_ended: Vec::new(),
            trouble: Vec::new(),
            last_console: Vec::new(),
        },
    };
    for record in records {
        builder.take(record);
    }
    let seen = wire::entries(packets, &node.mac.to_string());
    wire::merge(&mut builder.entries, seen);
    builder.ipxe(packets);
    builder.finish()
}

struct Builder<'s> {
    scenario: &'s Scenario,
    node: &'s Node,
    identities: &'s Identities<'s>,
    entries: Vec<Entry>,
    kernel_is_up: bool,
    timeline: Timeline,
}

impl Builder<'_> {
    fn take(&mut self, record: &Record) {
        match &record.seen {
            Seen::Server { entry, .. } => {
                if let Some(classified) = classify(entry.at_us, &entry.what, self.scenario) {
                    self.server(record, classified);
                }
                return;
            }
            Seen::ServiceEnded { service, detail } => {
                let ended = ServiceEnded {
                    service: service.clone(),
                    detail: detail.clone(),
                };
                self.timeline.services_ended.push(ended);
                return;
            }
            _ => {}
        }
        if record.node.as_deref() != Some(&self.node.name) {
            return;
        }
        let at_us = record.at_us;
        match &record.seen {
            Seen::Server { .. }
            | Seen::ServiceEnded { .. }
            | Seen::Lifecycle { .. }
            | Seen::Firmware { .. }
            | Seen::Screen { .. }
            | Seen::Captured { .. }
            | Seen::Arrived { .. }
            | Seen::Manifest { .. }
            | Seen::Reset => {}
            Seen::PowerOn => {
                let said = (Origin::Lab, Outcome::Done);
                self.saw(StageName::PowerOn, at_us, said, "switched on");
            }
            Seen::PowerOff { reason } => self.timeline.powered_off = Some(reason.clone()),
            Seen::Console { line } => self.console(at_us, line),
            Seen::ShellReady => {
                let said = (Origin::Lab, Outcome::Done);
                self.saw(StageName::UserlandUp, at_us, said, "the shell answers");
            }
            Seen::Check {
                check,
                expected,
                found,
                holds,
            } => {
                let seen = CheckSeen {
                    check: check.clone(),
                    expected: expected.clone(),
                    found: found.clone(),
                    holds: *holds,
                };
                self.check(at_us, seen);
            }
            Seen::GaveUp { reason } => self.timeline.gave_up = Some(reason.clone()),
        }
    }

    fn server(&mut self, record: &Record, classified: Classified) {
        let Classified {
            stage,
            who,
            told_mac,
            mut sighting,
            took_us,
            key,
        } = classified;
        let anonymous = who.mac.is_none() && who.uuid.is_none() && told_mac.is_none();
        let asker = self
            .identities
            .asker(sighting.at_us, who, told_mac.as_deref())
            .or_else(|| {
                // Nothing in the event tells whose it is: the collector may know.
                let node = self.scenario.node(record.node.as_deref()?)?;
                anonymous.then_some(Asker {
                    node: &node.name,
                    claimed: None,
                })
            });
        let Some(asker) = asker.filter(|asker| asker.node == self.node.name) else {
            return;
        };
        if let Some(other) = asker.claimed {
            sighting.outcome = Outcome::Failed;
            sighting.text = format!("asked in the name of {other}: {}", sighting.text);
        }
        self.entries.push(Entry {
            stage,
            sighting,
            took_us,
            key,
            on_the_wire: String::new(),
        });
    }

    fn console(&mut self, at_us: u64, line: &str) {
        let shown = |outcome| (Origin::Console, outcome);
        if is_kernel_line(line) {
            if !std::mem::replace(&mut self.kernel_is_up, true) {
                self.saw(StageName::KernelUp, at_us, shown(Outcome::Done), line);
            }
        } else if line.contains(" login: ") || line.trim_end().ends_with(" login:") {
            self.saw(StageName::UserlandUp, at_us, shown(Outcome::Done), line);
        } else if line.contains(IPXE_BANNER) {
            self.saw(StageName::Ipxe, at_us, shown(Outcome::Done), line);
        } else if let Some(outcome) = applied(line) {
            self.saw(StageName::ConfigApplied, at_us, shown(outcome), line);
        }
        if TROUBLE.iter().any(|text| line.contains(text))
            && self.timeline.trouble.len() < TROUBLE_LINES
        {
            self.timeline.trouble.push(line.trim().to_owned());
        }
        if !line.trim().is_empty() {
            let last = &mut self.timeline.last_console;
            if last.len() == LAST_CONSOLE_LINES {
                last.remove(0);
            }
            last.push(line.trim_end().to_owned());
        }
    }

    fn check(&mut self, at_us: u64, seen: CheckSeen) {
        let (outcome, text) = if seen.holds {
            (Outcome::Done, format!("{}: as expected", seen.check))
        } else {
            (Outcome::Failed, format!("{}: {:?}", seen.check, seen.found))
        };
        self.saw(StageName::Checks, at_us, (Origin::Lab, outcome), &text);
        match self
            .timeline
            .checks
            .iter_mut()
            .find(|earlier| earlier.check == seen.check)
        {
            Some(earlier) => *earlier = seen,
            None => self.timeline.checks.push(seen),
        }
    }

    fn saw(
        &mut self,
        stage: StageName,
        at_us: u64,
        (origin, outcome): (Origin, Outcome),
        text: &str,
    ) {
        let text = text.trim().to_owned();
        let sighting = Sighting {
            at_us,
            origin,
            frame: None,
            outcome,
            subject: None,
            group: None,
            served: None,
            query: None,
            text,
        };
        self.entries.push(Entry {
            stage,
            sighting,
            took_us: 0,
            key: None,
            on_the_wire: String::new(),
        });
    }

    /// iPXE tells who it is when it asks for an address.
    fn ipxe(&mut self, packets: &Wire) {
        let mac = self.node.mac.to_string();
        let seen = packets
            .packets
            .iter()
            .find_map(|packet| match &packet.what {
                Said::Dhcp(said) if said.client == mac && !said.from_server && said.is_ipxe() => {
                    Some((packet.at_us, Some(packet.frame), Origin::Wire))
                }
                _ => None,
            });
        let told = self.entries.iter().find(|entry| {
            entry.sighting.origin == Origin::Server && entry.sighting.text.contains("class iPXE")
        });
        let told = told.map(|entry| (entry.sighting.at_us, None, Origin::Server));
        if let Some((at_us, frame, origin)) = seen.or(told) {
            let text = "asks as iPXE (user class)";
            self.saw(StageName::Ipxe, at_us, (origin, Outcome::Done), text);
            if let Some(entry) = self.entries.last_mut() {
                entry.sighting.frame = frame;
            }
        }
    }

    fn finish(mut self) -> Timeline {
        self.entries.sort_by_key(|entry| entry.sighting.at_us);
        let mut stages: BTreeMap<StageName, Stage> = BTreeMap::new();
        for entry in self.entries {
            let (name, sighting) = (entry.stage, entry.sighting);
            let start_us = sighting.at_us.saturating_sub(entry.took_us);
            let stage = stages.entry(name).or_insert_with(|| Stage {
                name,
                start_us,
                end_us: None,
                sightings: Vec::new(),
            });
            stage.start_us = stage.start_us.min(start_us);
            if sighting.outcome == Outcome::Done
                && (stage.end_us.is_none() || name == StageName::Checks)
            {
                stage.end_us = Some(sighting.at_us);
            }
            stage.sightings.push(sighting);
        }
        self.timeline.stages = stages.into_values().collect();
        self.timeline
    }
}

/// When it happened: an event may be handed in later.
fn time_us(record: &Record) -> u64 {
    match &record.seen {
        Seen::Server { entry, .. } => entry.at_us,
        _ => record.at_us,
    }
}

/// What the line says of a config's application, if anything.
fn applied(line: &str) -> Option<Outcome> {
    let found = APPLIED.iter().find(|(text, _)| line.contains(text));
    found.map(|(_, outcome)| *outcome)
}

/// The kernel's banner, or a line with its time stamp (`[    0.000000] `).
pub(super) fn is_kernel_line(line: &str) -> bool {
    let line = line.trim_start();
    let stamp = || {
        let (stamp, _) = line.strip_prefix('[')?.split_once(']')?;
        let (seconds, fraction) = stamp.trim_start().split_once('.')?;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        Some(digits(seconds) && digits(fraction) && fraction.len() == 6)
    };
    line.starts_with("Linux version ") || stamp().unwrap_or(false)
}
