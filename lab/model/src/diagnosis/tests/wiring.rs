//! The packets of a boot, made from what servers told of it.

use std::net::SocketAddr;

use boot_server_events::BootEvent;

use super::*;
use crate::evidence::packet::{Content, Direction};
use crate::scenario::{DhcpService, Image, Scenario};
use crate::verdict::fixture::hash;

/// Our end.
pub(crate) fn host(scenario: &Scenario, port: u16) -> Endpoint {
    Endpoint {
        mac: HOST.into(),
        address: Some(scenario.network.host().into()),
        port: Some(port),
    }
}

/// The machine's end.
pub(crate) fn guest(scenario: &Scenario, node: &Node, port: u16) -> Endpoint {
    Endpoint {
        mac: node.mac.to_string(),
        address: Some(address(scenario, node).into()),
        port: Some(port),
    }
}

/// Everybody, or somebody who has no address yet.
pub(crate) fn nobody(mac: &str, port: u16) -> Endpoint {
    Endpoint {
        mac: mac.into(),
        address: None,
        port: Some(port),
    }
}

/// Packets that crossed the machine's own port, on a network without other machines.
pub(crate) fn port(wire: &Wire, node: &Node) -> Wire {
    let mac = node.mac.to_string();
    let mut port = wire.clone();
    for packet in &mut port.packets {
        packet.direction = Some(match packet.from.mac == mac {
            true => Direction::FromMachine,
            false => Direction::ToMachine,
        });
    }
    for transfer in &mut port.transfers {
        transfer.direction = Some(match transfer.to.mac == mac {
            true => Direction::ToMachine,
            false => Direction::FromMachine,
        });
    }
    port
}

/// Files that arrived whole at the machine's port, and the services' copies of them.
pub(crate) fn content(node: &Node, wire: &Wire) -> Vec<Record> {
    let mut records = Vec::new();
    for transfer in &wire.transfers {
        let name = &transfer.name;
        records.push(Record {
            at_us: transfer.end_us,
            node: Some(node.name.clone()),
            seen: Observation::Arrived {
                protocol: transfer.protocol,
                name: name.clone(),
                from: transfer.from.clone(),
                start_us: transfer.start_us,
                bytes: transfer.bytes,
                content: Content {
                    sha256: hash(name),
                    text: None,
                },
            },
        });
        let usual = |file: &str| format!("coreos/current/{file}");
        let file = match name.strip_prefix("/_/file") {
            None => name.trim_start_matches('/').to_owned(),
            Some(query) if query.contains("type=kernel") => {
                let kernel = node.expect.kernel.clone();
                kernel.unwrap_or_else(|| usual(Image::KERNEL))
            }
            Some(_) => usual(Image::INITRD),
        };
        let is_stored = ["assets/", "nbp/", "coreos/"]
            .iter()
            .any(|folder| file.starts_with(folder))
            || (transfer.protocol == Protocol::Tftp && !file.starts_with("pxelinux.cfg/"));
        if is_stored {
            let seen = Observation::Manifest {
                file,
                sha256: hash(name),
                bytes: Some(transfer.bytes),
            };
            records.insert(
                0,
                Record {
                    at_us: 0,
                    node: None,
                    seen,
                },
            );
        }
    }
    records
}

struct Wiring<'s> {
    scenario: &'s Scenario,
    node: &'s Node,
    wire: Wire,
}

/// The packets behind these records, and those of servers that are not ours.
pub(crate) fn wire(scenario: &Scenario, node: &Node, records: &[Record]) -> Wire {
    let mut wiring = Wiring {
        scenario,
        node,
        wire: Wire::default(),
    };
    for record in records {
        let at_us = time_us(record);
        match &record.seen {
            Observation::Server { entry, .. } => wiring.event(at_us, &entry.what),
            Observation::Console { line } if line.contains("Linux version") => {
                wiring.guest_asks(at_us)
            }
            _ => {}
        }
    }
    wiring.wire
}

