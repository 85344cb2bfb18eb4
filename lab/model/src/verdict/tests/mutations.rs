//! A generator of mutations: the evidence of a machine that passed, changed in one thing, must not pass.

use std::collections::{BTreeMap, BTreeSet};

use boot_server_events::{BootEvent, Event};

use super::*;
use crate::diagnosis::tests::Story;
use crate::evidence::packet::{Direction, PacketContent};
use crate::evidence::saved::Attempt;
use crate::timeline::{self, Origin, Outcome};
use crate::verdict::judge_node;
use crate::verdict::require::requirements;

/// Every bundled scenario has to turn by at least so many kinds.
const KINDS_MIN: usize = 40;

/// One answer that the verdict rests on.
#[derive(Debug, Clone)]
struct Load {
    stage: StageName,
    /// When its event was stamped, which no other event is.
    at_us: u64,
    /// TFTP file, or path with its query.
    name: String,
}

/// Changes the evidence; false where there is nothing to change.
type Mutate = fn(&mut Story, &Load) -> bool;

/// Changes one thing in the evidence; `false` where there is nothing to change.
type Change = fn(&mut Story) -> bool;

/// Changes of one answer.
const OF_A_LOAD: &[(&str, Mutate)] = &[
    ("its event is missing", |story, load| {
        let before = story.attempt.records.len();
        let at_us = load.at_us;
        story
            .attempt
            .records
            .retain(|record| !is_event_at(record, at_us));
        story.attempt.records.len() < before
    }),
    ("another byte arrived", |story, load| {
        arrived(story, load, |hash| {
            *hash = super::super::fixture::hash("forged")
        })
    }),
    ("the service sent or has another byte", |story, load| {
        let other = super::super::fixture::hash("other");
        let mut sent = false;
        change(story, load, |event| {
            if let BootEvent::HttpRequest {
                sha256: Some(hash), ..
            }
            | BootEvent::TftpDone {
                sha256: Some(hash), ..
            } = event
            {
                hash.clone_from(&other);
                sent = true;
            }
        });
        let by_arrival = arrival_hash(story, load);
        for record in &mut story.attempt.records {
            if let Observation::Manifest { sha256, .. } = &mut record.seen
                && Some(&*sha256) == by_arrival.as_ref()
            {
                sha256.clone_from(&other);
                sent = true;
            }
        }
        sent
    }),
    ("its frames crossed another port", |story, load| {
        let Some(port) = port(story) else {
            return false;
        };
        port.packets
            .retain(|packet| !is_about(&packet.what, &load.name));
        port.transfers.retain(|transfer| transfer.name != load.name);
        true
    }),
    ("its frames went the other way", |story, load| {
        let Some(port) = port(story) else {
            return false;
        };
        for packet in port
            .packets
            .iter_mut()
            .filter(|one| is_about(&one.what, &load.name))
        {
            packet.direction = packet.direction.map(flipped);
        }
        for one in port
            .transfers
            .iter_mut()
            .filter(|one| one.name == load.name)
        {
            one.direction = one.direction.map(flipped);
        }
        true
    }),
    ("another port of the machine asked", |story, load| {
        change(story, load, |event| {
            if let Some(peer) = peer_of(event) {
                peer.set_port(1);
            }
        })
    }),
    ("another address asked", |story, load| {
        change(story, load, |event| {
            if let Some(peer) = peer_of(event) {
                peer.set_ip([192, 0, 2, 200].into());
            }
        })
    }),
    ("it was asked for at another time", |story, load| {
        change_at(story, load, |entry| entry.at_us += 3_600_000_000)
    }),
    ("another name was asked for", |story, load| {
        change(story, load, |event| match event {
            BootEvent::HttpRequest { path, .. } => path.push_str(".old"),
            BootEvent::TftpDone { file, .. } => file.push_str(".old"),
            _ => {}
        })
    }),
    ("it failed", |story, load| {
        change(story, load, |event| match event {
            BootEvent::HttpRequest { status, .. } => *status = 500,
            BootEvent::TftpDone { who, file, .. } => {
                *event = BootEvent::TftpFailed {
                    who: who.clone(),
                    file: file.clone(),
                    reason: "not found".into(),
                };
            }
            _ => {}
        })
    }),
    ("an answer was forged beside it", |story, load| {
        let forged = super::super::fixture::hash("forged");
        let node = story.node.name.clone();
        let mut extra = None;
        for record in &story.attempt.records {
            if let Observation::Arrived { name, .. } = &record.seen
                && *name == load.name
                && record.node.as_deref() == Some(&*node)
            {
                extra = Some(record.clone());
            }
        }
        let Some(mut extra) = extra else { return false };
        if let Observation::Arrived {
            content,
            from,
            start_us,
            ..
        } = &mut extra.seen
        {
            content.sha256 = forged;
            from.address = Some([192, 0, 2, 200].into());
            *start_us += 1000;
        }
        story.attempt.records.push(extra);
        true
    }),
    (
        "it was asked for in another machine's name",
        |story, load| {
            let nodes = story.attempt.scenario.nodes.clone();
            let Some(other) = nodes.iter().find(|node| node.name != story.node.name) else {
                return false;
            };
            let (mac, uuid) = (other.mac, other.uuid);
            change(story, load, |event| {
                if let BootEvent::HttpRequest { who, .. } | BootEvent::TftpDone { who, .. } = event
                {
                    who.mac = Some(mac.into());
                    who.uuid = Some(uuid.into());
                }
            })
        },
    ),
    ("it came when the boot was elsewhere", |story, load| {
        if load.stage == StageName::Nbp && story.attempt.firmware == Firmware::UefiHttp {
            return false;
        }
        // What firmware loads comes long after the kernel's first line, what the system fetches before power-on.
        let is_of_system = [StageName::CloudConfig, StageName::Ignition].contains(&load.stage);
        let shift = |at_us: &mut u64| match is_of_system {
            true => *at_us -= 60_000_000,
            false => *at_us += 600_000_000,
        };
        for record in &mut story.attempt.records {
            match &mut record.seen {
                Observation::Arrived { name, start_us, .. } if *name == load.name => {
                    shift(start_us)
                }
                Observation::Server { entry, .. } if entry.at_us == load.at_us => {
                    shift(&mut entry.at_us)
                }
                _ => {}
            }
        }
        let Some(port) = port(story) else {
            return false;
        };
        for packet in port
            .packets
            .iter_mut()
            .filter(|one| is_about(&one.what, &load.name))
        {
            shift(&mut packet.at_us);
        }
        for one in port
            .transfers
            .iter_mut()
            .filter(|one| one.name == load.name)
        {
            shift(&mut one.start_us);
            shift(&mut one.end_us);
        }
        true
    }),
    ("another group answered", |story, load| {
        changed_group(story, load, |group| *group = "another".into())
    }),
    ("no group is told", |story, load| {
        let mut done = false;
        change(story, load, |event| {
            if let BootEvent::HttpRequest { group, .. } | BootEvent::TftpDone { group, .. } = event
            {
                done = group.take().is_some();
            }
        });
        done
    }),
    ("the group matched by something else", |story, load| {
        let is_own = |group: &Option<String>| group.as_ref() == Some(&story.node.expect.group);
        let mut events = story
            .attempt
            .records
            .iter()
            .filter(|one| is_event_at(one, load.at_us));
        let group = events.find_map(|record| match &record.seen {
            Observation::Server { entry, .. } => match &entry.what {
                BootEvent::HttpRequest { group, .. } | BootEvent::TftpDone { group, .. } => {
                    Some(is_own(group))
                }
                _ => None,
            },
            _ => None,
        });
        group == Some(true)
            && change(story, load, |event| {
                if let BootEvent::HttpRequest { selectors, .. }
                | BootEvent::TftpDone { selectors, .. } = event
                {
                    *selectors = Some(vec!["serial".into(), "uuid".into()]);
                }
            })
    }),
    ("another config was served", |story, load| {
        let is_config = [StageName::CloudConfig, StageName::Ignition].contains(&load.stage);
        is_config
            && change(story, load, |event| {
                if let BootEvent::HttpRequest { detail, .. } = event {
                    *detail = "another.yaml".into();
                }
            })
    }),
    ("it broke off", |story, load| {
        let mut done = false;
        change(story, load, |event| {
            if let BootEvent::HttpRequest {
                bytes,
                length: Some(length),
                ..
            } = event
            {
                *bytes = *length - 1;
                done = true;
            }
        });
        done
    }),
    ("the scenario states another hash", |story, load| {
        let other = "ab".repeat(32).parse().unwrap();
        let hashes = &mut story.node.expect.sha256;
        match load.stage {
            StageName::Nbp => hashes.boot_program = Some(other),
            StageName::Kernel => hashes.kernel = Some(other),
            StageName::Initrd => hashes.initrd = vec![other],
            StageName::CloudConfig => hashes.cloud_config = Some(other),
            StageName::Ignition => hashes.ignition = Some(other),
            _ => return false,
        }
        let name = story.node.name.clone();
        let node = story
            .attempt
            .scenario
            .nodes
            .iter_mut()
            .find(|node| node.name == name);
        node.unwrap().expect.sha256 = story.node.expect.sha256.clone();
        true
    }),
];

