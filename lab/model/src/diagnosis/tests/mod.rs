//! Both sides of every detector: it fires on its evidence, and nothing fires on a boot that passed.

mod boot;
mod captures;
mod causes;
mod cloud_init;
mod decisions;
mod images;
mod inside;
mod kinds;
mod offers;
mod passing;
mod relayed;
mod saved;
pub(crate) mod wiring;

use std::collections::BTreeMap;

use boot_server_events::{BootEvent, Event};
use boot_server_proto::dhcp::MessageType;

use super::{Cause, Finding, diagnose};
use crate::evidence::beside::Beside;
use crate::evidence::packet::{
    DhcpSaid, Endpoint, Packet, PacketContent, Protocol, Transfer, TransferEnd, Wire,
};
use crate::evidence::saved::Attempt;
use crate::evidence::{Observation, Record};
use crate::scenario::{Firmware, Node};
use crate::verdict::fixture::{address, evidence, scenario};
use crate::verdict::{NodeVerdict, judge_node};

/// MAC of the host's bridge, where our services are.
const HOST: &str = "fe:54:00:00:00:01";

/// An attempt to spoil: one node's passing evidence, packets included.
#[derive(Clone)]
pub(crate) struct Story {
    pub(crate) attempt: Attempt,
    pub(crate) node: Node,
}

impl Story {
    /// The evidence of a node that passed.
    pub(crate) fn of(name: &str, node: &str, firmware: Firmware) -> Story {
        let scenario = scenario(name);
        let node = scenario.node(node).unwrap().clone();
        let records = evidence(&scenario, &node, firmware);
        let wire = wiring::wire(&scenario, &node, &records);
        let attempt = Attempt {
            firmware,
            records,
            wire,
            ports: BTreeMap::new(),
            node_seconds: BTreeMap::from([(node.name.clone(), 30.0)]),
            broken: None,
            interrupted: false,
            beside: Beside::default(),
            scenario,
        };
        Story { attempt, node }
    }

    /// The same with a capture of the node's own port, and with what arrived there.
    pub(crate) fn at_port(name: &str, node: &str, firmware: Firmware) -> Story {
        Story::of(name, node, firmware).with_port()
    }

    pub(crate) fn with_port(mut self) -> Story {
        let port = wiring::port(&self.attempt.wire, &self.node);
        let arrived = wiring::content(&self.node, &port);
        self.attempt.records.extend(arrived);
        self.attempt.ports.insert(self.node.name.clone(), port);
        self
    }

    /// iPXE by chainload on BIOS: what most tests begin with.
    pub(crate) fn chainload() -> Story {
        Story::of("ipxe-chainload", "node1", Firmware::Bios)
    }

    /// When the first packet for which this is true was seen.
    fn time_of(&self, is: impl Fn(&PacketContent) -> bool) -> u64 {
        let packet = self
            .attempt
            .wire
            .packets
            .iter()
            .find(|packet| is(&packet.what));
        packet.expect("a packet of that kind").at_us
    }

    /// Nothing is seen from then on, on the wire or elsewhere.
    fn stop_at(&mut self, at_us: u64) {
        self.attempt
            .records
            .retain(|record| time_us(record) < at_us);
        let wire = &mut self.attempt.wire;
        wire.packets.retain(|packet| packet.at_us < at_us);
        wire.transfers.retain(|transfer| transfer.start_us < at_us);
    }

    /// Nothing is seen from the first packet of that kind on.
    fn stop_before(&mut self, is: impl Fn(&PacketContent) -> bool) -> u64 {
        let at_us = self.time_of(is);
        self.stop_at(at_us);
        at_us
    }

    fn last_us(&self) -> u64 {
        let records = self.attempt.records.iter().map(time_us);
        let packets = self.attempt.wire.packets.iter().map(|packet| packet.at_us);
        records.chain(packets).max().unwrap()
    }

    /// A packet after all others; returns when.
    fn packet(&mut self, from: Endpoint, to: Endpoint, what: PacketContent) -> u64 {
        let at_us = self.last_us() + 100_000;
        self.packet_at(at_us, from, to, what);
        at_us
    }

    fn packet_at(&mut self, at_us: u64, from: Endpoint, to: Endpoint, what: PacketContent) {
        let wire = &mut self.attempt.wire;
        wire.frames += 1;
        let frame = wire.frames;
        wire.packets.push(Packet {
            at_us,
            frame,
            network: None,
            from,
            to,
            direction: None,
            what,
        });
        wire.packets.sort_by_key(|packet| packet.at_us);
    }

