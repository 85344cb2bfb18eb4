//! How far every unit and node of a running run is.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use boot_server::event::now_us;

use super::status::NodeStatus;
use super::transfers::Follower;
use crate::evidence::Record;
use crate::evidence::packet::Wire;
use crate::runner::{Progress, Unit};
use crate::scenario::{DhcpService, Node};
use crate::timeline::{self, StageName};
use crate::verdict::{NodeVerdict, judge};

/// All units.
#[derive(Debug)]
pub(super) struct Course {
    started: Instant,
    /// The run's folder, where transfers are to be shown.
    folder: Option<PathBuf>,
    units: BTreeMap<String, UnitCourse>,
}

/// One unit.
#[derive(Debug)]
struct UnitCourse {
    unit: Unit,
    /// What was seen in the present attempt.
    records: Vec<Record>,
    running: BTreeMap<String, Running>,
    /// Which attempt it is, and how many nodes have ended in it.
    attempt: u32,
    ended: usize,
    /// While its network is up and transfers are to be shown.
    transfers: Option<Follower>,
}

/// A node that is running.
#[derive(Debug)]
struct Running {
    since: Instant,
    /// Where it was when that was last looked at, and how many records there were then.
    place: Place,
    known: usize,
}

/// Where a node is in its boot.
#[derive(Debug, Clone, Default)]
struct Place {
    reached: Option<&'static str>,
    waits_for: Option<String>,
}

impl Course {
    pub(super) fn new(units: &[Unit], folder: Option<PathBuf>) -> Course {
        let course = |unit: &Unit| UnitCourse {
            unit: unit.clone(),
            records: Vec::new(),
            running: BTreeMap::new(),
            attempt: 1,
            ended: 0,
            transfers: None,
        };
        Course {
            started: Instant::now(),
            folder,
            units: units
                .iter()
                .map(|unit| (unit.name(), course(unit)))
                .collect(),
        }
    }

    /// When the run began.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// How many nodes have ended, of how many.
    pub(super) fn nodes(&self) -> (usize, usize) {
        let all = self.units.values().map(|one| one.unit.scenario.nodes.len());
        let ended = self.units.values().map(|one| one.ended);
        (ended.sum(), all.sum())
    }

    /// Takes one piece of progress; returns a line that is to stay where there is one.
    pub(super) fn take(&mut self, progress: &Progress, now: Instant) -> Option<String> {
        match progress {
            Progress::AttemptStarted { unit, attempt } => {
                if let Some(course) = self.units.get_mut(unit) {
                    // An earlier attempt's evidence is its own.
                    course.records.clear();
                    course.running.clear();
                    course.attempt = *attempt;
                    course.ended = 0;
                    course.transfers = None;
                }
                (*attempt > 1).then(|| format!("{unit}: attempt {attempt}"))
            }
            Progress::Skipped { unit, reason } => Some(format!("{unit}: skipped, {reason}")),
            Progress::CellReady { unit } => {
                if let (Some(folder), Some(course)) = (&self.folder, self.units.get_mut(unit)) {
                    let attempt = format!("attempt-{}", course.attempt);
                    course.transfers = Some(Follower::start(&folder.join(unit).join(attempt)));
                }
                Some(format!("{unit}: network and services are up"))
            }
            Progress::NodeStarted { unit, node } => {
                let running = Running {
                    since: now,
                    place: Place::default(),
                    known: 0,
                };
                let course = self.units.get_mut(unit)?;
                course.running.insert(node.clone(), running);
                Some(format!("{unit} {node}: power on"))
            }
            Progress::NodeStopped { unit, node } => {
                let course = self.units.get_mut(unit)?;
                let line = course.ending(node, now)?;
                course.ended += 1;
                if course.ended >= course.unit.scenario.nodes.len() {
                    course.transfers = None;
                }
                Some(line)
            }
            Progress::Seen { unit, record } => {
                self.units.get_mut(unit)?.records.push(record.clone());
                None
            }
        }
    }

    /// Every node that runs, in the order of units and nodes.
    pub(super) fn running(&mut self, now: Instant) -> Vec<NodeStatus> {
        let courses = self.units.iter_mut();
        courses
            .flat_map(|(name, course)| course.running(name, now))
            .collect()
    }
}

