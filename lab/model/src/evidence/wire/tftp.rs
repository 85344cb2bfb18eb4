//! TFTP: requests, options, errors, and one entry per transfer (RFC 1350, 2347, 2348, 7440).
//!
//! A transfer is identified by the client's address and port; the server's port is learned from its first
//! answer. Of data packets only the header and the length are needed.

use std::collections::HashMap;
use std::net::IpAddr;

use boot_server_proto::tftp::Packet as TftpPacket;

use super::content::Gathering;
use super::{Datagram, Wire};
use crate::evidence::packet::{Endpoint, PacketContent, Protocol, Transfer, TransferEnd};

/// UDP port of requests (RFC 1350 §4).
pub(super) const PORT: u16 = 69;

/// Default block size in bytes (RFC 1350 §2).
const DEFAULT_BLOCK_SIZE: u64 = 512;

/// Length of a data packet's header.
const DATA_HEADER_LEN: usize = 4;

/// Maximum number of transfers followed at once; beyond it, the least recently active one is dropped.
const SESSION_LIMIT: usize = 1024;

/// State of all active transfers.
#[derive(Debug, Default)]
pub(super) struct Tftp {
    sessions: HashMap<(IpAddr, u16), Session>,
}

#[derive(Debug)]
struct Session {
    file: String,
    client: Endpoint,
    server: Endpoint,
    /// True once the server has answered, so that its port is known.
    answered: bool,
    block_size: u64,
    announced: Option<u64>,
    /// Index of the transfer in the result.
    transfer: Option<usize>,
    /// Highest block seen, without wrapping.
    highest: u64,
    /// Number of the last, shorter block.
    last: Option<u64>,
    /// Content arriving at a machine's own port.
    content: Option<Gathering>,
    /// Highest block whose content was processed.
    gathered: u64,
    seen_us: u64,
}

/// Sender of a packet in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

impl Tftp {
    /// Processes a datagram; returns `false` if it is not TFTP.
    pub(super) fn take(&mut self, datagram: &Datagram<'_>, wire: &mut Wire) -> bool {
        if datagram.to.port == Some(PORT) && matches!(datagram.payload, [0, 1 | 2, ..]) {
            self.request(datagram, wire);
            return true;
        }
        let Some((key, side)) = self.session_of(datagram) else {
            return false;
        };
        let Some(session) = self.sessions.get_mut(&key) else {
            return false;
        };
        let is_over = session.take(side, datagram, wire);
        if is_over {
            self.sessions.remove(&key);
        }
        true
    }

    fn request(&mut self, datagram: &Datagram<'_>, wire: &mut Wire) {
        let (Some(address), Some(port)) = (datagram.from.address, datagram.from.port) else {
            return;
        };
        let Some((file, options)) = request_texts(datagram.payload) else {
            wire.say(
                datagram,
                PacketContent::Malformed {
                    protocol: "tftp".into(),
                    why: "request with unterminated texts".into(),
                },
            );
            return;
        };
        let write = datagram.payload.get(1) == Some(&2);
        // Every message about it needs a noun.
        let file = match file.is_empty() {
            true => "\"\"".to_owned(),
            false => file,
        };
        wire.say(
            datagram,
            PacketContent::TftpRequest {
                file: file.clone(),
                options,
                write,
            },
        );
        if self.sessions.len() >= SESSION_LIMIT {
            let silent = self.sessions.iter().min_by_key(|(_, s)| s.seen_us);
            if let Some(key) = silent.map(|(key, _)| *key) {
                self.sessions.remove(&key);
            }
        }
        let session = Session {
            file,
            client: datagram.from.clone(),
            server: datagram.to.clone(),
            answered: false,
            block_size: DEFAULT_BLOCK_SIZE,
            announced: None,
            transfer: None,
            highest: 0,
            last: None,
            content: None,
            gathered: 0,
            seen_us: datagram.at_us,
        };
        // A repeated request, or a new one from the same port, starts again.
        self.sessions.insert((address, port), session);
    }

    fn session_of(&self, datagram: &Datagram<'_>) -> Option<((IpAddr, u16), Side)> {
        let key = |end: &Endpoint| Some((end.address?, end.port?));
        let (from, to) = (key(datagram.from)?, key(datagram.to)?);
        let is_server = |session: &Session, address, port| {
            session.server.address == Some(address)
                && (!session.answered || session.server.port == Some(port))
        };
        if let Some(session) = self.sessions.get(&to)
            && is_server(session, from.0, from.1)
        {
            return Some((to, Side::Server));
        }
        let session = self.sessions.get(&from)?;
        is_server(session, to.0, to.1).then_some((from, Side::Client))
    }
}