/// Changes of the rest.
const OF_THE_REST: &[(&str, Change)] = &[
    ("it was never switched on", |story| {
        without(story, |seen| matches!(seen, Observation::PowerOn))
    }),
    ("its kernel says nothing", |story| {
        without(story, |seen| matches!(seen, Observation::Console { .. }))
    }),
    ("its shell does not answer", |story| {
        without(story, |seen| matches!(seen, Observation::ShellReady))
    }),
    ("no check was made", |story| {
        without(story, |seen| matches!(seen, Observation::Check { .. }))
    }),
    ("it was reset once", |story| {
        inserted(story, Observation::Reset)
    }),
    ("its firmware started twice", |story| {
        let line = || shown("SeaBIOS (version 1.16.2-debian-1.16.2-1)");
        inserted(story, line()) && inserted(story, line())
    }),
    ("its kernel started twice", |story| {
        inserted(story, shown("[    0.000000] Linux version 6.1.0"))
    }),
    ("the agent failed", |story| {
        inserted(
            story,
            shown("guest-agent: FAILED: /etc/x: Read-only file system"),
        )
    }),
    ("the agent applied nothing", |story| {
        story.node.expect.cloud_config.is_some()
            && inserted(
                story,
                shown("guest-agent: nothing applied: the user-data is empty"),
            )
    }),
    ("Ignition failed", |story| {
        inserted(
            story,
            shown("[    3.000000] ignition[200]: Ignition failed: files stage"),
        )
    }),
    ("coreos-cloudinit failed", |story| {
        inserted(
            story,
            shown("coreos-cloudinit[300]: Failed to apply cloud-config: x"),
        )
    }),
    ("a unit of the config failed", |story| {
        brings_in_a_unit(story)
            && inserted(
                story,
                shown("[FAILED] Failed to start lab.service - Marks a machine."),
            )
    }),
    ("a unit of the config failed after the boot", |story| {
        let mut records = story.attempt.records.iter_mut();
        let failed = records.find_map(|record| match &mut record.seen {
            Observation::Units { failed, .. } => Some(failed),
            _ => None,
        });
        let Some(failed) = failed else { return false };
        failed.push("lab.service".into());
        brings_in_a_unit(story)
    }),
    ("a check does not hold", |story| {
        checked(story, |found, holds, _| {
            *found = "something else".into();
            *holds = false;
        })
    }),
    ("a check was made against something else", |story| {
        checked(story, |_, _, expected| *expected = "something else".into())
    }),
    ("one check is missing", |story| {
        let is_check = |record: &Record| matches!(record.seen, Observation::Check { .. });
        let place = story.attempt.records.iter().position(is_check);
        place.is_some_and(|place| {
            story.attempt.records.remove(place);
            true
        })
    }),
    ("no boot program follows the loads", |story| {
        let place = story.attempt.records.iter().position(|record| {
            matches!(&record.seen, Observation::Server { entry, .. }
                if matches!(entry.what, BootEvent::TftpDone { .. }))
        });
        let Some(place) = place else { return false };
        let record = story.attempt.records[place].clone();
        for _ in 0..3 {
            story.attempt.records.insert(place, record.clone());
        }
        matches!(&record.seen, Observation::Server { entry, .. }
            if matches!(&entry.what, BootEvent::TftpDone { file, .. }
                if !file.starts_with("pxelinux.cfg/") && timeline::image_file(file).is_none()))
    }),
    ("all of it is another machine's port", |story| {
        let Some(port) = port(story) else {
            return false;
        };
        *port = Wire::default();
        true
    }),
    (
        "all frames bear the machine's MAC and came from elsewhere",
        |story| {
            let Some(port) = port(story) else {
                return false;
            };
            for packet in &mut port.packets {
                packet.direction = Some(Direction::ToMachine);
            }
            true
        },
    ),
    ("its console is another machine's", |story| {
        let mut done = false;
        for record in &mut story.attempt.records {
            if matches!(
                record.seen,
                Observation::Console { .. } | Observation::ShellReady
            ) {
                record.node = Some("another".into());
                done = true;
            }
        }
        done
    }),
    ("its checks are another machine's", |story| {
        let mut done = false;
        for record in &mut story.attempt.records {
            if matches!(record.seen, Observation::Check { .. }) {
                record.node = Some("another".into());
                done = true;
            }
        }
        done
    }),
    ("the kernel came up before the power-on", |story| {
        let first_us = story
            .attempt
            .records
            .iter()
            .map(|one| one.at_us)
            .filter(|at_us| *at_us > 0)
            .min();
        for record in &mut story.attempt.records {
            if matches!(record.seen, Observation::Console { .. }) {
                record.at_us = first_us.unwrap() - 60_000_000;
            }
        }
        true
    }),
    ("the login came before the kernel", |story| {
        let mut done = false;
        for record in &mut story.attempt.records {
            if matches!(record.seen, Observation::ShellReady) {
                record.at_us -= 60_000_000;
                done = true;
            }
        }
        done
    }),
    ("the DHCP exchange has another transaction id", |story| {
        let own = story.attempt.scenario.services.dhcp == crate::scenario::DhcpService::BootServer;
        let has_proxy = story.attempt.scenario.services.has_proxy();
        for record in &mut story.attempt.records {
            if let Some(BootEvent::DhcpReply { xid, .. }) = event(record) {
                *xid = 99;
            }
        }
        own || has_proxy
    }),
    ("no DHCP answer of ours", |story| {
        let own = story.attempt.scenario.services.dhcp == crate::scenario::DhcpService::BootServer;
        let has_proxy = story.attempt.scenario.services.has_proxy();
        story
            .attempt
            .records
            .retain_mut(|record| !matches!(event(record), Some(BootEvent::DhcpReply { .. })));
        own || has_proxy
    }),
];

