//! Stages as they come out of whole evidence.

use std::fmt::Write;

use super::Timeline;
use crate::evidence::packet::Wire;
use crate::evidence::{Observation, Record};
use crate::scenario::{Firmware, Node, Scenario};
use crate::verdict::fixture::{evidence, scenario};

fn build(scenario: &Scenario, node: &Node, records: &[Record]) -> Timeline {
    super::build(scenario, node, records, &Wire::default(), None)
}

/// The timeline in short.
fn shown(name: &str, node: &str, firmware: Firmware) -> String {
    let scenario = scenario(name);
    let node = scenario.node(node).unwrap();
    let timeline = build(&scenario, node, &evidence(&scenario, node, firmware));
    let zero = timeline.stages[0].start_us;
    let mut text = String::new();
    for stage in &timeline.stages {
        let end = stage.end_us.map(|end| (end - zero) / 1000);
        writeln!(
            text,
            "{} {} – {end:?} ms",
            stage.name,
            (stage.start_us - zero) / 1000
        )
        .unwrap();
        for stage_event in &stage.events {
            writeln!(text, "    {:?} {}", stage_event.outcome, stage_event.text).unwrap();
        }
    }
    text
}

#[test]
fn a_pxelinux_boot_has_its_stages_in_order() {
    insta::assert_snapshot!(shown("pxe-dhcp", "node1", Firmware::Bios));
}

#[test]
fn a_proxy_boot_has_its_stages_in_order() {
    insta::assert_snapshot!(shown("proxy-dhcp", "node2", Firmware::Uefi));
}

#[test]
fn a_pixiecore_boot_has_its_stages_in_order() {
    insta::assert_snapshot!(shown("pixiecore", "node1", Firmware::Uefi));
}

#[test]
fn the_order_of_the_records_does_not_matter() {
    let scenario = scenario("proxy-dhcp");
    let node = &scenario.nodes[0];
    let mut records = evidence(&scenario, node, Firmware::Bios);
    let in_order = build(&scenario, node, &records);
    records.reverse();
    assert_eq!(build(&scenario, node, &records), in_order);
}

#[test]
fn the_console_is_kept_to_its_last_lines_and_its_troubles() {
    let scenario = scenario("pxe-dhcp");
    let node = &scenario.nodes[0];
    let mut records = Vec::new();
    for at_us in 0..100 {
        let line = match at_us {
            2 => "[    0.000000] Linux version 6.1".into(),
            3 => "Kernel panic - not syncing".into(),
            _ => format!("line {at_us}"),
        };
        records.push(Record {
            at_us,
            node: Some("node1".into()),
            seen: Observation::Console { line },
        });
        let line = "a line of another machine".into();
        records.push(Record {
            at_us,
            node: Some("node2".into()),
            seen: Observation::Console { line },
        });
    }
    let timeline = build(&scenario, node, &records);
    assert_eq!(timeline.trouble, ["Kernel panic - not syncing"]);
    assert_eq!(timeline.last_console.len(), 20);
    assert_eq!(timeline.last_console.last().unwrap(), "line 99");
}

#[test]
fn only_the_kernel_s_own_lines_tell_that_it_is_up() {
    let scenario = scenario("pxe-dhcp");
    let node = &scenario.nodes[0];
    let up = |line: &str| {
        let seen = Observation::Console { line: line.into() };
        let records = [Record {
            at_us: 1,
            node: Some("node1".into()),
            seen,
        }];
        build(&scenario, node, &records)
            .stage(super::StageName::KernelUp)
            .is_some()
    };
    for line in [
        "[    0.000000] Linux version 6.1",
        "Linux version 6.1.0",
        "[   12.345678] random: ok",
    ] {
        assert!(up(line), "{line}");
    }
    for line in [
        "Loading coreos_production_pxe.vmlinuz... ok",
        "[  OK  ] Started x",
        "[1.2] x",
        "[ x.000000] y",
    ] {
        assert!(!up(line), "{line}");
    }
}
