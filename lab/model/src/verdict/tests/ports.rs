//! Only traffic at the machine's own port counts, whatever addresses it names.

use std::net::SocketAddr;

use boot_server_events::{BootEvent, Who};
use boot_server_proto::dhcp::MessageType;

use super::*;
use crate::diagnosis::tests::Story;
use crate::timeline::{RestartSign, Vantage};
use crate::verdict::judge_node;
use crate::verdict::unproven::Unproven;

const STRANGER: &str = "192.168.92.200:40000";

fn failed(story: &Story) -> (StageName, String) {
    match story.verdict() {
        NodeVerdict::Fail { stage, why, .. } => (stage, why),
        other => panic!("{other:?}"),
    }
}

/// V1: a machine never asks for its cloud-config, and another host does so with its UUID.
#[test]
fn request_in_the_machines_name_from_elsewhere_proves_nothing_and_is_shown() {
    let mut story = Story::at_port("ipxe-chainload", "node1", Firmware::Bios);
    let stranger: SocketAddr = STRANGER.parse().unwrap();
    let name = {
        let mut asked = None;
        for record in &mut story.attempt.records {
            if let Some(BootEvent::HttpRequest {
                who, path, query, ..
            }) = event(record)
                && path == "/cloud"
            {
                who.peer = Some(stranger);
                asked = Some(format!("{path}?{query}"));
            }
        }
        asked.unwrap()
    };
    let port = story.attempt.ports.get_mut("node1").unwrap();
    port.transfers.retain(|transfer| transfer.name != name);
    port.packets.retain(|packet| {
        !matches!(&packet.what, crate::evidence::packet::PacketContent::HttpRequest { target, .. }
            | crate::evidence::packet::PacketContent::HttpResponse { target: Some(target), .. } if *target == name)
    });
    story.attempt.records.retain(
        |record| !matches!(&record.seen, Observation::Arrived { name: arrived, .. } if *arrived == name),
    );
    let (stage, why) = failed(&story);
    assert_eq!(stage, StageName::CloudConfig);
    assert_eq!(
        why,
        "the last observation was: asked by 192.168.92.200 in node1's name: HTTP: GET /cloud?uuid=1f6c0b52-64de-4c0a-8f1b-a2d35e7c4d11&mac=52-54-00-5c-01-01: 200 node1.yaml, group node1"
    );
    let found = story.is_explained(crate::diagnosis::Cause::Impersonated, &["192.168.92.200"]);
    assert!(found.weight >= 90);
}

/// V6: the machine's cable is cut, and a stranger boots in its name.
#[test]
fn whole_boot_of_a_stranger_in_the_machines_name_proves_nothing() {
    let mut story = Story::at_port("ipxe-chainload", "node1", Firmware::Bios);
    let own = |record: &Record| !matches!(record.seen, Observation::Arrived { .. });
    story.attempt.records.retain(own);
    *story.attempt.ports.get_mut("node1").unwrap() = Wire::default();
    let (stage, _) = failed(&story);
    assert_eq!(stage, StageName::Dhcp);
}

#[test]
fn pass_without_a_capture_of_the_port_says_that_who_asked_is_not_proven() {
    let with = Story::at_port("ipxe-chainload", "node1", Firmware::Bios);
    let result = judge_node(&with.attempt, &with.node);
    assert_eq!(result.timeline.vantage, Vantage::OwnPort);
    assert_eq!(result.not_proven, [Unproven::ConfigApplied]);
    let mut without = with;
    without.attempt.ports.clear();
    let result = judge_node(&without.attempt, &without.node);
    assert_eq!(result.verdict, NodeVerdict::Pass);
    assert!(result.not_proven.contains(&Unproven::WhoAsked));
}

#[test]
fn pass_of_a_machine_whose_units_are_unknown_or_still_starting_says_so() {
    let mut story = Story::at_port("ipxe-chainload", "node1", Firmware::Bios);
    for record in &mut story.attempt.records {
        match &mut record.seen {
            Observation::Arrived { content, .. } => {
                content.text = Some("name: slow.service\n".into())
            }
            Observation::Units {
                starting,
                without_program,
                ..
            } => {
                *starting = vec!["slow.service".into(), "of-the-image.service".into()];
                *without_program = starting.clone();
            }
            _ => {}
        }
    }
    let result = judge_node(&story.attempt, &story.node);
    assert_eq!(result.verdict, NodeVerdict::Pass);
    let slow = Unproven::StillStarting(vec!["slow.service".into()]);
    let lacking = Unproven::WithoutProgram(vec!["slow.service".into()]);
    assert_eq!(result.not_proven, [Unproven::ConfigApplied, slow, lacking]);

    let is_other = |record: &Record| !matches!(record.seen, Observation::Units { .. });
    story.attempt.records.retain(is_other);
    let result = judge_node(&story.attempt, &story.node);
    assert_eq!(result.verdict, NodeVerdict::Pass);
    assert_eq!(
        result.not_proven,
        [Unproven::ConfigApplied, Unproven::Units]
    );
}