fn flipped(direction: Direction) -> Direction {
    match direction {
        Direction::FromMachine => Direction::ToMachine,
        Direction::ToMachine => Direction::FromMachine,
    }
}

fn shown(line: &str) -> Observation {
    Observation::Console { line: line.into() }
}

fn is_event_at(record: &Record, at_us: u64) -> bool {
    matches!(&record.seen, Observation::Server { entry, .. } if entry.at_us == at_us)
}

fn change_at(story: &mut Story, load: &Load, change: impl Fn(&mut Event)) -> bool {
    let mut done = false;
    for record in &mut story.attempt.records {
        if let Observation::Server { entry, .. } = &mut record.seen
            && entry.at_us == load.at_us
        {
            change(entry);
            done = true;
        }
    }
    done
}

fn change(story: &mut Story, load: &Load, mut change: impl FnMut(&mut BootEvent)) -> bool {
    let mut done = false;
    for record in &mut story.attempt.records {
        if is_event_at(record, load.at_us)
            && let Some(event) = event(record)
        {
            change(event);
            done = true;
        }
    }
    done
}

fn changed_group(story: &mut Story, load: &Load, to: fn(&mut String)) -> bool {
    let mut done = false;
    change(story, load, |event| {
        if let BootEvent::HttpRequest {
            group: Some(group), ..
        }
        | BootEvent::TftpDone {
            group: Some(group), ..
        } = event
        {
            to(group);
            done = true;
        }
    });
    done
}