    /// A transfer after all else, seconds long.
    fn transfer(&mut self, protocol: Protocol, name: &str, seconds: u64) -> &mut Transfer {
        let start_us = self.last_us() + 100_000;
        let wire = &mut self.attempt.wire;
        wire.frames += 1;
        wire.transfers.push(Transfer {
            protocol,
            name: name.into(),
            from: wiring::host(&self.attempt.scenario, 80),
            to: wiring::guest(&self.attempt.scenario, &self.node, 1024),
            start_us,
            end_us: start_us + seconds * 1_000_000,
            frame: wire.frames,
            network: None,
            bytes: 1000,
            announced: Some(1_000_000),
            retransmits: 0,
            longest_silence_us: 0,
            end: TransferEnd::Open,
            direction: None,
            content: None,
        });
        wire.transfers.last_mut().unwrap()
    }

    /// A line on the console after all else.
    fn console(&mut self, line: &str) -> u64 {
        self.record(Observation::Console { line: line.into() })
    }

    fn record(&mut self, seen: Observation) -> u64 {
        let at_us = self.last_us() + 100_000;
        let node = Some(self.node.name.clone());
        self.attempt.records.push(Record { at_us, node, seen });
        at_us
    }

    /// An event of our server after all else.
    fn event(&mut self, what: BootEvent) -> u64 {
        let at_us = self.last_us() + 100_000;
        let entry = Box::new(Event { at_us, what });
        let service = "server".into();
        self.attempt.records.push(Record {
            at_us,
            node: None,
            seen: Observation::Server { service, entry },
        });
        at_us
    }

    /// The lab gives up so many seconds later.
    fn gave_up(&mut self, seconds: u64, reason: &str) {
        let at_us = self.last_us() + seconds * 1_000_000;
        let node = Some(self.node.name.clone());
        let seen = Observation::GaveUp {
            reason: reason.into(),
        };
        self.attempt.records.push(Record { at_us, node, seen });
    }

    fn host(&self, port: u16) -> Endpoint {
        wiring::host(&self.attempt.scenario, port)
    }

    fn guest(&self, port: u16) -> Endpoint {
        wiring::guest(&self.attempt.scenario, &self.node, port)
    }

    /// A stranger on the wire.
    fn stranger(&self, address: &str, port: u16) -> Endpoint {
        Endpoint {
            mac: "52:54:00:ee:ee:ee".into(),
            address: Some(address.parse().unwrap()),
            port: Some(port),
        }
    }

    pub(crate) fn verdict(&self) -> NodeVerdict {
        judge_node(&self.attempt, &self.node).verdict
    }

    /// The findings, best first; the node must have failed.
    fn findings(&self) -> Vec<Finding> {
        let result = judge_node(&self.attempt, &self.node);
        assert!(
            matches!(result.verdict, NodeVerdict::Fail { .. }),
            "{:?}",
            result.verdict
        );
        diagnose(&self.attempt, &self.node, &result.timeline, &result.verdict)
    }

    /// The best finding has to be of this cause, say these words, and be well founded.
    #[track_caller]
    pub(crate) fn is_explained(&self, cause: Cause, words: &[&str]) -> Finding {
        let findings = self.findings();
        let told: Vec<String> = findings
            .iter()
            .map(|finding| format!("{} {}: {}", finding.weight, finding.cause, finding.sentence))
            .collect();
        let best = findings
            .first()
            .unwrap_or_else(|| panic!("no finding: {:?}", self.verdict()));
        assert_eq!(best.cause, cause, "{told:#?}");
        assert!(best.weight >= 60, "{told:#?}");
        assert!(!best.evidence.is_empty() && !best.remedy.is_empty());
        let evidence: Vec<&str> = best
            .evidence
            .iter()
            .map(|proof| proof.text.as_str())
            .collect();
        let all = format!("{}\n{}", best.sentence, evidence.join("\n"));
        for word in words {
            assert!(all.contains(word), "no `{word}` in: {all}");
        }
        best.clone()
    }
}

fn time_us(record: &Record) -> u64 {
    match &record.seen {
        Observation::Server { entry, .. } => entry.at_us,
        _ => record.at_us,
    }
}

fn is_dhcp(message: MessageType) -> impl Fn(&PacketContent) -> bool {
    move |said| matches!(said, PacketContent::Dhcp(said) if said.is(message))
}

/// The DHCP message in a packet.
fn dhcp(packet: &mut Packet) -> Option<&mut DhcpSaid> {
    match &mut packet.what {
        PacketContent::Dhcp(said) => Some(said),
        _ => None,
    }
}
