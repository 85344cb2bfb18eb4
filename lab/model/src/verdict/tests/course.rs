//! Events around the requests: loops, checks, services that end, interrupts, explanations.

use std::collections::BTreeMap;

use boot_server_events::{BootEvent, Who};

use super::*;
use crate::diagnosis::explain;
use crate::evidence::GaveUp;
use crate::evidence::beside::Beside;
use crate::evidence::saved::Attempt;

#[test]
fn a_boot_server_that_ended_is_named_in_the_reason() {
    let (stage, why) = spoiled("pxe-dhcp", Firmware::Bios, "node1", |records| {
        records.truncate(2);
        let (service, detail) = ("server".into(), "exit status 1: no address".into());
        let at_us = records[0].at_us;
        records.push(Record {
            at_us,
            node: None,
            seen: Observation::ServiceEnded { service, detail },
        });
    });
    assert_eq!(stage, StageName::Dhcp);
    assert_eq!(
        why,
        "the last observation was: discover on port 67, architecture [0]; server ended by itself: exit status 1: no address"
    );
}

#[test]
fn a_libvirtd_that_ended_is_nobodys_failure_but_ours() {
    let scenario = scenario("pxe-dhcp");
    let node = &scenario.nodes[0];
    let mut records = evidence(&scenario, node, Firmware::Bios);
    records.truncate(4);
    let (service, detail) = ("libvirtd".into(), "killed by signal 9".into());
    records.push(Record {
        at_us: 0,
        node: None,
        seen: Observation::ServiceEnded { service, detail },
    });
    let result = verdict(&scenario, node, Firmware::Bios, &records);
    let why = "libvirtd ended by itself: killed by signal 9".to_owned();
    assert_eq!(result, NodeVerdict::Infra { why });
}

