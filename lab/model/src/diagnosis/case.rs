//! Evidence about one failed node, in the form that detectors need.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;

use boot_server_events::{BootEvent, Who};
use boot_server_proto::dhcp::MessageType;

use super::Proof;
use crate::evidence::domain::Domain;
use crate::evidence::packet::{DhcpSaid, Direction, Packet, PacketContent, Transfer, Wire};
use crate::evidence::saved::Attempt;
use crate::evidence::{DhcpKind, Observation, Record};
use crate::scenario::{DhcpService, Node, Part};
use crate::timeline::signatures::{Clue, has_clue};
use crate::timeline::{Outcome, StageEvent, StageName, Timeline, frame_in};

/// Failed node.
pub(super) struct Case<'a> {
    pub(super) attempt: &'a Attempt,
    pub(super) node: &'a Node,
    pub(super) timeline: &'a Timeline,
    /// First stage that the node did not complete.
    pub(super) stage: StageName,
    /// MAC, in the notation of packets and events.
    pub(super) mac: String,
    /// UUID, in the notation of packets and events.
    pub(super) uuid: String,
    /// All addresses that the machine was assigned or used.
    pub(super) addresses: BTreeSet<Ipv4Addr>,
}

impl<'a> Case<'a> {
    pub(super) fn new(
        attempt: &'a Attempt,
        node: &'a Node,
        timeline: &'a Timeline,
        stage: StageName,
    ) -> Case<'a> {
        let mut case = Case {
            attempt,
            node,
            timeline,
            stage,
            mac: node.mac.to_string(),
            uuid: node.uuid.to_string(),
            addresses: BTreeSet::new(),
        };
        let said = case.dhcp().filter_map(|(_, said)| match said.from_server {
            true => said.given,
            false => said.wanted,
        });
        let told = case.events().filter_map(|(_, event)| match event {
            BootEvent::DhcpReply { address, .. } => *address,
            _ => None,
        });
        case.addresses = said.chain(told).collect();
        case
    }

    /// Returns the packets of all machines.
    pub(super) fn wire(&self) -> &'a Wire {
        &self.attempt.wire
    }

    /// True if there is a capture; without one, a missing packet proves nothing.
    pub(super) fn has_capture(&self) -> bool {
        self.attempt.wire.frames > 0
    }

    /// Traffic at this machine's own port, if it was captured.
    pub(super) fn port(&self) -> Option<&'a Wire> {
        self.attempt.ports.get(&self.node.name)
    }

    /// Returns the packets that include the machine's own.
    fn near(&self) -> &'a Wire {
        self.port().unwrap_or(&self.attempt.wire)
    }

    /// Returns the DHCP messages from and to this machine.
    pub(super) fn dhcp(&self) -> impl Iterator<Item = (&'a Packet, &'a DhcpSaid)> + use<'a, '_> {
        let packets = self.near().packets.iter();
        packets.filter_map(|packet| match &packet.what {
            PacketContent::Dhcp(said) if self.is_own_dhcp(packet, said) => Some((packet, &**said)),
            _ => None,
        })
    }

    fn is_own_dhcp(&self, packet: &Packet, said: &DhcpSaid) -> bool {
        match (said.from_server, packet.direction) {
            (false, Some(direction)) => {
                direction == Direction::FromMachine && !self.is_other_card(&said.client)
            }
            _ => said.client == self.mac,
        }
    }

    /// True if a MAC is that of a card from which the machine should not boot.
    pub(super) fn is_other_card(&self, mac: &str) -> bool {
        let mut others = self.node.nics.iter().filter(|nic| !nic.boots);
        others.any(|nic| nic.mac.to_string() == mac)
    }

    /// Returns the DHCP messages of this machine of that kind.
    pub(super) fn asked(
        &self,
        message: MessageType,
    ) -> impl Iterator<Item = (&'a Packet, &'a DhcpSaid)> + use<'a, '_> {
        self.dhcp()
            .filter(move |(_, said)| !said.from_server && said.is(message))
    }

    /// Returns the offers and acknowledgements for this machine.
    pub(super) fn answers(&self) -> impl Iterator<Item = (&'a Packet, &'a DhcpSaid)> + use<'a, '_> {
        self.dhcp().filter(|(_, said)| {
            let answers = [
                DhcpKind::Dhcp(MessageType::Offer),
                DhcpKind::Dhcp(MessageType::Ack),
                DhcpKind::Bootp,
            ];
            said.from_server && answers.contains(&said.message)
        })
    }

    /// Returns the DHCP messages before the kernel: those of firmware and boot programs.
    pub(super) fn in_firmware<'c>(
        &self,
        messages: impl Iterator<Item = (&'c Packet, &'c DhcpSaid)>,
    ) -> impl Iterator<Item = (&'c Packet, &'c DhcpSaid)> {
        let kernel = self.timeline.stage(StageName::KernelUp);
        let until_us = kernel.map_or(u64::MAX, |stage| stage.start_us);
        messages.filter(move |(packet, _)| packet.at_us < until_us)
    }

    /// True if any server offered the firmware an address.
    pub(super) fn gives_address(&self) -> bool {
        let mut answers = self.in_firmware(self.answers());
        answers.any(|(_, said)| said.given.is_some())
    }

    /// True if the machine received an ACK.
    pub(super) fn gives_address_in_the_end(&self) -> bool {
        let mut answers = self.in_firmware(self.answers());
        let acked = answers.any(|(_, said)| said.given.is_some() && said.is(MessageType::Ack));
        acked || self.is_through(StageName::Dhcp)
    }

    /// Returns the last NAK, if no ACK followed it.
    pub(super) fn nak(&self) -> Option<(&'a Packet, &'a DhcpSaid)> {
        let answers = self.dhcp().filter(|(_, said)| said.from_server);
        let last =
            answers.filter(|(_, said)| said.is(MessageType::Nak) || said.is(MessageType::Ack));
        last.last().filter(|(_, said)| said.is(MessageType::Nak))
    }

    /// True if a proxy of the scenario sends the boot options.
    pub(super) fn expects_proxy(&self) -> bool {
        let scenario = &self.attempt.scenario;
        scenario.services.has_proxy() || scenario.custom_service(Part::ProxyDhcp).is_some()
    }

    /// Address of the scenario's DHCP server, if the lab or a service of the scenario provides it.
    pub(super) fn expected_server(&self) -> Option<Ipv4Addr> {
        let scenario = &self.attempt.scenario;
        if let Some(service) = scenario.custom_service(Part::Dhcp) {
            return Some(scenario.address_of(service));
        }
        (scenario.services.dhcp != DhcpService::None).then(|| scenario.network.host())
    }

    /// The machine as libvirt defined it, where that was kept.
    pub(super) fn domain(&self) -> Option<&'a Domain> {
        self.attempt.beside.domains.get(&self.node.name)
    }

    /// Returns the machine's memory in MiB, from libvirt or else from the scenario.
    pub(super) fn memory_mib(&self) -> u32 {
        let told = self.domain().and_then(|domain| domain.memory_mib);
        told.map_or(self.node.memory_mib, NonZeroU32::get)
    }

    /// Returns the time when the lab stopped waiting.
    pub(super) fn gave_up_us(&self) -> Option<u64> {
        self.records()
            .filter(|record| matches!(record.seen, Observation::GaveUp { .. }))
            .map(|record| record.at_us)
            .last()
    }

    /// Returns the packets that this machine sent.
    pub(super) fn sent(&self) -> impl Iterator<Item = &'a Packet> + use<'a, '_> {
        let packets = self.near().packets.iter();
        packets.filter(|packet| match packet.direction {
            Some(direction) => direction == Direction::FromMachine,
            None => packet.from.mac == self.mac,
        })
    }

    /// Returns the unicast packets to this machine.
    pub(super) fn received(&self) -> impl Iterator<Item = &'a Packet> + use<'a, '_> {
        let packets = self.near().packets.iter();
        packets.filter(|packet| {
            packet.to.mac == self.mac && packet.direction != Some(Direction::FromMachine)
        })
    }

    /// Returns the transfers to this machine, complete or not.
    pub(super) fn transfers(&self) -> impl Iterator<Item = &'a Transfer> + use<'a, '_> {
        let transfers = self.near().transfers.iter();
        transfers.filter(|transfer| match transfer.direction {
            Some(direction) => direction == Direction::ToMachine,
            None => transfer.to.mac == self.mac,
        })
    }

    /// Returns the transfers in the capture of the whole network, which includes packets lost on the way to the
    /// machine.
    pub(super) fn transfers_on_network(&self) -> impl Iterator<Item = &'a Transfer> + use<'a, '_> {
        let transfers = self.wire().transfers.iter();
        transfers.filter(|transfer| transfer.to.mac == self.mac)
    }

    /// Returns the same transfer in the capture of the whole network, if the machine's own port was captured, too.
    pub(super) fn on_network(&self, arrived: &Transfer) -> Option<&'a Transfer> {
        self.port()?;
        self.transfers_on_network().find(|one| {
            (one.protocol, &one.name, &one.from, &one.to)
                == (arrived.protocol, &arrived.name, &arrived.from, &arrived.to)
        })
    }

    /// Returns the lab's server events about this machine.
    pub(super) fn events(&self) -> impl Iterator<Item = (u64, &'a BootEvent)> + use<'a, '_> {
        self.attempt
            .records
            .iter()
            .filter_map(|record| match &record.seen {
                Observation::Server { entry, .. } => {
                    let ours = record.node.as_deref() == Some(&self.node.name)
                        || entry.what.who().is_some_and(|who| self.is(who));
                    ours.then_some((entry.at_us, &entry.what))
                }
                _ => None,
            })
    }

    fn is(&self, who: &Who) -> bool {
        match (&who.mac, &who.uuid, who.peer) {
            (Some(mac), ..) => *mac == self.node.mac.into(),
            (None, Some(uuid), _) => *uuid == self.node.uuid.into(),
            (None, None, Some(peer)) => match peer.ip().to_canonical() {
                IpAddr::V4(address) => self.addresses.contains(&address),
                IpAddr::V6(_) => false,
            },
            (None, None, None) => false,
        }
    }

    /// Returns the records of this machine alone.
    fn records(&self) -> impl Iterator<Item = &'a Record> + use<'a, '_> {
        let records = self.attempt.records.iter();
        records.filter(|record| record.node.as_deref() == Some(&self.node.name))
    }

    /// Returns the lines of the machine's console.
    pub(super) fn console(&self) -> impl Iterator<Item = (u64, &'a str)> + use<'a, '_> {
        self.records().filter_map(|record| match &record.seen {
            Observation::Console { line } => Some((record.at_us, line.as_str())),
            _ => None,
        })
    }

    /// The first console line with this meaning.
    pub(super) fn line(&self, clue: Clue) -> Option<(u64, &'a str)> {
        self.console().find(|(_, line)| has_clue(line, clue))
    }

    /// Observations of a stage.
    pub(super) fn stage_events(&self, stage: StageName) -> &'a [StageEvent] {
        let stage = self.timeline.stage(stage);
        stage.map_or(&[], |stage| &stage.events)
    }

    /// True if the stage was completed.
    pub(super) fn is_through(&self, stage: StageName) -> bool {
        let through = |stage_event: &StageEvent| {
            stage_event.outcome == Outcome::Done && stage_event.impostor.is_none()
        };
        self.stage_events(stage).iter().any(through)
    }

    /// True if the machine loaded a boot program, a script or a kernel: somebody told it what to boot.
    pub(super) fn boots_from_network(&self) -> bool {
        [StageName::Nbp, StageName::Script, StageName::Kernel]
            .into_iter()
            .any(|stage| self.is_through(stage))
    }

    /// Returns the time of power-on, else of the first observation.
    pub(super) fn start_us(&self) -> u64 {
        self.timeline.zero_us()
    }

    /// Returns the time of the last observation of any kind.
    pub(super) fn end_us(&self) -> u64 {
        let records = self.attempt.records.iter().map(|record| record.at_us);
        let packets = self.wire().packets.iter().map(|packet| packet.at_us);
        let transfers = self.wire().transfers.iter().map(|one| one.end_us);
        records.chain(packets).chain(transfers).max().unwrap_or(0)
    }

    /// Converts a time into seconds since [`Case::start_us`].
    pub(super) fn time(&self, at_us: u64) -> String {
        let seconds = (at_us as f64 - self.start_us() as f64) / 1e6;
        // Clocks of libvirt and the kernel differ by less than the displayed precision: no "-0.00".
        format!("{:.2} s", (seconds * 100.0).round() / 100.0 + 0.0)
    }

    /// True if the address is that of the host that runs the scenario's services.
    pub(super) fn is_of_service(&self, address: &str) -> bool {
        let host = self.attempt.scenario.network.host();
        address.parse() == Ok(host)
    }

    /// Converts a packet into evidence.
    pub(super) fn packet(&self, packet: &Packet, text: impl Into<String>) -> Proof {
        Proof {
            service: None,
            at_us: Some(packet.at_us),
            frame: frame_in(self.wire(), packet),
            text: text.into(),
        }
    }

    /// Formats a place: `at 2.31 s (frame 14)`.
    pub(super) fn when(&self, packet: &Packet) -> String {
        let time = self.time(packet.at_us);
        match frame_in(self.wire(), packet) {
            Some(frame) => format!("at {time} ({frame})"),
            None => format!("at {time}"),
        }
    }
}

/// Returns the sender of a DHCP answer: its server identifier, else its address.
pub(super) fn server_of(packet: &Packet, said: &DhcpSaid) -> String {
    match (said.server, packet.from.address) {
        (Some(server), _) => server.to_string(),
        (None, Some(address)) => address.to_string(),
        (None, None) => packet.from.mac.clone(),
    }
}

/// Converts an observation into evidence.
pub(super) fn proof(stage_event: &StageEvent) -> Proof {
    Proof {
        service: None,
        at_us: Some(stage_event.at_us),
        frame: stage_event.frame.clone(),
        text: stage_event.text.clone(),
    }
}
