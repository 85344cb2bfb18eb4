//! Every requirement can turn red: the evidence of a passing machine, spoiled in one place, fails at
//! the stage where it was spoiled.

mod answers;
mod course;
mod https;
mod mutations;
mod plain;
mod ports;
mod proofs;
mod rows;
mod simulated;

use std::path::Path;

use boot_server_events::{BootEvent, Served};

use super::checks::checks;
use super::fixture::{SCENARIOS, address, evidence, http, scenario, tftp};
use super::*;
use crate::evidence::packet::Wire;
use crate::evidence::{Observation, Record};
use crate::scenario::{DataCheck, Firmware, Image, Node, PixiecoreService, Scenario, load_all};
use crate::timeline::Timeline;

/// The timeline by records alone.
fn timeline(scenario: &Scenario, node: &Node, records: &[Record]) -> Timeline {
    crate::timeline::build(scenario, node, records, &Wire::default(), None)
}

fn verdict(
    scenario: &Scenario,
    node: &Node,
    firmware: Firmware,
    records: &[Record],
) -> NodeVerdict {
    judge(scenario, node, firmware, &timeline(scenario, node, records))
}

/// Every bundled scenario on each of its firmwares, and every rehearsal of an example (written by a test of the lab),
/// with each of its nodes.
fn everything() -> Vec<(Scenario, Node, Firmware)> {
    let mut all = Vec::new();
    for name in SCENARIOS {
        let scenario = scenario(name);
        for firmware in scenario.firmware.clone() {
            for node in &scenario.nodes {
                all.push((scenario.clone(), node.clone(), firmware));
            }
        }
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rehearsed");
    let rehearsed = load_all(&folder, DataCheck::Skip).unwrap();
    assert!(rehearsed.len() >= 9);
    for scenario in rehearsed {
        let firmware = scenario.firmware[0];
        for node in scenario.nodes.clone() {
            all.push((scenario.clone(), node, firmware));
        }
    }
    all
}

fn event(record: &mut Record) -> Option<&mut BootEvent> {
    match &mut record.seen {
        Observation::Server { entry, .. } => Some(&mut entry.what),
        _ => None,
    }
}

/// The failed stage and the reason of the first node of a scenario after `spoil`.
fn spoiled(
    name: &str,
    firmware: Firmware,
    node: &str,
    spoil: impl FnOnce(&mut Vec<Record>),
) -> (StageName, String) {
    let scenario = scenario(name);
    let node = scenario.node(node).unwrap();
    let mut records = evidence(&scenario, node, firmware);
    assert_eq!(
        verdict(&scenario, node, firmware, &records),
        NodeVerdict::Pass,
        "before"
    );
    spoil(&mut records);
    match verdict(&scenario, node, firmware, &records) {
        NodeVerdict::Fail {
            stage,
            why,
            missing,
            ..
        } => {
            assert!(!missing.is_empty());
            (stage, why)
        }
        other => panic!("{name}@{firmware}/{}: {other:?}", node.name),
    }
}

/// Changes the HTTP requests to `path`.
fn answers(
    records: &mut [Record],
    path: &str,
    change: impl Fn(&mut u16, &mut Option<String>, &mut Served),
) {
    let mut changed = 0;
    for event in records.iter_mut().filter_map(event) {
        if let BootEvent::HttpRequest {
            path: found,
            status,
            group,
            detail,
            ..
        } = event
            && found == path
        {
            change(status, group, detail);
            changed += 1;
        }
    }
    assert!(changed > 0, "no request to {path}");
}
