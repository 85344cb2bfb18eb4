//! Assignment of packets and server events to machines.
//!
//! With a capture of the machine's own port, traffic there is the machine's. Events of servers are joined to its
//! frames by protocol, name, the machine's address and port, transaction id and time. Addresses, MACs and UUIDs
//! are claims. Without such a capture, packets are assigned by MAC.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use boot_server_events::BootEvent;

use super::named::Named;
use crate::evidence::packet::{
    DhcpSaid, Direction, Endpoint, Frame, Packet, PacketContent, Transfer, Wire,
};
use crate::scenario::Scenario;

/// Maximum time between a request at the machine's port and the server's event about its answer, in addition to
/// the answer's duration: a busy host stamps events late.
const JOINED_WITHIN_US: u64 = 10_000_000;

/// Tolerance for clocks read in another process.
const EARLY_US: u64 = 1_000_000;

/// Packets from the perspective of one machine.
pub(super) struct View<'w> {
    pub(super) scenario: &'w Scenario,
    pub(super) wire: &'w Wire,
    /// Capture of the whole network, whose frame numbers are reported.
    pub(super) segment: &'w Wire,
    mac: String,
    /// Transaction ids of the machine's DHCP messages; `None` without a capture of its port.
    own_xids: Option<BTreeSet<u32>>,
    /// Addresses from which the machine sent, as seen at its port.
    own_addresses: BTreeSet<IpAddr>,
}

impl<'w> View<'w> {
    /// Uses all packets of the network, of which those with the machine's MAC are its own.
    pub(super) fn of_segment(scenario: &'w Scenario, wire: &'w Wire, mac: &str) -> View<'w> {
        View {
            scenario,
            wire,
            segment: wire,
            mac: mac.to_owned(),
            own_xids: None,
            own_addresses: BTreeSet::new(),
        }
    }

    /// Traffic at the machine's own port.
    pub(super) fn of_port(
        scenario: &'w Scenario,
        wire: &'w Wire,
        segment: &'w Wire,
        mac: &str,
    ) -> View<'w> {
        let sent = wire
            .packets
            .iter()
            .filter(|packet| packet.direction == Some(Direction::FromMachine));
        let addresses = sent
            .clone()
            .filter_map(|packet| packet.from.address)
            .filter(|address| !address.is_unspecified())
            .map(|address| address.to_canonical());
        let xids = sent.clone().filter_map(|packet| match &packet.what {
            PacketContent::Dhcp(said) if !said.from_server => Some(said.xid),
            _ => None,
        });
        View {
            scenario,
            wire,
            segment,
            mac: mac.to_owned(),
            own_xids: Some(xids.collect()),
            own_addresses: addresses.collect(),
        }
    }

    /// True if the machine's own port was captured.
    pub(super) fn has_port(&self) -> bool {
        self.own_xids.is_some()
    }

    /// Returns the place in the capture of the whole network.
    pub(super) fn frame(&self, packet: &Packet) -> Option<Frame> {
        frame_in(self.segment, packet)
    }

    /// True if the machine sent the packet.
    pub(super) fn sent(&self, packet: &Packet) -> bool {
        match self.own_xids {
            Some(_) => packet.direction == Some(Direction::FromMachine),
            None => packet.from.mac == self.mac,
        }
    }

    /// True if the packet was sent to the machine alone.
    pub(super) fn received(&self, packet: &Packet) -> bool {
        packet.to.mac == self.mac
            && (self.own_xids.is_none() || packet.direction == Some(Direction::ToMachine))
    }

    /// True if the data of the transfer was sent to the machine.
    pub(super) fn got(&self, transfer: &Transfer) -> bool {
        match self.own_xids {
            Some(_) => transfer.direction == Some(Direction::ToMachine),
            None => transfer.to.mac == self.mac,
        }
    }

    /// True if the message is the machine's, or a server's answer to it.
    pub(super) fn is_own_dhcp(&self, packet: &Packet, said: &DhcpSaid) -> bool {
        match &self.own_xids {
            None => said.client == self.mac,
            Some(_) if !said.from_server => self.sent(packet),
            Some(xids) => {
                packet.direction == Some(Direction::ToMachine)
                    && said.client == self.mac
                    && xids.contains(&said.xid)
            }
        }
    }

    /// True if the port saw the machine in the same exchange or with the same address: the message then is not
    /// another host's, although it did not cross the port.
    pub(super) fn is_of_machine(&self, event: &BootEvent) -> bool {
        match event {
            BootEvent::DhcpRequest { xid, .. } | BootEvent::DhcpReply { xid, .. } => self
                .own_xids
                .as_ref()
                .is_some_and(|xids| xids.contains(xid)),
            _ => {
                let peer = event.who().and_then(|who| who.peer);
                peer.is_some_and(|peer| self.own_addresses.contains(&peer.ip().to_canonical()))
            }
        }
    }

    /// True if the machine had opened the TLS connection of this client address and port: the requests in it are
    /// encrypted, and only the server knows them.
    fn has_encrypted(&self, at_us: u64, peer: Option<SocketAddr>) -> bool {
        let packets = self.wire.packets.iter();
        let mut hellos = packets.filter(|packet| packet.what == PacketContent::TlsHello);
        hellos.any(|hello| {
            let from = socket(&hello.from);
            self.sent(hello)
                && hello.at_us <= at_us + EARLY_US
                && from.is_some()
                && peer.is_some()
                && is_same_peer(from, peer)
        })
    }

    /// True if frames of this event crossed the machine's port. `took_us` is the duration of the answer.
    pub(super) fn crossed(&self, at_us: u64, took_us: u64, event: &BootEvent) -> bool {
        let since_us = at_us.saturating_sub(took_us + JOINED_WITHIN_US);
        let in_time = |packet: &&Packet| (since_us..=at_us + EARLY_US).contains(&packet.at_us);
        let peer = event.who().and_then(|who| who.peer);
        let sent = || {
            let packets = self.wire.packets.iter().filter(in_time);
            packets.filter(|packet| self.sent(packet))
        };
        let asks = |packet: &Packet| is_same_peer(socket(&packet.from), peer);
        // Transaction ids of OVMF come from the clock: machines that start in the same second have the same one.
        let mac = event.who().and_then(|who| who.mac.as_ref()?.valid());
        let mac = mac.map(ToString::to_string);
        let is_client = |client: &str| mac.as_deref().is_none_or(|mac| mac == client);
        // A request whose head was not captured still has its answer.
        let loaded = |is: &dyn Fn(&str) -> bool| {
            self.wire.transfers.iter().any(|transfer| {
                self.got(transfer)
                    && is(&transfer.name)
                    && is_same_peer(socket(&transfer.to), peer)
                    && transfer.start_us <= at_us + EARLY_US
                    && transfer.end_us >= since_us
            })
        };
        match event {
            BootEvent::DhcpRequest { xid, message, .. } => sent().any(|packet| {
                matches!(&packet.what, PacketContent::Dhcp(said)
                    if said.xid == *xid && said.is(*message) && is_client(&said.client))
            }),
            BootEvent::DhcpReply {
                xid,
                message,
                address,
                ..
            } => {
                let packets = self.wire.packets.iter().filter(in_time);
                packets
                    .filter(|packet| packet.direction == Some(Direction::ToMachine))
                    .any(|packet| {
                        matches!(&packet.what, PacketContent::Dhcp(said)
                        if said.from_server
                            && said.xid == *xid
                            && said.is(*message)
                            && said.given == *address
                            && self.is_own_dhcp(packet, said))
                    })
            }
            BootEvent::TftpRequest { file, .. }
            | BootEvent::TftpDone { file, .. }
            | BootEvent::TftpFailed { file, .. } => sent().any(|packet| {
                matches!(&packet.what, PacketContent::TftpRequest { file: asked, write: false, .. }
                    if Named::of(asked) == Named::of(file))
                    && asks(packet)
            }) || loaded(&|name| {
                Named::of(name) == Named::of(file)
            }),
            BootEvent::HttpRequest {
                path,
                query,
                method,
                ..
            } => {
                sent().any(|packet| {
                    matches!(&packet.what, PacketContent::HttpRequest { target, method: used, .. }
                    if is_target(target, path, query) && used == method)
                        && asks(packet)
                }) || loaded(&|name| is_target(name, path, query))
                    || self.has_encrypted(at_us, peer)
            }
            // The machine's own messages are the only evidence of these.
            BootEvent::DhcpIgnored { .. }
            | BootEvent::AddressInUse { .. }
            | BootEvent::RateLimited { .. } => {
                sent().any(|packet| matches!(packet.what, PacketContent::Dhcp(_)))
            }
            _ => false,
        }
    }
}

