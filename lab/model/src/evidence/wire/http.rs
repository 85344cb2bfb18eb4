//! Parser of HTTP/1 heads and bodies in one direction of a connection (RFC 9112).
//!
//! Bodies are counted, not kept, except for the first characters of small texts. A capture may contain only the
//! first kilobytes of a message; the lengths show the rest.

use std::collections::VecDeque;

use super::content::Gathering;
use super::head::{self, Asked, Head};
use super::parts::{PARTIAL_CONTENT, Part, Parts};
use super::{Datagram, Wire};
use crate::evidence::packet::{PacketContent, Protocol, Transfer, TransferEnd};

/// Maximum length of a head.
const HEAD_LIMIT_BYTES: usize = 16 * 1024;

/// Maximum number of unanswered requests remembered per connection.
const ASKED_LIMIT: usize = 64;

/// Maximum length of a text whose beginning is shown.
const TEXT_LIMIT_BYTES: u64 = 16 * 1024;

/// Number of bytes shown of a text.
const SHOWN_BYTES: usize = 2048;

/// Type of a TLS client's first message (RFC 8446 §4).
const TLS_CLIENT_HELLO: u8 = 1;

/// End of a chunked body (RFC 9112 §7.1).
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Unanswered requests of a connection.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    asked: VecDeque<Asked>,
    /// Files that arrive in parts, over any connection; lent to the connection that has a segment.
    pub(super) parts: Parts,
}

impl Exchange {
    pub(super) fn is_waiting(&self) -> bool {
        !self.asked.is_empty()
    }

    fn ask(&mut self, method: &str, target: &str) {
        if self.asked.len() < ASKED_LIMIT {
            self.asked.push_back(Asked {
                is_head: method == "HEAD",
                target: target.to_owned(),
            });
        }
    }
}

/// Parser of one side's stream.
#[derive(Debug, Default)]
pub(super) struct Reader {
    state: State,
    /// Index of the latest transfer.
    last: Option<usize>,
    /// Completed transfers since the last reset of this list.
    pub(super) completed: Vec<usize>,
}

#[derive(Debug)]
enum State {
    /// Inside a head, or before one.
    Head(Vec<u8>),
    /// Inside a body.
    Body(Box<Body>),
    /// In unknown data, until a message begins.
    Lost,
    /// In a TLS connection, whose messages are encrypted.
    Encrypted,
}

impl Default for State {
    fn default() -> State {
        State::Head(Vec::new())
    }
}

#[derive(Debug)]
struct Body {
    /// Remaining bytes; `None` if only the end shows it.
    left: Option<u64>,
    seen: u64,
    transfer: Option<usize>,
    /// Packet of the head, and the text so far, if it may be text.
    text: Option<(usize, Vec<u8>)>,
    /// Content arriving at a machine's own port.
    content: Option<Gathering>,
    /// Part of a file to which the content belongs.
    part: Option<Part>,
}

impl Reader {
    /// Processes the next bytes of the stream; those after `datagram.payload` were not captured.
    pub(super) fn deliver(
        &mut self,
        datagram: &Datagram<'_>,
        exchange: &mut Exchange,
        wire: &mut Wire,
    ) {
        let mut rest = *datagram;
        while rest.length > 0 {
            let used = match &mut self.state {
                State::Encrypted => return,
                State::Lost => {
                    if !head::is_begun(rest.payload) {
                        return;
                    }
                    self.state = State::default();
                    0
                }
                State::Head(_) => self.head(&rest, exchange, wire),
                State::Body(body) => {
                    let is_next = body.left.is_none()
                        && exchange.is_waiting()
                        && rest.payload.starts_with(b"HTTP/1.");
                    if is_next {
                        self.complete(exchange, wire);
                        0
                    } else {
                        self.body(&rest, exchange, wire)
                    }
                }
            };
            rest.payload = rest.payload.get(used..).unwrap_or_default();
            rest.length = rest.length.saturating_sub(used);
        }
    }