/// V8: nothing is expected that an image without a config would not have as well.
#[test]
fn pass_of_a_machine_without_a_config_says_so() {
    let mut story = Story::at_port("ipxe-chainload", "node1", Firmware::Bios);
    story.node.expect.cloud_config = None;
    story.node.expect.ignition = None;
    story.attempt.scenario.nodes[0] = story.node.clone();
    let result = judge_node(&story.attempt, &story.node);
    assert_eq!(result.verdict, NodeVerdict::Pass);
    assert_eq!(result.not_proven, [Unproven::NoConfig]);
}

/// V1, second: a relay adds a line to the config.
#[test]
fn config_that_arrived_otherwise_than_it_was_sent_is_changed_on_the_way() {
    let mut story = Story::at_port("ipxe-chainload", "node1", Firmware::Bios);
    for record in &mut story.attempt.records {
        if let Observation::Arrived { name, content, .. } = &mut record.seen
            && name.starts_with("/cloud")
        {
            content.sha256 = super::super::fixture::hash("with a key of somebody else's");
        }
    }
    let (stage, why) = failed(&story);
    assert_eq!(stage, StageName::CloudConfig);
    assert!(why.starts_with("the received bytes differ"), "{why}");
    story.is_explained(crate::diagnosis::Cause::ChangedOnTheWay, &["cloud"]);
}

/// V2: the machine resets itself once after its config.
#[test]
fn reset_on_the_way_fails_unless_the_scenario_allows_it() {
    let mut story = Story::chainload();
    let check = story
        .attempt
        .records
        .iter()
        .find(|one| matches!(one.seen, Observation::Check { .. }));
    let at_us = check.unwrap().at_us;
    story.attempt.records.push(Record {
        at_us,
        node: Some("node1".into()),
        seen: Observation::Reset,
    });
    let result = judge_node(&story.attempt, &story.node);
    assert_eq!(result.timeline.restarts[0].sign, RestartSign::Reset);
    let (stage, why) = failed(&story);
    assert!(stage >= StageName::UserlandUp, "{stage}");
    assert_eq!(
        why,
        "the machine restarted once, but the scenario allows none: libvirt reports a reset"
    );
    story.is_explained(crate::diagnosis::Cause::MachineReset, &["restarted"]);
    story.node.expect.resets = 1;
    story.attempt.scenario.nodes[0] = story.node.clone();
    assert_eq!(story.verdict(), NodeVerdict::Pass);
}

#[test]
fn reset_after_the_last_check_does_not_count() {
    let mut story = Story::chainload();
    story.attempt.records.push(Record {
        at_us: u64::MAX,
        node: Some("node1".into()),
        seen: Observation::Reset,
    });
    assert_eq!(story.verdict(), NodeVerdict::Pass);
}

/// V3: the second file of a cloud-config cannot be written.
#[test]
fn failed_config_fails_the_machine_with_the_line_unless_the_scenario_expects_it() {
    let mut story = Story::chainload();
    let check = story
        .attempt
        .records
        .iter()
        .find(|one| matches!(one.seen, Observation::Check { .. }));
    let at_us = check.unwrap().at_us;
    let line = "guest-agent: FAILED: /usr/x: Read-only file system";
    story.attempt.records.push(Record {
        at_us,
        node: Some("node1".into()),
        seen: Observation::Console { line: line.into() },
    });
    let (stage, why) = failed(&story);
    assert_eq!(stage, StageName::ConfigApplied);
    assert!(why.contains(line), "{why}");
    story.node.expect.config_may_fail = true;
    story.attempt.scenario.nodes[0] = story.node.clone();
    assert_eq!(story.verdict(), NodeVerdict::Pass);
}