fn peer_of(event: &mut BootEvent) -> Option<&mut std::net::SocketAddr> {
    match event {
        BootEvent::HttpRequest { who, .. } | BootEvent::TftpDone { who, .. } => who.peer.as_mut(),
        _ => None,
    }
}

fn arrived(story: &mut Story, load: &Load, change: impl Fn(&mut String)) -> bool {
    let mut done = false;
    for record in &mut story.attempt.records {
        if let Observation::Arrived { name, content, .. } = &mut record.seen
            && *name == load.name
        {
            change(&mut content.sha256);
            done = true;
        }
    }
    done
}

fn arrival_hash(story: &Story, load: &Load) -> Option<String> {
    story
        .attempt
        .records
        .iter()
        .find_map(|record| match &record.seen {
            Observation::Arrived { name, content, .. } if *name == load.name => {
                Some(content.sha256.clone())
            }
            _ => None,
        })
}

fn port(story: &mut Story) -> Option<&mut Wire> {
    story.attempt.ports.get_mut(&story.node.name)
}

fn is_about(said: &PacketContent, name: &str) -> bool {
    match said {
        PacketContent::TftpRequest { file, .. } => file == name,
        PacketContent::HttpRequest { target, .. } => target == name,
        PacketContent::HttpResponse { target, .. } => target.as_deref() == Some(name),
        _ => false,
    }
}

