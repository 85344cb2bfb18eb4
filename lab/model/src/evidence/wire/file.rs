//! Reader of frames from a capture file: pcapng, or the classic pcap format of older tools.
//!
//! Only one block is in memory at a time, so a capture may have any size. Damage ends the reading, but earlier
//! frames are kept: a killed lab leaves a capture with an incomplete last block.

use std::io::Read;

use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{
    Block, InterfaceDescriptionBlock, Linktype, OptionCode, PcapBlockOwned, PcapError,
    create_reader,
};
use thiserror::Error;

use crate::evidence::packet::{CaptureKind, Direction};

/// Read buffer in bytes, enough for a block with the largest frame of an offloading card.
const BUFFER_BYTES: usize = 256 * 1024;

/// Maximum plausible size of a block.
const BLOCK_LIMIT_BYTES: usize = 16 * 1024 * 1024;

/// Maximum number of named link types.
const LINKS_LIMIT: usize = 8;

/// Default of `if_tsresol`: microseconds (draft-ietf-opsawg-pcapng §4.2).
const DEFAULT_RESOLUTION: u8 = 6;

/// Error of reading a capture.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CaptureError {
    /// Neither pcapng nor pcap.
    #[error("not a capture: neither pcapng nor pcap")]
    NoCapture,
    /// The file is empty.
    #[error("empty capture: no header")]
    Empty,
    /// The file cannot be read.
    #[error("cannot read the capture: {0}")]
    Unreadable(String),
}

/// Link layer of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    Ethernet,
    /// Bare IP packet.
    Ip,
    /// Linux's "any" device, first form.
    Cooked,
    /// Linux's "any" device, second form.
    Cooked2,
    /// Unsupported link type.
    Other(i32),
}

impl Link {
    fn of(linktype: Linktype) -> Link {
        match linktype {
            Linktype::ETHERNET => Link::Ethernet,
            // 12 and 14 are `RAW` on BSDs (pcap-linktype(7)).
            Linktype::RAW | Linktype::IPV4 | Linktype::IPV6 | Linktype(12 | 14) => Link::Ip,
            Linktype::LINUX_SLL => Link::Cooked,
            Linktype::LINUX_SLL2 => Link::Cooked2,
            other => Link::Other(other.0),
        }
    }
}

/// Returns the name and number of an unsupported link type.
fn link_name(number: i32) -> String {
    let name = match number {
        0 | 108 => "BSD loopback",
        6 => "token ring",
        9 | 50 => "PPP",
        51 => "PPPoE",
        105 | 119 | 127 | 163 => "wireless, monitor mode",
        189 | 220 | 249 => "USB",
        _ => return number.to_string(),
    };
    format!("{number} ({name})")
}

/// Captured frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    /// Time in microseconds since the Unix epoch.
    pub(super) at_us: u64,
    /// Number of the frame, from 1.
    pub(super) number: u64,
    pub(super) link: Link,
    /// Direction, if captured at a machine's own port.
    pub(super) direction: Option<Direction>,
    /// Bytes of the frame that were captured.
    pub(super) bytes: &'a [u8],
}

/// Summary after the last frame.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ending {
    /// Number of frames in the file.
    pub(super) frames: u64,
    /// Number of frames that the capturing system dropped, according to the file.
    pub(super) dropped: u64,
    /// Reason why the reading ended early.
    pub(super) damage: Option<String>,
    /// Link types and lengths of the frames.
    pub(super) kind: CaptureKind,
}

/// Interface of the current section.
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

/// Passes every frame of `capture` to `take`, in order.
///
/// # Errors
/// [`CaptureError`] if the file is not a capture.
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
            Err(PcapError::UnexpectedEof) => Step::End(Some("the file ends within a block")),
            Err(PcapError::ReadError) => Step::End(Some("reading the file failed")),
            Err(_) => Step::End(Some("malformed block")),
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
                    blocks.ending.damage = Some(blocks.place("oversized block"));
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

/// Reads more data; a full buffer must grow first.
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
    /// Link type, time units per microsecond and snapshot length of a classic capture.
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
                    // Counted, so that frame numbers agree with Wireshark's.
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
                // This block has no time.
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

    /// Records a frame truncated at the snapshot length. Other truncations are intentional, such as the lab's
    /// own.
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
