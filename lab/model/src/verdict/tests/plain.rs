//! Services of the user tell nothing: what only an event of the lab's own server would tell is proven by the machine's
//! port or its own report, or it is listed as not proven.

use super::*;
use crate::diagnosis::Cause;
use crate::diagnosis::tests::Story;
use crate::evidence::packet::{Packet, PacketContent};
use crate::evidence::simulated::{Loaded, Report};
use crate::scenario::{Machines, MatchedBy, Part, Services};
use crate::verdict::fixture;
use crate::verdict::unproven::Unproven;

/// `ipxe-chainload` with a boot server as a service of the user, whose events nobody reads.
fn plain() -> Story {
    let mut story = Story::at_port("ipxe-chainload", "node1", Firmware::Bios);
    let is_told = |record: &Record| matches!(record.seen, Observation::Server { .. });
    story.attempt.records.retain(|record| !is_told(record));
    let scenario = &mut story.attempt.scenario;
    scenario.services = Services::NONE;
    let plays = [Part::Dhcp, Part::Tftp, Part::Http, Part::Config];
    scenario.custom_services = vec![fixture::service("plain", "boot-server", &plays)];
    // The scenario's own URL has no MAC.
    rename(&mut story, |name| match name.split_once("&mac=") {
        Some((before, _)) if name.starts_with("/ignition") => before.to_owned(),
        _ => name.to_owned(),
    });
    story
}

/// The same with a simulated machine, which reports the kernel options of this node.
fn simulated(options_of: &str) -> Story {
    let mut story = plain();
    let scenario = &mut story.attempt.scenario;
    scenario.machines = Machines::Simulated;
    let node = scenario.node(options_of).unwrap();
    let options = Some(node.expect.kernel_options.clone());
    let loaded = |name: &str| Loaded::of(&format!("http://192.168.92.1:8080/assets/{name}"), b"");
    let seen = Observation::WouldStart(Report {
        kernel: loaded("coreos/current/coreos_production_pxe.vmlinuz"),
        initrds: vec![loaded("coreos/current/coreos_production_pxe_image.cpio.gz")],
        options,
    });
    let at_us = story.attempt.records.last().unwrap().at_us + 1;
    let node = Some(story.node.name.clone());
    story.attempt.records.push(Record { at_us, node, seen });
    story
}

fn port(story: &mut Story) -> &mut Wire {
    story.attempt.ports.get_mut("node1").unwrap()
}

/// Renames what the machine loads, at its port.
fn rename(story: &mut Story, named: impl Fn(&str) -> String) {
    let wire = port(story);
    for transfer in &mut wire.transfers {
        transfer.name = named(&transfer.name);
    }
    for packet in &mut wire.packets {
        if let PacketContent::HttpRequest { target, .. }
        | PacketContent::HttpResponse {
            target: Some(target),
            ..
        } = &mut packet.what
        {
            *target = named(target);
        }
    }
    for record in &mut story.attempt.records {
        if let Observation::Arrived { name, .. } = &mut record.seen {
            *name = named(name);
        }
    }
}

fn failed(story: &Story) -> (StageName, String) {
    match story.verdict() {
        NodeVerdict::Fail { stage, why, .. } => (stage, why),
        other => panic!("{other:?}"),
    }
}

#[test]
fn judge_whole_boot_at_the_port_passes_and_lists_what_only_events_tell() {
    for story in [plain(), simulated("node1")] {
        let result = judge_node(&story.attempt, &story.node);
        assert_eq!(result.verdict, NodeVerdict::Pass);
        let listed = result.not_proven;
        let compared = |stage| Unproven::NotCompared(stage);
        assert!(
            listed.contains(&Unproven::Group(StageName::Script)),
            "{listed:?}"
        );
        assert!(listed.contains(&compared(StageName::Script)), "{listed:?}");
        let is_virtual = story.attempt.scenario.machines.is_virtual();
        let of_config = Unproven::Group(StageName::CloudConfig);
        assert_eq!(listed.contains(&of_config), is_virtual, "{listed:?}");
    }
}

#[test]
fn judge_dhcp_messages_with_the_uuid_of_another_node_fails_the_machine() {
    let mut story = simulated("node1");
    let other = story.attempt.scenario.node("node2").unwrap().uuid;
    let all = port(&mut story).packets.clone();
    let borrowed = |mut packet: Packet| {
        if let PacketContent::Dhcp(said) = &mut packet.what {
            said.uuid = Some(other.to_string());
        }
        packet
    };
    port(&mut story).packets = all.into_iter().map(borrowed).collect();
    let (stage, why) = failed(&story);
    assert_eq!(stage, StageName::Dhcp);
    assert_eq!(
        why,
        "asked in the name of node2: discover on port 67, architecture [0]"
    );
    story.is_explained(Cause::BorrowedIdentity, &[&other.to_string(), "node2"]);
}

