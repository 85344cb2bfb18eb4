//! Conversion of evidence into stages.

use std::collections::{BTreeMap, HashSet};

use boot_server_events::BootEvent;

use super::applied;
use super::classify::{Classified, classify, named_file};
use super::content;
use super::identity::{Asker, Identities};
use super::port::View;
use super::restarts::Watch;
use super::signatures::{self, Meaning, Program};
use super::wire;
use super::{
    CheckSeen, Entry, Fact, Origin, Outcome, ServiceEnded, Stage, StageEvent, StageName, Timeline,
    UnitsSeen, Vantage,
};
use crate::evidence::packet::{PacketContent, Wire};
use crate::evidence::{Observation, Record};
use crate::scenario::{Node, Scenario};

/// Number of last console lines that are kept.
const LAST_CONSOLE_LINES: usize = 20;

/// Number of trouble lines that are kept.
const TROUBLE_LINES: usize = 10;

/// Builds the timeline of `node` from all records of the attempt, the packets of the whole network (an empty
/// [`Wire`] if there are none yet) and, if captured, the traffic at the node's own port.
pub fn build(
    scenario: &Scenario,
    node: &Node,
    records: &[Record],
    packets: &Wire,
    port: Option<&Wire>,
) -> Timeline {
    let identities = Identities::learn(scenario, records, packets);
    let mac = node.mac.to_string();
    let view = match port {
        Some(port) => View::of_port(scenario, port, packets, &mac),
        None => View::of_segment(scenario, packets, &mac),
    };
    let brought_in = content::texts(node, records, port);
    let last_check_us = records
        .iter()
        .filter(|record| record.node.as_deref() == Some(&node.name))
        .filter(|record| matches!(record.seen, Observation::Check { .. }))
        .map(|record| record.at_us)
        .max();
    let mut records_in_order: Vec<&Record> = records.iter().collect();
    records_in_order.sort_by_key(|record| time_us(record));
    let mut builder = Builder {
        scenario,
        node,
        identities: &identities,
        view: &view,
        has_port: port.is_some(),
        brought_in: &brought_in,
        last_check_us: last_check_us.unwrap_or(u64::MAX),
        entries: Vec::new(),
        kernel_is_up: false,
        watch: Watch::default(),
        console: signatures::Reader::default(),
        timeline: Timeline {
            node: node.name.clone(),
            vantage: match port {
                Some(_) => Vantage::OwnPort,
                None => Vantage::Segment,
            },
            stages: Vec::new(),
            checks: Vec::new(),
            units: None,
            gave_up: None,
            powered_off: None,
            restarts: Vec::new(),
            would_start: None,
            services_ended: Vec::new(),
            trouble: Vec::new(),
            last_console: Vec::new(),
        },
    };
    for record in records_in_order {
        builder.take(record);
    }
    let mut seen = wire::entries(&view);
    if port.is_some() {
        wire::mark_borrowed(&mut seen, &node.name, &view, &identities);
    }
    wire::merge(&mut builder.entries, seen);
    builder.entries.extend(wire::relayed(&view, &mac));
    builder.boot_programs();
    content::compare(&mut builder.entries, scenario, node, records, port);
    builder.ipxe();
    builder.finish()
}

struct Builder<'s> {
    scenario: &'s Scenario,
    node: &'s Node,
    identities: &'s Identities<'s>,
    view: &'s View<'s>,
    has_port: bool,
    /// Configs and scripts that the machine received.
    brought_in: &'s [&'s str],
    last_check_us: u64,
    entries: Vec<Entry>,
    kernel_is_up: bool,
    watch: Watch,
    console: signatures::Reader,
    timeline: Timeline,
}

