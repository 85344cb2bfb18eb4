//! Blocks of the pcapng file format (draft-ietf-opsawg-pcapng) that the lab writes.
//!
//! The files are little-endian, with one section, one Ethernet interface, and times in microseconds.

use std::net::Ipv4Addr;

use super::{CaptureSpec, Counts};

/// Block types (§4 of the draft).
mod block {
    pub(super) const SECTION: u32 = 0x0a0d_0d0a;
    pub(super) const INTERFACE: u32 = 1;
    pub(super) const NAMES: u32 = 4;
    pub(super) const STATISTICS: u32 = 5;
    pub(super) const PACKET: u32 = 6;
}

/// Option codes: `COMMENT` applies to every block, the others to the block in their name.
mod option {
    pub(super) const COMMENT: u16 = 1;
    pub(super) const SECTION_PROGRAM: u16 = 4;
    pub(super) const INTERFACE_NAME: u16 = 2;
    pub(super) const INTERFACE_DESCRIPTION: u16 = 3;
    pub(super) const INTERFACE_ADDRESS: u16 = 4;
    pub(super) const INTERFACE_RESOLUTION: u16 = 9;
    pub(super) const STATISTICS_RECEIVED: u16 = 4;
    pub(super) const STATISTICS_DROPPED: u16 = 5;
}

/// Name record types (§4.5); MACs were added later, and readers skip unknown types.
const IPV4_RECORD: u16 = 1;
const MAC_RECORD: u16 = 3;

const BYTE_ORDER: u32 = 0x1a2b_3c4d;
const ETHERNET: u16 = 1;
const MICROSECONDS: u8 = 6;

/// Name of a MAC or an address.
#[derive(Debug, Clone, Copy)]
pub(super) enum Name<'a> {
    Mac([u8; 6], &'a str),
    Address(Ipv4Addr, &'a str),
}

/// Returns the section, the interface and the names known from the start.
pub(super) fn beginning(spec: &CaptureSpec, known: &[Name<'_>]) -> Vec<u8> {
    let mut nodes = String::new();
    for (name, mac) in &spec.nodes {
        nodes.push_str(&format!("\n{mac} {name}"));
    }
    let program = concat!("lab ", env!("CARGO_PKG_VERSION"));
    let comment = format!("{}{nodes}", spec.title);

    let mut section = Vec::new();
    section.extend(BYTE_ORDER.to_le_bytes());
    section.extend(1u16.to_le_bytes());
    section.extend(0u16.to_le_bytes());
    // The length is unknown while the file is written.
    section.extend((-1i64).to_le_bytes());
    options(
        &mut section,
        &[
            (option::SECTION_PROGRAM, program.as_bytes()),
            (option::COMMENT, comment.as_bytes()),
        ],
    );

    let mut interface = Vec::new();
    interface.extend(ETHERNET.to_le_bytes());
    interface.extend(0u16.to_le_bytes());
    // No snapshot length: frames are truncated by content.
    interface.extend(0u32.to_le_bytes());
    let description = format!("network {} of {}", spec.subnet, spec.title);
    let address = [spec.host.octets(), spec.subnet.netmask().octets()].concat();
    let comment = format!("host {}{nodes}", spec.host);
    options(
        &mut interface,
        &[
            (option::INTERFACE_NAME, spec.interface.as_bytes()),
            (option::INTERFACE_DESCRIPTION, description.as_bytes()),
            (option::INTERFACE_ADDRESS, &address),
            (option::INTERFACE_RESOLUTION, &[MICROSECONDS]),
            (option::COMMENT, comment.as_bytes()),
        ],
    );

    let mut blocks = enclosed(block::SECTION, &section);
    blocks.extend(enclosed(block::INTERFACE, &interface));
    blocks.extend(names(known));
    blocks
}

/// Returns the block of a frame with `length` original bytes of which `kept` were kept.
pub(super) fn frame(at_us: u64, kept: &[u8], length: u32) -> Vec<u8> {
    let mut body = Vec::with_capacity(kept.len() + 24);
    body.extend(0u32.to_le_bytes());
    body.extend(time(at_us));
    body.extend(len_u32(kept).to_le_bytes());
    body.extend(length.to_le_bytes());
    body.extend(kept);
    enclosed(block::PACKET, &body)
}

/// Returns the block of names of MACs and addresses.
pub(super) fn names(names: &[Name<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    for name in names {
        let (kind, value) = match name {
            Name::Mac(mac, text) => (MAC_RECORD, [mac, text.as_bytes(), &[0]].concat()),
            Name::Address(address, text) => {
                let value = [&address.octets(), text.as_bytes(), &[0]].concat();
                (IPV4_RECORD, value)
            }
        };
        field(&mut body, kind, &value);
    }
    body.extend([0; 4]);
    enclosed(block::NAMES, &body)
}

/// Returns the block with the numbers of captured and lost frames.
pub(super) fn statistics(at_us: u64, counts: Counts) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(0u32.to_le_bytes());
    body.extend(time(at_us));
    options(
        &mut body,
        &[
            (
                option::STATISTICS_RECEIVED,
                &counts.frames.saturating_add(counts.dropped).to_le_bytes(),
            ),
            (option::STATISTICS_DROPPED, &counts.dropped.to_le_bytes()),
        ],
    );
    enclosed(block::STATISTICS, &body)
}

/// Encodes microseconds since the Unix epoch, high half first.
fn time(at_us: u64) -> [u8; 8] {
    at_us.rotate_left(32).to_le_bytes()
}

fn options(body: &mut Vec<u8>, options: &[(u16, &[u8])]) {
    for (code, value) in options {
        field(body, *code, value);
    }
    // The end of options.
    body.extend([0; 4]);
}

/// Encodes code, length, value and padding of an option or name record.
fn field(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    body.extend(code.to_le_bytes());
    body.extend(length.to_le_bytes());
    body.extend(value.iter().take(usize::from(length)));
    pad(body);
}

fn enclosed(kind: u32, body: &[u8]) -> Vec<u8> {
    let padded = body.len().next_multiple_of(4);
    let length = u32::try_from(padded + 12).unwrap_or(u32::MAX);
    let mut block = Vec::with_capacity(padded + 12);
    block.extend(kind.to_le_bytes());
    block.extend(length.to_le_bytes());
    block.extend(body);
    pad(&mut block);
    block.extend(length.to_le_bytes());
    block
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

fn len_u32(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
