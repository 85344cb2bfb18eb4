//! Truncation of captured frames: headers and beginning of file transfers, everything else whole.
//!
//! Heads of HTTP messages, scripts and configurations are kept whole, while an image of hundreds of megabytes
//! costs only its headers. The file records the original length of each frame.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};

/// Number of bytes kept of each message, enough for heads and small texts.
const BEGINNING_BYTES: usize = 2048;

/// Length of the header of TFTP data packets (RFC 1350 §5).
const TFTP_HEADER_LEN: usize = 4;

/// UDP port of TFTP requests.
const TFTP_PORT: u16 = 69;

/// Maximum number of remembered streams and transfers. Beyond it, all are forgotten, and only their next message
/// is kept again.
const MEMORY: usize = 4096;

/// First words of HTTP messages (RFC 9112 §2.1).
const HTTP_BEGINNINGS: [&[u8]; 8] = [
    b"HTTP/1.",
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"OPTIONS ",
    b"DELETE ",
    b"PATCH ",
];

type Address = (IpAddr, u16);

/// Decides frame by frame how much to keep.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    /// Last sequence number to keep, by stream.
    streams: HashMap<(Address, Address), u32>,
    /// Clients that requested a file.
    tftp_clients: HashSet<Address>,
}

impl Cutter {
    /// Returns the number of bytes to keep of the captured frame.
    pub(super) fn keep(&mut self, frame: &[u8]) -> usize {
        self.known(frame).unwrap_or(frame.len())
    }

    /// Returns `None` if the frame must not be truncated.
    fn known(&mut self, frame: &[u8]) -> Option<usize> {
        let packet = LaxSlicedPacket::from_ethernet(frame).ok()?;
        let (from, to) = match packet.net.as_ref()? {
            LaxNetSlice::Ipv4(ip) => {
                let header = ip.header();
                (
                    IpAddr::V4(header.source_addr()),
                    IpAddr::V4(header.destination_addr()),
                )
            }
            LaxNetSlice::Ipv6(ip) => {
                let header = ip.header();
                (
                    IpAddr::V6(header.source_addr()),
                    IpAddr::V6(header.destination_addr()),
                )
            }
            LaxNetSlice::Arp(_) => return None,
        };
        let (payload, wanted) = match packet.transport.as_ref()? {
            TransportSlice::Udp(udp) => {
                let payload = udp.payload();
                let from = (from, udp.source_port());
                let to = (to, udp.destination_port());
                (payload, self.datagram(from, to, payload)?)
            }
            TransportSlice::Tcp(tcp) => {
                let payload = tcp.payload();
                let stream = ((from, tcp.source_port()), (to, tcp.destination_port()));
                let wanted = self.segment(stream, tcp.sequence_number(), tcp.syn(), payload);
                (payload, wanted)
            }
            _ => return None,
        };
        let headers = frame.len().saturating_sub(payload.len());
        Some(headers.saturating_add(wanted).min(frame.len()))
    }

    /// Returns the number of bytes to keep of a datagram's payload; `None` for all.
    fn datagram(&mut self, from: Address, to: Address, payload: &[u8]) -> Option<usize> {
        match payload {
            [0, 1 | 2, ..] if to.1 == TFTP_PORT => {
                forget_when_full(self.tftp_clients.len(), || self.tftp_clients.clear());
                self.tftp_clients.insert(from);
                None
            }
            // The first block is the beginning of the file.
            [0, 3, 0, 1, ..] if self.tftp_clients.contains(&to) => {
                Some(TFTP_HEADER_LEN + BEGINNING_BYTES)
            }
            [0, 3, ..] if self.tftp_clients.contains(&to) => Some(TFTP_HEADER_LEN),
            _ => None,
        }
    }

