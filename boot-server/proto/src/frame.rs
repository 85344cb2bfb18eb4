//! Whole frames, for what UDP sockets cannot say: datagrams to machines without an address yet
//! (RFC 2131 §4.1), ARP probes (RFC 5227) and ICMP echoes (RFC 792).

use std::net::{Ipv4Addr, SocketAddrV4};

use super::mac::MacAddr;

/// ARP's Ethernet type.
pub const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_IPV4: u16 = 0x0800;
const IPV4_HEADER_LEN: usize = 20;
const UDP_HEADER_LEN: usize = 8;
const PROTOCOL_UDP: u8 = 17;
/// Ethernet, IPv4, their address lengths (RFC 826).
const ARP_HEADER: [u8; 6] = [0, 1, 8, 0, 6, 4];
const ARP_REQUEST: u16 = 1;
/// Shortest Ethernet frame without its checksum.
const MIN_FRAME_LEN: usize = 60;
const ICMP_ECHO_REPLY: u8 = 0;
const ICMP_ECHO: u8 = 8;

/// Returns a UDP datagram as an Ethernet frame; `None` when it is too long for IPv4.
pub fn encode_udp(
    (from_mac, from): (MacAddr, SocketAddrV4),
    (to_mac, to): (MacAddr, SocketAddrV4),
    payload: &[u8],
) -> Option<Vec<u8>> {
    let udp_len = u16::try_from(UDP_HEADER_LEN + payload.len()).ok()?;
    let ip_len = udp_len.checked_add(u16::try_from(IPV4_HEADER_LEN).ok()?)?;
    let (source, target) = (from.ip().octets(), to.ip().octets());
    let ip_header = |checksum: [u8; 2]| {
        let mut header = Vec::with_capacity(IPV4_HEADER_LEN);
        header.extend([0x45, 0]);
        header.extend(ip_len.to_be_bytes());
        // Not to be fragmented: boot ROMs cannot join.
        header.extend([0, 0, 0x40, 0, 64, PROTOCOL_UDP]);
        header.extend(checksum);
        header.extend(source);
        header.extend(target);
        header
    };
    let udp_header = |checksum: [u8; 2]| {
        let mut header = [0; UDP_HEADER_LEN];
        let [a, b, c, d, e, f, g, h] = &mut header;
        [*a, *b] = from.port().to_be_bytes();
        [*c, *d] = to.port().to_be_bytes();
        [*e, *f] = udp_len.to_be_bytes();
        [*g, *h] = checksum;
        header
    };
    let mut pseudo = Vec::with_capacity(12);
    pseudo.extend(source);
    pseudo.extend(target);
    pseudo.extend([0, PROTOCOL_UDP]);
    pseudo.extend(udp_len.to_be_bytes());
    let udp_checksum = match checksum(&[&pseudo, &udp_header([0, 0]), payload]) {
        // RFC 768: 0 would mean that there is none.
        0 => 0xffff,
        sum => sum,
    };
    let ip_checksum = checksum(&[&ip_header([0, 0])]);
    let mut frame = ethernet(to_mac, from_mac, ETHERTYPE_IPV4);
    frame.extend(ip_header(ip_checksum.to_be_bytes()));
    frame.extend(udp_header(udp_checksum.to_be_bytes()));
    frame.extend(payload);
    Some(frame)
}

/// ARP probe for an address, which changes no ARP cache (RFC 5227 §2.1.1).
pub fn encode_arp_probe(from: MacAddr, address: Ipv4Addr) -> Vec<u8> {
    let mut frame = ethernet(MacAddr([0xff; 6]), from, ETHERTYPE_ARP);
    frame.extend(ARP_HEADER);
    frame.extend(ARP_REQUEST.to_be_bytes());
    frame.extend(from.0);
    frame.extend(Ipv4Addr::UNSPECIFIED.octets());
    frame.extend([0; 6]);
    frame.extend(address.octets());
    frame.resize(MIN_FRAME_LEN, 0);
    frame
}

/// Returns the sender that claims an address in an ARP frame.
pub fn parse_arp_sender(frame: &[u8]) -> Option<(MacAddr, Ipv4Addr)> {
    let (_, rest) = frame.split_first_chunk::<12>()?;
    let (ethertype, rest) = rest.split_first_chunk::<2>()?;
    let (header, rest) = rest.split_first_chunk::<6>()?;
    let (_operation, rest) = rest.split_first_chunk::<2>()?;
    let (mac, rest) = rest.split_first_chunk::<6>()?;
    let (address, _) = rest.split_first_chunk::<4>()?;
    let address = Ipv4Addr::from(*address);
    (u16::from_be_bytes(*ethertype) == ETHERTYPE_ARP
        && *header == ARP_HEADER
        && !address.is_unspecified())
    .then_some((MacAddr(*mac), address))
}

