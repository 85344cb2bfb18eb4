//! Parser of a frame's layers, down to the payload of UDP, TCP, ARP and ICMP.
//!
//! Frames may be truncated, by the capture or in transit; lengths are taken from the headers.

use std::net::{IpAddr, Ipv4Addr};

use boot_server_proto::mac::MacAddr;
use etherparse::{
    ArpPacketSlice, EtherType, LaxNetSlice, LaxSlicedPacket, LinkSlice, TcpSlice, TransportSlice,
};

use super::file::{Frame, Link};
use crate::evidence::packet::Endpoint;

/// Length of Linux's cooked headers (pcap-linktype(7)).
const COOKED_LEN: usize = 16;
const COOKED2_LEN: usize = 20;

/// Parsed frame.
#[derive(Debug)]
pub(super) struct Parsed<'a> {
    pub(super) from: Endpoint,
    pub(super) to: Endpoint,
    pub(super) body: Body<'a>,
}

/// Payload of a frame.
#[derive(Debug)]
pub(super) enum Body<'a> {
    ArpRequest(Ipv4Addr),
    ArpReply(Ipv4Addr),
    Udp {
        /// Part of the payload that was captured.
        payload: &'a [u8],
        /// Original length in bytes.
        length: usize,
    },
    Tcp(Segment<'a>),
    Icmp {
        version: Version,
        kind: u8,
        code: u8,
        /// Start of the packet that the message is about (RFC 792).
        quoted: &'a [u8],
    },
}

/// Version of the internet protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V4,
    V6,
}

/// TCP segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment<'a> {
    pub(super) sequence: u32,
    /// Acknowledgement number, if the ACK flag is set.
    pub(super) acknowledged: Option<u32>,
    pub(super) syn: bool,
    pub(super) fin: bool,
    pub(super) rst: bool,
    /// Part of the payload that was captured.
    pub(super) payload: &'a [u8],
    /// Original length in bytes.
    pub(super) length: usize,
}

/// Parses a frame; `None` if it is irrelevant for network booting.
pub(super) fn parse<'a>(frame: &Frame<'a>) -> Option<Parsed<'a>> {
    let (from_mac, to_mac, packet) = layers(frame)?;
    let net = packet.net.as_ref()?;
    let (from_address, to_address, ip_payload_len) = match net {
        LaxNetSlice::Arp(arp) => return parse_arp(arp, from_mac, to_mac),
        LaxNetSlice::Ipv4(ip) => {
            let header = ip.header();
            let header_len = usize::from(header.ihl()) * 4;
            (
                IpAddr::V4(header.source_addr()),
                IpAddr::V4(header.destination_addr()),
                usize::from(header.total_len()).saturating_sub(header_len),
            )
        }
        LaxNetSlice::Ipv6(ip) => {
            let header = ip.header();
            // Extension headers count as payload; boot traffic has none before TCP.
            (
                IpAddr::V6(header.source_addr()),
                IpAddr::V6(header.destination_addr()),
                usize::from(header.payload_length()),
            )
        }
    };
    let end = |mac: String, address, port| Endpoint {
        mac,
        address: Some(address),
        port,
    };
    let (body, ports) = match packet.transport.as_ref()? {
        TransportSlice::Udp(udp) => {
            let body = Body::Udp {
                payload: udp.payload(),
                length: usize::from(udp.length()).saturating_sub(etherparse::UdpHeader::LEN),
            };
            (body, Some((udp.source_port(), udp.destination_port())))
        }
        TransportSlice::Tcp(tcp) => {
            let ports = Some((tcp.source_port(), tcp.destination_port()));
            (Body::Tcp(segment(tcp, ip_payload_len)), ports)
        }
        TransportSlice::Icmpv4(icmp) => {
            let body = Body::Icmp {
                version: Version::V4,
                kind: icmp.type_u8(),
                code: icmp.code_u8(),
                // Errors quote the packet after eight bytes of header (RFC 792).
                quoted: icmp.slice().get(8..).unwrap_or_default(),
            };
            (body, None)
        }
        TransportSlice::Icmpv6(icmp) => {
            let body = Body::Icmp {
                version: Version::V6,
                kind: icmp.type_u8(),
                code: icmp.code_u8(),
                quoted: icmp.slice().get(8..).unwrap_or_default(),
            };
            (body, None)
        }
        TransportSlice::Igmp(_) => return None,
    };
    Some(Parsed {
        from: end(from_mac, from_address, ports.map(|(from, _)| from)),
        to: end(to_mac, to_address, ports.map(|(_, to)| to)),
        body,
    })
}

