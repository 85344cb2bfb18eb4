//! UDP in IPv4 (RFC 768, RFC 791) as a raw socket gives and takes it.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::frame::checksum;

/// Protocol number of UDP.
const UDP: u8 = 17;
/// Length of a UDP header in bytes.
const HEADER_LEN: usize = 8;

/// A UDP datagram that a raw socket received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Address and port of the sender.
    pub source: SocketAddrV4,
    /// Address and port of the receiver.
    pub destination: SocketAddrV4,
    /// Content of the datagram.
    pub payload: &'a [u8],
    /// Offset of the payload in the packet, in bytes.
    pub start: usize,
}

/// Reads an IPv4 packet; `None` when it is a fragment, no UDP, or cut. The checksum is the kernel's
/// business: packets of this host carry none yet.
pub fn decode_packet(packet: &[u8]) -> Option<Datagram<'_>> {
    let (&first, header) = packet.split_first()?;
    let header_len = usize::from(first & 0xf) * 4;
    let fragment = u16::from_be_bytes([*header.get(5)?, *header.get(6)?]) & 0x3fff;
    if first >> 4 != 4 || header_len < 20 || fragment != 0 || *header.get(8)? != UDP {
        return None;
    }
    let address = |at: usize| {
        let bytes: [u8; 4] = header.get(at..at + 4)?.try_into().ok()?;
        Some(Ipv4Addr::from(bytes))
    };
    let (source, destination) = (address(11)?, address(15)?);
    let udp = packet.get(header_len..)?;
    let number = |at: usize| Some(u16::from_be_bytes([*udp.get(at)?, *udp.get(at + 1)?]));
    let (from, to, len) = (number(0)?, number(2)?, usize::from(number(4)?));
    Some(Datagram {
        source: SocketAddrV4::new(source, from),
        destination: SocketAddrV4::new(destination, to),
        payload: udp.get(HEADER_LEN..len)?,
        start: header_len + HEADER_LEN,
    })
}

/// Returns a UDP header and its payload, to be sent by a raw socket; `None` when it is too long.
pub fn encode(source: SocketAddrV4, destination: SocketAddrV4, payload: &[u8]) -> Option<Vec<u8>> {
    let len = u16::try_from(HEADER_LEN + payload.len()).ok()?;
    let mut bytes = Vec::with_capacity(usize::from(len));
    bytes.extend(source.port().to_be_bytes());
    bytes.extend(destination.port().to_be_bytes());
    bytes.extend(len.to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(payload);
    let mut pseudo = Vec::with_capacity(12);
    pseudo.extend(source.ip().octets());
    pseudo.extend(destination.ip().octets());
    pseudo.extend([0, UDP]);
    pseudo.extend(len.to_be_bytes());
    let sum = checksum(&[&pseudo, &bytes]);
    // A sum of zero is sent as its complement: zero says that there is none (RFC 768).
    let sum = if sum == 0 { u16::MAX } else { sum };
    bytes.get_mut(6..8)?.copy_from_slice(&sum.to_be_bytes());
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A discover as tcpdump showed it, cut to its first bytes: the sums are the sender's.
    const PACKET: [u8; 32] = [
        0x45, 0x00, 0x00, 0x20, 0x00, 0x01, 0x00, 0x00, 0x40, 0x11, 0x7a, 0xcd, 0, 0, 0, 0, 255,
        255, 255, 255, 0, 68, 0, 67, 0, 12, 0xfa, 0x4c, 1, 1, 6, 0,
    ];

    #[test]
    fn a_broadcast_is_read() {
        let datagram = decode_packet(&PACKET).unwrap();
        assert_eq!(datagram.source, "0.0.0.0:68".parse().unwrap());
        assert_eq!(datagram.destination, "255.255.255.255:67".parse().unwrap());
        assert_eq!(datagram.payload, [1, 1, 6, 0]);
    }

    #[test]
    fn fragments_other_protocols_and_cut_packets_are_not() {
        let changed = |at: usize, to: u8| {
            let mut packet = PACKET;
            packet[at] = to;
            packet
        };
        for packet in [
            changed(0, 0x65),
            changed(6, 0x20),
            changed(7, 1),
            changed(9, 6),
            changed(25, 60),
        ] {
            assert_eq!(decode_packet(&packet), None);
        }
        assert_eq!(decode_packet(&PACKET[..27]), None);
    }

    #[test]
    fn the_checksum_of_all_that_is_sent_is_right() {
        let (from, to) = (
            "10.0.0.1:67".parse().unwrap(),
            "10.0.0.255:68".parse().unwrap(),
        );
        for payload in [&b"even"[..], b"odd"] {
            let bytes = encode(from, to, payload).unwrap();
            let mut pseudo = vec![10, 0, 0, 1, 10, 0, 0, 255, 0, UDP, 0];
            pseudo.push(u8::try_from(bytes.len()).unwrap());
            // With its own sum in place, the sum of everything is zero (RFC 1071).
            assert_eq!(checksum(&[&pseudo, &bytes]), 0);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = decode_packet(&bytes);
        }
    }
}
