//! Participants of a boot: one lane for each role at each observed address.

use std::net::Ipv4Addr;

use boot_server_proto::dhcp::MessageType;
use lab_model::evidence::packet::{DhcpSaid, Endpoint, Packet, PacketContent, Protocol, Transfer};

use super::{Lane, Role};

/// UDP port of the PXE boot server (Intel PXE 2.1 §2.2.1); requests there are for a proxy.
const PXE_PORT: u16 = 4011;

/// UDP port of DHCP servers, from which a relay sends to them (RFC 1542 §4.1); clients send from port 68.
const SERVER_PORT: u16 = 67;

/// DHCP relay of a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relay {
    pub name: String,
    pub addresses: Vec<Ipv4Addr>,
}

/// True for a DHCP message between a relay and a server.
pub(super) fn is_relayed(packet: &Packet) -> bool {
    match &packet.what {
        PacketContent::Dhcp(said) if said.from_server => packet.to.port == Some(SERVER_PORT),
        PacketContent::Dhcp(_) => packet.from.port == Some(SERVER_PORT),
        _ => false,
    }
}

/// Key of a lane: role and address.
type Party = (Role, Option<String>);

/// Lanes of a machine's packets.
#[derive(Debug)]
pub(super) struct Lanes {
    list: Vec<Party>,
    relays: Vec<Relay>,
}

impl Lanes {
    /// Finds all hosts that communicate with the machine of this MAC.
    pub(super) fn find(
        mac: &str,
        packets: &[&Packet],
        transfers: &[&Transfer],
        relays: &[Relay],
    ) -> Lanes {
        let mut list: Vec<Party> = vec![(Role::Machine, Some(mac.to_owned()))];
        let mut add = |party: Party| {
            if !list.contains(&party) {
                list.push(party);
            }
        };
        for packet in packets {
            if is_relayed(packet) {
                add(relay_of(packet, relays));
                add(server_of(packet));
            } else if let Some(party) = party(mac, packet, relays) {
                add(party);
            }
        }
        for transfer in transfers {
            add(sender(transfer));
        }
        let asks = packets.iter().any(|packet| {
            matches!(&packet.what, PacketContent::Dhcp(said) if !said.from_server && packet.to.port != Some(PXE_PORT))
        });
        if let (true, Some(relay)) = (asks, relays.first())
            && !list.iter().any(|(role, _)| *role == Role::Relay)
        {
            list.push((Role::Relay, Some(relay.name.clone())));
        }
        if asks && !list.iter().any(|(role, _)| *role == Role::Dhcp) {
            list.push((Role::Dhcp, None));
        }
        // Stable sort: servers of one role keep their order of appearance.
        list.sort_by_key(|(role, _)| *role);
        Lanes {
            list,
            relays: relays.to_vec(),
        }
    }

    /// Returns the lanes for the diagram.
    pub(super) fn shown(&self) -> Vec<Lane> {
        let lane = |(role, address): &Party| Lane {
            role: *role,
            address: address.clone(),
        };
        self.list.iter().map(lane).collect()
    }

    /// Returns the lane at the other end of a packet.
    pub(super) fn other_side(&self, mac: &str, packet: &Packet) -> usize {
        let last = |wanted: &[Role]| {
            let mut roles = self.list.iter();
            roles.rposition(|(role, _)| wanted.contains(role))
        };
        match (&packet.what, party(mac, packet, &self.relays)) {
            (_, Some(party)) => self.position(&party),
            // A broadcast goes to all DHCP and proxyDHCP servers, or to the relay in front of them.
            (PacketContent::Dhcp(_), None) => last(&[Role::Relay])
                .or_else(|| last(&[Role::Dhcp, Role::Proxy]))
                .unwrap_or_default(),
            _ => self.list.len() - 1,
        }
    }

    /// Returns the lanes of relay and server, if the packet is a DHCP message between them.
    pub(super) fn relayed(&self, packet: &Packet) -> Option<(usize, usize)> {
        is_relayed(packet).then(|| {
            let relay = self.position(&relay_of(packet, &self.relays));
            (relay, self.position(&server_of(packet)))
        })
    }

    /// Returns the lane that sends a file.
    pub(super) fn sender(&self, transfer: &Transfer) -> usize {
        self.position(&sender(transfer))
    }

    fn position(&self, party: &Party) -> usize {
        let found = self.list.iter().position(|known| known == party);
        found.unwrap_or_default()
    }
}