/// V9: `matched_by = "mac"` where the group matched by UUID.
#[test]
fn group_that_matched_by_another_label_than_expected_fails() {
    let mut story = Story::chainload();
    story.node.expect.matched_by = crate::scenario::MatchedBy::Mac;
    story.attempt.scenario.nodes[0] = story.node.clone();
    let (stage, why) = failed(&story);
    assert_eq!(stage, StageName::Script);
    assert_eq!(
        why,
        "the group matched by uuid, but a match by mac is expected: HTTP: GET /ipxe?uuid=1f6c0b52-64de-4c0a-8f1b-a2d35e7c4d11&mac=52-54-00-5c-01-01: 200 node1, group node1, 0.01 MB/s"
    );
}

/// P17: Pixiecore asks its API while it answers DHCP; the machine asked for nothing yet.
#[test]
fn call_of_pixiecore_to_its_api_does_not_reach_the_script() {
    let mut story = Story::at_port("pixiecore", "node1", Firmware::Uefi);
    let path = |record: &mut Record| match event(record) {
        Some(BootEvent::HttpRequest { path, .. }) => Some(path.clone()),
        _ => None,
    };
    story
        .attempt
        .records
        .retain_mut(|record| path(record).is_none_or(|path| path.starts_with("/pixiecore/")));
    let is_arrival = |record: &Record| matches!(record.seen, Observation::Arrived { .. });
    story.attempt.records.retain(|record| !is_arrival(record));
    let port = story.attempt.ports.get_mut("node1").unwrap();
    port.transfers.clear();
    port.packets
        .retain(|packet| matches!(packet.what, crate::evidence::packet::PacketContent::Dhcp(_)));
    let result = judge_node(&story.attempt, &story.node);
    let reached = result
        .timeline
        .stages
        .iter()
        .filter(|stage| stage.end_us.is_some());
    let reached: Vec<StageName> = reached.map(|stage| stage.name).collect();
    assert!(!reached.contains(&StageName::Script), "{reached:?}");
}

/// V14: addresses of a DHCP server that the lab does not know are learned from the wire.
#[test]
fn address_of_a_server_of_the_users_own_is_learned_from_the_wire() {
    for mut story in [
        Story::of("ipxe-chainload", "node1", Firmware::Bios),
        Story::at_port("ipxe-chainload", "node1", Firmware::Bios),
    ] {
        without_our_dhcp(&mut story);
        assert_eq!(story.verdict(), NodeVerdict::Pass);
    }
}

/// Takes away all that our server told of DHCP, and whose the machine's TFTP transfer was.
fn without_our_dhcp(story: &mut Story) {
    story.attempt.scenario.services.dhcp = crate::scenario::DhcpService::None;
    let peer = SocketAddr::from((address(&story.attempt.scenario, &story.node), 49152));
    for record in &mut story.attempt.records {
        match event(record) {
            Some(BootEvent::DhcpReply { .. } | BootEvent::DhcpRequest { .. }) => {
                record.seen = Observation::Lifecycle {
                    event: "resumed".into(),
                    detail: "unpaused".into(),
                };
            }
            Some(BootEvent::TftpDone { who, .. }) => {
                *who = Who {
                    peer: Some(peer),
                    ..Who::default()
                };
            }
            _ => {}
        }
    }
}

#[test]
fn acknowledgement_that_was_lost_on_the_way_proves_nothing_and_is_nobody_elses() {
    let mut story = Story::at_port("ipxe-chainload", "node1", Firmware::Bios);
    let port = story.attempt.ports.get_mut("node1").unwrap();
    port.packets.retain(|packet| {
        !matches!(&packet.what, crate::evidence::packet::PacketContent::Dhcp(said) if said.is(MessageType::Ack))
    });
    let (stage, _) = failed(&story);
    assert_eq!(stage, StageName::Dhcp);
    let result = judge_node(&story.attempt, &story.node);
    let stage_events = &result.timeline.stage(StageName::Dhcp).unwrap().events;
    assert!(
        stage_events.iter().all(|one| one.impostor.is_none()),
        "{stage_events:#?}"
    );
}

/// Not proven of the bytes that a machine loads, when its boot is seen as `change` makes it.
fn bytes_not_proven(firmware: Firmware, change: impl FnOnce(&mut Story)) -> Vec<Unproven> {
    let mut story = Story::at_port("ipxe-chainload", "node1", firmware);
    change(&mut story);
    let result = judge_node(&story.attempt, &story.node);
    assert_eq!(result.verdict, NodeVerdict::Pass);
    let is_of_bytes = |one: &Unproven| {
        matches!(
            one,
            Unproven::NotSeenWhole(_) | Unproven::NotCompared(_) | Unproven::WhoAsked
        )
    };
    result.not_proven.into_iter().filter(is_of_bytes).collect()
}

