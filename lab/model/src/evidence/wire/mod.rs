//! Decoder of captures, as far as network booting requires: bytes → [`Wire`]. Pure, with bounded memory for
//! captures of any length.
//!
//! | file | reads |
//! |---|---|
//! | [`file`] | frames of pcapng and classic pcap |
//! | [`packet`] | layers of a frame |
//! | [`owners`] | MACs of frames that lack them |
//! | [`dhcp`] | DHCP messages, on 67, 68 and 4011 |
//! | [`tftp`] | TFTP requests, options, errors, transfers |
//! | [`tcp`] | TCP connections |
//! | [`stream`] | bytes of one side of a connection, in order, each once |
//! | [`http`] | HTTP messages of a stream |
//! | [`head`] | head of an HTTP message |
//! | [`content`] | content received by a machine: its hash and text |
//! | [`parts`] | parts of a file, joined |

mod content;
mod dhcp;
mod file;
mod head;
mod http;
mod owners;
mod packet;
mod parts;
#[cfg(any(test, feature = "fixtures"))]
pub mod script;
mod stream;
mod tcp;
#[cfg(test)]
mod tests;
mod tftp;

use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, Read};

use flate2::read::MultiGzDecoder;

pub use file::CaptureError;

use self::file::{Frame, Link};
use self::packet::{Body, Version};
use super::packet::{Direction, Endpoint, Packet, PacketContent, Transfer, TransferEnd, Wire};

/// First bytes of a gzip stream (RFC 1952 §2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Maximum size of a compressed capture after decompression.
const READ_LIMIT_BYTES: u64 = 64 << 30;

/// Maximum number of packets kept; a boot never has more.
const PACKET_LIMIT: usize = 500_000;

/// Maximum number of transfers kept.
const TRANSFER_LIMIT: usize = 50_000;

/// Reads a capture in pcapng or classic pcap format, gzipped or not.
///
/// # Errors
/// [`CaptureError`] if the file is not a capture. A damaged capture is read up to the damage, which is reported
/// in [`Wire::damage`].
pub fn read(capture: impl Read + Send) -> Result<Wire, CaptureError> {
    let mut capture = BufReader::new(capture);
    let beginning = capture
        .fill_buf()
        .map_err(|error| CaptureError::Unreadable(error.to_string()))?;
    if beginning.starts_with(&GZIP) {
        read_plain(Filling(MultiGzDecoder::new(capture).take(READ_LIMIT_BYTES)))
    } else {
        read_plain(Filling(capture))
    }
}

fn read_plain(capture: impl Read + Send) -> Result<Wire, CaptureError> {
    let mut reading = Reading::default();
    let ending = file::for_each_frame(capture, |frame| reading.take(&frame))?;
    let mut wire = reading.finish();
    wire.frames = ending.frames;
    wire.dropped = ending.dropped;
    wire.damage = ending.damage;
    wire.kind = ending.kind;
    Ok(wire)
}

/// Reader that fills its buffer as far as possible, because the parser takes a short read for the end of the
/// file. A truncated gzip stream ends where it is truncated.
struct Filling<R>(R);

impl<R: Read> Read for Filling<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.0.read(rest) {
                Ok(0) => break,
                Ok(more) => filled += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
                Err(_) if filled > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

/// Reads a capture while it is written: `seen` receives everything read so far after each frame. The writer of
/// `capture` decides when it ends.
///
/// [`CaptureError`] if the file is not a capture.
pub fn follow(capture: impl Read + Send, mut seen: impl FnMut(&Wire)) -> Result<(), CaptureError> {
    let mut reading = Reading::default();
    file::for_each_frame(capture, |frame| {
        reading.take(&frame);
        seen(&reading.wire);
    })?;
    Ok(())
}

/// Decoder of the traffic at one machine's own port, frame by frame.
///
/// Frames must be whole Ethernet frames in the order of their times. Content sent to the machine is hashed.
#[derive(Debug, Default)]
pub struct PortReader {
    reading: Reading,
    /// Transfers whose arrival was already reported.
    told: HashSet<usize>,
    /// Number of packets that [`PortReader::requests`] has returned.
    read: usize,
}

impl PortReader {
    /// Processes the next frame.
    pub fn take(&mut self, at_us: u64, direction: Direction, bytes: &[u8]) {
        self.reading.wire.frames += 1;
        self.reading.take(&Frame {
            at_us,
            number: self.reading.wire.frames,
            link: Link::Ethernet,
            direction: Some(direction),
            bytes,
        });
    }

    /// Returns the transfers that arrived completely since the last call and whose content is known.
    pub fn arrivals(&mut self) -> Vec<Transfer> {
        let transfers = self.reading.wire.transfers.iter().enumerate();
        let is_whole = |transfer: &Transfer| {
            transfer.end == TransferEnd::Whole
                && transfer.direction == Some(Direction::ToMachine)
                && transfer.content.is_some()
        };
        transfers
            .filter(|(_, transfer)| is_whole(transfer))
            .filter(|(index, _)| self.told.insert(*index))
            .map(|(_, transfer)| transfer.clone())
            .collect()
    }

    /// Returns the packets that the machine sent since the last call.
    pub fn requests(&mut self) -> impl Iterator<Item = &Packet> {
        let packets = &self.reading.wire.packets;
        let new = packets.get(self.read..).unwrap_or_default();
        self.read = packets.len();
        let is_own = |packet: &&Packet| packet.direction == Some(Direction::FromMachine);
        new.iter().filter(is_own)
    }