impl Session {
    /// Processes a packet; returns `true` when the transfer is over.
    fn take(&mut self, side: Side, datagram: &Datagram<'_>, wire: &mut Wire) -> bool {
        if side == Side::Server && !self.answered {
            self.answered = true;
            self.server = datagram.from.clone();
        }
        self.touch(datagram.at_us, wire);
        match (side, datagram.payload) {
            (Side::Server, [0, 3, high, low, ..]) => {
                self.blocks(u16::from_be_bytes([*high, *low]), datagram, wire);
                false
            }
            (Side::Client, [0, 4, high, low, ..]) => {
                self.acknowledged(u16::from_be_bytes([*high, *low]), wire)
            }
            (_, payload) => match TftpPacket::decode(payload) {
                Ok(TftpPacket::OptionsAck(options)) if side == Side::Server => {
                    self.options(&options);
                    wire.say(datagram, PacketContent::TftpOptions { options });
                    self.begin(datagram, wire);
                    false
                }
                Ok(TftpPacket::Error { code, message }) => {
                    let said = PacketContent::TftpError {
                        code,
                        message,
                        file: Some(self.file.clone()),
                    };
                    wire.say(datagram, said);
                    self.end(
                        match side {
                            Side::Client => TransferEnd::BrokenByReceiver,
                            Side::Server => TransferEnd::BrokenBySender,
                        },
                        wire,
                    );
                    true
                }
                // An acknowledgement from the server, or data from the client, belongs to an upload.
                Ok(_) => false,
                Err(error) => {
                    let said = PacketContent::Malformed {
                        protocol: "tftp".into(),
                        why: error.to_string(),
                    };
                    wire.say(datagram, said);
                    false
                }
            },
        }
    }

    fn options(&mut self, options: &[(String, String)]) {
        for (name, value) in options {
            let number = value.parse::<u64>().ok();
            match (name.to_ascii_lowercase().as_str(), number) {
                ("blksize", Some(bytes)) if bytes > 0 => self.block_size = bytes,
                ("tsize", size) => self.announced = size,
                _ => {}
            }
        }
    }

    /// Takes in a block, or several of a window: a sender that leaves it to the network card to cut them (Linux's
    /// UDP GSO) is captured before they are cut.
    fn blocks(&mut self, first: u16, datagram: &Datagram<'_>, wire: &mut Wire) {
        let step = usize::try_from(self.block_size).unwrap_or(usize::MAX);
        let step = step.saturating_add(DATA_HEADER_LEN);
        let second = first.wrapping_add(1).to_be_bytes();
        let header = datagram
            .payload
            .get(step..step.saturating_add(DATA_HEADER_LEN));
        // Of a frame that was cut, the rest is not there to be looked at.
        let is_joined = datagram.length > step
            && header.is_none_or(|header| header == [0, 3, second[0], second[1]]);
        if !is_joined {
            return self.data(first, datagram, wire);
        }
        let (mut block, mut offset) = (first, 0);
        while offset < datagram.length {
            let length = step.min(datagram.length - offset);
            let payload = datagram.payload.get(offset..).unwrap_or_default();
            let one = Datagram {
                payload: payload.get(..length).unwrap_or(payload),
                length,
                ..*datagram
            };
            self.data(block, &one, wire);
            block = block.wrapping_add(1);
            offset = offset.saturating_add(step);
        }
    }

    fn data(&mut self, block: u16, datagram: &Datagram<'_>, wire: &mut Wire) {
        self.begin(datagram, wire);
        let number = unwrapped(block, self.highest);
        let length = datagram.length.saturating_sub(DATA_HEADER_LEN) as u64;
        self.gather(number, datagram);
        let Some(transfer) = self
            .transfer
            .and_then(|index| wire.transfers.get_mut(index))
        else {
            return;
        };
        if number <= self.highest {
            transfer.retransmits += 1;
            return;
        }
        self.highest = number;
        // Computed from the block number: blocks missing in a lossy capture were sent nevertheless.
        let before = number.saturating_sub(1).saturating_mul(self.block_size);
        transfer.bytes = before.saturating_add(length);
        if length < self.block_size {
            self.last = Some(number);
        }
    }