/// Index of the first event for which this is true.
fn first_event(story: &Story, is: impl Fn(&BootEvent) -> bool) -> usize {
    let mut records = story.attempt.records.iter();
    records
        .position(
            |record| matches!(&record.seen, Observation::Server { entry, .. } if is(&entry.what)),
        )
        .unwrap()
}

/// Adds a copy of the record, as much earlier and with another event.
fn precede(story: &mut Story, index: usize, by_us: u64, what: impl FnOnce(&mut BootEvent)) {
    let mut record = story.attempt.records[index].clone();
    record.at_us -= by_us;
    if let Observation::Server { entry, .. } = &mut record.seen {
        entry.at_us -= by_us;
        what(&mut entry.what);
    }
    story.attempt.records.insert(index, record);
}

/// EDK2 loads a file by TFTP in two transfers: the first ends once the size is known.
#[test]
fn boot_program_whose_size_was_asked_for_first_is_compared() {
    for is_other_port in [true, false] {
        let list = bytes_not_proven(Firmware::Uefi, |story| {
            let done = first_event(story, |what| matches!(what, BootEvent::TftpDone { .. }));
            precede(story, done, 30_000, |what| {
                let BootEvent::TftpDone { who, file, .. } = what.clone() else {
                    unreachable!()
                };
                let mut who = who;
                if is_other_port {
                    who.peer.as_mut().unwrap().set_port(49151);
                }
                let reason = "the client only asked for the size: User aborted the transfer".into();
                *what = BootEvent::TftpFailed { who, file, reason };
            });
            let port = story.attempt.ports.get_mut("node1").unwrap();
            let load = port.transfers.iter();
            let mut probe = load
                .clone()
                .find(|one| one.name == "ipxe.efi")
                .unwrap()
                .clone();
            probe.start_us -= 31_000;
            (probe.end_us, probe.bytes) = (probe.start_us, 0);
            probe.end = crate::evidence::packet::TransferEnd::BrokenByReceiver;
            if is_other_port {
                probe.to.port = Some(49151);
            }
            port.transfers.insert(0, probe);
        });
        assert_eq!(list, [], "another port: {is_other_port}");
    }
}

/// EDK2 sends HEAD before GET, over the same connection.
#[test]
fn boot_program_by_http_whose_head_was_asked_for_first_is_compared() {
    let list = bytes_not_proven(Firmware::UefiHttp, |story| {
        let get = first_event(
            story,
            |what| matches!(what, BootEvent::HttpRequest { path, .. } if path == "/nbp/ipxe.efi"),
        );
        precede(story, get, 20_000, |what| {
            if let BootEvent::HttpRequest { method, .. } = what {
                *method = "HEAD".into();
            }
        });
    });
    assert_eq!(list, []);
}

/// The kernel starts before iPXE has acknowledged the initrd's last segment.
#[test]
fn initrd_whose_last_segment_is_never_acknowledged_is_compared() {
    let name = "/assets/coreos/current/coreos_production_pxe_image.cpio.gz";
    let unacknowledged = |end| {
        bytes_not_proven(Firmware::Uefi, |story| {
            let is_it = |record: &Record| matches!(&record.seen, Observation::Arrived { name: of, .. } if of == name);
            story.attempt.records.retain(|record| !is_it(record));
            let port = story.attempt.ports.get_mut("node1").unwrap();
            let transfers = port.transfers.iter_mut();
            for transfer in transfers.filter(|transfer| transfer.name == name) {
                transfer.end = end;
                transfer.content = Some(crate::evidence::packet::Content {
                    sha256: super::super::fixture::hash(name),
                    text: None,
                });
            }
        })
    };
    use crate::evidence::packet::TransferEnd;
    assert_eq!(unacknowledged(TransferEnd::Open), []);
    let broken = unacknowledged(TransferEnd::BrokenBySender);
    assert_eq!(broken, [Unproven::NotSeenWhole(StageName::Initrd)]);
}

/// Everything seen of the machine, with another text in its place.
fn renamed(story: &mut Story, from: &str, to: &str) {
    let records = serde_json::to_string(&story.attempt.records).unwrap();
    let wire = serde_json::to_string(&story.attempt.wire).unwrap();
    let ports = serde_json::to_string(&story.attempt.ports).unwrap();
    assert!(records.contains(from) && ports.contains(from));
    story.attempt.records = serde_json::from_str(&records.replace(from, to)).unwrap();
    story.attempt.wire = serde_json::from_str(&wire.replace(from, to)).unwrap();
    story.attempt.ports = serde_json::from_str(&ports.replace(from, to)).unwrap();
}

