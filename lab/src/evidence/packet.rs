//! A packet of a scenario's network, read as far as network booting needs to know it.
//!
//! Packets are read from the capture, live or saved: what `lab run` says of them and what `lab explain`
//! says later come from the same bytes. The data of a transfer is no packet here but part of one
//! [`Transfer`].

use std::net::{IpAddr, Ipv4Addr};

use boot_server::proto::dhcp::MessageType;
use serde::{Deserialize, Serialize};

/// Everything read from a capture.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Wire {
    /// Packets that say something, in the order of the capture.
    pub packets: Vec<Packet>,
    /// Files that went over the wire, in the order in which they began.
    pub transfers: Vec<Transfer>,
    /// Frames in the capture, those not in `packets` included.
    pub frames: u64,
    /// Frames that the capturing system had to drop: what is missing may have been sent all the same.
    #[serde(default)]
    pub dropped: u64,
    /// Packets and transfers beyond the number that is kept.
    #[serde(default)]
    pub left_out: u64,
    /// Kind of the capture.
    #[serde(default, skip_serializing_if = "CaptureKind::is_plain")]
    pub kind: CaptureKind,
    /// Why the capture could not be read to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damage: Option<String>,
}

/// Kind of a capture: where its frames were taken, and how much of each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureKind {
    /// Some frames were taken on all interfaces (`-i any`): they do not name their receiver.
    pub is_cooked: bool,
    /// Some frames are bare IP packets: they name no machine.
    pub is_raw_ip: bool,
    /// Link types that cannot be read, with their numbers (pcap-linktype(7)).
    pub unreadable: Vec<String>,
    /// Bytes at which frames were cut, when any was.
    pub cut_at_bytes: Option<u32>,
}

impl CaptureKind {
    /// True for whole Ethernet frames.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == CaptureKind::default()
    }

    /// What the kind of the capture means for those who read it, a sentence each.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        sentences.extend(self.cut_at_bytes.map(|bytes| {
            format!(
                "frames are cut at {bytes} bytes: nothing behind that is known; capture whole frames \
                 (`tcpdump -s 0`)"
            )
        }));
        sentences.extend(self.unreadable.iter().map(|link| {
            format!("link type {link} cannot be read; capture on the network's own interface")
        }));
        if self.is_cooked {
            sentences.push(
                "taken on all interfaces (`-i any`): frames do not name their receiver, so answers are assigned by \
                 IP address"
                    .into(),
            );
        }
        if self.is_raw_ip {
            sentences.push(
                "frames are bare IP packets without MACs: machines are told apart by DHCP and IP address".into(),
            );
        }
        sentences
    }
}

impl Wire {
    /// Adds what was seen later at the same place. Frames are counted on.
    pub fn append(&mut self, mut later: Wire) {
        for packet in &mut later.packets {
            packet.frame += self.frames;
        }
        for transfer in &mut later.transfers {
            transfer.frame += self.frames;
        }
        self.packets.extend(later.packets);
        self.transfers.extend(later.transfers);
        self.frames += later.frames;
        self.dropped += later.dropped;
        self.left_out += later.left_out;
        self.damage = self.damage.take().or(later.damage);
    }

    /// The address that DHCP gave a client last.
    #[must_use]
    pub fn address_of(&self, mac: &str) -> Option<Ipv4Addr> {
        let given = self.packets.iter().filter_map(|packet| match &packet.what {
            Said::Dhcp(said) if said.client == mac && said.message == "ack" => said.given,
            _ => None,
        });
        let mut given = given.filter(|address| !address.is_unspecified());
        given.next_back()
    }
}

/// One packet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Packet {
    /// Microseconds since the Unix epoch.
    pub at_us: u64,
    /// Its number in the capture, from 1, as Wireshark counts.
    pub frame: u64,
    /// Who sent it.
    pub from: Endpoint,
    /// Whom it was sent to.
    pub to: Endpoint,
    /// Direction at the machine's own port; `None` for a packet of a capture that does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// What it says.
    pub what: Said,
}

/// Direction of a frame at a machine's own port, as the port saw it, whatever addresses the frame names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The machine sent the frame.
    FromMachine,
    /// The network delivered the frame to the machine.
    ToMachine,
}

impl Direction {
    /// The other direction.
    #[must_use]
    pub fn reversed(self) -> Direction {
        match self {
            Direction::FromMachine => Direction::ToMachine,
            Direction::ToMachine => Direction::FromMachine,
        }
    }
}

/// One end of a packet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// MAC, lowercase with colons.
    pub mac: String,
    /// IP address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// UDP or TCP port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// What a packet says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "said", rename_all = "snake_case")]