/// True if the request line has this path and query.
fn is_target(target: &str, path: &str, query: &str) -> bool {
    let (asked, behind) = target.split_once('?').unwrap_or((target, ""));
    asked == path && behind == query
}

/// Returns address and port of an endpoint, if both are known.
pub(super) fn socket(end: &Endpoint) -> Option<SocketAddr> {
    Some(SocketAddr::new(end.address?.to_canonical(), end.port?))
}

/// False if both are known and differ.
pub(super) fn is_same_peer(one: Option<SocketAddr>, other: Option<SocketAddr>) -> bool {
    let canonical = |peer: SocketAddr| (peer.ip().to_canonical(), peer.port());
    match (one, other) {
        (Some(one), Some(other)) => canonical(one) == canonical(other),
        _ => true,
    }
}

/// Maximum time between one frame at a machine's port and on the network.
const SAME_FRAME_US: u64 = 100_000;

/// Returns the place of a packet in the capture of its whole network, which users open. Packets of a port have
/// separate numbers.
pub(crate) fn frame_in(segment: &Wire, packet: &Packet) -> Option<Frame> {
    if packet.direction.is_none() {
        return Some(packet.into());
    }
    near(&segment.packets, packet.at_us, |one| one.at_us)
        .iter()
        .filter(|one| one.what == packet.what && one.from == packet.from)
        .min_by_key(|one| one.at_us.abs_diff(packet.at_us))
        .map(Frame::from)
}

/// Returns the place of a transfer's first packet in the capture of the whole network.
pub(crate) fn first_frame_in(segment: &Wire, transfer: &Transfer) -> Option<Frame> {
    if transfer.direction.is_none() {
        return Some(transfer.into());
    }
    near(&segment.transfers, transfer.start_us, |one| one.start_us)
        .iter()
        .find(|one| one.name == transfer.name && one.to == transfer.to)
        .map(Frame::from)
}

/// Returns the entries around that time from a list in the order of time.
fn near<T>(list: &[T], at_us: u64, time: impl Fn(&T) -> u64) -> &[T] {
    let from = list.partition_point(|one| time(one) < at_us.saturating_sub(SAME_FRAME_US));
    let to = list.partition_point(|one| time(one) <= at_us + SAME_FRAME_US);
    list.get(from..to).unwrap_or_default()
}
