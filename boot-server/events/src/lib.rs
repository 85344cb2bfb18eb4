//! Events of requests, answers and their reasons: one [`Event`] per line of JSON.
//!
//! Events are the server's evidence: the lab's verdicts and the operator's logs are made from them.
//! MACs are lowercase with colons, UUIDs lowercase with hyphens, wherever they were learned.

mod identifier;
mod ignored;
mod name;
mod outcome;
#[cfg(test)]
mod recorded_tests;
mod role;
mod rpc;
mod served;
mod tftp_failure;

use std::net::{Ipv4Addr, SocketAddr};

use boot_server_proto::dhcp::MessageType;
use boot_server_proto::mac::MacAddr;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

pub use identifier::Identifier;
pub use ignored::{IgnoreCode, IgnoreReason};
pub use name::EVENT_NAMES;
pub use outcome::{LeaseFileState, ReloadOutcome};
pub use role::DhcpRole;
pub use rpc::{RpcRefusal, RpcRefusalCode};
pub use served::Served;
pub use tftp_failure::{TftpFailure, TftpFailureCode};

/// Event and its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Event {
    /// Microseconds since the Unix epoch.
    pub at_us: u64,
    /// Kind and data of the event.
    #[serde(flatten)]
    pub what: BootEvent,
}

/// Identity of a client, as far as it is known at the time of the event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Who {
    /// MAC of the machine: from the packet, the request's labels, or the address it was seen with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<Identifier<MacAddr>>,
    /// SMBIOS UUID, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<Identifier<Uuid>>,
    /// IP address (and port) it used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<SocketAddr>,
}

/// Kinds of events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum BootEvent {
    /// All sockets are bound; requests are answered from now on.
    Ready {
        /// Listening sockets by service, e.g. `dhcp 0.0.0.0:67`.
        listeners: Vec<String>,
    },
    /// A DHCP message of a client was received.
    DhcpRequest {
        /// Identity of the client.
        #[serde(flatten)]
        who: Who,
        /// Destination port of the message: 67 or 4011.
        port: u16,
        /// Transaction id of the exchange.
        xid: u32,
        /// Type of the message: `discover`, `request`, `inform`, …
        message: MessageType,
        /// Client architectures (option 93), `[]` when absent.
        arch: Vec<u16>,
        /// Option 77, as text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user_class: Option<String>,
        /// Option 60, as text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        vendor_class: Option<String>,
        /// Address asked for (option 50, or ciaddr).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<Ipv4Addr>,
    },
    /// We answered it.
    DhcpReply {
        /// Identity of the client that gets the reply.
        #[serde(flatten)]
        who: Who,
        /// Transaction id of the exchange.
        xid: u32,
        /// Type of the message: `offer`, `ack` or `nak`.
        message: MessageType,
        /// Role in which the message was answered.
        role: DhcpRole,
        /// Address given; none from a proxy.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<Ipv4Addr>,
        /// Boot server named in it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next_server: Option<Ipv4Addr>,
        /// Boot file named in it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        boot_file: Option<String>,
        /// Boot step and its reason, in words.
        step: String,
    },
    /// A DHCP message was deliberately left unanswered.
    DhcpIgnored {
        /// Identity of the sender.
        #[serde(flatten)]
        who: Who,
        /// Reason for the silence.
        #[serde(flatten)]
        reason: IgnoreReason,
    },
    /// The address that was to be offered is in use by somebody who does not have it from us; it is
    /// not given to anyone for a while.
    AddressInUse {
        /// Identity of the client for which the address was meant.
        #[serde(flatten)]
        who: Who,
        /// Address in use.
        address: Ipv4Addr,
        /// MAC of the host that uses the address, if the host is on the server's link.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Identifier<MacAddr>>,
    },
    /// Machines are not served, or at the cost of others, because addresses or the place for leases ran out.
    /// Told when it begins, then once a minute as long as it lasts.
    DhcpShortage {
        /// Resource that the server has run out of.
        reason: Shortage,
        /// Number of occurrences since the last report.
        count: u64,
        /// Details of the last occurrence, in words.
        detail: String,
    },
    /// The wall clock was stepped; the remaining times of leases do not change.
    ClockJumped {
        /// Step in seconds; negative when the clock went back.
        by_seconds: i64,
    },
    /// A client sends more than any machine that boots; what is too much is dropped. Told once until
    /// it is within its limits again.
    RateLimited {
        /// Identity of the client.
        #[serde(flatten)]
        who: Who,
        /// Limit that was exceeded.
        reason: String,
    },
    /// Something is to be known of the lease file.
    LeaseFile {
        /// State of the file.
        result: LeaseFileState,
    },
    /// A datagram could not be read.
    Malformed {
        /// Identity of the sender.
        #[serde(flatten)]
        who: Who,
        /// `dhcp` or `tftp`.
        protocol: String,
        /// Defect of the datagram.
        reason: String,
    },
    /// A TFTP read request.
    TftpRequest {
        /// Identity of the client.
        #[serde(flatten)]
        who: Who,
        /// File name as asked.
        file: String,
        /// Block size in bytes after negotiation.
        block_size: u16,
        /// Window size in blocks after negotiation (RFC 7440).
        window_size: u16,
    },
    /// A TFTP transfer ended well.
    TftpDone {
        /// Identity of the client.
        #[serde(flatten)]
        who: Who,
        /// File name as asked.
        file: String,
        /// File size in bytes.
        bytes: u64,
        /// Packets that had to be sent again.
        retransmits: u32,
        /// Duration of the transfer, in milliseconds.
        millis: u64,
        /// For a rendered `pxelinux.cfg/…`: the group that matched.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        group: Option<String>,
        /// Label keys that the matched group requires, sorted; empty for a group that requires none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        selectors: Option<Vec<String>>,
        /// SHA-256 of the content in hexadecimal, for content that the server rendered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<String>,
    },
    /// A TFTP request or transfer ended otherwise: not found, refused, aborted by the client, timeout.
    TftpFailed {
        /// Identity of the client.
        #[serde(flatten)]
        who: Who,
        /// File name as asked.
        file: String,
        /// Reason why the file was not sent.
        #[serde(flatten)]
        reason: TftpFailure,
    },
    /// An HTTP request was answered completely, or broke off.
    HttpRequest {
        /// Identity of the client: labels of the query first, then the address.
        #[serde(flatten)]
        who: Who,
        /// HTTP method, e.g. `GET`.
        method: String,
        /// Path without the query.
        path: String,
        /// Raw query, empty when none.
        query: String,
        /// HTTP status code.
        status: u16,
        /// `User-Agent`, empty when none.
        user_agent: String,
        /// Bytes of the body that were handed to the connection.
        bytes: u64,
        /// Length of the body had it been sent whole, when known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        length: Option<u64>,
        /// The group that matched, for the boot config endpoints.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        group: Option<String>,
        /// Label keys that the matched group requires, sorted; empty for a group that requires none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        selectors: Option<Vec<String>>,
        /// SHA-256 in hexadecimal of the whole content that the server rendered (scripts, configs, API
        /// answers), also when only a range or the head of it was asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<String>,
        /// Answer: spec id, cloud-config or Ignition file name, asset, or the reason for an error.
        #[serde(flatten)]
        detail: Served,
        /// Duration of the response, in milliseconds.
        millis: u64,
    },
    /// A router solicitation was answered.
    RouterAdvertisement {
        /// Identity of the machine that gets the advertisement.
        #[serde(flatten)]
        who: Who,
    },
    /// A gRPC client called.
    RpcCall {
        /// Address of the client.
        #[serde(flatten)]
        who: Who,
        /// Subject of the client's certificate, e.g. `CN=terraform`.
        subject: String,
        /// Method, e.g. `GroupPut`.
        method: String,
        /// File in the data directory; empty for calls that are about no single file.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        file: String,
        /// Name of the status code, e.g. `OK`.
        code: String,
        /// Reason for a failure; empty when the call succeeded.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        detail: String,
        /// Duration of the call, in milliseconds.
        millis: u64,
    },
    /// A gRPC client was refused: nothing of the data directory was shown to it.
    RpcRefused {
        /// Address of the client.
        #[serde(flatten)]
        who: Who,
        /// Subject of the certificate that the client sent, which proves nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subject: Option<String>,
        /// Reason for the refusal.
        #[serde(flatten)]
        reason: RpcRefusal,
    },
    /// Events of one kind that were not written because there were too many in one second.
    EventsCollapsed {
        /// Their kind, as in `event`.
        kind: String,
        /// Number of suppressed events.
        count: u64,
    },
    /// Events were not written, because whoever reads them is too slow.
    EventsDropped {
        /// Number of events since the last such event.
        count: u64,
    },
    /// Configuration was read again.
    Reloaded {
        /// Outcome of the reload.
        result: ReloadOutcome,
    },
}

