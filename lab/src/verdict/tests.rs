//! Every requirement can turn red: the evidence of a passing machine, spoiled in one place, fails at
//! the stage where it was spoiled.

use std::path::Path;

use boot_server::event::{BootEvent, Who};

use super::checks::checks;
use super::fixture::{address, evidence, http, scenario, tftp};
use super::*;
use crate::evidence::{Record, Seen};
use crate::scenario::{Firmware, Image, Node, PixiecoreService, Scenario};
use crate::timeline;

fn verdict(
    scenario: &Scenario,
    node: &Node,
    firmware: Firmware,
    records: &[Record],
) -> NodeVerdict {
    judge(
        scenario,
        node,
        firmware,
        &timeline::build(scenario, node, records),
    )
}

/// Every bundled scenario on each of its firmwares, with each of its nodes.
fn everything() -> Vec<(Scenario, Node, Firmware)> {
    let mut all = Vec::new();
    for name in ["pxe-dhcp", "proxy-dhcp", "ipxe-chainload", "pixiecore"] {
        let scenario = scenario(name);
        for firmware in scenario.firmware.clone() {
            for node in &scenario.nodes {
                all.push((scenario.clone(), node.clone(), firmware));
            }
        }
    }
    all
}

fn event(record: &mut Record) -> Option<&mut BootEvent> {
    match &mut record.seen {
        Seen::Server { entry, .. } => Some(&mut entry.what),
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
    change: impl Fn(&mut u16, &mut Option<String>, &mut String),
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

#[test]
fn the_whole_evidence_passes_on_every_scenario_and_firmware() {
    for (scenario, node, firmware) in everything() {
        let records = evidence(&scenario, &node, firmware);
        let name = format!("{}@{firmware}/{}", scenario.name, node.name);
        assert_eq!(
            verdict(&scenario, &node, firmware, &records),
            NodeVerdict::Pass,
            "{name}"
        );
    }
}

/// The stage at which the lack of a record must show; none where the record proves nothing.
fn stage_of(record: &Record, scenario: &Scenario) -> Option<StageName> {
    let own_dhcp = scenario.services.dhcp == crate::scenario::DhcpService::BootServer;
    match &record.seen {
        Seen::PowerOn => Some(StageName::PowerOn),
        Seen::Console { .. } => Some(StageName::KernelUp),
        Seen::ShellReady => Some(StageName::UserlandUp),
        Seen::Check { .. } => Some(StageName::Checks),
        Seen::Server { entry, .. } => match &entry.what {
            BootEvent::DhcpReply { message, .. } if own_dhcp => {
                (message == "ack").then_some(StageName::Dhcp)
            }
            BootEvent::DhcpReply { .. } => Some(StageName::Proxy),
            BootEvent::TftpDone { file, .. } if file.starts_with("pxelinux.cfg/") => {
                Some(StageName::Script)
            }
            BootEvent::TftpDone { file, .. } if file.ends_with(Image::KERNEL) => {
                Some(StageName::Kernel)
            }
            BootEvent::TftpDone { file, .. } if file.ends_with(Image::INITRD) => {
                Some(StageName::Initrd)
            }
            BootEvent::TftpDone { .. } => Some(StageName::Nbp),
            BootEvent::HttpRequest { path, query, .. } => match path.as_str() {
                "/boot.ipxe" => None,
                "/cloud" => Some(StageName::CloudConfig),
                "/ignition" => Some(StageName::Ignition),
                "/_/file" if query.contains("type=kernel") => Some(StageName::Kernel),
                "/_/file" => Some(StageName::Initrd),
                path if path.ends_with(Image::KERNEL) => Some(StageName::Kernel),
                path if path.ends_with(Image::INITRD) => Some(StageName::Initrd),
                _ => Some(StageName::Script),
            },
            _ => None,
        },
        _ => None,
    }
}

#[test]
fn the_lack_of_any_single_proof_fails_at_its_stage() {
    let mut proofs = 0;
    for (scenario, node, firmware) in everything() {
        let whole = evidence(&scenario, &node, firmware);
        for (index, record) in whole.iter().enumerate() {
            let Some(stage) = stage_of(record, &scenario) else {
                continue;
            };
            let mut records = whole.clone();
            records.remove(index);
            let name = format!(
                "{}@{firmware}/{} without {record:?}",
                scenario.name, node.name
            );
            match verdict(&scenario, &node, firmware, &records) {
                NodeVerdict::Infra { .. } if stage == StageName::PowerOn => {}
                NodeVerdict::Fail { stage: failed, .. } => assert_eq!(failed, stage, "{name}"),
                other => panic!("{name}: {other:?}"),
            }
            proofs += 1;
        }
    }
    assert!(proofs > 200, "only {proofs} proofs were taken away");
}

#[test]
fn evidence_of_another_machine_proves_nothing() {
    for (scenario, node, firmware) in everything() {
        let other = scenario
            .nodes
            .iter()
            .find(|other| other.name != node.name)
            .unwrap();
        let records = evidence(&scenario, other, firmware);
        let result = verdict(&scenario, &node, firmware, &records);
        assert!(matches!(result, NodeVerdict::Infra { .. }), "{result:?}");
        let mut records = records;
        for record in &mut records {
            if record.node.is_some() {
                record.node = Some(node.name.clone());
            }
        }
        let result = verdict(&scenario, &node, firmware, &records);
        assert!(
            matches!(result, NodeVerdict::Fail { .. }),
            "{}: {result:?}",
            scenario.name
        );
    }
}

#[test]
fn a_kernel_that_is_not_there_fails_the_kernel_stage() {
    let (stage, why) = spoiled("ipxe-chainload", Firmware::Bios, "node1", |records| {
        let path = format!("/assets/coreos/current/{}", Image::KERNEL);
        answers(records, &path, |status, _, detail| {
            *status = 404;
            *detail = "no such asset".into();
        });
    });
    assert_eq!(stage, StageName::Kernel);
    assert!(why.contains("404 no such asset"), "{why}");
}

#[test]
fn a_kernel_of_another_name_that_is_not_there_fails_the_kernel_stage() {
    let (stage, why) = spoiled("pxe-dhcp", Firmware::Bios, "node2", |records| {
        for event in records.iter_mut().filter_map(event) {
            if let BootEvent::TftpDone { who, file, .. } = event
                && file.ends_with(Image::KERNEL)
            {
                *event = BootEvent::TftpFailed {
                    who: who.clone(),
                    file: "assets/coreos/other/vmlinuz".into(),
                    reason: "file not found".into(),
                };
            }
        }
    });
    assert_eq!(
        (stage, why.as_str()),
        (
            StageName::Kernel,
            "TFTP: assets/coreos/other/vmlinuz: file not found"
        )
    );
}

#[test]
fn a_kernel_that_broke_off_fails_the_kernel_stage() {
    let (stage, why) = spoiled("proxy-dhcp", Firmware::Uefi, "node1", |records| {
        for event in records.iter_mut().filter_map(event) {
            if let BootEvent::HttpRequest { path, bytes, .. } = event
                && path.ends_with(Image::KERNEL)
            {
                *bytes = 60;
            }
        }
    });
    assert_eq!(stage, StageName::Kernel);
    assert!(why.contains("broke off at 60 of 100 bytes"), "{why}");
}

#[test]
fn a_cloud_config_that_is_not_there_fails_the_cloud_config_stage_even_without_a_login() {
    for with_login in [true, false] {
        let (stage, why) = spoiled("pixiecore", Firmware::Uefi, "node3", |records| {
            answers(records, "/cloud", |status, group, detail| {
                *status = 404;
                *group = None;
                *detail = "no file default.yaml".into();
            });
            records.retain(|record| with_login || record.seen != Seen::ShellReady);
        });
        assert_eq!(stage, StageName::CloudConfig);
        assert!(why.contains("404 no file default.yaml"), "{why}");
    }
}

#[test]
fn a_config_of_another_group_fails_where_it_was_first_served() {
    let (stage, why) = spoiled("ipxe-chainload", Firmware::Uefi, "node1", |records| {
        for path in ["/ipxe", "/cloud", "/ignition"] {
            answers(records, path, |_, group, _| *group = Some("default".into()));
        }
    });
    assert_eq!(stage, StageName::Script);
    assert!(
        why.starts_with("group default answered instead of node1"),
        "{why}"
    );
}

#[test]
fn pxelinux_that_finds_only_the_default_fails_the_script_stage() {
    let (stage, why) = spoiled("pxe-dhcp", Firmware::Bios, "node1", |records| {
        for event in records.iter_mut().filter_map(event) {
            if let BootEvent::TftpDone { file, group, .. } = event
                && file.starts_with("pxelinux.cfg/")
            {
                *file = "pxelinux.cfg/default".into();
                *group = Some("default".into());
            }
        }
    });
    assert_eq!(stage, StageName::Script);
    assert!(why.contains("instead: TFTP: pxelinux.cfg/default"), "{why}");
}

#[test]
fn another_file_than_the_expected_fails_its_stage() {
    for (path, expected) in [
        ("/cloud", StageName::CloudConfig),
        ("/ignition", StageName::Ignition),
    ] {
        let (stage, why) = spoiled("pxe-dhcp", Firmware::Bios, "node1", |records| {
            answers(records, path, |_, _, detail| {
                *detail = "other-node1.yaml".into()
            });
        });
        assert_eq!(stage, expected);
        assert!(
            why.starts_with("other-node1.yaml was served instead of node1."),
            "{why}"
        );
    }
}

#[test]
fn a_machine_that_asks_in_anothers_name_fails_and_proves_nothing_for_the_other() {
    let scenario = scenario("ipxe-chainload");
    let (one, two) = (
        scenario.node("node1").unwrap(),
        scenario.node("node2").unwrap(),
    );
    let mut records = evidence(&scenario, one, Firmware::Bios);
    for event in records.iter_mut().filter_map(event) {
        if let BootEvent::HttpRequest {
            who,
            path,
            group,
            detail,
            ..
        } = event
            && path == "/cloud"
        {
            who.mac = Some(two.mac.to_string());
            who.uuid = Some(two.uuid.to_string());
            *group = Some("node2".into());
            *detail = "node2.yaml".into();
        }
    }
    match verdict(&scenario, one, Firmware::Bios, &records) {
        NodeVerdict::Fail { stage, why, .. } => {
            assert_eq!(stage, StageName::CloudConfig);
            assert!(why.starts_with("asked in the name of node2"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    let of_two = timeline::build(&scenario, two, &records);
    assert!(of_two.stage(StageName::CloudConfig).is_none(), "{of_two:?}");
}

#[test]
fn silence_after_power_on_fails_at_the_first_stage_of_ours() {
    for (name, expected) in [
        ("pxe-dhcp", StageName::Dhcp),
        ("proxy-dhcp", StageName::Proxy),
        ("ipxe-chainload", StageName::Dhcp),
        ("pixiecore", StageName::Proxy),
    ] {
        let (stage, why) = spoiled(name, Firmware::Bios, "node1", |records| {
            records.truncate(1);
            let reason = "the deadline of 300 s came first".into();
            let at_us = records[0].at_us + 300_000_000;
            let node = Some("node1".into());
            records.push(Record {
                at_us,
                node,
                seen: Seen::GaveUp { reason },
            });
        });
        assert_eq!(stage, expected);
        assert_eq!(
            why,
            "nothing of it was seen; the lab stopped waiting: the deadline of 300 s came first"
        );
    }
}

#[test]
fn a_discover_that_nobody_answers_fails_the_dhcp_stage() {
    let (stage, why) = spoiled("pxe-dhcp", Firmware::Bios, "node1", |records| {
        records.truncate(2)
    });
    assert_eq!(stage, StageName::Dhcp);
    assert!(
        why.starts_with("it got no further than this: discover on port 67"),
        "{why}"
    );
}

#[test]
fn a_boot_server_that_ended_is_named_in_the_reason() {
    let (stage, why) = spoiled("pxe-dhcp", Firmware::Bios, "node1", |records| {
        records.truncate(2);
        let (service, detail) = ("server".into(), "exit status 1: no address".into());
        let at_us = records[0].at_us;
        records.push(Record {
            at_us,
            node: None,
            seen: Seen::ServiceEnded { service, detail },
        });
    });
    assert_eq!(stage, StageName::Dhcp);
    assert!(
        why.contains("server ended by itself: exit status 1"),
        "{why}"
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
        seen: Seen::ServiceEnded { service, detail },
    });
    let result = verdict(&scenario, node, Firmware::Bios, &records);
    assert!(
        matches!(&result, NodeVerdict::Infra { why } if why.contains("signal 9")),
        "{result:?}"
    );
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
        .find(|r| matches!(&r.seen, Seen::Server { .. }))
        .unwrap()
        .clone();
    let who = Who {
        mac: Some(node.mac.to_string()),
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
            reason: "aborted by the client".into(),
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
                    if let Seen::Check {
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
        .position(|r| matches!(r.seen, Seen::Check { .. }))
        .unwrap();
    let mut early = records[index].clone();
    if let Seen::Check { holds, .. } = &mut early.seen {
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
    let reason = INTERRUPTED.to_owned();
    let end = Record {
        at_us: u64::MAX,
        node: Some(node.name.clone()),
        seen: Seen::GaveUp { reason },
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
fn a_verdict_and_a_timeline_read_back_as_themselves() {
    let scenario = scenario("pixiecore");
    let node = &scenario.nodes[0];
    let mut records = evidence(&scenario, node, Firmware::Uefi);
    records.truncate(6);
    let timeline = timeline::build(&scenario, node, &records);
    let verdict = judge(&scenario, node, Firmware::Uefi, &timeline);
    let json = serde_json::to_string(&(&timeline, &verdict)).unwrap();
    let back: (crate::timeline::Timeline, NodeVerdict) = serde_json::from_str(&json).unwrap();
    assert_eq!(back, (timeline, verdict));
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
        let seen = Seen::Console { line: line.into() };
        records.push(Record {
            at_us,
            node: Some("node1".into()),
            seen,
        });
    }
    let timeline = timeline::build(&scenario, node, &records);
    let verdict = judge(&scenario, node, Firmware::Bios, &timeline);
    let folder = Path::new("runs/latest/ipxe-chainload@bios/attempt-1");
    insta::assert_snapshot!(explain(
        &scenario,
        node,
        Firmware::Bios,
        &timeline,
        &verdict,
        folder
    ));
}

#[test]
fn a_request_without_a_name_belongs_to_whom_the_address_was_given() {
    let scenario = scenario("ipxe-chainload");
    let node = scenario.node("node2").unwrap();
    let mut records = evidence(&scenario, node, Firmware::Bios);
    let peer = std::net::SocketAddr::from((address(&scenario, node), 2070));
    for event in records.iter_mut().filter_map(event) {
        if let BootEvent::TftpDone { who, .. } | BootEvent::HttpRequest { who, .. } = event {
            *who = Who {
                mac: None,
                uuid: None,
                peer: Some(peer),
            };
        }
    }
    assert_eq!(
        verdict(&scenario, node, Firmware::Bios, &records),
        NodeVerdict::Pass
    );
    let who = Who {
        peer: Some("192.168.92.250:2070".parse().unwrap()),
        ..Who::default()
    };
    for event in records.iter_mut().filter_map(event) {
        if matches!(event, BootEvent::HttpRequest { path, .. } if path == "/cloud") {
            *event = http(&who, "/cloud", "", Some("node2"), "node2.yaml");
        }
    }
    let result = verdict(&scenario, node, Firmware::Bios, &records);
    assert!(
        matches!(
            result,
            NodeVerdict::Fail {
                stage: StageName::CloudConfig,
                ..
            }
        ),
        "{result:?}"
    );
}