#[test]
fn boot_program_that_is_named_like_a_kernel_is_a_boot_program_by_its_role() {
    let mut story = Story::at_port("ipxe-chainload", "node1", Firmware::Bios);
    renamed(&mut story, "undionly.kpxe", "vmlinuz-undionly.kpxe");
    let result = judge_node(&story.attempt, &story.node);
    assert_eq!(result.verdict, NodeVerdict::Pass);
    let loads = |stage| {
        let stage_events = &result.timeline.stage(stage).unwrap().events;
        let mut names = stage_events.iter().filter_map(|one| one.subject.as_deref());
        names.any(|name| name == "vmlinuz-undionly.kpxe")
    };
    assert!(loads(StageName::Nbp) && !loads(StageName::Kernel));
}

#[test]
fn boot_program_of_pixiecore_for_a_rom_of_ipxe_is_compared_with_the_file_on_disk() {
    let pixiecore = |arrived: &str| {
        let mut story = Story::at_port("pixiecore", "node1", Firmware::Bios);
        let mac = story.node.mac;
        renamed(&mut story, &format!("{mac}/2"), &format!("{mac}/4"));
        let name = format!("{mac}/4");
        for record in &mut story.attempt.records {
            match &mut record.seen {
                Observation::Manifest { file, sha256, .. } if *file == name => {
                    *file = "ipxe.pxe".into();
                    *sha256 = "ab".repeat(32);
                }
                Observation::Arrived {
                    name: of, content, ..
                } if *of == name => {
                    content.sha256 = arrived.to_owned();
                }
                _ => {}
            }
        }
        story
    };
    let same = pixiecore(&"ab".repeat(32));
    let result = judge_node(&same.attempt, &same.node);
    assert_eq!(result.verdict, NodeVerdict::Pass);
    let is_of_nbp = |one: &Unproven| {
        [
            Unproven::NotCompared(StageName::Nbp),
            Unproven::NotSeenWhole(StageName::Nbp),
        ]
        .contains(one)
    };
    assert!(
        !result.not_proven.iter().any(is_of_nbp),
        "{:?}",
        result.not_proven
    );
    let (stage, why) = failed(&pixiecore(&"cd".repeat(32)));
    assert_eq!(stage, StageName::Nbp);
    assert!(why.starts_with("the received bytes differ"), "{why}");
}

/// A ROM that is iPXE says so before it loads the boot program.
#[test]
fn reset_by_the_boot_program_fails_at_the_boot_program() {
    let mut story = Story::chainload();
    let loaded = first_event(&story, |what| matches!(what, BootEvent::TftpDone { .. }));
    let at_us = story.attempt.records[loaded].at_us;
    story.attempt.records.retain(|record| record.at_us <= at_us);
    let (power_on_us, node) = (story.attempt.records[0].at_us, Some("node1".to_owned()));
    let line = "iPXE 1.21.1 -- Open Source Network Boot Firmware -- http://ipxe.org".into();
    for (at_us, seen) in [
        (power_on_us + 1, Observation::Console { line }),
        (at_us + 1, Observation::Reset),
    ] {
        let node = node.clone();
        story.attempt.records.push(Record { at_us, node, seen });
    }
    story.attempt.records.sort_by_key(|record| record.at_us);
    let (stage, why) = failed(&story);
    assert_eq!(stage, StageName::Nbp, "{why}");
    assert_eq!(
        why,
        "the machine restarted once, but the scenario allows none: libvirt reports a reset"
    );
}

/// The server answers a kernel in two parts, which the port joins.
#[test]
fn kernel_that_came_in_parts_is_compared_as_a_whole() {
    let list = bytes_not_proven(Firmware::Bios, |story| {
        let is_kernel = |what: &BootEvent| matches!(what, BootEvent::HttpRequest { path, .. } if path.ends_with(".vmlinuz"));
        let last = first_event(story, is_kernel);
        precede(story, last, 20_000, |_| {});
        for record in &mut story.attempt.records {
            if let Some(what) = event(record)
                && is_kernel(what)
                && let BootEvent::HttpRequest { status, .. } = what
            {
                *status = 206;
            }
        }
    });
    assert_eq!(list, []);
}