impl UnitCourse {
    fn running(&mut self, unit: &str, now: Instant) -> Vec<NodeStatus> {
        let UnitCourse {
            unit: tried,
            records,
            running,
            transfers,
            ..
        } = self;
        let now_us = now_us();
        let status = |(name, node): (&String, &mut Running)| {
            if node.known != records.len() {
                node.known = records.len();
                node.place = place(tried, tried.scenario.node(name), records);
            }
            let known = tried.scenario.node(name);
            let loads = transfers
                .as_ref()
                .zip(known)
                .and_then(|(transfers, known)| transfers.under_way(&known.mac.to_string(), now_us));
            NodeStatus {
                loads,
                unit: unit.to_owned(),
                node: name.clone(),
                reached: node.place.reached,
                waits_for: node.place.waits_for.clone(),
                seconds: now.duration_since(node.since).as_secs(),
                deadline: tried.scenario.deadline.boot.as_secs(),
            }
        };
        running.iter_mut().map(status).collect()
    }

    /// The line for a node that was stopped: its verdict by what was seen, and how long it took. None for
    /// a node that never started.
    fn ending(&mut self, node: &str, now: Instant) -> Option<String> {
        let since = self.running.remove(node)?.since;
        let seconds = now.duration_since(since).as_secs();
        let scenario = &self.unit.scenario;
        let node = scenario.node(node)?;
        if scenario.services.dhcp == DhcpService::Dnsmasq {
            // Who has which address is known from the packets only, and those come with the table.
            return Some(format!(
                "{} {}: through after {seconds} s",
                self.unit.name(),
                node.name
            ));
        }
        let timeline = timeline::build(scenario, node, &self.records, &Wire::default(), None);
        let verdict = judge(scenario, node, self.unit.firmware, &timeline);
        let sentence = match verdict.sentence() {
            sentence if sentence.is_empty() => String::new(),
            sentence => format!(", {sentence}"),
        };
        let (unit, name, word) = (self.unit.name(), &node.name, verdict.word());
        Some(format!("{unit} {name}: {word} after {seconds} s{sentence}"))
    }
}

/// The last stage that is through, and what a verdict would miss first.
fn place(unit: &Unit, node: Option<&Node>, records: &[Record]) -> Place {
    let Some(node) = node else {
        return Place::default();
    };
    let timeline = timeline::build(&unit.scenario, node, records, &Wire::default(), None);
    let reached = timeline.reached();
    let waits_for = match judge(&unit.scenario, node, unit.firmware, &timeline) {
        NodeVerdict::Fail {
            stage, waited_for, ..
        } => Some(wait(reached, stage, waited_for)),
        _ => None,
    };
    Place {
        reached: reached.map(|stage| stage.name()),
        waits_for,
    }
}

/// Stages that follow when a machine is further than what is missed.
const LATE: [StageName; 9] = [
    StageName::Script,
    StageName::Kernel,
    StageName::Initrd,
    StageName::KernelUp,
    StageName::Ignition,
    StageName::UserlandUp,
    StageName::CloudConfig,
    StageName::ConfigApplied,
    StageName::Checks,
];

/// The wait to name behind the stage that is reached: what a verdict would miss first, unless the machine is further
/// already; evidence of earlier stages may still come, a transfer is told when it is over.
fn wait(reached: Option<StageName>, missed: StageName, waited_for: String) -> String {
    match reached {
        Some(reached) if missed <= reached => {
            let next = LATE.into_iter().find(|stage| *stage > reached);
            next.unwrap_or(missed).name().to_owned()
        }
        _ => waited_for,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_named_is_never_behind_the_stage_reached() {
        let wait = |reached, missed| wait(reached, missed, "the missing piece".into());
        let (kernel, config) = (StageName::Kernel, StageName::CloudConfig);
        assert_eq!(wait(Some(config), kernel), StageName::ConfigApplied.name());
        assert_eq!(wait(Some(kernel), config), "the missing piece");
        assert_eq!(wait(None, kernel), "the missing piece");
    }
}
