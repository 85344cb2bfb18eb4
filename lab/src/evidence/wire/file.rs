//! Frames out of a capture file: pcapng, or the classic format that older tools write.
//!
//! One block is in memory at a time, so a capture may be of any size. What is damaged behind good frames
//! ends the reading, not the frames: a lab that was killed leaves a capture cut off in its last block.

use std::io::Read;

use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{
    Block, InterfaceDescriptionBlock, Linktype, OptionCode, PcapBlockOwned, PcapError,
    create_reader,
};
use thiserror::Error;

use crate::evidence::packet::{CaptureKind, Direction};

/// Bytes read at once; a block with the largest frame of an offloading card fits in it.
const BUFFER_BYTES: usize = 256 * 1024;

/// Largest block that is believed.
const BLOCK_LIMIT_BYTES: usize = 16 * 1024 * 1024;

/// Link types that are named.
const LINKS_LIMIT: usize = 8;

/// `if_tsresol` when an interface does not give it: microseconds (draft-ietf-opsawg-pcapng §4.2).
const DEFAULT_RESOLUTION: u8 = 6;

/// Why there is nothing to be read from a capture.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CaptureError {
    /// Neither of the two formats.
    #[error("this is no capture: it begins like neither pcapng nor pcap")]
    NoCapture,
    /// Nothing in it.
    #[error("the capture is empty: it has not even a header")]
    Empty,
    /// It can't be read.
    #[error("the capture cannot be read: {0}")]
    Unreadable(String),
}

/// What a frame begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// Ethernet II.
    Ethernet,
    /// IP itself.
    Ip,
    /// Linux's "any" device, first form.
    Cooked,
    /// Linux's "any" device, second form.
    Cooked2,
    /// A link type that is not read here.
    Other(i32),
}

impl Link {
    fn of(linktype: Linktype) -> Link {
        match linktype {
            Linktype::ETHERNET => Link::Ethernet,
            // 12 and 14 are what BSDs call `RAW` (pcap-linktype(7)).
            Linktype::RAW | Linktype::IPV4 | Linktype::IPV6 | Linktype(12 | 14) => Link::Ip,
            Linktype::LINUX_SLL => Link::Cooked,
            Linktype::LINUX_SLL2 => Link::Cooked2,
            other => Link::Other(other.0),
        }
    }
}

/// Name of a link type that is not read, with its number.
fn link_name(number: i32) -> String {
    let name = match number {
        0 | 108 => "loopback of a BSD",
        6 => "token ring",
        9 | 50 => "PPP",
        51 => "PPPoE",
        105 | 119 | 127 | 163 => "wireless, monitor mode",
        189 | 220 | 249 => "USB",
        _ => return number.to_string(),
    };
    format!("{number} ({name})")
}

/// One frame as it was captured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    /// Microseconds since the Unix epoch.
    pub(super) at_us: u64,
    /// Its number, from 1.
    pub(super) number: u64,
    /// What it begins with.
    pub(super) link: Link,
    /// Direction at a machine's own port, where it was seen there.
    pub(super) direction: Option<Direction>,
    /// What was captured of it.
    pub(super) bytes: &'a [u8],
}

/// What is known once all frames were handed out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ending {
    /// Frames in the file.
    pub(super) frames: u64,
    /// Frames that the capturing system had to drop, as the file says.
    pub(super) dropped: u64,
    /// Why the reading ended before the file did.
    pub(super) damage: Option<String>,
    /// Link types and lengths of the frames.
    pub(super) kind: CaptureKind,
}

/// An interface of the current section.
#[derive(Debug, Clone, Copy)]
struct Interface {
    link: Link,
    units_per_second: u128,
    offset_seconds: i64,
    snap_length: u32,
}