fn without(story: &mut Story, is: fn(&Observation) -> bool) -> bool {
    let before = story.attempt.records.len();
    story.attempt.records.retain(|record| !is(&record.seen));
    story.attempt.records.len() < before
}

/// The machine's first file is a cloud-config with a unit.
fn brings_in_a_unit(story: &mut Story) -> bool {
    let mut records = story.attempt.records.iter_mut();
    let content = records.find_map(|record| match &mut record.seen {
        Observation::Arrived { content, .. } => Some(content),
        _ => None,
    });
    let Some(content) = content else { return false };
    content.text = Some("#cloud-config\ncoreos:\n  units:\n    - name: lab.service\n".into());
    true
}

/// Right before the last check, or before the last thing that was seen.
fn inserted(story: &mut Story, seen: Observation) -> bool {
    let is_check = |record: &&Record| matches!(record.seen, Observation::Check { .. });
    let last = story.attempt.records.iter().rfind(is_check);
    let Some(last) = last else { return false };
    let record = Record {
        at_us: last.at_us - 1,
        node: Some(story.node.name.clone()),
        seen,
    };
    story.attempt.records.push(record);
    true
}

fn checked(story: &mut Story, change: fn(&mut String, &mut bool, &mut String)) -> bool {
    for record in &mut story.attempt.records {
        if let Observation::Check {
            found,
            holds,
            expected,
            ..
        } = &mut record.seen
        {
            change(found, holds, expected);
            return true;
        }
    }
    false
}

/// The answers that the verdict about this story rests on.
fn loads(story: &Story) -> Vec<Load> {
    let Story { attempt, node } = story;
    let Attempt {
        scenario,
        firmware,
        records,
        wire,
        ..
    } = attempt;
    let timeline = timeline::build(scenario, node, records, wire, attempt.ports.get(&node.name));
    let mut loads = Vec::new();
    for requirement in requirements(scenario, node, *firmware, timeline.vantage) {
        if !requirement.is_of_a_file() {
            continue;
        }
        let stage_events = &timeline.stage(requirement.stage).unwrap().events;
        let proofs: Vec<_> = stage_events
            .iter()
            .filter(|one| one.origin == Origin::Server && one.outcome == Outcome::Done)
            .filter(|one| requirement.subject.is_of(one))
            .collect();
        // Of several that prove the same, one alone changes nothing.
        let [only] = proofs.as_slice() else { continue };
        let record = records
            .iter()
            .find(|record| is_event_at(record, only.at_us));
        let Some(Observation::Server { entry, .. }) = record.map(|record| &record.seen) else {
            continue;
        };
        let name = match &entry.what {
            BootEvent::HttpRequest { path, query, .. } => {
                super::super::fixture::target(path, query)
            }
            BootEvent::TftpDone { file, .. } => file.clone(),
            _ => continue,
        };
        loads.push(Load {
            stage: requirement.stage,
            at_us: only.at_us,
            name,
        });
    }
    loads
}