impl Wiring<'_> {
    fn packet(&mut self, at_us: u64, from: Endpoint, to: Endpoint, what: PacketContent) {
        self.wire.frames += 1;
        let frame = self.wire.frames;
        self.wire.packets.push(Packet {
            at_us,
            frame,
            network: None,
            from,
            to,
            direction: None,
            what,
        });
    }

    fn said(&self, message: MessageType) -> DhcpSaid {
        DhcpSaid {
            message: message.into(),
            from_server: [MessageType::Offer, MessageType::Ack].contains(&message),
            xid: 1,
            client: self.node.mac.to_string(),
            uuid: Some(self.node.uuid.to_string()),
            ..DhcpSaid::default()
        }
    }

    fn client_hears(&mut self, at_us: u64, said: DhcpSaid) {
        let (from, mac) = (host(self.scenario, 67), self.node.mac.to_string());
        self.packet(
            at_us,
            from,
            nobody(&mac, 68),
            PacketContent::Dhcp(Box::new(said)),
        );
    }

    fn servers_hear(&mut self, at_us: u64, port: u16, said: DhcpSaid) {
        let mac = self.node.mac.to_string();
        let to = nobody("ff:ff:ff:ff:ff:ff", port);
        self.packet(
            at_us,
            nobody(&mac, 68),
            to,
            PacketContent::Dhcp(Box::new(said)),
        );
    }

    /// An answer with an address and nothing else, as libvirt's DHCP gives it.
    fn plain(&self, message: MessageType) -> DhcpSaid {
        let node_address = address(self.scenario, self.node);
        DhcpSaid {
            given: Some(node_address),
            server: Some(self.scenario.network.host()),
            options: vec![53, 54, 51, 1, 3],
            ..self.said(message)
        }
    }

    fn event(&mut self, at_us: u64, event: &BootEvent) {
        match event {
            BootEvent::DhcpRequest {
                port,
                message,
                arch,
                vendor_class,
                address,
                ..
            } => {
                let said = DhcpSaid {
                    arch: arch.clone(),
                    vendor_class: vendor_class.clone(),
                    wanted: *address,
                    ..self.said(*message)
                };
                self.servers_hear(at_us, *port, said);
                if self.scenario.services.dhcp == DhcpService::Libvirt {
                    let answer = if *message == MessageType::Discover {
                        MessageType::Offer
                    } else {
                        MessageType::Ack
                    };
                    let plain = self.plain(answer);
                    self.client_hears(at_us + 1000, plain);
                }
            }
            BootEvent::DhcpReply {
                message,
                address,
                boot_file,
                ..
            } => {
                let said = DhcpSaid {
                    given: *address,
                    boot_file: boot_file.clone(),
                    next_server: Some(self.scenario.network.host().to_string()),
                    server: Some(self.scenario.network.host()),
                    vendor_class: Some("PXEClient".into()),
                    ..self.said(*message)
                };
                self.client_hears(at_us, said);
            }
            BootEvent::TftpDone { file, bytes, .. } => self.tftp(at_us, file, *bytes),
            BootEvent::HttpRequest {
                who,
                path,
                query,
                status,
                length,
                ..
            } => {
                let own = SocketAddr::from((self.scenario.network.host(), 0)).ip();
                // What Pixiecore asks the API never leaves the host.
                if who.peer.is_none_or(|peer| peer.ip() != own) {
                    let target = if query.is_empty() {
                        path.clone()
                    } else {
                        format!("{path}?{query}")
                    };
                    self.http(at_us, &target, *status, *length);
                }
            }
            _ => {}
        }
    }

    fn transfer(&mut self, protocol: Protocol, at_us: u64, name: &str, bytes: u64) {
        self.wire.frames += 1;
        self.wire.transfers.push(Transfer {
            protocol,
            name: name.into(),
            from: host(self.scenario, 8080),
            to: guest(self.scenario, self.node, 49152),
            start_us: at_us - 10_000,
            end_us: at_us,
            frame: self.wire.frames,
            network: None,
            bytes,
            announced: Some(bytes),
            retransmits: 0,
            longest_silence_us: 1000,
            end: TransferEnd::Whole,
            direction: None,
            content: None,
        });
    }

    fn tftp(&mut self, at_us: u64, file: &str, bytes: u64) {
        let (from, to) = (
            guest(self.scenario, self.node, 49152),
            host(self.scenario, 69),
        );
        let options = vec![("blksize".into(), "1432".into())];
        let what = PacketContent::TftpRequest {
            file: file.into(),
            options: options.clone(),
            write: false,
        };
        self.packet(at_us - 12_000, from.clone(), to.clone(), what);
        self.packet(
            at_us - 11_000,
            to,
            from,
            PacketContent::TftpOptions { options },
        );
        self.transfer(Protocol::Tftp, at_us, file, bytes);
    }

    fn http(&mut self, at_us: u64, target: &str, status: u16, length: Option<u64>) {
        let (from, to) = (
            guest(self.scenario, self.node, 49152),
            host(self.scenario, 8080),
        );
        self.packet(
            at_us - 13_000,
            from.clone(),
            to.clone(),
            PacketContent::TcpSyn,
        );
        let what = PacketContent::HttpRequest {
            method: "GET".into(),
            target: target.into(),
            host: None,
            user_agent: Some("iPXE/1.21.1".into()),
        };
        self.packet(at_us - 12_000, from.clone(), to.clone(), what);
        let what = PacketContent::HttpResponse {
            status,
            length,
            target: Some(target.into()),
            body: None,
        };
        self.packet(at_us - 11_000, to, from, what);
        self.transfer(Protocol::Http, at_us, target, length.unwrap_or_default());
    }

    /// The system inside asks for an address of its own, and gets one.
    fn guest_asks(&mut self, at_us: u64) {
        use MessageType::{Ack, Discover, Offer, Request};
        for (index, message) in (1..).zip([Discover, Offer, Request, Ack]) {
            let at_us = at_us + index * 1000;
            if [Offer, Ack].contains(&message) {
                let plain = self.plain(message);
                self.client_hears(at_us, plain);
            } else {
                let said = self.said(message);
                self.servers_hear(at_us, 67, said);
            }
        }
    }
}