/// Returns the host at the other end of a packet, unless it is a broadcast.
fn party(mac: &str, packet: &Packet, relays: &[Relay]) -> Option<Party> {
    let other = if packet.from.mac == mac {
        &packet.to
    } else {
        &packet.from
    };
    match &packet.what {
        PacketContent::Dhcp(said) if said.from_server => {
            let relay = relays.iter().find(|relay| is_at(relay, &packet.from));
            let relay = relay.map(|relay| (Role::Relay, Some(relay.name.clone())));
            relay.or_else(|| Some(dhcp_server(said, &packet.from)))
        }
        PacketContent::Dhcp(_) if !relays.is_empty() && is_broadcast(&packet.to) => None,
        PacketContent::Dhcp(said) => match (packet.to.port, said.server) {
            (Some(PXE_PORT), _) => Some((Role::Proxy, told(&packet.to))),
            (_, Some(server)) => Some((Role::Dhcp, Some(server.to_string()))),
            _ => None,
        },
        PacketContent::TftpRequest { .. }
        | PacketContent::TftpOptions { .. }
        | PacketContent::TftpError { .. } => Some((Role::Tftp, told(other))),
        PacketContent::HttpRequest { .. }
        | PacketContent::HttpResponse { .. }
        | PacketContent::TlsHello
        | PacketContent::TcpSyn
        | PacketContent::TcpReset => Some((Role::Http, at_port(other))),
        PacketContent::Malformed { protocol, .. } => match protocol.as_str() {
            "dhcp" if packet.from.mac == mac => None,
            "dhcp" => Some((Role::Dhcp, told(other))),
            "tftp" => Some((Role::Tftp, told(other))),
            "http" => Some((Role::Http, at_port(other))),
            _ => Some((Role::Other, told(other))),
        },
        PacketContent::ArpRequest { address } => Some((Role::Other, Some(address.to_string()))),
        _ => Some((Role::Other, told(other))),
    }
}

fn is_at(relay: &Relay, endpoint: &Endpoint) -> bool {
    let mut own = relay.addresses.iter();
    own.any(|address| endpoint.address == Some((*address).into()))
}

fn is_broadcast(endpoint: &Endpoint) -> bool {
    endpoint.address == Some(Ipv4Addr::BROADCAST.into())
}

/// Returns the relay of a message between relay and server.
fn relay_of(packet: &Packet, relays: &[Relay]) -> Party {
    let endpoint = match is_answer(packet) {
        true => &packet.to,
        false => &packet.from,
    };
    let known = relays.iter().find(|relay| is_at(relay, endpoint));
    let name = known.map(|relay| relay.name.clone());
    (Role::Relay, name.or_else(|| told(endpoint)))
}

/// Returns the server of a message between relay and server.
fn server_of(packet: &Packet) -> Party {
    match &packet.what {
        PacketContent::Dhcp(said) if said.from_server => dhcp_server(said, &packet.from),
        _ => (Role::Dhcp, told(&packet.to)),
    }
}

fn is_answer(packet: &Packet) -> bool {
    matches!(&packet.what, PacketContent::Dhcp(said) if said.from_server)
}

/// Identifies a DHCP server. A server whose offer or acknowledgement has no address is a proxy; a NAK never has
/// one.
fn dhcp_server(said: &DhcpSaid, from: &Endpoint) -> Party {
    let given = said.given.is_some_and(|given| !given.is_unspecified());
    let role = if given || said.is(MessageType::Nak) {
        Role::Dhcp
    } else {
        Role::Proxy
    };
    let server = said.server.map(|server| server.to_string());
    (role, server.or_else(|| told(from)))
}

fn sender(transfer: &Transfer) -> Party {
    match transfer.protocol {
        Protocol::Tftp => (Role::Tftp, told(&transfer.from)),
        Protocol::Http => (Role::Http, at_port(&transfer.from)),
    }
}

fn told(endpoint: &Endpoint) -> Option<String> {
    let address = endpoint.address.map(|address| address.to_string());
    address.or_else(|| (!endpoint.mac.is_empty()).then(|| endpoint.mac.clone()))
}

/// Returns the port of an HTTP server, which distinguishes several on one host.
fn at_port(endpoint: &Endpoint) -> Option<String> {
    match (endpoint.address, endpoint.port) {
        (Some(address), Some(port)) if port != 80 => {
            Some(std::net::SocketAddr::new(address, port).to_string())
        }
        _ => told(endpoint),
    }
}