    /// Continues a head; returns the number of bytes of `datagram` that belong to it.
    fn head(&mut self, datagram: &Datagram<'_>, exchange: &mut Exchange, wire: &mut Wire) -> usize {
        let State::Head(mut buffer) = std::mem::replace(&mut self.state, State::Lost) else {
            return datagram.length;
        };
        let before = buffer.len();
        let room = HEAD_LIMIT_BYTES.saturating_sub(before);
        let fresh = datagram.payload.get(..room).unwrap_or(datagram.payload);
        buffer.extend_from_slice(fresh);
        if let Some(handshake) = head::tls_handshake(&buffer) {
            if handshake == TLS_CLIENT_HELLO {
                wire.say(datagram, PacketContent::TlsHello);
            }
            self.state = State::Encrypted;
            return datagram.length;
        }
        if !head::is_begun(&buffer) {
            return datagram.length;
        }
        let is_cut = datagram.payload.len() < datagram.length;
        let head = match head::parse(&buffer, exchange.asked.front()) {
            Ok(None) if is_cut => {
                head::parse(&head::closed(&buffer), exchange.asked.front()).map(|head| {
                    // Uncaptured bytes may be head or body; the head ends with the segment.
                    let length = before + datagram.length;
                    head.map(|head| Head { length, ..head })
                })
            }
            result => result,
        };
        match head {
            Ok(Some(head)) => {
                let used = head.length.saturating_sub(before);
                self.begin(head, datagram, exchange, wire);
                used
            }
            Ok(None) if buffer.len() < HEAD_LIMIT_BYTES && !is_cut => {
                self.state = State::Head(buffer);
                datagram.length
            }
            Ok(None) => datagram.length,
            Err(error) => {
                let (protocol, why) = ("http".into(), error.to_string());
                wire.say(datagram, PacketContent::Malformed { protocol, why });
                datagram.length
            }
        }
    }

    /// Starts the body, or the next head, after a complete head.
    fn begin(
        &mut self,
        head: Head,
        datagram: &Datagram<'_>,
        exchange: &mut Exchange,
        wire: &mut Wire,
    ) {
        let mut transfer = None;
        let mut is_part = false;
        match &head.said {
            PacketContent::HttpRequest { method, target, .. } => exchange.ask(method, target),
            PacketContent::HttpResponse {
                status,
                length,
                target,
                ..
            } => {
                let asked = if *status >= 200 {
                    exchange.asked.pop_front()
                } else {
                    None
                };
                // A part of a file has another hash than the file (RFC 9110 §15.3.7).
                is_part = *status == PARTIAL_CONTENT;
                let has_body = *status != 204 && !asked.is_some_and(|asked| asked.is_head);
                if (200..300).contains(status) && has_body {
                    transfer = wire.begin(Transfer {
                        protocol: Protocol::Http,
                        name: target.clone().unwrap_or_default(),
                        from: datagram.from.clone(),
                        to: datagram.to.clone(),
                        start_us: datagram.at_us,
                        end_us: datagram.at_us,
                        frame: datagram.frame,
                        network: None,
                        bytes: 0,
                        announced: *length,
                        retransmits: 0,
                        longest_silence_us: 0,
                        end: TransferEnd::Open,
                        direction: datagram.direction,
                        content: None,
                    });
                }
            }
            _ => {}
        }
        let name = transfer.and_then(|index| wire.transfers.get(index));
        let file = name.map(|transfer| (datagram.from.address, transfer.name.clone()));
        let is_response = matches!(head.said, PacketContent::HttpResponse { .. });
        let packet = wire.say(datagram, head.said);
        let is_small = head.body.is_none_or(|bytes| bytes <= TEXT_LIMIT_BYTES);
        self.last = transfer.or(self.last);
        let (part, content) = match (file, is_part, head.is_chunked) {
            (None, ..) | (_, true, true) => (None, None),
            (Some(file), true, false) => head
                .range
                .and_then(|range| exchange.parts.begin(file, range, datagram.direction))
                .unzip(),
            (_, false, true) => (None, Gathering::of_chunks(datagram.direction)),
            (_, false, false) => (None, Gathering::of(datagram.direction)),
        };
        self.state = State::Body(Box::new(Body {
            left: head.body,
            seen: 0,
            transfer,
            text: packet
                .filter(|_| is_response && is_small)
                .map(|packet| (packet, Vec::new())),
            content,
            part,
        }));
        if head.body == Some(0) {
            self.complete(exchange, wire);
        }
    }

