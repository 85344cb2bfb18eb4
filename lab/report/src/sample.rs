//! Packets of invented boots, for tests of reports.

use std::net::{IpAddr, Ipv4Addr};

use boot_server_proto::dhcp::MessageType;
use lab_model::evidence::packet::{
    DhcpSaid, Endpoint, Packet, PacketContent, Protocol, Transfer, TransferEnd, Wire,
};

/// The machine's MAC, that of `node1` of the scenario `proxy-dhcp`.
pub(crate) const MAC: &str = "52:54:00:5b:01:01";
/// When it was switched on.
pub(crate) const ZERO_US: u64 = 1_700_000_000_000_000;
const SERVER_MAC: &str = "52:54:00:00:00:01";
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 168, 91, 1);
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 168, 91, 12);

/// A capture in the making: a frame each tenth of a second.
#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) wire: Wire,
    /// The machine that speaks.
    pub(crate) mac: String,
}

impl Default for Story {
    fn default() -> Story {
        Story {
            wire: Wire::default(),
            mac: MAC.into(),
        }
    }
}

impl Story {
    /// An end of the machine that speaks.
    fn own(&self, port: u16) -> Endpoint {
        endpoint(&self.mac, ADDRESS.into(), port)
    }

    fn answer(&self, message: MessageType, xid: u32) -> DhcpSaid {
        DhcpSaid {
            message: message.into(),
            from_server: true,
            xid,
            client: self.mac.clone(),
            ..DhcpSaid::default()
        }
    }

    fn next(&mut self) -> (u64, u64) {
        self.wire.frames += 1;
        (ZERO_US + self.wire.frames * 100_000, self.wire.frames)
    }

    fn say(&mut self, from: Endpoint, to: Endpoint, what: PacketContent) {
        let (at_us, frame) = self.next();
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

    /// The machine says something to this port of the server.
    pub(crate) fn machine(&mut self, own_port: u16, port: u16, what: PacketContent) {
        self.say(self.own(own_port), server(port), what);
    }

    /// The server answers from this port.
    pub(crate) fn server(&mut self, port: u16, own_port: u16, what: PacketContent) {
        self.say(server(port), self.own(own_port), what);
    }

    /// A DHCP message of the machine.
    pub(crate) fn asks(&mut self, message: MessageType, xid: u32) {
        let said = DhcpSaid {
            message: message.into(),
            xid,
            client: self.mac.clone(),
            arch: vec![0],
            vendor_class: Some("PXEClient:Arch:00000:UNDI:002001".into()),
            wanted: (message == MessageType::Request).then_some(ADDRESS),
            ..DhcpSaid::default()
        };
        let from = Endpoint {
            address: Some(Ipv4Addr::UNSPECIFIED.into()),
            ..self.own(68)
        };
        let to = Endpoint {
            mac: "ff:ff:ff:ff:ff:ff".into(),
            address: Some(Ipv4Addr::BROADCAST.into()),
            port: Some(67),
        };
        self.say(from, to, PacketContent::Dhcp(Box::new(said)));
    }

    /// A DHCP server's answer.
    pub(crate) fn gives(&mut self, message: MessageType, xid: u32) {
        let said = DhcpSaid {
            given: Some(ADDRESS),
            server: Some(SERVER),
            ..self.answer(message, xid)
        };
        self.server(67, 68, PacketContent::Dhcp(Box::new(said)));
    }

    /// A proxy's answer.
    pub(crate) fn proxy_offers(&mut self, xid: u32, boot_file: &str) {
        let said = DhcpSaid {
            server: Some(SERVER),
            next_server: Some(SERVER.to_string()),
            boot_file: Some(boot_file.into()),
            discovery_control: Some(8),
            ..self.answer(MessageType::Offer, xid)
        };
        self.server(67, 68, PacketContent::Dhcp(Box::new(said)));
    }

    /// The machine asks for a file by TFTP, from this port.
    pub(crate) fn reads(&mut self, own_port: u16, file: &str) {
        let what = PacketContent::TftpRequest {
            file: file.into(),
            options: vec![
                ("blksize".into(), "1432".into()),
                ("tsize".into(), "0".into()),
            ],
            write: false,
        };
        self.machine(own_port, 69, what);
    }

    /// It gets it.
    pub(crate) fn sends(&mut self, own_port: u16, file: &str, bytes: u64) {
        let (start_us, frame) = self.next();
        self.wire.transfers.push(Transfer {
            protocol: Protocol::Tftp,
            name: file.into(),
            from: server(40000),
            to: self.own(own_port),
            start_us,
            end_us: start_us + 50_000,
            frame,
            network: None,
            bytes,
            announced: Some(bytes),
            retransmits: 0,
            longest_silence_us: 10_000,
            end: TransferEnd::Whole,
            direction: None,
            content: None,
        });
    }

    /// The machine gets a file by HTTP, from this port of its own; `end` says how it ends.
    pub(crate) fn fetches(&mut self, own_port: u16, target: &str, bytes: u64, end: TransferEnd) {
        self.machine(
            own_port,
            8080,
            PacketContent::HttpRequest {
                method: "GET".into(),
                target: target.into(),
                host: Some("192.168.91.1:8080".into()),
                user_agent: Some("iPXE/1.21.1".into()),
            },
        );
        let head = PacketContent::HttpResponse {
            status: 200,
            length: Some(bytes),
            target: Some(target.into()),
            body: (bytes < 1000).then(|| "#!ipxe".into()),
        };
        self.server(8080, own_port, head);
        let whole = end == TransferEnd::Whole;
        let (start_us, frame) = (ZERO_US + self.wire.frames * 100_000, self.wire.frames);
        self.wire.transfers.push(Transfer {
            protocol: Protocol::Http,
            name: target.into(),
            from: server(8080),
            to: self.own(own_port),
            start_us,
            end_us: start_us + bytes / 20,
            frame,
            network: None,
            bytes: if whole { bytes } else { bytes / 3 },
            announced: Some(bytes),
            retransmits: 2,
            longest_silence_us: 120_000,
            end,
            direction: None,
            content: None,
        });
    }
}

fn server(port: u16) -> Endpoint {
    endpoint(SERVER_MAC, SERVER.into(), port)
}

fn endpoint(mac: &str, address: IpAddr, port: u16) -> Endpoint {
    Endpoint {
        mac: mac.into(),
        address: Some(address),
        port: Some(port),
    }
}

/// A boot by proxyDHCP, TFTP and HTTP, from power-on to the initrd.
pub(crate) fn boot() -> Story {
    let mut story = Story::default();
    story.asks(MessageType::Discover, 1);
    story.gives(MessageType::Offer, 1);
    story.proxy_offers(1, "undionly.kpxe");
    story.asks(MessageType::Request, 1);
    story.gives(MessageType::Ack, 1);
    story.reads(2070, "undionly.kpxe");
    story.sends(2070, "undionly.kpxe", 68_000);
    story.fetches(3001, "/boot.ipxe", 120, TransferEnd::Whole);
    let kernel = "/assets/coreos/current/coreos_production_pxe.vmlinuz";
    story.fetches(3002, kernel, 8_100_000, TransferEnd::Whole);
    let initrd = "/assets/coreos/current/coreos_production_pxe_image.cpio.gz";
    story.fetches(3003, initrd, 54_000_000, TransferEnd::Whole);
    story
}
