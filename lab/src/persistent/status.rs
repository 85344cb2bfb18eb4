//! Boot stage of each machine of a persistent lab since it was last switched on. Pure, except for reading files.

use std::path::Path;

use lab_model::evidence::packet::Wire;
use lab_model::evidence::saved::{self, AFTERWARDS_FILE, RECORDS_FILE, SavedError};
use lab_model::evidence::{Observation, Record};
use lab_model::scenario::{Node, Scenario};
use lab_model::timeline::{self, StageName};

use crate::persistent::PersistentLab;

/// Status of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStatus {
    pub name: String,
    /// True if the machine is switched on.
    pub is_on: bool,
    /// Last completed stage and its time, in microseconds since the Unix epoch.
    pub reached: Option<(StageName, u64)>,
    /// Time of the last power-on or reset, in microseconds since the Unix epoch.
    pub on_since_us: Option<u64>,
    /// Last problem line on the console.
    pub trouble: Option<String>,
}

/// Returns the status of each machine, in the order of the lab.
///
/// # Errors
/// [`SavedError`] if the evidence cannot be read.
pub fn status(lab: &PersistentLab) -> Result<Vec<NodeStatus>, SavedError> {
    let scenario = scenario(lab)?;
    let records = records(&lab.artifacts)?;
    Ok(of(&scenario, &records))
}

/// Returns the scenario, including machines added later.
fn scenario(lab: &PersistentLab) -> Result<Scenario, SavedError> {
    let mut scenario = saved::scenario(&lab.artifacts)?;
    for node in &lab.nodes {
        let known = scenario.node(&node.name).is_some();
        if let (false, Ok(uuid), Ok(mac)) = (known, node.uuid.parse(), node.mac.parse()) {
            let memory_mib = scenario.nodes.first().map_or(0, |first| first.memory_mib);
            let stranger = Node::stranger(&node.name, uuid, mac, memory_mib);
            scenario.nodes.push(stranger);
        }
    }
    Ok(scenario)
}

/// Returns all records of the lab, those of the initial attempt first.
///
/// # Errors
/// [`SavedError`] if a file cannot be read.
pub fn records(artifacts: &Path) -> Result<Vec<Record>, SavedError> {
    let mut records = saved::records(&artifacts.join(RECORDS_FILE))?;
    records.extend(saved::records(&artifacts.join(AFTERWARDS_FILE))?);
    Ok(records)
}

/// Returns the status of each machine of the scenario.
#[must_use]
pub fn of(scenario: &Scenario, records: &[Record]) -> Vec<NodeStatus> {
    let nodes = scenario.nodes.iter();
    nodes.map(|node| of_node(scenario, node, records)).collect()
}

fn of_node(scenario: &Scenario, node: &Node, records: &[Record]) -> NodeStatus {
    let own = || {
        let is_own = |record: &&Record| record.node.as_deref() == Some(&node.name);
        records.iter().filter(is_own)
    };
    let switched = own().rev().find_map(|record| match &record.seen {
        Observation::PowerOn => Some(true),
        Observation::PowerOff { .. } => Some(false),
        Observation::Lifecycle { event, .. } if event == "stopped" => Some(false),
        _ => None,
    });
    let is_power_on = |record: &&Record| record.seen == Observation::PowerOn;
    let on_since_us = own().rev().find(is_power_on).map(|record| record.at_us);
    let since: Vec<Record> = records
        .iter()
        .filter(|record| on_since_us.is_some_and(|on_us| record.at_us >= on_us))
        .cloned()
        .collect();
    let timeline = timeline::build(scenario, node, &since, &Wire::default(), None);
    let through = timeline.stages.iter().rev();
    NodeStatus {
        name: node.name.clone(),
        is_on: switched.unwrap_or(false),
        reached: through
            .filter_map(|stage| Some((stage.name, stage.end_us?)))
            .next(),
        on_since_us,
        trouble: timeline.trouble.last().cloned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab_model::scenario::DataCheck;

    fn scenario() -> Scenario {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/ipxe-chainload");
        Scenario::load_with(&folder, DataCheck::Skip).unwrap()
    }

    fn record(at_us: u64, node: &str, seen: Observation) -> Record {
        Record {
            at_us,
            node: Some(node.into()),
            seen,
        }
    }

    fn shown(line: &str) -> Observation {
        Observation::Console { line: line.into() }
    }

    #[test]
    fn what_was_seen_before_the_last_power_on_does_not_count() {
        let scenario = scenario();
        let login = "ipxe-chainload-one login: core (automatic login)";
        let first = vec![
            record(10, "node1", Observation::PowerOn),
            record(20, "node1", shown(login)),
        ];
        let before = &of(&scenario, &first)[0];
        assert!(before.is_on);
        assert_eq!(before.reached, Some((StageName::UserlandUp, 20)));
        let reset = [first, vec![record(30, "node1", Observation::PowerOn)]].concat();
        let after = &of(&scenario, &reset)[0];
        assert_eq!(after.reached, Some((StageName::PowerOn, 30)));
        assert_eq!(after.on_since_us, Some(30));
    }

    #[test]
    fn a_machine_that_stopped_is_off_until_it_is_switched_on() {
        let scenario = scenario();
        let stopped = Observation::Lifecycle {
            event: "stopped".into(),
            detail: "destroyed".into(),
        };
        let off = [
            record(10, "node1", Observation::PowerOn),
            record(20, "node1", stopped),
        ];
        assert!(!of(&scenario, &off)[0].is_on);
        let on = [&off[..], &[record(30, "node1", Observation::PowerOn)]].concat();
        assert!(of(&scenario, &on)[0].is_on);
        // Another machine's power is not its own.
        assert!(!of(&scenario, &on)[1].is_on);
    }
}
