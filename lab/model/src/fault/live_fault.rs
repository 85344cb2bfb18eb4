//! Live faults: injected and cleared while machines run. Decides the fate of each frame. Pure.

use std::collections::HashSet;
use std::net::SocketAddrV4;
use std::time::Duration;

use boot_server_proto::dhcp::{self, MessageType};
use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};
use serde::{Deserialize, Serialize};

use super::impair::Impairment;
use super::model::{Direction, Link};

/// UDP port of DHCP servers (RFC 2131 §4.1).
const DHCP_SERVER_PORT: u16 = 67;

/// Fault injected into a running lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "kebab-case")]
pub enum LiveFault {
    /// Frames are lost, duplicated, reordered or delayed, in both directions.
    Netem { link: Link },
    /// The next DHCPOFFERs of all servers are lost.
    DropOffer {
        /// Number of offers still to lose.
        count: u32,
    },
    /// HTTP responses for a path never arrive; the client's connection stalls.
    HttpStall {
        /// Prefix of the request's path.
        path: String,
    },
}

/// Active live faults between the machines and everything else.
#[derive(Debug, Clone, Default)]
pub struct LiveFaults {
    link: Option<(Link, Impairment, Impairment)>,
    offers_left: u32,
    stalled_paths: Vec<String>,
    /// Client ends of stalled connections.
    stalled: HashSet<SocketAddrV4>,
}

impl LiveFaults {
    /// Activates a fault. A fault replaces the previous one of its kind, except that several paths may stall.
    pub fn set(&mut self, fault: LiveFault) {
        match fault {
            LiveFault::Netem { link } => {
                let way = |direction| Impairment::new(link, direction);
                self.link = Some((link, way(Direction::Out), way(Direction::In)));
            }
            LiveFault::DropOffer { count } => self.offers_left = count,
            LiveFault::HttpStall { path } => self.stalled_paths.push(path),
        }
    }

    /// Clears all faults.
    pub fn clear(&mut self) {
        *self = LiveFaults::default();
    }

    /// Returns the active faults.
    #[must_use]
    pub fn in_force(&self) -> Vec<LiveFault> {
        let link = self
            .link
            .as_ref()
            .map(|(link, ..)| LiveFault::Netem { link: *link });
        let offers = (self.offers_left > 0).then_some(LiveFault::DropOffer {
            count: self.offers_left,
        });
        let paths = self
            .stalled_paths
            .iter()
            .map(|path| LiveFault::HttpStall { path: path.clone() });
        link.into_iter().chain(offers).chain(paths).collect()
    }

    /// Returns the delays after which copies of a frame arrive: none if it is lost, two if it is duplicated.
    pub fn fate(&mut self, direction: Direction, frame: &[u8]) -> Vec<Duration> {
        if self.is_held_back(direction, frame) {
            return Vec::new();
        }
        match (&mut self.link, direction) {
            (None, _) => vec![Duration::ZERO],
            (Some((_, out, _)), Direction::Out) => out.arrivals(),
            (Some((_, _, back)), Direction::In) => back.arrivals(),
        }
    }

    fn is_held_back(&mut self, direction: Direction, frame: &[u8]) -> bool {
        if self.offers_left == 0 && self.stalled_paths.is_empty() {
            return false;
        }
        match glance(frame) {
            Some(Glance::Udp { from, payload })
                if self.offers_left > 0
                    && direction == Direction::In
                    && from == DHCP_SERVER_PORT
                    && is_offer(payload) =>
            {
                self.offers_left -= 1;
                true
            }
            Some(Glance::Tcp { from, to, payload }) => match direction {
                Direction::Out => {
                    let asks = |path: &String| asks_for(payload, path);
                    if self.stalled_paths.iter().any(asks) {
                        self.stalled.insert(from);
                    }
                    false
                }
                // A bare acknowledgement passes: the server is reachable but silent.
                Direction::In => self.stalled.contains(&to) && !payload.is_empty(),
            },
            _ => false,
        }
    }
}

enum Glance<'a> {
    Udp {
        from: u16,
        payload: &'a [u8],
    },
    Tcp {
        from: SocketAddrV4,
        to: SocketAddrV4,
        payload: &'a [u8],
    },
}

fn glance(frame: &[u8]) -> Option<Glance<'_>> {
    let packet = LaxSlicedPacket::from_ethernet(frame).ok()?;
    let LaxNetSlice::Ipv4(ip) = packet.net? else {
        return None;
    };
    let header = ip.header();
    match packet.transport? {
        TransportSlice::Udp(udp) => Some(Glance::Udp {
            from: udp.source_port(),
            payload: udp.payload(),
        }),
        TransportSlice::Tcp(tcp) => Some(Glance::Tcp {
            from: SocketAddrV4::new(header.source_addr(), tcp.source_port()),
            to: SocketAddrV4::new(header.destination_addr(), tcp.destination_port()),
            payload: tcp.payload(),
        }),
        _ => None,
    }
}

