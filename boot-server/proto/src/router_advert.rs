//! IPv6 router advertisements (RFC 4861) that offer nothing: no default route, no prefix, no DHCPv6.
//!
//! iPXE waits many seconds for an IPv6 router before it goes on with IPv4 alone. An advertisement
//! with a router lifetime of 0 ends the wait and changes nothing on the link.

use std::net::Ipv6Addr;

use crate::mac::MacAddr;

/// EtherType of IPv6.
pub const ETHERTYPE_IPV6: u16 = 0x86dd;
/// IPv6 next header number of ICMPv6 (RFC 4443).
const ICMPV6: u8 = 58;
/// ICMPv6 type of a router solicitation (RFC 4861 §4.1).
const ROUTER_SOLICITATION: u8 = 133;
/// ICMPv6 type of a router advertisement (RFC 4861 §4.2).
const ROUTER_ADVERTISEMENT: u8 = 134;
/// Option that tells the sender's link-layer address (RFC 4861 §4.6.1).
const SOURCE_LINK_LAYER_ADDRESS: u8 = 1;
/// Neighbour discovery packets that crossed a router are not accepted (RFC 4861 §6.1).
const HOP_LIMIT: u8 = 255;
/// Length of an Ethernet header.
const ETHERNET_HEADER_LEN: usize = 14;
/// Length of an IPv6 header.
const IPV6_HEADER_LEN: usize = 40;

/// All nodes on the link (RFC 4291 §2.7.1), and the Ethernet address it maps to (RFC 2464 §7).
const ALL_NODES: (Ipv6Addr, [u8; 6]) = (
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
    [0x33, 0x33, 0, 0, 0, 1],
);

/// A router solicitation, as far as an answer needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Solicitation {
    /// Source MAC of the frame.
    pub mac: MacAddr,
}

/// Parses an Ethernet frame; `None` when it is not a router solicitation.
pub fn parse_solicitation(frame: &[u8]) -> Option<Solicitation> {
    let (ethernet, packet) = frame.split_first_chunk::<ETHERNET_HEADER_LEN>()?;
    let [_, _, _, _, _, _, a, b, c, d, e, f, high, low] = *ethernet;
    if u16::from_be_bytes([high, low]) != ETHERTYPE_IPV6 {
        return None;
    }
    let (ipv6, icmp) = packet.split_first_chunk::<IPV6_HEADER_LEN>()?;
    let [version, _, _, _, _, _, next_header, hop_limit, ..] = *ipv6;
    let mac = MacAddr([a, b, c, d, e, f]);
    (version >> 4 == 6
        && next_header == ICMPV6
        && hop_limit == HOP_LIMIT
        && icmp.first() == Some(&ROUTER_SOLICITATION)
        && !mac.is_multicast())
    .then_some(Solicitation { mac })
}

/// Returns the link-local address made from a MAC (RFC 4291, appendix A).
pub fn link_local(mac: MacAddr) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac.0;
    let interface = [a ^ 2, b, c, 0xff, 0xfe, d, e, f];
    let [g, h, i, j, k, l, m, n] = interface;
    Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, g, h, i, j, k, l, m, n])
}

/// Returns an Ethernet frame with a router advertisement from `mac` to all nodes.
pub fn encode_advertisement(mac: MacAddr) -> Vec<u8> {
    let source = link_local(mac);
    let (destination, destination_mac) = ALL_NODES;
    let mut icmp = vec![ROUTER_ADVERTISEMENT, 0, 0, 0];
    // Current hop limit unspecified, no managed or other configuration, router lifetime 0,
    // reachable time and retransmission timer unspecified.
    icmp.extend([0; 12]);
    icmp.extend([SOURCE_LINK_LAYER_ADDRESS, 1]);
    icmp.extend(mac.0);
    let checksum = checksum(source, destination, &icmp);
    if let Some(field) = icmp.get_mut(2..4) {
        field.copy_from_slice(&checksum.to_be_bytes());
    }
    let len = u16::try_from(icmp.len()).unwrap_or(u16::MAX);
    let mut frame = Vec::with_capacity(ETHERNET_HEADER_LEN + IPV6_HEADER_LEN + icmp.len());
    frame.extend(destination_mac);
    frame.extend(mac.0);
    frame.extend(ETHERTYPE_IPV6.to_be_bytes());
    frame.extend([0x60, 0, 0, 0]);
    frame.extend(len.to_be_bytes());
    frame.extend([ICMPV6, HOP_LIMIT]);
    frame.extend(source.octets());
    frame.extend(destination.octets());
    frame.extend(icmp);
    frame
}

/// Returns the Internet checksum over pseudo-header and message (RFC 8200 §8.1).
fn checksum(source: Ipv6Addr, destination: Ipv6Addr, icmp: &[u8]) -> u16 {
    let len = u32::try_from(icmp.len()).unwrap_or(u32::MAX).to_be_bytes();
    let pseudo = [
        &source.octets()[..],
        &destination.octets(),
        &len,
        &[0, 0, 0, ICMPV6],
    ];
    let mut sum = 0u32;
    for part in pseudo.into_iter().chain([icmp]) {
        // All parts but the last have an even length.
        for pair in part.chunks(2) {
            let high = pair.first().copied().unwrap_or_default();
            let low = pair.get(1).copied().unwrap_or_default();
            sum += u32::from(u16::from_be_bytes([high, low]));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]);

    #[test]
    fn the_link_local_address_is_made_from_the_mac() {
        assert_eq!(link_local(MAC).to_string(), "fe80::5054:ff:fe12:3456");
    }

    #[test]
    fn an_advertisement_offers_nothing() {
        let frame = encode_advertisement(MAC);
        assert_eq!(frame.len(), 14 + 40 + 24);
        let icmp = &frame[54..];
        assert_eq!(icmp[0], 134);
        assert_eq!(icmp[5], 0, "neither managed nor other configuration");
        assert_eq!(icmp[6..8], [0, 0], "no default router");
        assert_eq!(
            icmp[16..],
            [1, 1, 0x52, 0x54, 0, 0x12, 0x34, 0x56],
            "no prefix"
        );
    }

    #[test]
    fn the_checksum_adds_up() {
        let frame = encode_advertisement(MAC);
        let sent = u16::from_be_bytes([frame[56], frame[57]]);
        assert_ne!(sent, 0);
        // A receiver's check: the sum over everything, checksum included, is all ones.
        assert_eq!(checksum(link_local(MAC), ALL_NODES.0, &frame[54..]), 0);
    }

    #[test]
    fn a_solicitation_is_told_from_everything_else() {
        let mut frame = encode_advertisement(MAC);
        assert_eq!(parse_solicitation(&frame), None);
        frame[54] = 133;
        assert_eq!(parse_solicitation(&frame), Some(Solicitation { mac: MAC }));
        let crossed_a_router = {
            let mut f = frame.clone();
            f[21] = 64;
            f
        };
        assert_eq!(parse_solicitation(&crossed_a_router), None);
        for len in 0..55 {
            assert_eq!(parse_solicitation(&frame[..len]), None, "{len}");
        }
    }
}
