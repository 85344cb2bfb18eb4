//! Packets of a scenario's network, decoded as far as network booting requires.
//!
//! Packets are read from the capture, live or saved, so that `lab run` and `lab explain` use the same bytes. The
//! data packets of a transfer are not listed, but summarised in one [`Transfer`].

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use boot_server_proto::dhcp::MessageType;
use serde::{Deserialize, Serialize};

use super::DhcpKind;

/// Content of a capture.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Wire {
    /// Meaningful packets, in the order of the capture.
    pub packets: Vec<Packet>,
    /// File transfers, in the order of their start.
    pub transfers: Vec<Transfer>,
    /// Number of frames in the capture, including those not in `packets`.
    pub frames: u64,
    /// Number of frames that the capturing system dropped; missing packets may have been sent nevertheless.
    #[serde(default)]
    pub dropped: u64,
    /// Number of packets and transfers beyond the limit.
    #[serde(default)]
    pub left_out: u64,
    #[serde(default, skip_serializing_if = "CaptureKind::is_plain")]
    pub kind: CaptureKind,
    /// Reason why the capture could not be read to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damage: Option<String>,
}

/// Kind of a capture: the place of capture and the part of each frame.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureKind {
    /// True if some frames were taken on all interfaces (`-i any`) and do not name their receiver.
    pub is_cooked: bool,
    /// True if some frames are bare IP packets, which name no machine.
    pub is_raw_ip: bool,
    /// Unsupported link types with their numbers (pcap-linktype(7)).
    pub unreadable: Vec<String>,
    /// Length at which frames were truncated, in bytes.
    pub cut_at_bytes: Option<u32>,
}

impl CaptureKind {
    /// True for whole Ethernet frames.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == CaptureKind::default()
    }

    /// Describes the consequences of the capture's kind, one sentence each.
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
    /// Appends later packets from the same place; frame numbers continue.
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

    /// Sets the network of all packets and transfers.
    pub(super) fn set_network(&mut self, network: &str) {
        for packet in &mut self.packets {
            packet.network = Some(network.to_owned());
        }
        for transfer in &mut self.transfers {
            transfer.network = Some(network.to_owned());
        }
    }

    /// Removes the packets and transfers of all other networks, if the attempt has several captures.
    pub fn keep_network(&mut self, network: &str) {
        let is_of = |of: &Option<String>| of.as_deref().is_none_or(|of| of == network);
        self.packets.retain(|packet| is_of(&packet.network));
        self.transfers.retain(|transfer| is_of(&transfer.network));
    }

    /// Returns the last address that DHCP assigned to a client.
    #[must_use]
    pub fn address_of(&self, mac: &str) -> Option<Ipv4Addr> {
        let given = self.packets.iter().filter_map(|packet| match &packet.what {
            PacketContent::Dhcp(said) if said.client == mac && said.is(MessageType::Ack) => {
                said.given
            }
            _ => None,
        });
        let mut given = given.filter(|address| !address.is_unspecified());
        given.next_back()
    }
}

/// One packet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Packet {
    /// Time in microseconds since the Unix epoch.
    pub at_us: u64,
    /// Number in the capture, from 1, as in Wireshark.
    pub frame: u64,
    /// Network of the capture, if an attempt has several captures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    pub from: Endpoint,
    pub to: Endpoint,
    /// Direction at the machine's own port; `None` if the capture does not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    pub what: PacketContent,
}

/// Place of a frame in the captures.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Frame {
    /// Frame number in the capture, if the evidence is a packet.
    #[serde(rename = "frame")]
    pub number: u64,
    /// Network of the capture, if the attempt has several captures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
}

impl From<&Packet> for Frame {
    fn from(packet: &Packet) -> Frame {
        Frame {
            number: packet.frame,
            network: packet.network.clone(),
        }
    }
}

impl From<&Transfer> for Frame {
    fn from(transfer: &Transfer) -> Frame {
        Frame {
            number: transfer.frame,
            network: transfer.network.clone(),
        }
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "frame {}", self.number)?;
        match &self.network {
            Some(network) => write!(f, " of {network}"),
            None => Ok(()),
        }
    }
}

/// Direction of a frame at a machine's own port, as the port saw it, regardless of the frame's addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The machine sent the frame.
    FromMachine,
    /// The network delivered the frame to the machine.
    ToMachine,
}

impl Direction {
    /// Returns the opposite direction.
    #[must_use]
    pub fn reversed(self) -> Direction {
        match self {
            Direction::FromMachine => Direction::ToMachine,
            Direction::ToMachine => Direction::FromMachine,
        }
    }
}

