//! Bytes that a relay changes in a frame, with the checksum made right again (RFC 1071), so that nothing but the
//! content tells. Pure.

use super::model::Rewrite;

/// Ethernet header without a tag.
const ETHERNET: usize = 14;
const IPV4: [u8; 2] = [0x08, 0x00];
const TCP: u8 = 6;
const UDP: u8 = 17;
/// Length of UDP's header, and the place of the checksum in it (RFC 768).
const UDP_HEADER: usize = 8;
const UDP_SUM: usize = 6;
/// Place of the checksum in TCP's header (RFC 9293 §3.1).
const TCP_SUM: usize = 16;

/// Changes the bytes of TCP and UDP payloads over IPv4. Anything else stays as it is.
pub fn rewrite(frame: &mut [u8], rewrites: &[Rewrite]) {
    if rewrites.is_empty() {
        return;
    }
    let Some(packet) = packet(frame) else {
        return;
    };
    let payload = frame.get_mut(packet.payload..packet.end);
    if !payload.is_some_and(|payload| replace_all(payload, rewrites)) {
        return;
    }
    let had_none = packet.protocol == UDP && sum_at(frame, packet.sum) == Some(0);
    put(frame, packet.sum, 0);
    // RFC 768: zero says that there is no checksum.
    let sum = match (checksum(frame, &packet), packet.protocol) {
        _ if had_none => 0,
        (0, UDP) => u16::MAX,
        (sum, _) => sum,
    };
    put(frame, packet.sum, sum);
}

/// Offsets of a segment or datagram in its frame.
struct Packet {
    protocol: u8,
    /// Begin of IPv4's header.
    ip: usize,
    /// Begin of TCP's or UDP's header.
    segment: usize,
    payload: usize,
    /// End of the payload: short frames are padded.
    end: usize,
    /// Offset of the checksum in the packet.
    sum: usize,
}

fn packet(frame: &[u8]) -> Option<Packet> {
    let ip = ETHERNET;
    if frame.get(12..ETHERNET)? != IPV4 {
        return None;
    }
    let header = usize::from(frame.get(ip)? & 0x0f) * 4;
    let length = usize::from(sum_at(frame, ip + 2)?);
    let fragment = sum_at(frame, ip + 6)? & 0x3fff;
    let protocol = *frame.get(ip + 9)?;
    let (segment, end) = (ip + header, ip + length);
    let (payload, sum) = match protocol {
        TCP => {
            let words = usize::from(frame.get(segment + 12)? >> 4);
            (segment + words * 4, segment + TCP_SUM)
        }
        UDP => (segment + UDP_HEADER, segment + UDP_SUM),
        _ => return None,
    };
    let is_whole = fragment == 0 && payload <= end && end <= frame.len();
    is_whole.then_some(Packet {
        protocol,
        ip,
        segment,
        payload,
        end,
        sum,
    })
}

/// True if something was replaced.
fn replace_all(payload: &mut [u8], rewrites: &[Rewrite]) -> bool {
    let mut is_changed = false;
    for rewrite in rewrites {
        let (from, to) = (rewrite.from.as_bytes(), rewrite.to.as_bytes());
        let mut at = 0;
        while let Some(place) = payload.get_mut(at..at + from.len()) {
            if place == from && to.len() == from.len() {
                place.copy_from_slice(to);
                is_changed = true;
                at += from.len();
            } else {
                at += 1;
            }
        }
    }
    is_changed
}

/// One's complement of the sum over pseudo-header, header and payload.
fn checksum(frame: &[u8], packet: &Packet) -> u16 {
    let length = packet.end - packet.segment;
    let addresses = frame.get(packet.ip + 12..packet.ip + 20);
    let segment = frame.get(packet.segment..packet.end);
    let mut sum = u64::from(packet.protocol) + u64::try_from(length).unwrap_or(u64::MAX);
    for bytes in [addresses, segment].into_iter().flatten() {
        for pair in bytes.chunks(2) {
            let high = pair.first().copied().unwrap_or(0);
            let low = pair.get(1).copied().unwrap_or(0);
            sum += u64::from(u16::from_be_bytes([high, low]));
        }
    }
    while sum > u64::from(u16::MAX) {
        sum = (sum & u64::from(u16::MAX)) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

fn sum_at(frame: &[u8], at: usize) -> Option<u16> {
    let bytes: [u8; 2] = frame.get(at..at + 2)?.try_into().ok()?;
    Some(u16::from_be_bytes(bytes))
}

fn put(frame: &mut [u8], at: usize, value: u16) {
    if let Some(place) = frame.get_mut(at..at + 2) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::Direction;
    use super::*;

    /// A frame with this payload, and padding behind it.
    fn frame(protocol: u8, payload: &[u8]) -> Vec<u8> {
        let mut header = match protocol {
            TCP => vec![0; 20],
            _ => vec![0; UDP_HEADER],
        };
        if let Some(offset) = header.get_mut(12) {
            *offset = 5 << 4;
        }
        let mut frame = vec![0; 12];
        frame.extend(IPV4);
        let length = u16::try_from(20 + header.len() + payload.len()).unwrap();
        frame.extend([0x45, 0]);
        frame.extend(length.to_be_bytes());
        frame.extend([0, 1, 0x40, 0, 64, protocol, 0, 0]);
        frame.extend([192, 168, 92, 1, 192, 168, 92, 2]);
        frame.extend(header);
        frame.extend(payload);
        frame.extend([0xaa; 7]);
        let packet = packet(&frame).unwrap();
        let sum = checksum(&frame, &packet);
        put(&mut frame, packet.sum, sum);
        frame
    }

    fn rules() -> [Rewrite; 1] {
        [Rewrite {
            direction: Direction::In,
            from: "core@node2".into(),
            to: "evil@node2".into(),
        }]
    }

    #[test]
    fn rewrite_changes_every_place_and_keeps_the_checksum_right() {
        for protocol in [TCP, UDP] {
            let mut changed = frame(protocol, b"a core@node2, core@node2 b\n");
            rewrite(&mut changed, &rules());
            assert_eq!(changed, frame(protocol, b"a evil@node2, evil@node2 b\n"));
        }
    }

    #[test]
    fn rewrite_leaves_a_datagram_without_a_checksum_without_one() {
        let mut changed = frame(UDP, b"core@node2");
        put(&mut changed, ETHERNET + 20 + UDP_SUM, 0);
        rewrite(&mut changed, &rules());
        assert_eq!(sum_at(&changed, ETHERNET + 20 + UDP_SUM), Some(0));
        assert!(changed.windows(10).any(|bytes| bytes == b"evil@node2"));
    }

    #[test]
    fn rewrite_other_frames_stay_as_they_are() {
        let mut arp = vec![0; 60];
        arp.extend(b"core@node2");
        let mut fragment = frame(UDP, b"core@node2");
        put(&mut fragment, ETHERNET + 6, 0x2000);
        let mut cut = frame(TCP, b"core@node2");
        cut.truncate(40);
        for before in [arp, fragment, cut, Vec::new(), frame(TCP, b"nothing")] {
            let mut after = before.clone();
            rewrite(&mut after, &rules());
            assert_eq!(after, before);
        }
    }
}