#[test]
fn verdict_of_evidence_changed_in_one_thing_is_no_pass() {
    let mut kinds: BTreeMap<&str, BTreeSet<(&str, Option<StageName>)>> = BTreeMap::new();
    let mut survivors = Vec::new();
    for name in SCENARIOS {
        let of_scenario = scenario(name);
        for firmware in of_scenario.firmware.clone() {
            for node in &of_scenario.nodes {
                let title = format!("{name}@{firmware}/{}", node.name);
                let passed = Story::at_port(name, &node.name, firmware);
                let fresh = || passed.clone();
                assert_eq!(fresh().verdict(), NodeVerdict::Pass, "{title} unchanged");
                let mut judge = |kind, stage, story: Story| {
                    kinds.entry(name).or_default().insert((kind, stage));
                    let result = judge_node(&story.attempt, &story.node);
                    if result.verdict == NodeVerdict::Pass {
                        survivors.push(format!("{title}: {kind} {stage:?}"));
                    }
                };
                for load in loads(&fresh()) {
                    for (kind, mutate) in OF_A_LOAD {
                        let mut story = fresh();
                        if mutate(&mut story, &load) {
                            judge(*kind, Some(load.stage), story);
                        }
                    }
                }
                for (kind, mutate) in OF_THE_REST {
                    let mut story = fresh();
                    if mutate(&mut story) {
                        judge(*kind, None, story);
                    }
                }
            }
        }
    }
    assert_eq!(survivors, [] as [String; 0], "these still pass");
    for name in SCENARIOS {
        let count = kinds.get(name).map_or(0, BTreeSet::len);
        assert!(count >= KINDS_MIN, "{name}: only {count} kinds of mutation");
    }
}

#[test]
fn causes_of_a_pass_with_one_stage_taken_away_are_none() {
    let mut invented = Vec::new();
    for name in SCENARIOS {
        let of_scenario = scenario(name);
        for firmware in of_scenario.firmware.clone() {
            let node = &of_scenario.nodes[0];
            for load in loads(&Story::at_port(name, &node.name, firmware)) {
                let mut story = Story::at_port(name, &node.name, firmware);
                let about = |said: &PacketContent| is_about(said, &load.name);
                story.attempt.records.retain(|record| match &record.seen {
                    Observation::Arrived { name, .. } => *name != load.name,
                    _ => !is_event_at(record, load.at_us),
                });
                let wires = story.attempt.ports.values_mut();
                for wire in wires.chain([&mut story.attempt.wire]) {
                    let connects_us = load.at_us.saturating_sub(20_000)..=load.at_us;
                    wire.packets.retain(|packet| {
                        let is_its_syn = packet.what == PacketContent::TcpSyn
                            && connects_us.contains(&packet.at_us);
                        !is_its_syn && !about(&packet.what)
                    });
                    wire.transfers.retain(|transfer| transfer.name != load.name);
                }
                let result = judge_node(&story.attempt, &story.node);
                let found = crate::diagnosis::diagnose(
                    &story.attempt,
                    &story.node,
                    &result.timeline,
                    &result.verdict,
                );
                for finding in found {
                    invented.push(format!(
                        "{name}@{firmware} without {:?}: {finding:?}",
                        load.stage
                    ));
                }
            }
        }
    }
    assert_eq!(invented, [] as [String; 0]);
}