    /// Returns the number of bytes to keep of a segment's payload.
    fn segment(
        &mut self,
        stream: (Address, Address),
        sequence: u32,
        syn: bool,
        payload: &[u8],
    ) -> usize {
        let begins = HTTP_BEGINNINGS
            .iter()
            .any(|beginning| payload.starts_with(beginning));
        if syn || begins {
            forget_when_full(self.streams.len(), || self.streams.clear());
            let beginning = u32::try_from(BEGINNING_BYTES).unwrap_or(u32::MAX);
            self.streams
                .insert(stream, sequence.wrapping_add(beginning));
        }
        let Some(until) = self.streams.get(&stream) else {
            return 0;
        };
        // Behind the beginning the distance is negative until the sequence numbers wrap; after that a few extra
        // segments are kept.
        let left = until.wrapping_sub(sequence).cast_signed();
        usize::try_from(left).unwrap_or(0).min(BEGINNING_BYTES)
    }
}

fn forget_when_full(count: usize, forget: impl FnOnce()) {
    if count >= MEMORY {
        forget();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::PacketBuilder;

    const HOST: [u8; 4] = [192, 168, 91, 1];
    const NODE: [u8; 4] = [192, 168, 91, 20];

    /// Length of the Ethernet, IPv4 and UDP headers.
    const UDP_HEADERS: usize = 14 + 20 + 8;
    const TCP_HEADERS: usize = 14 + 20 + 20;

    fn udp(from: ([u8; 4], u16), to: ([u8; 4], u16), payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4(from.0, to.0, 64)
            .udp(from.1, to.1)
            .write(&mut frame, payload)
            .unwrap();
        frame
    }

    fn tcp(sequence: u32, payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4(HOST, NODE, 64)
            .tcp(8080, 50000, sequence, 1000)
            .write(&mut frame, payload)
            .unwrap();
        frame
    }

    #[test]
    fn of_a_tftp_transfer_the_first_block_and_the_headers_are_kept() {
        let mut cutter = Cutter::default();
        let request = udp((NODE, 2070), (HOST, 69), b"\x00\x01ipxe.efi\0octet\0");
        assert_eq!(cutter.keep(&request), request.len());
        let data = |block: u8| {
            let payload = [&[0, 3, 0, block][..], &[7; 1432]].concat();
            udp((HOST, 40000), (NODE, 2070), &payload)
        };
        assert_eq!(cutter.keep(&data(1)), data(1).len());
        assert_eq!(cutter.keep(&data(2)), UDP_HEADERS + 4);
    }

    #[test]
    fn a_datagram_of_another_protocol_that_looks_like_tftp_data_is_whole() {
        let mut cutter = Cutter::default();
        let dns = udp((HOST, 53), (NODE, 2070), &[0, 3, 1, 0, 0, 1, 0, 0]);
        assert_eq!(cutter.keep(&dns), dns.len());
    }

    #[test]
    fn of_each_http_message_the_beginning_is_kept() {
        let mut cutter = Cutter::default();
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n";
        let first = [&head[..], &[7; 1000]].concat();
        assert_eq!(cutter.keep(&tcp(100, &first)), TCP_HEADERS + first.len());
        let length = u32::try_from(first.len()).unwrap();
        let second = cutter.keep(&tcp(100 + length, &[7; 4000]));
        assert_eq!(second, TCP_HEADERS + 2048 - first.len());
        assert_eq!(cutter.keep(&tcp(5000, &[7; 1400])), TCP_HEADERS);
        // The next message of the same connection.
        assert_eq!(cutter.keep(&tcp(9000, head)), TCP_HEADERS + head.len());
    }

    #[test]
    fn what_cannot_be_taken_apart_is_whole() {
        let mut cutter = Cutter::default();
        assert_eq!(cutter.keep(&[0xff; 60]), 60);
        assert_eq!(cutter.keep(&[]), 0);
    }

    proptest::proptest! {
        #[test]
        fn never_more_is_kept_than_there_is(
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..120),
        ) {
            let mut frame = vec![0; 12];
            frame.extend([8, 0, 0x45]);
            frame.extend(&bytes);
            let mut cutter = Cutter::default();
            proptest::prop_assert!(cutter.keep(&frame) <= frame.len());
            proptest::prop_assert!(cutter.keep(&bytes) <= bytes.len());
        }
    }
}