impl Builder<'_> {
    fn take(&mut self, record: &Record) {
        match &record.seen {
            Observation::Server { entry, .. } => {
                if let Some(classified) = classify(entry.at_us, &entry.what, self.scenario) {
                    self.server(record, &entry.what, classified);
                }
                return;
            }
            Observation::ServiceEnded { service, detail } => {
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
            Observation::Server { .. }
            | Observation::ServiceEnded { .. }
            | Observation::ServiceKilled { .. }
            | Observation::ServiceLine { .. }
            | Observation::ServiceLeft { .. }
            | Observation::FrameRefused(_)
            | Observation::Lifecycle { .. }
            | Observation::Firmware { .. }
            | Observation::Screen { .. }
            | Observation::Captured { .. }
            | Observation::Arrived { .. }
            | Observation::Manifest { .. }
            | Observation::ConsoleDisturbed { .. } => {}
            Observation::Reset => {
                self.console.reset();
                if at_us <= self.last_check_us {
                    self.watch.reset(at_us);
                }
            }
            Observation::PowerOn => {
                let said = (Origin::Lab, Outcome::Done);
                self.saw(StageName::PowerOn, at_us, said, Fact::SwitchedOn);
            }
            Observation::PowerOff { reason } => self.timeline.powered_off = Some(reason.clone()),
            Observation::WouldStart(report) => self.timeline.would_start = Some(report.clone()),
            Observation::Console { line } => self.console(at_us, line),
            Observation::ShellReady => {
                let said = (Origin::Lab, Outcome::Done);
                self.saw(StageName::UserlandUp, at_us, said, Fact::ShellAnswers);
            }
            Observation::Check {
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
            Observation::Units {
                failed,
                without_program,
                starting,
            } => {
                self.units_failed(at_us, failed);
                self.timeline.units = Some(UnitsSeen {
                    without_program: self.of_config(without_program),
                    starting: self.of_config(starting),
                });
            }
            Observation::GaveUp { reason } => self.timeline.gave_up = Some(reason.clone()),
        }
    }

    fn server(&mut self, record: &Record, event: &BootEvent, classified: Classified) {
        let owner = if self.has_port {
            self.owner_by_port(event, &classified)
        } else {
            self.owner_by_claims(record, event, &classified)
        };
        let Classified {
            stage,
            mut stage_event,
            took_us,
            mut key,
            who,
            ..
        } = classified;
        match owner {
            Owner::Nobody => return,
            Owner::Machine { claimed } => {
                if let Some(other) = claimed {
                    stage_event.outcome = Outcome::Failed;
                    stage_event.text =
                        format!("asked in the name of {other}: {}", stage_event.text);
                    stage_event.claimed = Some(other.to_owned());
                }
            }
            Owner::Service => {
                stage_event.origin = Origin::Service;
                if stage_event.outcome == Outcome::Done {
                    stage_event.outcome = Outcome::Noted;
                }
                key = None;
            }
            Owner::Unseen => {
                stage_event.text = format!("not seen at the machine's port: {}", stage_event.text);
                stage_event.outcome = Outcome::Noted;
                key = None;
            }
            Owner::Impostor(by) => {
                let text = format!(
                    "asked by {by} in {}'s name: {}",
                    self.node.name, stage_event.text
                );
                stage_event.text = text;
                stage_event.outcome = Outcome::Noted;
                stage_event.impostor = Some(by);
                key = None;
            }
        }
        self.entries.push(Entry {
            stage,
            stage_event,
            took_us,
            key,
            peer: who.peer,
            on_the_wire: String::new(),
        });
    }

    /// Assigns an event to a machine by the frames at the machine's own port.
    fn owner_by_port(&self, event: &BootEvent, classified: &Classified) -> Owner<'_> {
        let Classified {
            who,
            told_mac,
            stage_event,
            took_us,
            ..
        } = classified;
        let claims = self.identities.claims(who, told_mac.as_deref());
        let other = |name: &&str| **name != self.node.name;
        if self.view.crossed(stage_event.at_us, *took_us, event) {
            let claimed = claims.into_iter().flatten().find(other);
            return Owner::Machine { claimed };
        }
        if !claims
            .into_iter()
            .flatten()
            .any(|name| name == self.node.name)
        {
            return Owner::Nobody;
        }
        if is_service_call(event, self.scenario) {
            return Owner::Service;
        }
        if self.view.is_of_machine(event) {
            return Owner::Unseen;
        }
        // A client that requests an address has none.
        let peer = who.peer.map(|peer| peer.ip().to_canonical());
        let by = match peer.filter(|address| !address.is_unspecified()) {
            Some(address) => address.to_string(),
            None => "another host".to_owned(),
        };
        Owner::Impostor(by)
    }

    /// Assigns an event to a machine by the event's own claims.
    fn owner_by_claims(
        &self,
        record: &Record,
        event: &BootEvent,
        classified: &Classified,
    ) -> Owner<'_> {
        let Classified {
            who,
            told_mac,
            stage_event,
            ..
        } = classified;
        let anonymous = who.mac.is_none() && who.uuid.is_none() && told_mac.is_none();
        let asker = self
            .identities
            .asker(stage_event.at_us, who, told_mac.as_deref())
            .or_else(|| {
                // The event itself does not identify its machine, but its collector may.
                let node = self.scenario.node(record.node.as_deref()?)?;
                anonymous.then_some(Asker {
                    node: &node.name,
                    claimed: None,
                })
            });
        match asker.filter(|asker| asker.node == self.node.name) {
            None => Owner::Nobody,
            Some(_) if is_service_call(event, self.scenario) => Owner::Service,
            Some(asker) => Owner::Machine {
                claimed: asker.claimed,
            },
        }
    }

    fn console(&mut self, at_us: u64, line: &str) {
        let shown = |outcome| (Origin::Console, outcome);
        let spoken = || Fact::Console(line.trim().to_owned());
        if at_us <= self.last_check_us {
            self.watch.line(at_us, line);
        }
        if signatures::is_kernel_line(line) {
            if !std::mem::replace(&mut self.kernel_is_up, true) {
                self.saw(StageName::KernelUp, at_us, shown(Outcome::Done), spoken());
            }
        } else if signatures::is_login_prompt(line) {
            self.saw(StageName::UserlandUp, at_us, shown(Outcome::Done), spoken());
        }
        // Messages of a kernel or initramfs may have a time stamp.
        if self.kernel_is_up
            && let Some(outcome) = applied::meaning(
                line,
                self.brought_in,
                self.node.expect.cloud_config.is_some(),
            )
        {
            self.saw(StageName::ConfigApplied, at_us, shown(outcome), spoken());
        }
        let mut is_trouble = false;
        for signature in self.console.read(line) {
            match signature.meaning {
                Meaning::Banner(Program::Ipxe) => {
                    self.saw(StageName::Ipxe, at_us, shown(Outcome::Done), spoken());
                }
                Meaning::Hopeless(_) | Meaning::Trouble => is_trouble = true,
                Meaning::Banner(_) | Meaning::Config(_) => {}
            }
        }
        if is_trouble && self.timeline.trouble.len() < TROUBLE_LINES {
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
        let (outcome, instead) = match seen.holds {
            true => (Outcome::Done, None),
            false => (Outcome::Failed, Some(seen.found.clone())),
        };
        let fact = Fact::Checked {
            check: seen.check.clone(),
            instead,
        };
        self.saw(StageName::Checks, at_us, (Origin::Lab, outcome), fact);
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

    fn units_failed(&mut self, at_us: u64, failed: &[String]) {
        for unit in self.of_config(failed) {
            let said = (Origin::Lab, Outcome::Failed);
            self.saw(
                StageName::ConfigApplied,
                at_us,
                said,
                Fact::UnitFailed { unit },
            );
        }
    }

    /// Returns the units that a config of the machine brings in.
    fn of_config(&self, units: &[String]) -> Vec<String> {
        let units = units.iter();
        units
            .filter(|unit| applied::brings_in(self.brought_in, unit))
            .cloned()
            .collect()
    }

    fn saw(
        &mut self,
        stage: StageName,
        at_us: u64,
        (origin, outcome): (Origin, Outcome),
        fact: Fact,
    ) {
        let stage_event = StageEvent::new(at_us, origin, outcome, fact);
        self.entries.push(Entry {
            stage,
            stage_event,
            took_us: 0,
            key: None,
            peer: None,
            on_the_wire: String::new(),
        });
    }

    /// A file that a DHCP answer names is a boot program, unless the scenario expects it as something else: its name
    /// may be like that of a kernel.
    fn boot_programs(&mut self) {
        let is_dhcp = |entry: &&Entry| [StageName::Dhcp, StageName::Proxy].contains(&entry.stage);
        let answers = self.entries.iter().filter(is_dhcp);
        let named: HashSet<String> = answers
            .filter_map(|entry| entry.stage_event.subject.as_deref())
            .map(path_of)
            .collect();
        for entry in &mut self.entries {
            let is_image = [StageName::Kernel, StageName::Initrd].contains(&entry.stage);
            let is_named = |subject: &&str| {
                named.contains(*subject) && named_file(subject, self.scenario).is_none()
            };
            if is_image
                && entry
                    .stage_event
                    .subject
                    .as_deref()
                    .is_some_and(|s| is_named(&s))
            {
                entry.stage = StageName::Nbp;
            }
        }
    }

    /// iPXE identifies itself when it requests an address.
    fn ipxe(&mut self) {
        let seen = self
            .view
            .wire
            .packets
            .iter()
            .find_map(|packet| match &packet.what {
                PacketContent::Dhcp(said)
                    if !said.from_server
                        && self.view.is_own_dhcp(packet, said)
                        && said.is_ipxe() =>
                {
                    Some((packet.at_us, self.view.frame(packet), Origin::Wire))
                }
                _ => None,
            });
        let told = self.entries.iter().find(|entry| {
            entry.stage_event.origin == Origin::Server && entry.stage_event.fact.is_of_ipxe()
        });
        let told = told.map(|entry| (entry.stage_event.at_us, None, Origin::Server));
        if let Some((at_us, frame, origin)) = seen.or(told) {
            let said = (origin, Outcome::Done);
            self.saw(StageName::Ipxe, at_us, said, Fact::AsksAsIpxe);
            if let Some(entry) = self.entries.last_mut() {
                entry.stage_event.frame = frame;
            }
        }
    }

    fn finish(mut self) -> Timeline {
        self.entries.sort_by_key(|entry| entry.stage_event.at_us);
        let mut stages: BTreeMap<StageName, Stage> = BTreeMap::new();
        for entry in self.entries {
            let (name, stage_event) = (entry.stage, entry.stage_event);
            let start_us = stage_event.at_us.saturating_sub(entry.took_us);
            let stage = stages.entry(name).or_insert_with(|| Stage {
                name,
                start_us,
                end_us: None,
                events: Vec::new(),
            });
            stage.start_us = stage.start_us.min(start_us);
            if stage_event.outcome == Outcome::Done
                && (stage.end_us.is_none() || name == StageName::Checks)
            {
                stage.end_us = Some(stage_event.at_us);
            }
            stage.events.push(stage_event);
        }
        self.timeline.stages = stages.into_values().collect();
        self.timeline.restarts = self.watch.finish();
        self.timeline
    }
}

/// Assigns a server's event to a machine.
enum Owner<'s> {
    /// Event of this machine; `claimed` is another node whose identity it used.
    Machine { claimed: Option<&'s str> },
    /// Request of a service of the lab about the machine.
    Service,
    /// Event with the machine's transaction id or address, but without a frame at its port: lost on the way, or
    /// by the capture.
    Unseen,
    /// Request of another host in the machine's name.
    Impostor(String),
    /// Event of another machine, or of none.
    Nobody,
}

/// Returns the path of a boot file, which is a TFTP name or a URL, without leading slashes.
fn path_of(boot_file: &str) -> String {
    let path = match boot_file.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => boot_file,
    };
    let path = path.split('?').next().unwrap_or_default();
    path.trim_start_matches(['/', '\\']).to_owned()
}

/// True if the request came from the services' host, like Pixiecore's to its API.
fn is_service_call(event: &BootEvent, scenario: &Scenario) -> bool {
    let BootEvent::HttpRequest { who, path, .. } = event else {
        return false;
    };
    let peer = who.peer.map(|peer| peer.ip().to_canonical());
    let is_ours = peer.is_none_or(|peer| peer.is_loopback() || peer == scenario.network.host());
    is_ours && path.starts_with("/pixiecore/")
}

/// Time of the event, which may be recorded later.
fn time_us(record: &Record) -> u64 {
    match &record.seen {
        Observation::Server { entry, .. } => entry.at_us,
        _ => record.at_us,
    }
}
