//! Progress of every unit and node of a running run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use boot_server_events::now_us;
use lab_model::evidence::Record;
use lab_model::evidence::packet::Wire;
use lab_model::results::{Progress, Unit};
use lab_model::scenario::{DhcpService, Node};
use lab_model::timeline::{self, StageName};
use lab_model::verdict::{NodeVerdict, judge};

use super::status::NodeStatus;
use super::transfers::Follower;

/// Progress of all units.
#[derive(Debug)]
pub(super) struct RunProgress {
    started: Instant,
    /// Folder of the run, if transfers are shown.
    folder: Option<PathBuf>,
    units: BTreeMap<String, UnitProgress>,
}

/// Progress of one unit.
#[derive(Debug)]
struct UnitProgress {
    unit: Unit,
    /// Records of the current attempt.
    records: Vec<Record>,
    running: BTreeMap<String, Running>,
    /// Number of the current attempt, and number of nodes finished in it.
    attempt: u32,
    ended: usize,
    /// Transfers, while the network is up and transfers are shown.
    transfers: Option<Follower>,
}

/// Running node.
#[derive(Debug)]
struct Running {
    since: Instant,
    /// Cached position in the boot, and the number of records it is based on.
    place: Place,
    known: usize,
}

/// Position of a node in its boot.
#[derive(Debug, Clone, Default)]
struct Place {
    reached: Option<&'static str>,
    waits_for: Option<String>,
}

impl RunProgress {
    pub(super) fn new(units: &[Unit], folder: Option<PathBuf>) -> RunProgress {
        let course = |unit: &Unit| UnitProgress {
            unit: unit.clone(),
            records: Vec::new(),
            running: BTreeMap::new(),
            attempt: 1,
            ended: 0,
            transfers: None,
        };
        RunProgress {
            started: Instant::now(),
            folder,
            units: units
                .iter()
                .map(|unit| (unit.name(), course(unit)))
                .collect(),
        }
    }

    /// Returns the start time of the run.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// Returns the number of finished nodes and of all nodes.
    pub(super) fn nodes(&self) -> (usize, usize) {
        let all = self.units.values().map(|one| one.unit.scenario.nodes.len());
        let ended = self.units.values().map(|one| one.ended);
        (ended.sum(), all.sum())
    }

    /// Processes a progress event; returns a permanent line of output, if any.
    pub(super) fn take(&mut self, progress: &Progress, now: Instant) -> Option<String> {
        match progress {
            Progress::AttemptStarted { unit, attempt } => {
                if let Some(course) = self.units.get_mut(unit) {
                    // Each attempt has its own evidence.
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
            Progress::Observation { unit, record } => {
                self.units.get_mut(unit)?.records.push(record.clone());
                None
            }
        }
    }

    /// Returns the status of every running node, in the order of units and nodes.
    pub(super) fn running(&mut self, now: Instant) -> Vec<NodeStatus> {
        let courses = self.units.iter_mut();
        courses
            .flat_map(|(name, course)| course.running(name, now))
            .collect()
    }
}

impl UnitProgress {
    fn running(&mut self, unit: &str, now: Instant) -> Vec<NodeStatus> {
        let UnitProgress {
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

    /// Returns the line for a stopped node: its verdict and duration; `None` if the node never started.
    fn ending(&mut self, node: &str, now: Instant) -> Option<String> {
        let since = self.running.remove(node)?.since;
        let seconds = now.duration_since(since).as_secs();
        let scenario = &self.unit.scenario;
        let node = scenario.node(node)?;
        if scenario.services.dhcp == DhcpService::Dnsmasq || !scenario.has_own_config() {
            // Addresses are known only from packets, which are judged later with the table.
            return Some(format!(
                "{} {}: finished after {seconds} s",
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

/// Returns the last completed stage, and the first requirement that a verdict would miss.
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

/// Stages that come after the missed requirement if a machine is ahead of its evidence.
const LATE: [StageName; 10] = [
    StageName::Script,
    StageName::Kernel,
    StageName::Initrd,
    StageName::KernelUp,
    StageName::Ignition,
    StageName::Generic,
    StageName::UserlandUp,
    StageName::CloudConfig,
    StageName::ConfigApplied,
    StageName::Checks,
];

/// Names the requirement that a verdict would miss first, unless the machine is already ahead of it: evidence of
/// earlier stages may come late, because a transfer is reported at its end.
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