/// One end of a packet.
#[derive(
    Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Endpoint {
    /// MAC, lowercase with colons.
    pub mac: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// UDP or TCP port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// Content of a packet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "said", rename_all = "snake_case")]
pub enum PacketContent {
    /// DHCP message on port 67, 68 or 4011.
    Dhcp(Box<DhcpSaid>),
    /// TFTP request to read (or, with `write`, to write) a file.
    TftpRequest {
        /// Requested file name.
        file: String,
        /// Requested options, in order, e.g. `("blksize", "1432")`.
        options: Vec<(String, String)>,
        /// True for a write request.
        write: bool,
    },
    /// Options that a TFTP server acknowledged.
    TftpOptions {
        /// Names and values.
        options: Vec<(String, String)>,
    },
    /// TFTP error of either side.
    TftpError {
        /// Error code (RFC 1350 §5).
        code: u16,
        /// Text of the error, as the sender worded it.
        message: String,
        /// Requested file, if the request is in the capture.
        file: Option<String>,
    },
    HttpRequest {
        method: String,
        /// Path with its query.
        target: String,
        /// Value of the header `Host`.
        host: Option<String>,
        /// Value of the header `User-Agent`.
        user_agent: Option<String>,
    },
    /// Head of an HTTP response.
    HttpResponse {
        status: u16,
        /// `Content-Length` in bytes.
        length: Option<u64>,
        /// Path and query of the request, if it is in the capture.
        target: Option<String>,
        /// First characters of a small textual body, such as a script or an error message.
        body: Option<String>,
    },
    /// Begin of a TLS connection (RFC 8446 §4.1.2). What follows is encrypted.
    TlsHello,
    /// TCP connection request that nobody accepted in the capture. Accepted ones are omitted, because their
    /// messages are listed.
    TcpSyn,
    /// TCP reset that refused a connection, or aborted a request or transfer. Resets after all messages are
    /// omitted.
    TcpReset,
    /// ARP request for an address.
    ArpRequest { address: Ipv4Addr },
    /// ARP reply for an address.
    ArpReply { address: Ipv4Addr },
    /// ICMP or ICMPv6 error: a packet could not be delivered.
    Unreachable {
        /// Kind of the error, e.g. `port unreachable`, `administratively prohibited`.
        why: String,
        /// Unreachable port, if the quoted packet contains it.
        port: Option<u16>,
        /// Unreachable IPv4 address, if the quoted packet contains it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<Ipv4Addr>,
    },
    /// IPv6 router solicitation.
    RouterSolicitation,
    /// IPv6 router advertisement.
    RouterAdvertisement,
    /// Malformed message of a protocol.
    Malformed {
        /// Name of the protocol: `dhcp`, `tftp` or `http`.
        protocol: String,
        /// Description of the defect.
        why: String,
    },
}

/// DHCP message, in the field's terms.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DhcpSaid {
    pub message: DhcpKind,
    /// True if sent by a server.
    pub from_server: bool,
    /// Transaction id, chosen by the client (RFC 2131 §2).
    pub xid: u32,
    /// MAC of the client (`chaddr`).
    pub client: String,
    /// Client UUID (option 97), in its usual form.
    pub uuid: Option<String>,
    /// Client architectures (option 93).
    pub arch: Vec<u16>,
    /// Vendor class (option 60).
    pub vendor_class: Option<String>,
    /// User class (option 77).
    pub user_class: Option<String>,
    /// True if iPXE's own options (175) are present.
    pub ipxe: bool,
    /// Requested address: option 50, else `ciaddr`.
    pub wanted: Option<Ipv4Addr>,
    /// Assigned address (`yiaddr`); `None` from a proxy.
    pub given: Option<Ipv4Addr>,
    /// Server identifier (option 54).
    pub server: Option<Ipv4Addr>,
    /// Next server: option 66 or `siaddr`.
    pub next_server: Option<String>,
    /// Boot file: option 67 or `file`.
    pub boot_file: Option<String>,
    /// True if option 67 names the boot file, and the header's field `file` is empty.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_file_field_empty: bool,
    /// Address of the relay that the server answers to (`giaddr`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<Ipv4Addr>,
    /// Link of the client, as its relay names it (option 82.5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<Ipv4Addr>,
    /// PXE discovery control (option 43.6).
    pub discovery_control: Option<u8>,
    /// True if a PXE boot server list or menu (43.8, 43.9) is present.
    pub boot_servers: bool,
    /// Message of a NAK or DECLINE (option 56).
    pub text: Option<String>,
    /// Codes of all options, in order.
    pub options: Vec<u8>,
}

impl DhcpSaid {
    /// True for a message of this type (option 53).
    #[must_use]
    pub fn is(&self, message: MessageType) -> bool {
        self.message == DhcpKind::Dhcp(message)
    }

    /// True if the client is iPXE: by any form of its user class, or by its own options.
    #[must_use]
    pub fn is_ipxe(&self) -> bool {
        let class = self.user_class.as_deref();
        self.ipxe || class.is_some_and(|class| class.contains("iPXE"))
    }
}

/// File transfer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transfer {
    pub protocol: Protocol,
    /// File name, or path with its query.
    pub name: String,
    pub from: Endpoint,
    pub to: Endpoint,
    /// Time of the answer's first packet in microseconds since the Unix epoch: data, TFTP's acknowledgement of
    /// options, or the head of an HTTP response.
    pub start_us: u64,
    /// Time of the last packet, in microseconds since the Unix epoch.
    pub end_us: u64,
    /// Frame number of the first packet.
    pub frame: u64,
    /// Network of the capture, if an attempt has several captures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Bytes of the file that were sent, without retransmissions.
    pub bytes: u64,
    /// Announced size (`tsize`, `Content-Length`), in bytes.
    pub announced: Option<u64>,
    /// Number of retransmitted data packets.
    pub retransmits: u64,
    /// Longest time between packets, in microseconds.
    pub longest_silence_us: u64,
    pub end: TransferEnd,
    /// Direction of the data at the machine's own port; `None` if the capture does not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Received content, if it is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
}

/// Content of a transfer as received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Content {
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    /// Content, if it is UTF-8 text of at most 1 MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Protocol of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TFTP
    Tftp,
    /// HTTP over TCP
    Http,
}

/// End of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferEnd {
    /// Complete and acknowledged.
    Whole,
    /// Aborted by the receiver (EDK2 normally sends TFTP error 8 after reading `tsize`, which is not a failure).
    BrokenByReceiver,
    /// Aborted by the sender: an error, a reset, or an end before all announced bytes.
    BrokenBySender,
    /// No further packets.
    Open,
}
