//! TCP connections (RFC 9293): requested, accepted, closed, refused or aborted.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use super::http::Exchange;
use super::packet::Segment;
use super::parts::Parts;
use super::stream::Stream;
use super::{Datagram, Wire};
use crate::evidence::packet::{Direction, Endpoint, PacketContent, TransferEnd};

/// Maximum number of connections followed at once; beyond it, the least recently active one is dropped.
const CONNECTION_LIMIT: usize = 1024;

type Address = (IpAddr, u16);

/// State of all connections.
#[derive(Debug, Default)]
pub(super) struct Tcp {
    connections: HashMap<(Address, Address), Connection>,
    /// Files that arrive in parts.
    parts: Parts,
    /// Indices of packets of connections that were accepted later.
    accepted: HashSet<usize>,
}

#[derive(Debug, Default)]
struct Connection {
    /// Sides of the lower and of the higher address.
    sides: [Stream; 2],
    exchange: Exchange,
    /// Indices of the packets that requested the connection.
    syns: Vec<usize>,
    is_accepted: bool,
    seen_us: u64,
}

impl Tcp {
    /// Processes a segment.
    pub(super) fn take(&mut self, datagram: &Datagram<'_>, segment: &Segment<'_>, wire: &mut Wire) {
        let (Some(from), Some(to)) = (address(datagram.from), address(datagram.to)) else {
            return;
        };
        let (key, me) = if from <= to {
            ((from, to), 0)
        } else {
            ((to, from), 1)
        };
        if segment.syn && segment.acknowledged.is_none() {
            self.asked_for(key, me, datagram, segment, wire);
            return;
        }
        if segment.rst {
            if let Some(connection) = self.connections.remove(&key) {
                connection.reset(me, datagram, wire);
            }
            return;
        }
        if !self.connections.contains_key(&key) {
            if segment.length == 0 {
                return;
            }
            // The connection is older than the capture.
            self.make_room(wire);
            self.connections.insert(key, Connection::default());
        }
        let Some(connection) = self.connections.get_mut(&key) else {
            return;
        };
        connection.seen_us = datagram.at_us;
        if segment.syn {
            connection.is_accepted = true;
            self.accepted.extend(connection.syns.drain(..));
            connection.start(me, segment.sequence);
            return;
        }
        connection.exchange.parts = std::mem::take(&mut self.parts);
        connection.take(me, datagram, segment, wire);
        self.parts = std::mem::take(&mut connection.exchange.parts);
        if connection.is_over()
            && let Some(over) = self.connections.remove(&key)
        {
            over.abandon(wire);
        }
    }

    fn asked_for(
        &mut self,
        key: (Address, Address),
        me: usize,
        datagram: &Datagram<'_>,
        segment: &Segment<'_>,
        wire: &mut Wire,
    ) {
        let index = wire.say(datagram, PacketContent::TcpSyn);
        let first = segment.sequence.wrapping_add(1);
        let is_again = |known: &Connection| known.side(me).is_some_and(|s| s.next == Some(first));
        if !self.connections.get(&key).is_some_and(is_again) {
            if let Some(old) = self.connections.remove(&key) {
                old.abandon(wire);
            }
            self.make_room(wire);
            let mut fresh = Connection::default();
            fresh.start(me, segment.sequence);
            self.connections.insert(key, fresh);
        }
        if let Some(connection) = self.connections.get_mut(&key) {
            connection.seen_us = datagram.at_us;
            if connection.is_accepted {
                self.accepted.extend(index);
            } else {
                connection.syns.extend(index);
            }
        }
    }

    fn make_room(&mut self, wire: &mut Wire) {
        if self.connections.len() < CONNECTION_LIMIT {
            return;
        }
        let silent = self.connections.iter().min_by_key(|(_, c)| c.seen_us);
        if let Some(key) = silent.map(|(key, _)| *key)
            && let Some(old) = self.connections.remove(&key)
        {
            old.abandon(wire);
        }
    }

    /// Ends all connections at the end of the capture.
    pub(super) fn finish(self, wire: &mut Wire) {
        for connection in self.connections.into_values() {
            connection.abandon(wire);
        }
        let mut index = 0;
        wire.packets.retain(|_| {
            index += 1;
            !self.accepted.contains(&(index - 1))
        });
    }
}

fn address(end: &Endpoint) -> Option<Address> {
    Some((end.address?, end.port?))
}

impl Connection {
    fn side(&self, me: usize) -> Option<&Stream> {
        self.sides.get(me)
    }

    fn start(&mut self, me: usize, sequence: u32) {
        if let Some(stream) = self.sides.get_mut(me) {
            stream.next.get_or_insert(sequence.wrapping_add(1));
        }
    }

    /// Returns the sender's stream and the other one.
    fn split(&mut self, me: usize) -> (&mut Stream, &mut Stream, &mut Exchange) {
        let [low, high] = &mut self.sides;
        if me == 0 {
            (low, high, &mut self.exchange)
        } else {
            (high, low, &mut self.exchange)
        }
    }

    fn take(&mut self, me: usize, datagram: &Datagram<'_>, segment: &Segment<'_>, wire: &mut Wire) {
        let (mine, theirs, exchange) = self.split(me);
        if let Some(acknowledged) = segment.acknowledged {
            // Missing bytes went the other way.
            let back = Datagram {
                from: datagram.to,
                to: datagram.from,
                direction: datagram.direction.map(Direction::reversed),
                payload: &[],
                length: 0,
                ..*datagram
            };
            theirs.acknowledge(acknowledged, &back, exchange, wire);
        }
        mine.receive(segment.sequence, datagram, exchange, wire);
        if segment.fin {
            let length = u32::try_from(segment.length).unwrap_or(u32::MAX);
            mine.fin_at = Some(segment.sequence.wrapping_add(length));
        }
        let is_at_end = mine.next.is_none() || mine.next == mine.fin_at;
        if mine.fin_at.is_some() && is_at_end && !mine.is_closed {
            mine.close(theirs.is_closed, wire);
        }
    }

    fn is_over(&self) -> bool {
        let is_over = |stream: &Stream| stream.is_closed && stream.unacknowledged.is_empty();
        self.sides.iter().all(is_over)
    }

    /// Processes a reset by `me`.
    fn reset(mut self, me: usize, datagram: &Datagram<'_>, wire: &mut Wire) {
        let is_refused = !self.is_accepted && !self.syns.is_empty();
        let is_busy = |stream: &Stream| stream.reader.is_within_body();
        if is_refused || self.exchange.is_waiting() || self.sides.iter().any(is_busy) {
            wire.say(datagram, PacketContent::TcpReset);
        }
        let (mine, theirs, _) = self.split(me);
        mine.end(
            if theirs.is_closed {
                TransferEnd::BrokenByReceiver
            } else {
                TransferEnd::BrokenBySender
            },
            wire,
        );
        theirs.end(TransferEnd::BrokenByReceiver, wire);
        for stream in &self.sides {
            for (_, transfer) in &stream.unacknowledged {
                wire.end(*transfer, TransferEnd::Whole);
            }
        }
    }

    /// Drops the connection without an end.
    fn abandon(mut self, wire: &mut Wire) {
        let [low, high] = &mut self.sides;
        if high.is_closed {
            low.end(TransferEnd::BrokenByReceiver, wire);
        }
        if low.is_closed {
            high.end(TransferEnd::BrokenByReceiver, wire);
        }
    }
}
