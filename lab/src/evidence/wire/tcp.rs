//! TCP connections (RFC 9293): what of each side's stream is new, sent again, or missing from the capture.
//!
//! Segments may be cut after their headers and may come again or out of order; sequence numbers say what
//! is what. What one side acknowledges has arrived, whether it was captured or not.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use super::http::{Exchange, Reader};
use super::packet::Segment;
use super::{Datagram, Wire};
use crate::evidence::packet::{Endpoint, Said, TransferEnd};

/// Connections followed at once; beyond it the one that was silent longest is let go.
const CONNECTION_LIMIT: usize = 1024;

/// Segments kept for each side until those before them come.
const PENDING_LIMIT: usize = 64;

/// A larger gap is no gap but another stream.
const GAP_LIMIT: i32 = 64 << 20;

type Address = (IpAddr, u16);

/// All connections.
#[derive(Debug, Default)]
pub(super) struct Tcp {
    connections: HashMap<(Address, Address), Connection>,
    /// Packets of connections that were accepted after all, by their index.
    accepted: HashSet<usize>,
}

#[derive(Debug, Default)]
struct Connection {
    /// Of the lower and of the higher address.
    sides: [Stream; 2],
    exchange: Exchange,
    /// Packets that asked for it, by their index.
    syns: Vec<usize>,
    is_accepted: bool,
    seen_us: u64,
}

/// What one side sends.
#[derive(Debug, Default)]
struct Stream {
    next: Option<u32>,
    pending: Vec<Piece>,
    reader: Reader,
    fin_at: Option<u32>,
    is_closed: bool,
    /// Transfers that were sent to their end, and the sequence number whose acknowledgement completes them.
    unacknowledged: Vec<(u32, usize)>,
}

#[derive(Debug)]
struct Piece {
    at_us: u64,
    frame: u64,
    sequence: u32,
    payload: Vec<u8>,
    length: usize,
}