/// Resources of the DHCP server that can run out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Shortage {
    /// No address is free, and none could be taken back: a machine was not served.
    PoolExhausted,
    /// More new machines ask than can be offered an address: one was not served.
    TooManyOffers,
    /// The pool is empty: an offer that was not requested was taken back for another machine.
    OffersTakenBack,
    /// The pool is empty: an address that somebody declined was offered before its time.
    DeclinedReclaimed,
    /// A lease could not be kept in the lease file: a machine was not served.
    LeaseNotKept,
}

impl BootEvent {
    /// The machine it is about; none for events of the server itself.
    pub fn who(&self) -> Option<&Who> {
        match self {
            BootEvent::DhcpRequest { who, .. }
            | BootEvent::DhcpReply { who, .. }
            | BootEvent::DhcpIgnored { who, .. }
            | BootEvent::AddressInUse { who, .. }
            | BootEvent::RateLimited { who, .. }
            | BootEvent::Malformed { who, .. }
            | BootEvent::TftpRequest { who, .. }
            | BootEvent::TftpDone { who, .. }
            | BootEvent::TftpFailed { who, .. }
            | BootEvent::HttpRequest { who, .. }
            | BootEvent::RpcCall { who, .. }
            | BootEvent::RpcRefused { who, .. }
            | BootEvent::RouterAdvertisement { who } => Some(who),
            BootEvent::Ready { .. }
            | BootEvent::EventsDropped { .. }
            | BootEvent::EventsCollapsed { .. }
            | BootEvent::DhcpShortage { .. }
            | BootEvent::ClockJumped { .. }
            | BootEvent::LeaseFile { .. }
            | BootEvent::Reloaded { .. } => None,
        }
    }
}

/// SHA-256 of the content in hexadecimal, as events tell it.
pub fn sha256_hex(content: &[u8]) -> String {
    let digest = Sha256::digest(content);
    let mut text = String::with_capacity(2 * digest.len());
    for byte in digest {
        let digits = [byte >> 4, byte & 0xf].map(u32::from);
        text.extend(
            digits
                .into_iter()
                .filter_map(|digit| char::from_digit(digit, 16)),
        );
    }
    text
}

/// Microseconds since the Unix epoch: the clock of all events.
pub fn now_us() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_micros() as u64)
}
