//! A run made up for the tests of the page: one machine comes up, one is never answered, and one is not
//! what it should be and says hostile things.

use std::collections::BTreeMap;
use std::path::PathBuf;

use boot_server_proto::dhcp::MessageType;
use lab_model::diagnosis::{JudgedNode, judge_attempt};
use lab_model::evidence::beside::Beside;
use lab_model::evidence::saved::Attempt;
use lab_model::evidence::{GaveUp, Observation, OutputStream, Record};
use lab_model::scenario::{Firmware, Part};
use lab_model::verdict::fixture;

use super::gather::{Loaded, gather};
use super::view::Page;
use crate::sample::{self, Story, ZERO_US};
use crate::{AttemptSummary, NodeSummary, RunSummary, UnitSummary};

/// Name that a malicious machine gives itself.
pub(super) const HOSTILE_NAME: &str =
    "<script>window.hostile=1</script>\"'><img src=x onerror=hostile()>";

/// The page of the run.
pub(super) fn page() -> Page {
    let attempt = attempt();
    gather(&run(&attempt), |_, _| Ok::<_, String>(judged(&attempt)))
}

/// The attempt with the three machines of the scenario `proxy-dhcp`.
pub(super) fn attempt() -> Attempt {
    let scenario = fixture::scenario("proxy-dhcp");
    let [first, second, third] = scenario.nodes.as_slice() else {
        panic!("proxy-dhcp has three machines");
    };
    let mut records = fixture::evidence(&scenario, first, Firmware::Bios);
    records.push(seen(90, &second.name, Observation::PowerOn));
    let reason = GaveUp::Deadline { seconds: 300 };
    records.push(seen(30_090, &second.name, Observation::GaveUp { reason }));
    let mut spoiled = fixture::evidence(&scenario, third, Firmware::Bios);
    spoil(&mut spoiled);
    spoiled.push(seen(
        350,
        &third.name,
        console("Kernel panic - not syncing: <script>alert(1)</script>"),
    ));
    spoiled.push(seen(
        351,
        &third.name,
        console(&"\x1b[31mcoloured\x1b[0m and very long ".repeat(30)),
    ));
    records.extend(spoiled);

    let mut scenario = scenario.clone();
    scenario.custom_services = vec![fixture::service("kea", "kea-dhcp4", &[Part::Dhcp])];
    for number in 0..60 {
        records.push(Record {
            at_us: ZERO_US + number * 500_000,
            node: None,
            seen: Observation::ServiceLine {
                service: "kea".into(),
                stream: OutputStream::Stderr,
                line: format!("DHCP4_PACKET_NAK_0001 no subnet for {HOSTILE_NAME} ({number})"),
            },
        });
    }
    let mut story = sample::boot();
    story.mac = second.mac.to_string();
    for _ in 0..4 {
        story.asks(MessageType::Discover, 7);
    }
    story.mac = third.mac.to_string();
    story.asks(MessageType::Discover, 9);
    story.gives(MessageType::Offer, 9);
    story.reads(2080, &format!("{HOSTILE_NAME}/undionly.kpxe"));
    Attempt {
        beside: Beside::default(),
        scenario,
        firmware: Firmware::Bios,
        records,
        wire: story.wire,
        ports: BTreeMap::new(),
        node_seconds: BTreeMap::from([
            (first.name.clone(), 38.4),
            (second.name.clone(), 300.0),
            (third.name.clone(), 52.1),
        ]),
        broken: None,
        interrupted: false,
    }
}

fn judged(attempt: &Attempt) -> Loaded {
    (attempt.clone(), judge_attempt(attempt))
}

/// The summary of a run that is this attempt alone.
pub(super) fn run(attempt: &Attempt) -> RunSummary {
    let nodes: Vec<NodeSummary> = judge_attempt(attempt)
        .into_iter()
        .map(|JudgedNode { result, .. }| NodeSummary {
            name: result.node,
            verdict: result.verdict,
            findings: Vec::new(),
            not_proven: result.not_proven.iter().map(ToString::to_string).collect(),
            seconds: result.seconds,
        })
        .collect();
    RunSummary {
        run_id: "3f9a2c".into(),
        started: "2026-11-24T15:12:00Z".into(),
        seconds: 318.2,
        processor_seconds: Some(602.5),
        accelerator: "TCG: KVM is there, but a kernel does not boot on it".into(),
        shard: None,
        whole: None,
        flaky_fails: false,
        rehearsal: None,
        units: vec![UnitSummary {
            scenario: attempt.scenario.name.clone(),
            firmware: attempt.firmware,
            repetition: None,
            machines: attempt.scenario.machines,
            image: attempt.scenario.image.name.clone(),
            nodes: nodes.clone(),
            attempts: vec![AttemptSummary {
                number: 1,
                artifacts: PathBuf::from("proxy-dhcp@bios/attempt-1"),
                nodes,
            }],
        }],
        folder: PathBuf::from("/nonexistent"),
    }
}

/// Makes the host name and a file differ from what is expected.
fn spoil(records: &mut [Record]) {
    for record in records {
        let Observation::Check {
            check,
            found,
            holds,
            ..
        } = &mut record.seen
        else {
            continue;
        };
        if check == "hostname" {
            (*found, *holds) = (HOSTILE_NAME.into(), false);
        } else if check.starts_with("file") && check.ends_with("content") {
            (*found, *holds) = ("cloud-config of another machine\n".into(), false);
        }
    }
}

fn console(line: &str) -> Observation {
    Observation::Console { line: line.into() }
}

/// Something seen of a node, so many hundredths of a second after the beginning.
fn seen(hundredths: u64, node: &str, seen: Observation) -> Record {
    Record {
        at_us: ZERO_US + hundredths * 10_000,
        node: Some(node.into()),
        seen,
    }
}

/// Many boots, as a full run has them.
pub(super) fn large_page() -> Page {
    let mut attempt = attempt();
    let node = attempt
        .scenario
        .nodes
        .first()
        .map(|node| node.name.clone())
        .unwrap();
    let line =
        "[    1.234567] something that a kernel says in a line of a usual length, over and over";
    for number in 0..1500 {
        attempt
            .records
            .push(seen(400 + number, &node, console(line)));
    }
    let mut story = Story {
        wire: attempt.wire,
        ..Story::default()
    };
    for turn in 0..60 {
        story.reads(5000 + turn, "a/file/that/is/looked/for");
        story.sends(5000 + turn, "a/file/that/is/looked/for", 1000);
    }
    attempt.wire = story.wire;
    let mut run = run(&attempt);
    let unit = run.units.first().cloned().unwrap();
    run.units = vec![unit; 8];
    gather(&run, |_, _| Ok::<_, String>(judged(&attempt)))
}