    /// Continues a body; returns the number of bytes of `datagram` that belong to it.
    fn body(&mut self, datagram: &Datagram<'_>, exchange: &mut Exchange, wire: &mut Wire) -> usize {
        let State::Body(body) = &mut self.state else {
            return datagram.length;
        };
        let used = match body.left {
            Some(left) => usize::try_from(left).map_or(datagram.length, |l| l.min(datagram.length)),
            None => datagram.length,
        };
        let captured = datagram.payload.get(..used).unwrap_or(datagram.payload);
        body.show(captured, wire);
        if let Some(content) = &mut body.content {
            content.take(captured, used);
        }
        body.seen += used as u64;
        body.left = body.left.map(|left| left.saturating_sub(used as u64));
        if let Some(index) = body.transfer {
            wire.touch(index, datagram.at_us);
            if let Some(transfer) = wire.transfers.get_mut(index) {
                transfer.bytes = body.seen;
            }
        }
        let is_last_chunk =
            body.left.is_none() && captured.len() == used && captured.ends_with(LAST_CHUNK);
        if body.left == Some(0) || is_last_chunk {
            self.complete(exchange, wire);
        }
        used
    }

    fn complete(&mut self, exchange: &mut Exchange, wire: &mut Wire) {
        if let State::Body(mut body) = std::mem::take(&mut self.state) {
            if let Some(part) = body.part.take()
                && let Some(content) = body.content.take()
            {
                body.content = exchange.parts.end(part, content, body.seen);
            }
            self.completed.extend(body.ended(wire));
        }
    }

    /// Ends the stream; returns the transfer that this completes.
    pub(super) fn close(&mut self, wire: &mut Wire) -> Option<usize> {
        let is_complete = matches!(&self.state, State::Body(body) if body.left.is_none());
        if !is_complete {
            return None;
        }
        match std::mem::replace(&mut self.state, State::Lost) {
            State::Body(body) => body.ended(wire),
            _ => None,
        }
    }

    /// Aborts the stream; returns the incomplete transfer.
    pub(super) fn break_off(&mut self) -> Option<usize> {
        match std::mem::replace(&mut self.state, State::Lost) {
            State::Body(body) => body.transfer,
            _ => None,
        }
    }

    pub(super) fn is_within_body(&self) -> bool {
        matches!(self.state, State::Body(_))
    }

    /// Discards the state after a gap.
    pub(super) fn lose_track(&mut self) {
        self.state = State::Lost;
    }

    /// Counts a retransmission.
    pub(super) fn sent_again(&self, wire: &mut Wire) {
        if let Some(transfer) = self.last.and_then(|index| wire.transfers.get_mut(index)) {
            transfer.retransmits += 1;
        }
    }
}

impl Body {
    /// Returns the transfer of a complete body, with its content.
    fn ended(self, wire: &mut Wire) -> Option<usize> {
        let index = self.transfer?;
        if let Some(transfer) = wire.transfers.get_mut(index) {
            let content = self.content.filter(|_| self.part.is_none());
            transfer.content = content.and_then(Gathering::finish);
        }
        Some(index)
    }

    /// Adds the first characters to the packet of the head, while they are text without a gap.
    fn show(&mut self, captured: &[u8], wire: &mut Wire) {
        let Some((packet, text)) = &mut self.text else {
            return;
        };
        let room = SHOWN_BYTES.saturating_sub(text.len());
        if text.len() as u64 != self.seen || room == 0 {
            return;
        }
        text.extend_from_slice(captured.get(..room).unwrap_or(captured));
        let shown = readable(text);
        if let Some(PacketContent::HttpResponse { body, .. }) =
            wire.packets.get_mut(*packet).map(|packet| &mut packet.what)
        {
            body.clone_from(&shown);
        }
        if shown.is_none() {
            self.text = None;
        }
    }
}

/// Returns bytes as text, if they are; the last character may be incomplete.
fn readable(bytes: &[u8]) -> Option<String> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(bytes.get(..error.valid_up_to())?).ok()?
        }
        Err(_) => return None,
    };
    let is_odd = |c: char| c.is_control() && !matches!(c, '\t' | '\r' | '\n');
    (!text.is_empty() && !text.contains(is_odd)).then(|| text.to_owned())
}