#[test]
fn a_boot_program_loaded_again_and_again_is_a_loop() {
    for times in 1..6 {
        let scenario = scenario("ipxe-chainload");
        let node = &scenario.nodes[0];
        let mut records = evidence(&scenario, node, Firmware::Bios);
        let index = records
            .iter_mut()
            .position(|r| matches!(event(r), Some(BootEvent::TftpDone { .. })))
            .unwrap();
        for _ in 1..times {
            records.insert(index, records[index].clone());
        }
        match verdict(&scenario, node, Firmware::Bios, &records) {
            NodeVerdict::Pass => assert!(times <= 3, "{times} loads pass"),
            NodeVerdict::Fail { stage, why, .. } => {
                assert!(times > 3, "{times} loads fail: {why}");
                assert_eq!(stage, StageName::Nbp);
                assert_eq!(
                    why,
                    format!("undionly.kpxe was loaded {times} times: the boot chain is a loop")
                );
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn modules_of_pxelinux_and_an_aborted_size_probe_are_no_boot_programs() {
    let scenario = scenario("pxe-dhcp");
    let node = &scenario.nodes[0];
    let mut records = evidence(&scenario, node, Firmware::Bios);
    let template = records
        .iter()
        .find(|r| matches!(&r.seen, Observation::Server { .. }))
        .unwrap()
        .clone();
    let who = Who {
        mac: Some(node.mac.into()),
        ..Who::default()
    };
    let mut add = |what: BootEvent| {
        let mut record = template.clone();
        *event(&mut record).unwrap() = what;
        records.push(record);
    };
    for _ in 0..5 {
        add(tftp(&who, "ldlinux.c32", None));
        add(BootEvent::TftpFailed {
            who: who.clone(),
            file: "pxelinux.0".into(),
            reason: "the client broke off: error 8 User aborted the transfer".into(),
        });
    }
    assert_eq!(
        verdict(&scenario, node, Firmware::Bios, &records),
        NodeVerdict::Pass
    );
}

#[test]
fn every_check_that_does_not_hold_or_was_made_against_something_else_fails_the_checks() {
    let scenario = scenario("pxe-dhcp");
    let node = &scenario.nodes[0];
    for check in checks(node) {
        for against_something_else in [false, true] {
            let (stage, why) = spoiled("pxe-dhcp", Firmware::Bios, "node1", |records| {
                for record in records {
                    if let Observation::Check {
                        check: name,
                        found,
                        holds,
                        expected,
                    } = &mut record.seen
                        && *name == check.name
                    {
                        if against_something_else {
                            *expected = "something else".into();
                        } else {
                            *holds = false;
                            *found = "0644 or so".into();
                        }
                    }
                }
            });
            assert_eq!(stage, StageName::Checks);
            assert!(why.starts_with(&check.name), "{why}");
        }
    }
}

#[test]
fn the_last_answer_to_a_check_counts() {
    let scenario = scenario("pxe-dhcp");
    let node = &scenario.nodes[0];
    let mut records = evidence(&scenario, node, Firmware::Bios);
    let index = records
        .iter()
        .position(|r| matches!(r.seen, Observation::Check { .. }))
        .unwrap();
    let mut early = records[index].clone();
    if let Observation::Check { holds, .. } = &mut early.seen {
        *holds = false;
    }
    records.insert(index, early.clone());
    assert_eq!(
        verdict(&scenario, node, Firmware::Bios, &records),
        NodeVerdict::Pass
    );
    early.at_us = u64::MAX;
    records.push(early);
    let result = verdict(&scenario, node, Firmware::Bios, &records);
    assert!(
        matches!(
            result,
            NodeVerdict::Fail {
                stage: StageName::Checks,
                ..
            }
        ),
        "{result:?}"
    );
}

#[test]
fn an_interrupted_node_fails_nobody_and_passes_only_when_all_was_seen() {
    let scenario = scenario("proxy-dhcp");
    let node = &scenario.nodes[0];
    let mut records = evidence(&scenario, node, Firmware::Bios);
    let reason = GaveUp::Interrupted;
    let end = Record {
        at_us: u64::MAX,
        node: Some(node.name.clone()),
        seen: Observation::GaveUp { reason },
    };
    records.push(end.clone());
    assert_eq!(
        verdict(&scenario, node, Firmware::Bios, &records),
        NodeVerdict::Pass
    );
    records.truncate(3);
    records.push(end.clone());
    assert_eq!(
        verdict(&scenario, node, Firmware::Bios, &records),
        NodeVerdict::Interrupted
    );
    assert_eq!(
        verdict(&scenario, node, Firmware::Bios, &[end]),
        NodeVerdict::Interrupted
    );
}

#[test]
fn a_pixiecore_of_the_users_own_is_judged_by_the_api_and_what_came_up() {
    let mut scenario = scenario("pixiecore");
    scenario.services.pixiecore = PixiecoreService::Command(vec!["pixiecore".into()]);
    let node = scenario.nodes[0].clone();
    let own = super::fixture::scenario("pixiecore");
    let mut records = evidence(&own, &node, Firmware::Uefi);
    records.retain_mut(|record| match event(record) {
        Some(BootEvent::HttpRequest { path, .. }) => !path.starts_with("/_/"),
        Some(_) => false,
        None => true,
    });
    assert_eq!(
        verdict(&scenario, &node, Firmware::Uefi, &records),
        NodeVerdict::Pass
    );
    records.retain_mut(|record| {
        !matches!(event(record), Some(BootEvent::HttpRequest { path, .. }) if path.starts_with("/pixiecore/"))
    });
    let result = verdict(&scenario, &node, Firmware::Uefi, &records);
    assert!(
        matches!(
            result,
            NodeVerdict::Fail {
                stage: StageName::Script,
                ..
            }
        ),
        "{result:?}"
    );
}

#[test]
fn an_explanation_names_stage_reason_console_and_what_to_do_next() {
    let scenario = scenario("ipxe-chainload");
    let node = scenario.node("node1").unwrap();
    let mut records = evidence(&scenario, node, Firmware::Bios);
    let kernel = format!("/assets/coreos/current/{}", Image::KERNEL);
    answers(&mut records, &kernel, |status, _, detail| {
        *status = 404;
        *detail = "no such asset".into();
    });
    let cut = records
        .iter_mut()
        .position(
            |r| matches!(event(r), Some(BootEvent::HttpRequest { path, .. }) if *path == kernel),
        )
        .unwrap();
    records.truncate(cut + 1);
    let at_us = records[cut].at_us + 1_000_000;
    for line in [
        "http://192.168.92.1:8080/… No such file or directory (https://ipxe.org/2d0c618e)",
        "Could not boot image",
    ] {
        let seen = Observation::Console { line: line.into() };
        records.push(Record {
            at_us,
            node: Some("node1".into()),
            seen,
        });
    }
    let attempt = Attempt {
        scenario: scenario.clone(),
        firmware: Firmware::Bios,
        records,
        wire: Wire::default(),
        ports: BTreeMap::new(),
        node_seconds: BTreeMap::from([("node1".into(), 20.0)]),
        broken: None,
        interrupted: false,
        beside: Beside::default(),
    };
    insta::assert_snapshot!(explain(&attempt, node).text);
}
