//! A wrong answer, or none, fails at its own stage.

use boot_server_events::BootEvent;

use super::*;
use crate::evidence::GaveUp;

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
    assert_eq!(
        why,
        "HTTP: GET /assets/coreos/current/coreos_production_pxe.vmlinuz: 404 no such asset"
    );
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
    assert_eq!(
        why,
        "HTTP: GET /assets/coreos/current/coreos_production_pxe.vmlinuz: 200 coreos/current/coreos_production_pxe.vmlinuz, aborted at 60 of 100 bytes"
    );
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
            records.retain(|record| with_login || record.seen != Observation::ShellReady);
        });
        assert_eq!(stage, StageName::CloudConfig);
        assert_eq!(
            why,
            "HTTP: GET /cloud?uuid=c51f8a26-0b7d-4e63-9f84-7a1be93d0c63&mac=52-54-00-5d-03-03: 404 no file default.yaml"
        );
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
    assert_eq!(
        why,
        "instead: TFTP: pxelinux.cfg/default, 1000 bytes in 10 ms"
    );
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
fn silence_after_power_on_fails_at_the_first_stage_of_ours() {
    for (name, expected) in [
        ("pxe-dhcp", StageName::Dhcp),
        ("proxy-dhcp", StageName::Proxy),
        ("ipxe-chainload", StageName::Dhcp),
        ("pixiecore", StageName::Proxy),
    ] {
        let (stage, why) = spoiled(name, Firmware::Bios, "node1", |records| {
            records.truncate(1);
            let reason = GaveUp::Deadline { seconds: 300 };
            let at_us = records[0].at_us + 300_000_000;
            let node = Some("node1".into());
            records.push(Record {
                at_us,
                node,
                seen: Observation::GaveUp { reason },
            });
        });
        assert_eq!(stage, expected);
        assert_eq!(
            why,
            "nothing of this stage was observed; the lab stopped waiting: timed out after 300 s"
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
        why.starts_with("the last observation was: discover on port 67"),
        "{why}"
    );
}

#[test]
fn silence_where_nobody_gives_addresses_fails_the_dhcp_stage() {
    let mut scenario = scenario("ipxe-chainload");
    scenario.services.dhcp = crate::scenario::DhcpService::None;
    let node = &scenario.nodes[0];
    let mut records = evidence(&scenario, node, Firmware::Bios);
    assert_eq!(
        verdict(&scenario, node, Firmware::Bios, &records),
        NodeVerdict::Pass
    );
    records.truncate(1);
    match verdict(&scenario, node, Firmware::Bios, &records) {
        NodeVerdict::Fail { stage, why, .. } => {
            assert_eq!(stage, StageName::Dhcp);
            assert_eq!(
                why,
                "the lab started no DHCP server (`dhcp = \"none\"`), and the machine sent no request over the network"
            );
        }
        other => panic!("{other:?}"),
    }
}

/// Files that a config includes: another group's, requested without the identity of the machine.
fn with_an_included_config(records: &mut Vec<Record>, group: &str) {
    let own = records.iter().position(|record| {
        let event = event(&mut record.clone()).cloned();
        matches!(event, Some(BootEvent::HttpRequest { path, .. }) if path == "/ignition")
    });
    let own = own.unwrap();
    let mut included = records[own].clone();
    let Some(BootEvent::HttpRequest {
        query,
        group: answered,
        detail,
        ..
    }) = event(&mut included)
    else {
        panic!("no request");
    };
    *query = "part=other".into();
    *answered = Some(group.into());
    *detail = "ignition/node1.json".into();
    included.at_us += 1;
    records.insert(own + 1, included);
}

#[test]
fn a_config_that_another_one_brings_in_is_not_the_machines_own() {
    let scenario = scenario("ignition");
    let node = scenario.node("node1").unwrap();
    let mut records = evidence(&scenario, node, Firmware::Bios);
    with_an_included_config(&mut records, "other");
    assert_eq!(
        verdict(&scenario, node, Firmware::Bios, &records),
        NodeVerdict::Pass
    );
}

#[test]
fn what_a_wrong_config_brings_in_does_not_make_it_right() {
    let (stage, why) = spoiled("ignition", Firmware::Bios, "node1", |records| {
        answers(records, "/ignition", |_, group, _| {
            *group = Some("default".into());
        });
        with_an_included_config(records, "node1");
    });
    assert_eq!(stage, StageName::Ignition);
    assert!(
        why.starts_with("group default answered instead of node1"),
        "{why}"
    );
}
