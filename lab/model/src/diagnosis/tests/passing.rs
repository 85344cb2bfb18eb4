//! A boot that passed explains nothing, whatever stage one pretends that it failed at.

use super::*;
use crate::diagnosis::case::Case;
use crate::diagnosis::{DETECTORS, Explained, explain};
use crate::timeline::{self, Origin, StageName};
use crate::verdict::fixture::{SCENARIOS, scenario};

/// Every bundled scenario on each firmware, with each of its nodes.
fn all() -> Vec<Story> {
    let mut stories = Vec::new();
    for name in SCENARIOS {
        let scenario = scenario(name);
        for firmware in scenario.firmware.clone() {
            for node in &scenario.nodes {
                stories.push(Story::of(name, &node.name, firmware));
                stories.push(Story::at_port(name, &node.name, firmware));
            }
        }
    }
    stories
}

#[test]
fn packets_leave_the_verdict_of_a_pass_alone() {
    for story in all() {
        assert_eq!(
            story.verdict(),
            NodeVerdict::Pass,
            "{}",
            story.attempt.scenario.name
        );
        let Explained { findings, .. } = explain(&story.attempt, &story.node);
        assert_eq!(findings, []);
    }
}

#[test]
fn no_detector_fires_on_a_boot_that_passed_at_any_stage() {
    const STAGES: [StageName; 14] = [
        StageName::PowerOn,
        StageName::Dhcp,
        StageName::Proxy,
        StageName::Nbp,
        StageName::Ipxe,
        StageName::Script,
        StageName::Kernel,
        StageName::Initrd,
        StageName::KernelUp,
        StageName::Ignition,
        StageName::UserlandUp,
        StageName::CloudConfig,
        StageName::ConfigApplied,
        StageName::Checks,
    ];
    for story in all() {
        let attempt = &story.attempt;
        for wire in [attempt.wire.clone(), Wire::default()] {
            if wire.frames == 0 && !attempt.ports.is_empty() {
                continue;
            }
            let attempt = Attempt {
                wire,
                ..attempt.clone()
            };
            let timeline = timeline::build(
                &attempt.scenario,
                &story.node,
                &attempt.records,
                &attempt.wire,
                attempt.ports.get(&story.node.name),
            );
            for stage in STAGES {
                let case = Case::new(&attempt, &story.node, &timeline, stage);
                for look in DETECTORS {
                    let finding = look(&case);
                    assert_eq!(
                        finding, None,
                        "{}@{} {} at {stage}",
                        attempt.scenario.name, attempt.firmware, story.node.name
                    );
                }
            }
        }
    }
}

#[test]
fn what_an_event_and_a_packet_tell_alike_stands_once_with_the_packets_number() {
    for story in all() {
        let Story { attempt, node } = &story;
        let count = |wire: &Wire, of: fn(&timeline::StageEvent) -> bool| {
            let timeline = {
                let port = attempt.ports.get(&node.name).filter(|_| wire.frames > 0);
                timeline::build(&attempt.scenario, node, &attempt.records, wire, port)
            };
            let stage_events = timeline.stages.iter().flat_map(|stage| &stage.events);
            stage_events.filter(|stage_event| of(stage_event)).count()
        };
        let told = |stage_event: &timeline::StageEvent| stage_event.origin == Origin::Server;
        let name = format!(
            "{}@{} {}",
            attempt.scenario.name, attempt.firmware, node.name
        );
        assert_eq!(
            count(&Wire::default(), told),
            count(&attempt.wire, told),
            "{name}"
        );
        // DHCP and files are in both; TFTP's questions, the guest's DHCP and libvirt's are packets alone.
        let alone = |stage_event: &timeline::StageEvent| {
            let dhcp = ["discover", "offer", "request", "ack"];
            stage_event.origin == Origin::Wire
                && !matches!(stage_event.fact, timeline::Fact::TftpAsked { .. })
                && !dhcp
                    .iter()
                    .any(|message| stage_event.text.starts_with(message))
        };
        assert_eq!(count(&attempt.wire, alone), 0, "{name}");
        let numbered = |stage_event: &timeline::StageEvent| {
            stage_event.origin == Origin::Server
                && stage_event.frame.is_none()
                && !stage_event.text.contains("/pixiecore/v1/boot/")
        };
        assert_eq!(count(&attempt.wire, numbered), 0, "{name}");
    }
}

/// Takes away all evidence of one stage: what services told, what crossed the port and the network, and the console.
fn without(story: &Story, stage: StageName) -> Story {
    let Story { attempt, node } = story;
    let is_before_kernel = |said: &DhcpSaid| !said.arch.is_empty() || said.boot_file.is_some();
    let mut kept = story.clone();
    let port = attempt.ports.get(&node.name);
    let timeline = timeline::build(
        &attempt.scenario,
        node,
        &attempt.records,
        &attempt.wire,
        port,
    );
    let stage_events = timeline.stage(stage).map(|stage| &stage.events);
    let times: Vec<u64> = stage_events
        .into_iter()
        .flatten()
        .map(|one| one.at_us)
        .collect();
    let is_of_stage = |at_us: u64| times.contains(&at_us);
    kept.attempt.records.retain(|record| match &record.seen {
        Observation::Arrived { start_us, .. } => {
            !times.iter().any(|at_us| at_us.abs_diff(*start_us) < 20_000)
        }
        Observation::Manifest { .. } => true,
        _ => !is_of_stage(time_us(record)),
    });
    let wires = kept.attempt.ports.values_mut();
    for wire in wires.chain([&mut kept.attempt.wire]) {
        wire.packets.retain(|packet| match &packet.what {
            PacketContent::Dhcp(said) if stage == StageName::Dhcp => !is_before_kernel(said),
            // Its connection and its request come right before its answer.
            _ => !times
                .iter()
                .any(|at_us| at_us.abs_diff(packet.at_us) < 20_000),
        });
        wire.transfers.retain(|one| !is_of_stage(one.end_us));
    }
    kept
}

/// Nothing is known to have gone wrong where evidence is missing and the boot goes on behind it.
#[test]
fn causes_of_a_pass_without_the_evidence_of_one_stage_are_none() {
    let mut invented = Vec::new();
    let mut failed = std::collections::BTreeSet::new();
    for story in all() {
        for stage in [
            StageName::Dhcp,
            StageName::Proxy,
            StageName::Nbp,
            StageName::Script,
            StageName::Kernel,
            StageName::Initrd,
            StageName::KernelUp,
            StageName::Ignition,
            StageName::UserlandUp,
            StageName::CloudConfig,
            StageName::Checks,
        ] {
            let story = without(&story, stage);
            let result = judge_node(&story.attempt, &story.node);
            if matches!(result.verdict, NodeVerdict::Fail { .. }) {
                failed.insert(stage);
            }
            for finding in diagnose(
                &story.attempt,
                &story.node,
                &result.timeline,
                &result.verdict,
            ) {
                invented.push(format!(
                    "{}@{} {} without {stage}, port {}: {} {}: {}",
                    story.attempt.scenario.name,
                    story.attempt.firmware,
                    story.node.name,
                    !story.attempt.ports.is_empty(),
                    finding.weight,
                    finding.cause,
                    finding.sentence
                ));
            }
        }
    }
    assert_eq!(invented, [] as [String; 0]);
    // Each of the stages is one that some verdict rests on.
    assert_eq!(failed.len(), 11, "{failed:?}");
}