impl Tcp {
    /// Takes a segment in.
    pub(super) fn take(
        &mut self,
        datagram: &Datagram<'_>,
        segment: &Segment<'_>,
        wire: &mut Wire,
    ) {
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
            // It was there before the capture began.
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
        connection.take(me, datagram, segment, wire);
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
        let index = wire.say(datagram, Said::TcpSyn);
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

    /// The capture is over.
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

    /// The sender's stream and the other one.
    fn split(&mut self, me: usize) -> (&mut Stream, &mut Stream, &mut Exchange) {
        let [low, high] = &mut self.sides;
        if me == 0 {
            (low, high, &mut self.exchange)
        } else {
            (high, low, &mut self.exchange)
        }
    }

    fn take(
        &mut self,
        me: usize,
        datagram: &Datagram<'_>,
        segment: &Segment<'_>,
        wire: &mut Wire,
    ) {
        let (mine, theirs, exchange) = self.split(me);
        if let Some(acknowledged) = segment.acknowledged {
            // What is missing there went the other way.
            let back = Datagram {
                from: datagram.to,
                to: datagram.from,
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

    /// `me` broke it off.
    fn reset(mut self, me: usize, datagram: &Datagram<'_>, wire: &mut Wire) {
        let is_refused = !self.is_accepted && !self.syns.is_empty();
        let is_busy = |stream: &Stream| stream.reader.is_within_body();
        if is_refused || self.exchange.is_waiting() || self.sides.iter().any(is_busy) {
            wire.say(datagram, Said::TcpReset);
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

    /// Nothing more of it will be seen.
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

impl Stream {
    fn receive(
        &mut self,
        sequence: u32,
        datagram: &Datagram<'_>,
        exchange: &mut Exchange,
        wire: &mut Wire,
    ) {
        if datagram.length == 0 {
            return;
        }
        let next = *self.next.get_or_insert(sequence);
        let ahead = distance(next, sequence);
        if ahead > GAP_LIMIT {
            self.reader.lose_track();
            self.pending.clear();
            self.next = Some(sequence);
            self.deliver(datagram, exchange, wire);
        } else if ahead > 0 {
            self.pending.push(Piece {
                at_us: datagram.at_us,
                frame: datagram.frame,
                sequence,
                payload: datagram.payload.to_vec(),
                length: datagram.length,
            });
            if self.pending.len() > PENDING_LIMIT {
                self.skip_gap(None, datagram, exchange, wire);
            }
        } else {
            self.receive_from(ahead, datagram, exchange, wire);
            self.drain(datagram, exchange, wire);
        }
    }

    /// A segment that begins `ahead` (at most 0) of what is expected.
    fn receive_from(
        &mut self,
        ahead: i32,
        datagram: &Datagram<'_>,
        exchange: &mut Exchange,
        wire: &mut Wire,
    ) {
        let known = usize::try_from(ahead.unsigned_abs()).unwrap_or(usize::MAX);
        if known > 0 {
            self.reader.sent_again(wire);
        }
        if known < datagram.length {
            let fresh = Datagram {
                payload: datagram.payload.get(known..).unwrap_or_default(),
                length: datagram.length - known,
                ..*datagram
            };
            self.deliver(&fresh, exchange, wire);
        }
    }

    /// Delivers the kept segments whose turn it is.
    fn drain(&mut self, datagram: &Datagram<'_>, exchange: &mut Exchange, wire: &mut Wire) {
        while let Some(next) = self.next {
            let Some(position) = self
                .pending
                .iter()
                .position(|piece| distance(next, piece.sequence) <= 0)
            else {
                return;
            };
            let piece = self.pending.swap_remove(position);
            let piece_datagram = Datagram {
                at_us: piece.at_us,
                frame: piece.frame,
                payload: &piece.payload,
                length: piece.length,
                ..*datagram
            };
            let ahead = distance(next, piece.sequence);
            self.receive_from(ahead, &piece_datagram, exchange, wire);
        }
    }

    /// Goes on behind a gap: up to `to`, or to the first kept segment.
    fn skip_gap(
        &mut self,
        to: Option<u32>,
        datagram: &Datagram<'_>,
        exchange: &mut Exchange,
        wire: &mut Wire,
    ) {
        let Some(next) = self.next else { return };
        let kept = self.pending.iter().map(|piece| piece.sequence);
        let Some(missing) = kept
            .chain(to)
            .map(|sequence| distance(next, sequence))
            .filter(|ahead| (1..=GAP_LIMIT).contains(ahead))
            .min()
            .and_then(|ahead| usize::try_from(ahead).ok())
        else {
            return;
        };
        let gap = Datagram {
            payload: &[],
            length: missing,
            ..*datagram
        };
        self.deliver(&gap, exchange, wire);
        self.drain(datagram, exchange, wire);
    }

    fn deliver(&mut self, datagram: &Datagram<'_>, exchange: &mut Exchange, wire: &mut Wire) {
        let length = u32::try_from(datagram.length).unwrap_or(u32::MAX);
        let after = self.next.map_or(0, |next| next.wrapping_add(length));
        self.next = Some(after);
        self.reader.deliver(datagram, exchange, wire);
        let complete = self.reader.completed.drain(..);
        self.unacknowledged.extend(complete.map(|t| (after, t)));
        // Only garbage gets there: nobody pipelines that much without an acknowledgement.
        self.unacknowledged.truncate(PENDING_LIMIT);
    }

    /// The other side says what has arrived.
    fn acknowledge(
        &mut self,
        acknowledged: u32,
        datagram: &Datagram<'_>,
        exchange: &mut Exchange,
        wire: &mut Wire,
    ) {
        // The end of the stream takes a number of its own, which is no byte.
        let bytes = match self.fin_at {
            Some(fin) if distance(fin, acknowledged) > 0 => fin,
            _ => acknowledged,
        };
        while self.next.is_some_and(|next| distance(next, bytes) > 0) {
            let before = self.next;
            self.skip_gap(Some(bytes), datagram, exchange, wire);
            if self.next == before {
                break;
            }
        }
        self.unacknowledged.retain(|(end, transfer)| {
            let is_complete = distance(*end, acknowledged) >= 0;
            if is_complete {
                wire.touch(*transfer, datagram.at_us);
                wire.end(*transfer, TransferEnd::Whole);
            }
            !is_complete
        });
    }

    /// This side has sent all it had.
    fn close(&mut self, receiver_is_closed: bool, wire: &mut Wire) {
        self.is_closed = true;
        if let Some(transfer) = self.reader.close() {
            let end = self.fin_at.unwrap_or_default();
            self.unacknowledged.push((end, transfer));
        } else {
            self.end(
                if receiver_is_closed {
                    TransferEnd::BrokenByReceiver
                } else {
                    TransferEnd::BrokenBySender
                },
                wire,
            );
        }
    }

    /// What is on its way will not arrive.
    fn end(&mut self, end: TransferEnd, wire: &mut Wire) {
        if let Some(transfer) = self.reader.break_off() {
            wire.end(transfer, end);
        }
    }
}

/// How far `to` is ahead of `from`; negative when it is behind (RFC 9293 §3.4).
fn distance(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from).cast_signed()
}