/// Returns both MACs, as far as the link layer has them, and the layers above.
fn layers<'a>(frame: &Frame<'a>) -> Option<(String, String, LaxSlicedPacket<'a>)> {
    let bytes = frame.bytes;
    match frame.link {
        Link::Ethernet => {
            let packet = LaxSlicedPacket::from_ethernet(bytes).ok()?;
            let Some(LinkSlice::Ethernet2(ethernet)) = &packet.link else {
                return None;
            };
            let (from, to) = (ethernet.source(), ethernet.destination());
            Some((mac(&from), mac(&to), packet))
        }
        Link::Ip => {
            let packet = LaxSlicedPacket::from_ip(bytes).ok()?;
            Some((String::new(), String::new(), packet))
        }
        Link::Cooked => {
            let (header, rest) = bytes.split_first_chunk::<COOKED_LEN>()?;
            let [_, _, _, _, _, _, a, b, c, d, e, f, _, _, high, low] = *header;
            let kind = EtherType(u16::from_be_bytes([high, low]));
            let packet = LaxSlicedPacket::from_ether_type(kind, rest);
            Some((mac(&[a, b, c, d, e, f]), String::new(), packet))
        }
        Link::Cooked2 => {
            let (header, rest) = bytes.split_first_chunk::<COOKED2_LEN>()?;
            let [
                high,
                low,
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                a,
                b,
                c,
                d,
                e,
                f,
                _,
                _,
            ] = *header;
            let kind = EtherType(u16::from_be_bytes([high, low]));
            let packet = LaxSlicedPacket::from_ether_type(kind, rest);
            Some((mac(&[a, b, c, d, e, f]), String::new(), packet))
        }
        Link::Other(_) => None,
    }
}

fn mac(bytes: &[u8]) -> String {
    bytes
        .first_chunk::<6>()
        .map(|mac| MacAddr(*mac).to_string())
        .unwrap_or_default()
}

fn segment<'a>(tcp: &TcpSlice<'a>, ip_payload_len: usize) -> Segment<'a> {
    let length = ip_payload_len.saturating_sub(usize::from(tcp.data_offset()) * 4);
    let payload = tcp.payload();
    Segment {
        sequence: tcp.sequence_number(),
        acknowledged: tcp.ack().then(|| tcp.acknowledgment_number()),
        syn: tcp.syn(),
        fin: tcp.fin(),
        rst: tcp.rst(),
        // Short frames are padded; the padding is not payload.
        payload: payload.get(..length).unwrap_or(payload),
        length,
    }
}

fn parse_arp<'a>(arp: &ArpPacketSlice<'a>, from_mac: String, to_mac: String) -> Option<Parsed<'a>> {
    let address = |bytes: &[u8]| <[u8; 4]>::try_from(bytes).ok().map(Ipv4Addr::from);
    let sender = address(arp.sender_protocol_addr())?;
    let target = address(arp.target_protocol_addr())?;
    let end = |mac, address: Ipv4Addr| Endpoint {
        mac,
        address: Some(IpAddr::V4(address)),
        port: None,
    };
    let body = match arp.operation().0 {
        1 => Body::ArpRequest(target),
        2 => Body::ArpReply(sender),
        _ => return None,
    };
    Some(Parsed {
        from: end(from_mac, sender),
        to: end(to_mac, target),
        body,
    })
}

/// Returns the destination port of the packet quoted in an ICMP error, if it is included.
pub(super) fn quoted_port(version: Version, quoted: &[u8]) -> Option<u16> {
    let transport = match version {
        Version::V4 => {
            let header_len = usize::from(quoted.first()? & 0x0f) * 4;
            let is_port_carrier = matches!(quoted.get(9)?, 6 | 17);
            is_port_carrier.then(|| quoted.get(header_len..))??
        }
        Version::V6 => {
            let is_port_carrier = matches!(quoted.get(6)?, 6 | 17);
            is_port_carrier.then(|| quoted.get(40..))??
        }
    };
    let port = transport.get(2..4)?;
    Some(u16::from_be_bytes(port.try_into().ok()?))
}

/// Returns the destination of a quoted IPv4 packet.
pub(super) fn quoted_address(version: Version, quoted: &[u8]) -> Option<Ipv4Addr> {
    let octets: [u8; 4] = quoted.get(16..20)?.try_into().ok()?;
    matches!(version, Version::V4).then(|| Ipv4Addr::from(octets))
}

/// True unless the address is unspecified.
pub(super) fn is_told(address: Ipv4Addr) -> bool {
    address != Ipv4Addr::UNSPECIFIED
}
