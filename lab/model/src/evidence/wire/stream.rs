//! Reassembly of one side of a TCP connection: bytes in order, each once.
//!
//! Sequence numbers show new, retransmitted and missing bytes. Acknowledged bytes have arrived, captured or not.

use super::http::{Exchange, Reader};
use super::{Datagram, Wire};
use crate::evidence::packet::TransferEnd;

/// Maximum number of segments kept until earlier ones arrive.
const PENDING_LIMIT: usize = 64;

/// Maximum number of such segments at a machine's own port: those of Linux's largest default receive window (6
/// MiB, `net.ipv4.tcp_rmem`).
const PORT_PENDING_LIMIT: usize = 4608;

/// Maximum gap; a larger one means another stream.
const GAP_LIMIT: i32 = 64 << 20;

/// Stream of one side.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) next: Option<u32>,
    pending: Vec<Piece>,
    pub(super) reader: Reader,
    pub(super) fin_at: Option<u32>,
    pub(super) is_closed: bool,
    /// Completely sent transfers, each with the sequence number whose acknowledgement completes it.
    pub(super) unacknowledged: Vec<(u32, usize)>,
}

#[derive(Debug)]
struct Piece {
    at_us: u64,
    frame: u64,
    sequence: u32,
    payload: Vec<u8>,
    length: usize,
}

impl Stream {
    pub(super) fn receive(
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
            // Content at a machine's own port is hashed, so no gap may be skipped.
            let limit = match datagram.direction {
                Some(_) => PORT_PENDING_LIMIT,
                None => PENDING_LIMIT,
            };
            if self.pending.len() > limit {
                self.skip_gap(None, datagram, exchange, wire);
            }
        } else {
            self.receive_from(ahead, datagram, exchange, wire);
            self.drain(datagram, exchange, wire);
        }
    }

    /// Processes a segment that begins `ahead` bytes (at most 0) of the expected position.
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

    /// Processes the kept segments that are next.
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

    /// Skips a gap, up to `to` or the first kept segment.
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
        // Only garbage gets here: nobody pipelines that much without an acknowledgement.
        self.unacknowledged.truncate(PENDING_LIMIT);
    }

    /// Processes an acknowledgement of the other side.
    pub(super) fn acknowledge(
        &mut self,
        acknowledged: u32,
        datagram: &Datagram<'_>,
        exchange: &mut Exchange,
        wire: &mut Wire,
    ) {
        // The end of the stream uses one sequence number that is not a byte.
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

    /// Ends the stream after its last byte.
    pub(super) fn close(&mut self, receiver_is_closed: bool, wire: &mut Wire) {
        self.is_closed = true;
        if let Some(transfer) = self.reader.close(wire) {
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

    /// Ends the transfers in progress, which can no longer arrive.
    pub(super) fn end(&mut self, end: TransferEnd, wire: &mut Wire) {
        if let Some(transfer) = self.reader.break_off() {
            wire.end(transfer, end);
        }
    }
}

/// Returns the distance from `from` to `to`, negative if `to` is behind (RFC 9293 §3.4).
fn distance(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from).cast_signed()
}