impl Interface {
    fn of(block: &InterfaceDescriptionBlock<'_>) -> Interface {
        let resolution = block
            .options
            .iter()
            .find(|option| option.code == OptionCode::IfTsresol)
            .and_then(|option| option.value().first().copied())
            .unwrap_or(DEFAULT_RESOLUTION);
        let exponent = u32::from(resolution & 0x7f);
        let base: u128 = if resolution & 0x80 == 0 { 10 } else { 2 };
        Interface {
            link: Link::of(block.linktype),
            units_per_second: base.checked_pow(exponent).unwrap_or(u128::MAX),
            offset_seconds: block.if_tsoffset,
            snap_length: block.snaplen,
        }
    }

    fn time_us(&self, high: u32, low: u32) -> u64 {
        let units = (u128::from(high) << 32) | u128::from(low);
        let us = units * 1_000_000 / self.units_per_second;
        let offset_us = i128::from(self.offset_seconds) * 1_000_000;
        let us = i128::try_from(us)
            .unwrap_or(i128::MAX)
            .saturating_add(offset_us);
        u64::try_from(us).unwrap_or(0)
    }
}

/// Hands every frame of `capture` to `take`, in its order.
///
/// # Errors
/// [`CaptureError`] when it is no capture at all.
pub(super) fn for_each_frame<'r>(
    capture: impl Read + Send + 'r,
    take: impl FnMut(Frame<'_>),
) -> Result<Ending, CaptureError> {
    let mut reader = match create_reader(BUFFER_BYTES, capture) {
        Ok(reader) => reader,
        Err(PcapError::Eof) => return Err(CaptureError::Empty),
        Err(PcapError::ReadError) => {
            return Err(CaptureError::Unreadable("reading the file failed".into()));
        }
        Err(_) => return Err(CaptureError::NoCapture),
    };
    let mut blocks = Blocks {
        interfaces: Vec::new(),
        legacy: None,
        last_us: 0,
        ending: Ending::default(),
        take,
    };
    let mut capacity = BUFFER_BYTES;
    loop {
        let step = match reader.next() {
            Ok((length, block)) => {
                blocks.take(&block);
                Step::Consume(length)
            }
            Err(PcapError::Eof) => Step::End(None),
            Err(PcapError::Incomplete(_)) => Step::Refill,
            Err(PcapError::BufferTooSmall) => Step::Grow,
            Err(PcapError::UnexpectedEof) => Step::End(Some("it ends within a block")),
            Err(PcapError::ReadError) => Step::End(Some("reading the file failed")),
            Err(_) => Step::End(Some("a block that cannot be read")),
        };
        let step = match step {
            Step::Refill => refill(&mut *reader),
            step => step,
        };
        match step {
            Step::Consume(length) => reader.consume(length),
            Step::Refill => {}
            Step::Grow => {
                capacity = capacity.saturating_mul(2);
                if capacity > BLOCK_LIMIT_BYTES || !reader.grow(capacity) {
                    blocks.ending.damage = Some(blocks.place("a block too large to be one"));
                    return Ok(blocks.ending);
                }
                if let Step::End(why) = refill(&mut *reader) {
                    blocks.ending.damage = why.map(|why| blocks.place(why));
                    return Ok(blocks.ending);
                }
            }
            Step::End(why) => {
                blocks.ending.damage = why.map(|why| blocks.place(why));
                return Ok(blocks.ending);
            }
        }
    }
}