    /// Returns everything decoded; `dropped` frames crossed the port but were not captured.
    #[must_use]
    pub fn finish(self, dropped: u64) -> Wire {
        Wire {
            dropped,
            ..self.reading.finish()
        }
    }
}

/// Datagram or segment with its endpoints.
#[derive(Debug, Clone, Copy)]
struct Datagram<'a> {
    at_us: u64,
    frame: u64,
    /// Direction, if the frame was captured at a machine's own port.
    direction: Option<Direction>,
    from: &'a Endpoint,
    to: &'a Endpoint,
    payload: &'a [u8],
    length: usize,
}

#[derive(Debug, Default)]
struct Reading {
    wire: Wire,
    owners: owners::Owners,
    tftp: tftp::Tftp,
    tcp: tcp::Tcp,
}

impl Reading {
    fn take(&mut self, frame: &Frame<'_>) {
        let Some(mut parsed) = packet::parse(frame) else {
            return;
        };
        self.owners
            .fill(frame.link, &mut parsed.from, &mut parsed.to);
        let mut datagram = Datagram {
            at_us: frame.at_us,
            frame: frame.number,
            direction: frame.direction,
            from: &parsed.from,
            to: &parsed.to,
            payload: &[],
            length: 0,
        };
        let wire = &mut self.wire;
        match parsed.body {
            Body::ArpRequest(address) => {
                wire.say(&datagram, PacketContent::ArpRequest { address });
            }
            Body::ArpReply(address) => {
                wire.say(&datagram, PacketContent::ArpReply { address });
            }
            Body::Udp { payload, length } => {
                (datagram.payload, datagram.length) = (payload, length);
                let is_dhcp = |end: &Endpoint| end.port.is_some_and(|p| dhcp::PORTS.contains(&p));
                if !self.tftp.take(&datagram, wire)
                    && (is_dhcp(datagram.from) || is_dhcp(datagram.to))
                {
                    let said = dhcp::read(payload, length);
                    self.owners.hear(frame.link, &said);
                    wire.say(&datagram, said);
                }
            }
            Body::Tcp(segment) => {
                (datagram.payload, datagram.length) = (segment.payload, segment.length);
                self.tcp.take(&datagram, &segment, wire);
            }
            Body::Icmp {
                version,
                kind,
                code,
                quoted,
            } => {
                if let Some(said) = icmp(version, kind, code, quoted) {
                    wire.say(&datagram, said);
                }
            }
        }
    }

    fn finish(mut self) -> Wire {
        self.tcp.finish(&mut self.wire);
        self.wire
    }
}

fn icmp(version: Version, kind: u8, code: u8, quoted: &[u8]) -> Option<PacketContent> {
    let why = match (version, kind, code) {
        // RFC 792, RFC 1122 §3.2.2.1, RFC 1812 §5.2.7.1.
        (Version::V4, 3, 0) => "network unreachable",
        (Version::V4, 3, 1) => "host unreachable",
        (Version::V4, 3, 2) => "protocol unreachable",
        (Version::V4, 3, 3) => "port unreachable",
        (Version::V4, 3, 4) => "fragmentation needed",
        (Version::V4, 3, 9 | 10 | 13) => "administratively prohibited",
        (Version::V4, 3, _) => "unreachable",
        // RFC 4443 §3.1, RFC 4861 §4.1 and §4.2.
        (Version::V6, 1, 0) => "no route",
        (Version::V6, 1, 1) => "administratively prohibited",
        (Version::V6, 1, 3) => "address unreachable",
        (Version::V6, 1, 4) => "port unreachable",
        (Version::V6, 1, _) => "unreachable",
        (Version::V6, 2, _) => "packet too big",
        (Version::V6, 133, _) => return Some(PacketContent::RouterSolicitation),
        (Version::V6, 134, _) => return Some(PacketContent::RouterAdvertisement),
        _ => return None,
    };
    Some(PacketContent::Unreachable {
        why: why.into(),
        port: packet::quoted_port(version, quoted),
        address: packet::quoted_address(version, quoted),
    })
}

impl Wire {
    /// Adds a packet and returns its index, if there is room.
    fn say(&mut self, datagram: &Datagram<'_>, what: PacketContent) -> Option<usize> {
        if self.packets.len() >= PACKET_LIMIT {
            self.left_out += 1;
            return None;
        }
        self.packets.push(Packet {
            at_us: datagram.at_us,
            frame: datagram.frame,
            network: None,
            from: datagram.from.clone(),
            to: datagram.to.clone(),
            direction: datagram.direction,
            what,
        });
        Some(self.packets.len() - 1)
    }

    /// Adds a transfer and returns its index, if there is room.
    fn begin(&mut self, transfer: Transfer) -> Option<usize> {
        if self.transfers.len() >= TRANSFER_LIMIT {
            self.left_out += 1;
            return None;
        }
        self.transfers.push(transfer);
        Some(self.transfers.len() - 1)
    }

    fn end(&mut self, index: usize, end: TransferEnd) {
        if let Some(transfer) = self.transfers.get_mut(index) {
            transfer.end = end;
        }
    }

    /// Updates the times of a transfer.
    fn touch(&mut self, index: usize, at_us: u64) {
        if let Some(transfer) = self.transfers.get_mut(index) {
            let silence_us = at_us.saturating_sub(transfer.end_us);
            transfer.longest_silence_us = transfer.longest_silence_us.max(silence_us);
            transfer.end_us = transfer.end_us.max(at_us);
        }
    }
}