pub enum Said {
    /// A DHCP message, on whichever of the ports 67, 68 and 4011.
    Dhcp(Box<DhcpSaid>),
    /// A TFTP request to read (or, with `write`, to write) a file.
    TftpRequest {
        /// File name as asked.
        file: String,
        /// Options asked for, in order, e.g. `("blksize", "1432")`.
        options: Vec<(String, String)>,
        /// A write request.
        write: bool,
    },
    /// The options that a TFTP server acknowledged.
    TftpOptions {
        /// Name and value.
        options: Vec<(String, String)>,
    },
    /// A TFTP error, from either side.
    TftpError {
        /// Its code (RFC 1350 §5).
        code: u16,
        /// Its text.
        message: String,
        /// The file that was asked for, when its request is in the capture.
        file: Option<String>,
    },
    /// An HTTP request.
    HttpRequest {
        /// Method.
        method: String,
        /// Path with its query.
        target: String,
        /// Header `Host`.
        host: Option<String>,
        /// Header `User-Agent`.
        user_agent: Option<String>,
    },
    /// The head of an HTTP answer.
    HttpResponse {
        /// Status code.
        status: u16,
        /// `Content-Length`.
        length: Option<u64>,
        /// Path with its query of the request it answers, when that is in the capture.
        target: Option<String>,
        /// First characters of a small textual body (a script, an error's reason).
        body: Option<String>,
    },
    /// A TCP connection was asked for, and nobody in the capture accepted it. Accepted ones are not listed:
    /// what was said on them is.
    TcpSyn,
    /// A TCP connection was refused, or broken off while something was asked or on its way. A reset after
    /// all was said is not listed.
    TcpReset,
    /// Who has this address?
    ArpRequest {
        /// The address.
        address: Ipv4Addr,
    },
    /// This address is mine.
    ArpReply {
        /// The address.
        address: Ipv4Addr,
    },
    /// ICMP or ICMPv6: a packet could not be delivered.
    Unreachable {
        /// Which kind, e.g. `port unreachable`, `administratively prohibited`.
        why: String,
        /// Port that could not be reached, when the quoted packet tells.
        port: Option<u16>,
    },
    /// Is there an IPv6 router?
    RouterSolicitation,
    /// There is.
    RouterAdvertisement,
    /// It claims to be of this protocol and can't be read.
    Malformed {
        /// `dhcp`, `tftp` or `http`.
        protocol: String,
        /// What is wrong with it.
        why: String,
    },
}

/// A DHCP message, in the field's words.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DhcpSaid {
    /// `discover`, `offer`, `request`, `ack`, `nak`, `decline`, `release`, `inform`; `bootp` without option 53.
    pub message: String,
    /// From a server to a client.
    pub from_server: bool,
    /// Transaction id.
    pub xid: u32,
    /// MAC of the client it is about.
    pub client: String,
    /// The client's UUID (option 97), in its usual form.
    pub uuid: Option<String>,
    /// Client architectures (option 93).
    pub arch: Vec<u16>,
    /// Option 60.
    pub vendor_class: Option<String>,
    /// Option 77.
    pub user_class: Option<String>,
    /// Whether iPXE's own options (175) are there.
    pub ipxe: bool,
    /// Address asked for: option 50, else `ciaddr`.
    pub wanted: Option<Ipv4Addr>,
    /// Address given (`yiaddr`); none from a proxy.
    pub given: Option<Ipv4Addr>,
    /// Server identifier (option 54).
    pub server: Option<Ipv4Addr>,
    /// Where to boot from next: option 66 or `siaddr`.
    pub next_server: Option<String>,
    /// What to boot: option 67 or `file`.
    pub boot_file: Option<String>,
    /// PXE discovery control (option 43.6).
    pub discovery_control: Option<u8>,
    /// Whether a PXE boot server list or menu (43.8, 43.9) is there.
    pub boot_servers: bool,
    /// Message of a nak or decline (option 56).
    pub text: Option<String>,
    /// Codes of all its options, in order.
    pub options: Vec<u8>,
}

impl DhcpSaid {
    /// True for a message of this type (option 53).
    #[must_use]
    pub fn is(&self, message: MessageType) -> bool {
        self.message == message.to_string()
    }

    /// Whether iPXE says it: by its user class, however written, or by its own options.
    #[must_use]
    pub fn is_ipxe(&self) -> bool {
        let class = self.user_class.as_deref();
        self.ipxe || class.is_some_and(|class| class.contains("iPXE"))
    }
}

/// A file that went over the wire.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transfer {
    /// How.
    pub protocol: Protocol,
    /// File, or path with its query.
    pub name: String,
    /// Who sent it.
    pub from: Endpoint,
    /// Who got it.
    pub to: Endpoint,
    /// First packet of the answer, microseconds since the Unix epoch: data, TFTP's acknowledgement of
    /// options, or the head of an HTTP response.
    pub start_us: u64,
    /// Last packet of it that was seen, likewise.
    pub end_us: u64,
    /// Frame of that first packet.
    pub frame: u64,
    /// Bytes of the file that went over the wire, repeated ones not counted.
    pub bytes: u64,
    /// Bytes that were announced (`tsize`, `Content-Length`).
    pub announced: Option<u64>,
    /// Packets of data that were sent again.
    pub retransmits: u64,
    /// Longest time without any packet of it, in microseconds.
    pub longest_silence_us: u64,
    /// How it ended.
    pub end: TransferEnd,
    /// Direction of its data at the machine's own port; `None` for a capture that does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// What arrived, when all of it was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
}

/// Content of a transfer as it arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    /// The content itself, when it is UTF-8 text of at most 1 MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// How a file is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TFTP.
    Tftp,
    /// HTTP over TCP.
    Http,
}

/// How a transfer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferEnd {
    /// All of it arrived and was acknowledged.
    Whole,
    /// The receiver broke it off (TFTP error 8 after reading `tsize` is EDK2's habit, and no failure).
    BrokenByReceiver,
    /// The sender broke it off: an error, a reset, or an end before all announced bytes.
    BrokenBySender,
    /// Nothing more came, and the capture goes on or ends.
    Open,
}