enum Step {
    Consume(usize),
    Refill,
    Grow,
    End(Option<&'static str>),
}

/// Reads more; a full buffer must grow first.
fn refill(reader: &mut (dyn PcapReaderIterator + Send)) -> Step {
    let before = reader.data().len();
    if reader.refill().is_err() {
        return Step::End(Some("reading the file failed"));
    }
    if reader.data().len() == before && !reader.reader_exhausted() {
        Step::Grow
    } else {
        Step::Refill
    }
}

struct Blocks<F> {
    interfaces: Vec<Interface>,
    /// Link, units of a microsecond and snapshot length of a classic capture.
    legacy: Option<(Link, u32, u32)>,
    last_us: u64,
    ending: Ending,
    take: F,
}

impl<F: FnMut(Frame<'_>)> Blocks<F> {
    fn take(&mut self, block: &PcapBlockOwned<'_>) {
        match block {
            PcapBlockOwned::LegacyHeader(header) => {
                let units = if header.is_nanosecond_precision() {
                    1000
                } else {
                    1
                };
                self.legacy = Some((Link::of(header.network), units, header.snaplen));
            }
            PcapBlockOwned::Legacy(block) => {
                let Some((link, units_per_us, snap_length)) = self.legacy else {
                    return;
                };
                let at_us =
                    u64::from(block.ts_sec) * 1_000_000 + u64::from(block.ts_usec / units_per_us);
                self.cut(block.caplen, block.origlen, snap_length);
                self.frame(at_us, link, block.data);
            }
            PcapBlockOwned::NG(Block::SectionHeader(_)) => self.interfaces.clear(),
            PcapBlockOwned::NG(Block::InterfaceDescription(block)) => {
                self.interfaces.push(Interface::of(block));
            }
            PcapBlockOwned::NG(Block::EnhancedPacket(block)) => {
                let interface = usize::try_from(block.if_id)
                    .ok()
                    .and_then(|index| self.interfaces.get(index).copied());
                match interface {
                    Some(interface) => {
                        let at_us = interface.time_us(block.ts_high, block.ts_low);
                        self.cut(block.caplen, block.origlen, interface.snap_length);
                        self.frame(at_us, interface.link, block.packet_data());
                    }
                    // Counted, so that the numbers stay Wireshark's.
                    None => self.frame(self.last_us, Link::Ethernet, &[]),
                }
            }
            PcapBlockOwned::NG(Block::SimplePacket(block)) => {
                let first = self.interfaces.first().copied();
                let (link, limit) = first.map_or((Link::Ethernet, 0), |interface| {
                    (interface.link, interface.snap_length)
                });
                let limit = if limit == 0 { u32::MAX } else { limit };
                let length = usize::try_from(block.origlen.min(limit)).unwrap_or(usize::MAX);
                let bytes = block.data.get(..length).unwrap_or(block.data);
                // It has no time of its own.
                self.frame(self.last_us, link, bytes);
            }
            PcapBlockOwned::NG(Block::InterfaceStatistics(block)) => {
                let count = |counted: Option<Result<u64, _>>| counted.and_then(Result::ok);
                let dropped = count(block.isb_ifdrop())
                    .unwrap_or(0)
                    .saturating_add(count(block.isb_osdrop()).unwrap_or(0));
                // Statistics may be repeated; each counts from the beginning.
                self.ending.dropped = self.ending.dropped.max(dropped);
            }
            PcapBlockOwned::NG(_) => {}
        }
    }

    /// Notes a frame that was cut at the snapshot length. Others are cut on purpose, as the lab's own are.
    fn cut(&mut self, captured: u32, original: u32, snap_length: u32) {
        if captured < original && captured == snap_length {
            let cut = &mut self.ending.kind.cut_at_bytes;
            *cut = Some(cut.map_or(captured, |before| before.min(captured)));
        }
    }

    fn frame(&mut self, at_us: u64, link: Link, bytes: &[u8]) {
        self.ending.frames += 1;
        self.last_us = at_us;
        let kind = &mut self.ending.kind;
        match link {
            Link::Ethernet => {}
            Link::Ip => kind.is_raw_ip = true,
            Link::Cooked | Link::Cooked2 => kind.is_cooked = true,
            Link::Other(number) => {
                let name = link_name(number);
                if kind.unreadable.len() < LINKS_LIMIT && !kind.unreadable.contains(&name) {
                    kind.unreadable.push(name);
                }
            }
        }
        (self.take)(Frame {
            at_us,
            number: self.ending.frames,
            link,
            direction: None,
            bytes,
        });
    }

    fn place(&self, why: &str) -> String {
        format!("after frame {}: {why}", self.ending.frames)
    }
}