    /// Processes a block's content. Receivers accept blocks only in order and request others again (RFC 7440
    /// §4).
    fn gather(&mut self, number: u64, datagram: &Datagram<'_>) {
        let Some(content) = &mut self.content else {
            return;
        };
        if number == self.gathered + 1 {
            self.gathered = number;
            let bytes = datagram.payload.get(DATA_HEADER_LEN..).unwrap_or_default();
            let length = datagram.length.saturating_sub(DATA_HEADER_LEN);
            content.take(bytes, length);
        }
    }

    /// Returns `true` if this was the last block.
    fn acknowledged(&mut self, block: u16, wire: &mut Wire) -> bool {
        let number = unwrapped(block, self.highest);
        if self.last != Some(number) {
            return false;
        }
        let transfer = self.transfer.and_then(|index| wire.transfers.get(index));
        let is_short = transfer.is_some_and(|t| t.announced.is_some_and(|all| t.bytes < all));
        self.end(
            if is_short {
                TransferEnd::BrokenBySender
            } else {
                TransferEnd::Whole
            },
            wire,
        );
        if let Some(transfer) = self
            .transfer
            .and_then(|index| wire.transfers.get_mut(index))
            && self.gathered == number
        {
            transfer.content = self.content.take().and_then(Gathering::finish);
        }
        true
    }

    fn begin(&mut self, datagram: &Datagram<'_>, wire: &mut Wire) {
        if self.transfer.is_none() {
            self.transfer = wire.begin(Transfer {
                protocol: Protocol::Tftp,
                name: self.file.clone(),
                from: self.server.clone(),
                to: self.client.clone(),
                start_us: datagram.at_us,
                end_us: datagram.at_us,
                frame: datagram.frame,
                network: None,
                bytes: 0,
                announced: self.announced,
                retransmits: 0,
                longest_silence_us: 0,
                end: TransferEnd::Open,
                direction: datagram.direction,
                content: None,
            });
            self.content = Gathering::of(datagram.direction);
        }
    }

    fn touch(&mut self, at_us: u64, wire: &mut Wire) {
        self.seen_us = at_us;
        if let Some(index) = self.transfer {
            wire.touch(index, at_us);
        }
    }

    fn end(&self, end: TransferEnd, wire: &mut Wire) {
        if let Some(transfer) = self
            .transfer
            .and_then(|index| wire.transfers.get_mut(index))
        {
            transfer.end = end;
        }
    }
}

/// Returns the unwrapped number of a block, nearest to the highest so far.
fn unwrapped(block: u16, highest: u64) -> u64 {
    const ROUND: u64 = 1 << 16;
    let base = highest - highest % ROUND + u64::from(block);
    let nearest = |candidate: &u64| candidate.abs_diff(highest);
    [Some(base), base.checked_sub(ROUND), base.checked_add(ROUND)]
        .into_iter()
        .flatten()
        .min_by_key(nearest)
        .unwrap_or(base)
}

/// Returns file name and options exactly as requested; the server's codec keeps only those it understands.
fn request_texts(payload: &[u8]) -> Option<(String, Vec<(String, String)>)> {
    let body = payload.get(2..)?;
    let mut texts = body.split(|byte| *byte == 0);
    // Nothing follows the last NUL; without any NUL the name is unterminated.
    let file = texts.next().filter(|name| name.len() < body.len())?;
    // Some UEFI firmware sends the end byte of the DHCP options with the name.
    let file = file.strip_suffix(&[0xff]).unwrap_or(file);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let _mode = texts.next();
    let mut options = Vec::new();
    while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
        if !name.is_empty() {
            options.push((text(name), text(value)));
        }
    }
    Some((text(file), options))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_numbers_go_on_where_they_wrap() {
        assert_eq!(unwrapped(1, 0), 1);
        assert_eq!(unwrapped(65535, 65534), 65535);
        assert_eq!(unwrapped(0, 65535), 65536);
        assert_eq!(unwrapped(65535, 65537), 65535, "an old one");
        assert_eq!(unwrapped(2, 131_073), 131_074);
    }

    #[test]
    fn a_request_is_read_as_it_was_asked() {
        let payload = b"\x00\x01pxelinux.cfg/default\0octet\0TSIZE\x000\0blksize\x001408\0";
        assert_eq!(
            request_texts(payload),
            Some((
                "pxelinux.cfg/default".to_owned(),
                vec![
                    ("TSIZE".to_owned(), "0".to_owned()),
                    ("blksize".to_owned(), "1408".to_owned())
                ]
            ))
        );
        assert_eq!(request_texts(b"\x00\x01no-end"), None);
    }
}