/// Returns an ICMP echo request, without its IP header.
pub fn encode_echo(identifier: u16, sequence: u16) -> [u8; 8] {
    let [a, b] = identifier.to_be_bytes();
    let [c, d] = sequence.to_be_bytes();
    let [e, f] = checksum(&[&[ICMP_ECHO, 0, 0, 0, a, b, c, d]]).to_be_bytes();
    [ICMP_ECHO, 0, e, f, a, b, c, d]
}

/// Returns the sender of an echo reply with this identifier, from an ICMP packet with its IP header.
pub fn parse_echo_reply(packet: &[u8], identifier: u16) -> Option<Ipv4Addr> {
    let header_len = usize::from(packet.first()? & 0x0f) * 4;
    let (header, icmp) = packet.split_at_checked(header_len)?;
    let source = header.get(12..16)?;
    let source: [u8; 4] = source.try_into().ok()?;
    let (&[kind, _code, _, _, a, b], _) = icmp.split_first_chunk::<6>()?;
    (kind == ICMP_ECHO_REPLY && u16::from_be_bytes([a, b]) == identifier)
        .then(|| Ipv4Addr::from(source))
}

fn ethernet(to: MacAddr, from: MacAddr, ethertype: u16) -> Vec<u8> {
    let mut frame = Vec::with_capacity(640);
    frame.extend(to.0);
    frame.extend(from.0);
    frame.extend(ethertype.to_be_bytes());
    frame
}

/// Returns the Internet checksum (RFC 1071) of parts of which all but the last have an even length.
pub(super) fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum: u64 = 0;
    for part in parts {
        let (words, rest) = part.as_chunks::<2>();
        sum += words
            .iter()
            .map(|word| u64::from(u16::from_be_bytes(*word)))
            .sum::<u64>();
        if let [last] = rest {
            sum += u64::from(u16::from_be_bytes([*last, 0]));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const B: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

    fn datagram(payload: &[u8]) -> Vec<u8> {
        let from = SocketAddrV4::new([10, 0, 0, 1].into(), 67);
        let to = SocketAddrV4::new([10, 0, 0, 9].into(), 68);
        encode_udp((A, from), (B, to), payload).unwrap()
    }

    proptest! {
        /// A correct Internet checksum makes the sum over everything it covers zero.
        #[test]
        fn the_checksums_of_a_datagram_add_up(payload in proptest::collection::vec(any::<u8>(), 0..600)) {
            let frame = datagram(&payload);
            prop_assert_eq!(&frame[42..], &payload[..]);
            prop_assert_eq!(checksum(&[&frame[14..34]]), 0);
            let mut pseudo = frame[26..34].to_vec();
            pseudo.extend([0, 17]);
            pseudo.extend(&frame[38..40]);
            prop_assert_eq!(checksum(&[&pseudo, &frame[34..]]), 0);
        }

        #[test]
        fn any_frame_is_read_without_panic(frame in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = (parse_arp_sender(&frame), parse_echo_reply(&frame, 7));
        }
    }

    #[test]
    fn a_datagram_says_where_it_is_from_and_where_it_goes() {
        let frame = datagram(b"x");
        assert_eq!(frame[..6], B.0);
        assert_eq!(frame[6..14], [2, 0, 0, 0, 0, 1, 8, 0]);
        assert_eq!(frame[26..38], [10, 0, 0, 1, 10, 0, 0, 9, 0, 67, 0, 68]);
        let from = SocketAddrV4::new([10, 0, 0, 1].into(), 67);
        assert_eq!(encode_udp((A, from), (B, from), &[0; 65_536]), None);
    }

    /// RFC 5227 §1.1: a probe has no sender address, so it claims nothing.
    #[test]
    fn a_probe_claims_no_address_and_an_answer_to_it_does() {
        let address = Ipv4Addr::new(10, 0, 0, 9);
        let mut frame = encode_arp_probe(A, address);
        assert_eq!((frame.len(), parse_arp_sender(&frame)), (60, None));
        frame[28..32].copy_from_slice(&address.octets());
        assert_eq!(parse_arp_sender(&frame), Some((A, address)));
        frame[12] = 0x86;
        assert_eq!(parse_arp_sender(&frame), None);
    }

    #[test]
    fn an_echo_reply_is_told_from_other_messages() {
        let echo = encode_echo(7, 1);
        assert_eq!(checksum(&[&echo]), 0);
        let mut packet = vec![0x45; 1];
        packet.resize(20, 0);
        packet[12..16].copy_from_slice(&[10, 0, 0, 9]);
        packet.extend(echo);
        assert_eq!(parse_echo_reply(&packet, 7), None, "our own question");
        packet[20] = 0;
        assert_eq!(parse_echo_reply(&packet, 7), Some([10, 0, 0, 9].into()));
        assert_eq!(parse_echo_reply(&packet, 8), None, "somebody else's");
    }
}
