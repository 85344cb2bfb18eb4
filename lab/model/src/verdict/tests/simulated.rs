//! Simulated machines: servers may have done all of their part, and the machine's own report decides.

use super::*;
use crate::evidence::simulated::{Loaded, Report};
use crate::scenario::Machines;
use crate::verdict::unproven::{Unproven, unproven};

fn simulated() -> (Scenario, Node, Vec<Record>) {
    let mut scenario = scenario("ipxe-chainload");
    scenario.machines = Machines::Simulated;
    let node = scenario.node("node1").unwrap().clone();
    let records = evidence(&scenario, &node, Firmware::Bios);
    (scenario, node, records)
}

fn of_node(node: &Node, at_us: u64, seen: Observation) -> Record {
    Record {
        at_us,
        node: Some(node.name.clone()),
        seen,
    }
}

fn report() -> Observation {
    let loaded = |name: &str| Loaded {
        name: name.into(),
        bytes: 1,
        sha256: "00".repeat(32),
    };
    Observation::WouldStart(Report {
        kernel: loaded("kernel"),
        initrds: vec![loaded("initrd")],
        options: None,
    })
}

#[test]
fn judge_simulated_machine_with_its_own_report_passes() {
    let (scenario, node, mut records) = simulated();
    let last = records.last().unwrap().at_us;
    records.push(of_node(&node, last + 1, report()));
    let verdict = verdict(&scenario, &node, Firmware::Bios, &records);
    assert_eq!(verdict, NodeVerdict::Pass);
}

/// V8, second: nothing that the scenario expects would tell one node's config from another's.
#[test]
fn unproven_simulated_machine_of_which_no_config_is_expected_says_so() {
    let (mut scenario, mut node, mut records) = simulated();
    node.expect.cloud_config = None;
    node.expect.ignition = None;
    scenario.nodes[0] = node.clone();
    let last = records.last().unwrap().at_us;
    records.push(of_node(&node, last + 1, report()));
    let timeline = timeline(&scenario, &node, &records);
    let list = unproven(&scenario, &node, Firmware::Bios, &timeline);
    assert!(list.contains(&Unproven::NoConfig), "{list:?}");
}

#[test]
fn judge_simulated_machine_without_its_own_report_fails() {
    let (scenario, node, mut records) = simulated();
    let last = records.last().unwrap().at_us;
    let line = "No configuration methods succeeded (http://ipxe.org/040ee119): no offer";
    records.push(of_node(
        &node,
        last + 1,
        Observation::Console { line: line.into() },
    ));
    let NodeVerdict::Fail { stage, why, .. } = verdict(&scenario, &node, Firmware::Bios, &records)
    else {
        panic!("a pass without the machine's own report");
    };
    assert_eq!(stage, StageName::Initrd);
    assert_eq!(
        why,
        "its console ends with `No configuration methods succeeded (http://ipxe.org/040ee119): no offer`"
    );
}

#[test]
fn judge_report_of_another_machine_proves_nothing() {
    let (scenario, node, mut records) = simulated();
    let last = records.last().unwrap().at_us;
    let other = scenario.node("node2").unwrap();
    records.push(of_node(other, last + 1, report()));
    let verdict = verdict(&scenario, &node, Firmware::Bios, &records);
    assert!(matches!(verdict, NodeVerdict::Fail { .. }), "{verdict:?}");
}

#[test]
fn judge_console_line_like_the_report_proves_nothing() {
    let (scenario, node, mut records) = simulated();
    let last = records.last().unwrap().at_us;
    let Observation::WouldStart(report) = report() else {
        unreachable!()
    };
    let line = report.line();
    records.push(of_node(&node, last + 1, Observation::Console { line }));
    let verdict = verdict(&scenario, &node, Firmware::Bios, &records);
    assert!(matches!(verdict, NodeVerdict::Fail { .. }), "{verdict:?}");
}