#[test]
fn judge_script_requested_in_another_nodes_name_fails_the_machine() {
    let mut story = simulated("node1");
    let other = story
        .attempt
        .scenario
        .node("node2")
        .unwrap()
        .uuid
        .to_string();
    let own = story.node.uuid.to_string();
    rename(&mut story, |name| name.replace(&own, &other));
    let (stage, why) = failed(&story);
    assert_eq!(stage, StageName::Script);
    assert_eq!(
        why,
        format!(
            "asked in the name of node2: HTTP: GET /ipxe?uuid={other}&mac=52-54-00-5c-01-01, 100 bytes from 192.168.92.1, 0.01 MB/s"
        )
    );
}

/// The service gives a machine the boot script of another: only the options tell.
#[test]
fn judge_simulated_machine_with_the_kernel_options_of_another_node_fails() {
    let story = simulated("node2");
    let (stage, why) = failed(&story);
    assert_eq!(stage, StageName::Script);
    assert_eq!(
        why,
        "the kernel would start without `lab.spec=node1`; its options are `console=ttyS0 coreos.autologin lab.spec=node2 cloud-config-url=http://192.168.92.1:8080/cloud?uuid=64b98e0d-1a75-4e39-9d0c-3b7f8c25ee22&mac=52-54-00-5c-02-02`"
    );
    story.is_explained(Cause::WrongConfigServed, &["node2", "`lab.spec=node2`"]);
}

#[test]
fn judge_acknowledgement_of_a_host_without_a_service_proves_nothing() {
    let mut story = simulated("node1");
    for packet in &mut port(&mut story).packets {
        if let PacketContent::Dhcp(said) = &mut packet.what
            && said.from_server
        {
            said.server = Some("192.168.92.66".parse().unwrap());
        }
    }
    let (stage, why) = failed(&story);
    assert_eq!(stage, StageName::Dhcp);
    assert!(why.contains("192.168.92.66"), "{why}");
}

#[test]
fn judge_cloud_config_with_another_query_proves_nothing() {
    let mut story = plain();
    let own = story.node.uuid.to_string();
    let other = "00000000-0000-4000-8000-000000000000";
    rename(&mut story, |name| match name.starts_with("/cloud") {
        true => name.replace(&own, other),
        false => name.to_owned(),
    });
    let (stage, _) = failed(&story);
    assert_eq!(stage, StageName::CloudConfig);
}

#[test]
fn unproven_exchange_that_was_not_captured_is_listed() {
    let mut story = simulated("node1");
    let is_dhcp = |packet: &Packet| matches!(packet.what, PacketContent::Dhcp(_));
    port(&mut story).packets.retain(|packet| !is_dhcp(packet));
    let result = judge_node(&story.attempt, &story.node);
    assert_eq!(result.verdict, NodeVerdict::Pass);
    let listed = result.not_proven;
    assert!(
        listed.contains(&Unproven::NotSeen(StageName::Dhcp)),
        "{listed:?}"
    );
}

#[test]
fn unproven_without_a_capture_of_the_port_is_every_part_of_the_services() {
    let mut story = plain();
    story.attempt.ports.clear();
    let result = judge_node(&story.attempt, &story.node);
    assert_eq!(result.verdict, NodeVerdict::Pass);
    let listed = result.not_proven;
    use StageName::{CloudConfig, Dhcp, Ignition, Initrd, Kernel, Script};
    assert!(listed.contains(&Unproven::NotSeen(Dhcp)), "{listed:?}");
    for stage in [Script, Kernel, Initrd, Ignition, CloudConfig] {
        assert!(
            listed.contains(&Unproven::NotSeenWhole(stage)),
            "{stage}: {listed:?}"
        );
    }
}

#[test]
fn unproven_group_is_not_listed_if_the_scenario_states_none() {
    let mut story = simulated("node1");
    // As a scenario without `group` and `matched_by` is read.
    story.node.expect.matched_by = MatchedBy::Labels;
    story.node.expect.group = story.node.name.clone();
    story.attempt.scenario.nodes[0] = story.node.clone();
    let listed = judge_node(&story.attempt, &story.node).not_proven;
    let group = |one: &Unproven| matches!(one, Unproven::Group(_));
    assert!(
        !listed.is_empty() && !listed.iter().any(group),
        "{listed:?}"
    );
}