fn is_offer(datagram: &[u8]) -> bool {
    dhcp::Message::decode(datagram)
        .ok()
        .and_then(|message| message.message_type().ok().flatten())
        == Some(MessageType::Offer)
}

/// True if the segment has a request line for a path that begins with `path`. Network boot clients never split a
/// request line over two segments.
fn asks_for(segment: &[u8], path: &str) -> bool {
    let mut words = segment.splitn(3, |byte| *byte == b' ');
    matches!(words.next(), Some(b"GET" | b"HEAD"))
        && words
            .next()
            .is_some_and(|target| target.starts_with(path.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use etherparse::PacketBuilder;

    use super::*;

    const SERVER: Ipv4Addr = Ipv4Addr::new(192, 168, 92, 1);
    const MACHINE: Ipv4Addr = Ipv4Addr::new(192, 168, 92, 50);

    fn tcp(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), payload: &[u8]) -> Vec<u8> {
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4(from.0.octets(), to.0.octets(), 64)
            .tcp(from.1, to.1, 1, 1000);
        let mut frame = Vec::new();
        builder.write(&mut frame, payload).unwrap();
        frame
    }

    fn dhcp_reply(kind: MessageType) -> Vec<u8> {
        let mac = "52:54:00:00:00:01".parse().unwrap();
        let request = dhcp::Message::from_client(MessageType::Discover, mac, 7);
        let mut reply = dhcp::Message::reply_to(&request);
        reply.options.set(53, [kind.to_wire()]);
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4(SERVER.octets(), [255; 4], 64)
            .udp(67, 68);
        let mut frame = Vec::new();
        builder
            .write(&mut frame, &reply.encode(1500).unwrap())
            .unwrap();
        frame
    }

    fn passes(faults: &mut LiveFaults, direction: Direction, frame: &[u8]) -> bool {
        !faults.fate(direction, frame).is_empty()
    }

    #[test]
    fn so_many_offers_are_lost_and_nothing_else() {
        let mut faults = LiveFaults::default();
        faults.set(LiveFault::DropOffer { count: 2 });
        let (offer, ack) = (dhcp_reply(MessageType::Offer), dhcp_reply(MessageType::Ack));
        assert!(passes(&mut faults, Direction::In, &ack));
        assert!(!passes(&mut faults, Direction::In, &offer));
        assert_eq!(faults.in_force(), [LiveFault::DropOffer { count: 1 }]);
        assert!(!passes(&mut faults, Direction::In, &offer));
        assert!(passes(&mut faults, Direction::In, &offer));
        assert_eq!(faults.in_force(), []);
    }

    #[test]
    fn answers_to_a_stalled_path_never_come_and_others_do() {
        let mut faults = LiveFaults::default();
        let path = "/assets/coreos/current/".to_owned();
        faults.set(LiveFault::HttpStall { path: path.clone() });
        let (one, other, server) = ((MACHINE, 4001), (MACHINE, 4002), (SERVER, 8080));
        let ask =
            |from, path: &str| tcp(from, server, format!("GET {path} HTTP/1.1\r\n").as_bytes());
        let kernel = ask(one, "/assets/coreos/current/coreos_production_pxe.vmlinuz");
        assert!(passes(&mut faults, Direction::Out, &kernel));
        assert!(passes(
            &mut faults,
            Direction::Out,
            &ask(other, "/ipxe?uuid=1")
        ));
        let answer = b"HTTP/1.1 200 OK\r\n";
        assert!(!passes(
            &mut faults,
            Direction::In,
            &tcp(server, one, answer)
        ));
        assert!(passes(&mut faults, Direction::In, &tcp(server, one, b"")));
        assert!(passes(
            &mut faults,
            Direction::In,
            &tcp(server, other, answer)
        ));
        faults.clear();
        assert!(passes(
            &mut faults,
            Direction::In,
            &tcp(server, one, answer)
        ));
    }

    #[test]
    fn a_bad_link_loses_frames_in_both_directions_until_it_is_cleared() {
        let mut faults = LiveFaults::default();
        let link = Link {
            loss_percent: 30,
            ..Link::default()
        };
        faults.set(LiveFault::Netem { link });
        let frame = tcp((MACHINE, 1), (SERVER, 2), b"x");
        let lost = |faults: &mut LiveFaults, direction| {
            let all = (0..1000).filter(|_| !passes(faults, direction, &frame));
            all.count()
        };
        for direction in [Direction::Out, Direction::In] {
            let lost = lost(&mut faults, direction);
            assert!((240..360).contains(&lost), "{lost}");
        }
        faults.clear();
        assert_eq!(lost(&mut faults, Direction::In), 0);
    }
}
