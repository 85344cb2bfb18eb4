//! Every proof is needed, and only the machine's own counts.

use boot_server_events::{BootEvent, Who};
use boot_server_proto::dhcp::MessageType;

use super::*;
use crate::diagnosis::tests::Story;
use crate::timeline::{Fact, image_file};

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
        Observation::PowerOn => Some(StageName::PowerOn),
        Observation::Console { .. } => Some(StageName::KernelUp),
        Observation::ShellReady => Some(StageName::UserlandUp),
        Observation::Check { .. } => Some(StageName::Checks),
        Observation::Server { entry, .. } => match &entry.what {
            BootEvent::DhcpReply { message, .. } if own_dhcp => {
                (*message == MessageType::Ack).then_some(StageName::Dhcp)
            }
            BootEvent::DhcpReply { .. } => Some(StageName::Proxy),
            BootEvent::TftpDone { file, .. }
                if file.starts_with("pxelinux.cfg/") || file.ends_with("/grub.cfg") =>
            {
                Some(StageName::Script)
            }
            BootEvent::TftpDone { file, .. } => image_file(file).or(Some(StageName::Nbp)),
            BootEvent::HttpRequest { path, query, .. } => match path.as_str() {
                "/boot.ipxe" => None,
                "/nbp/ipxe.efi" => Some(StageName::Nbp),
                "/cloud" => Some(StageName::CloudConfig),
                "/ignition" => Some(StageName::Ignition),
                "/_/file" if query.contains("type=kernel") => Some(StageName::Kernel),
                "/_/file" => Some(StageName::Initrd),
                path => image_file(path).or(Some(StageName::Script)),
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
        let mut others = scenario.nodes.iter();
        let Some(other) = others.find(|other| other.name != node.name) else {
            continue;
        };
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
            who.mac = Some(two.mac.into());
            who.uuid = Some(two.uuid.into());
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
    let of_two = timeline(&scenario, two, &records);
    assert!(of_two.stage(StageName::CloudConfig).is_none(), "{of_two:?}");
}

#[test]
fn a_verdict_and_a_timeline_read_back_as_themselves() {
    let scenario = scenario("pixiecore");
    let node = &scenario.nodes[0];
    let mut records = evidence(&scenario, node, Firmware::Uefi);
    records.truncate(6);
    let mut timeline = timeline(&scenario, node, &records);
    let verdict = judge(&scenario, node, Firmware::Uefi, &timeline);
    // Facts are not saved, only their text: an attempt is judged again from its evidence.
    let stage_events = timeline
        .stages
        .iter_mut()
        .flat_map(|stage| &mut stage.events);
    stage_events.for_each(|stage_event| stage_event.fact = Fact::Unknown);
    let json = serde_json::to_string(&(&timeline, &verdict)).unwrap();
    let back: (crate::timeline::Timeline, NodeVerdict) = serde_json::from_str(&json).unwrap();
    assert_eq!(back, (timeline, verdict));
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

#[test]
fn an_address_that_another_machine_has_later_does_not_name_it_before() {
    let scenario = scenario("proxy-dhcp");
    let (one, two) = (
        scenario.node("node1").unwrap(),
        scenario.node("node2").unwrap(),
    );
    let mut records = evidence(&scenario, one, Firmware::Bios);
    let mut later = records.clone();
    later.retain_mut(|record| {
        record.at_us += 60_000_000;
        let Observation::Server { entry, .. } = &mut record.seen else {
            return false;
        };
        entry.at_us += 60_000_000;
        match &mut entry.what {
            BootEvent::DhcpRequest { who, .. } => {
                *who = Who {
                    mac: Some(two.mac.into()),
                    ..Who::default()
                };
                true
            }
            _ => false,
        }
    });
    assert!(!later.is_empty());
    records.extend(later);
    assert_eq!(
        verdict(&scenario, one, Firmware::Bios, &records),
        NodeVerdict::Pass
    );
}

#[test]
fn saved_evidence_and_a_resolved_scenario_give_the_same_verdict_again() {
    for (scenario, node, firmware) in everything() {
        let mut records = evidence(&scenario, &node, firmware);
        records.remove(records.len() / 2);
        let lines: Vec<String> = records
            .iter()
            .map(|record| serde_json::to_string(record).unwrap())
            .collect();
        let read: Vec<Record> = lines
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(read, records);
        let resolved = scenario.to_toml().unwrap();
        let again = Scenario::parse(&scenario.name, &scenario.dir, &resolved).unwrap();
        let first = verdict(&scenario, &node, firmware, &records);
        let node = again.node(&node.name).unwrap();
        assert_eq!(verdict(&again, node, firmware, &read), first);
    }
}

/// A file is waited for whatever its name tells of its kind.
#[test]
fn the_lack_of_a_named_kernel_or_initrd_fails_at_its_stage_whatever_its_name() {
    for name in ["ipxe-chainload", "pxe-dhcp"] {
        let mut scenario = scenario(name);
        let expect = &mut scenario.nodes[0].expect;
        expect.kernel = Some("coreos/7/a".into());
        expect.initrd = vec!["coreos/7/b".into(), "coreos/7/kernel-modules".into()];
        let node = scenario.nodes[0].clone();
        let whole = evidence(&scenario, &node, Firmware::Bios);
        let passed = verdict(&scenario, &node, Firmware::Bios, &whole);
        assert_eq!(passed, NodeVerdict::Pass, "{name}");
        for (file, stage) in [
            ("coreos/7/a", StageName::Kernel),
            ("coreos/7/b", StageName::Initrd),
            ("coreos/7/kernel-modules", StageName::Initrd),
        ] {
            let mut records = whole.clone();
            records.retain_mut(|record| match event(record) {
                Some(BootEvent::HttpRequest { path: loaded, .. })
                | Some(BootEvent::TftpDone { file: loaded, .. }) => !loaded.ends_with(file),
                _ => true,
            });
            assert!(records.len() < whole.len(), "{name}: {file}");
            match verdict(&scenario, &node, Firmware::Bios, &records) {
                NodeVerdict::Fail { stage: failed, .. } => {
                    assert_eq!(failed, stage, "{name}: {file}")
                }
                other => panic!("{name} without {file}: {other:?}"),
            }
        }
    }
}

#[test]
fn dhcp_request_of_another_machine_with_the_same_transaction_id_is_not_the_machines() {
    let mut story = Story::at_port("ipxe-chainload", "node1", Firmware::Bios);
    let other = story.attempt.scenario.node("node2").unwrap().clone();
    let copies: Vec<Record> = story
        .attempt
        .records
        .iter()
        .filter_map(|record| {
            let mut copy = record.clone();
            copy.node = Some(other.name.clone());
            let BootEvent::DhcpRequest { who, .. } = event(&mut copy)? else {
                return None;
            };
            who.mac = Some(other.mac.into());
            who.uuid = Some(other.uuid.into());
            Some(copy)
        })
        .collect();
    assert!(!copies.is_empty());
    story.attempt.records.extend(copies);
    assert_eq!(story.verdict(), NodeVerdict::Pass);
}
