//! Types of a valid fault or adversarial case.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use boot_server_proto::mac::MacAddr;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::diagnosis::Cause;
use crate::scenario::{Firmware, Machines, Nic, Node};
use crate::timeline::StageName;

/// Collection of cases: a folder below `scenarios/`, and the results of a run of them.
///
/// Both collections have the same keys and the same runner. A fault breaks a scenario. An adversarial case
/// attacks the evidence: a host, a server or a guest that lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collection {
    /// `lab run --faults`
    Faults,
    /// `lab run --adversarial`
    Adversarial,
}

impl Collection {
    /// Both collections.
    pub const ALL: [Collection; 2] = [Collection::Faults, Collection::Adversarial];

    /// Name of its folder below `scenarios/`, of its results file, and of its JUnit suite.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Collection::Faults => "faults",
            Collection::Adversarial => "adversarial",
        }
    }

    /// Noun for one of its cases.
    #[must_use]
    pub fn noun(self) -> &'static str {
        match self {
            Collection::Faults => "fault",
            Collection::Adversarial => "adversarial case",
        }
    }

    /// First part of a case's name in reports and artifacts.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Collection::Faults => "fault",
            Collection::Adversarial => "adversarial",
        }
    }

    /// File that makes a folder a case.
    #[must_use]
    pub fn file_name(self) -> &'static str {
        match self {
            Collection::Faults => "fault.toml",
            Collection::Adversarial => "case.toml",
        }
    }
}

/// Scenario broken or attacked in one place.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// Collection that the case belongs to.
    pub collection: Collection,
    /// Name of its folder.
    pub name: String,
    pub dir: PathBuf,
    /// One sentence for lists and reports.
    pub summary: String,
    /// Name of the scenario to break.
    pub scenario: String,
    pub firmware: Firmware,
    /// Nodes of the scenario that take part.
    pub nodes: Vec<String>,
    pub machines: Machines,
    /// Time limit of a boot, in seconds.
    pub boot_seconds: u32,
    /// Changes of the scenario's files, in order.
    pub changes: Vec<Change>,
    /// Faults injected while it runs.
    pub injections: Injections,
    /// Outcome that the fault must have.
    pub expect: Expectation,
    /// Node with the expected outcome, while all others must pass; `None` if all nodes have it.
    pub victim: Option<String>,
    /// Texts that the evidence has to contain, so that an attack that never took place is no success.
    pub shown: Vec<String>,
}

/// Expected outcome of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "lowercase")]
pub enum Expectation {
    /// The machine recovers and passes.
    Pass,
    /// The machine fails.
    Fail {
        /// Stage of the failure.
        stage: StageName,
        /// Cause that must rank first.
        cause: Cause,
    },
}

/// Change of one file of the scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Path of the file, relative to the scenario's folder.
    pub file: String,
    pub edit: Edit,
}

/// Edit of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Remove the file.
    Remove,
    /// Replace all occurrences of a text, which must exist.
    Replace { from: String, to: String },
}

/// Faults injected into a running cell; empty in an ordinary run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Injections {
    /// `[machine]`: changed machines.
    pub machine: MachineChange,
    /// `[server]`: changed configuration of the boot server.
    pub server: ServerChange,
    /// `[link]`: impaired link between the machines and everything else.
    pub link: Option<Link>,
    /// `[[rewrite]]`: relay on that link that changes bytes.
    pub rewrites: Vec<Rewrite>,
    /// `[[barrier]]`: blocked ports of the servers' host.
    pub barriers: Vec<Barrier>,
    /// `[[station]]`: additional hosts on the network.
    pub stations: Vec<Station>,
    /// `[router]`: changes of the first router.
    #[serde(skip_serializing_if = "RouterChange::is_none")]
    pub router: RouterChange,
    /// `[switch]`: changes of a trunk of the cell's switch.
    #[serde(skip_serializing_if = "SwitchChange::is_none")]
    pub switch: SwitchChange,
    /// `[kill]`: a boot server, or a service of the user, that is killed.
    pub kill: Option<Kill>,
}

/// `[machine]`: changes of the machines.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MachineChange {
    /// Node to change; `None` for all.
    pub node: Option<String>,
    /// True to leave out virtio-rng.
    pub without_rng: bool,
    /// Replacement of the SMBIOS UUID.
    pub uuid: Option<Uuid>,
    /// True to enrol a former owner's Secure Boot keys in the UEFI variables, with firmware that enforces them.
    pub stale_keys: bool,
    /// Network of the card that boots, in place of the scenario's.
    pub boots_from: Option<String>,
}

/// `[server]`: changes of the boot server on the network.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerChange {
    /// Services to leave out although the scenario has them.
    pub without: Vec<ServerPart>,
    /// Keys of the boot server's own configuration.
    pub set: toml::Table,
}

/// `[router]`: changes of the scenario's first router.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RouterChange {
    /// Flaw of its relay.
    pub flaw: Option<RelayFlaw>,
    /// Link named by a second relay between the same networks, which answers first.
    pub second_link: Option<Ipv4Addr>,
    /// MTU of the networks of machines at the router, in bytes; longer frames are lost without notice.
    pub narrow: Option<u16>,
    /// True to cut the router's link to the servers' network.
    pub unplugged: bool,
}

/// `[switch]`: changes of a trunk at the cell's switch; the host at its other end keeps its settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SwitchChange {
    /// Name of the router or machine at the port; `None` for the first trunk.
    pub port: Option<String>,
    /// VLANs that the port does not allow.
    pub without: Vec<u16>,
    /// VLAN whose frames have no tag.
    pub native: Option<u16>,
}

/// Service of a boot server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServerPart {
    /// DHCP server
    Dhcp,
    /// Boot options beside another DHCP server
    ProxyDhcp,
    /// TFTP server
    Tftp,
    /// Boot config service
    Http,
}

/// `[link]`: impairment between the machines and everything else, in each direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Link {
    /// Percentage of frames lost.
    pub loss_percent: u32,
    /// Percentage of frames duplicated.
    pub duplicate_percent: u32,
    /// Percentage of frames reordered.
    pub reorder_percent: u32,
    /// Additional delay, in milliseconds.
    pub delay_ms: u32,
    /// Seed of the random sequence, which makes runs repeatable.
    pub seed: u32,
}

/// `[[rewrite]]`: bytes that a relay between the machines and everything else changes, in each packet where they
/// stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rewrite {
    /// Direction of the packets.
    pub direction: Direction,
    /// Bytes as they were sent.
    pub from: String,
    /// Bytes in their place, of the same length: a relay that changes lengths would have to end TCP itself.
    pub to: String,
}

/// `[[barrier]]`: a port of the servers' host that machines cannot reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Barrier {
    /// Protocol: `tcp` or `udp`.
    pub protocol: String,
    pub port: u16,
    /// True to reject packets with ICMP, false to drop them silently.
    pub tells: bool,
}

/// `[[station]]`: additional host on the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Station {
    /// IPv4 address; `None` for a station at the servers' own address.
    pub address: Option<Ipv4Addr>,
    /// MAC that the station claims; `None` for one derived from its IPv4 address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    pub role: Role,
}

/// Role of an additional host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Host that answers ARP for its address and nothing else.
    Silent,
    /// Second DHCP server.
    DhcpServer {
        /// First address of its pool.
        first: Ipv4Addr,
        /// Last address of its pool.
        last: Ipv4Addr,
        /// Boot file in its answers; `None` for answers without boot options.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        boot_file: Option<String>,
        /// Server of the boot file; `None` for the station itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next_server: Option<Ipv4Addr>,
    },
    /// DHCP client that leases addresses before the machines start.
    Leases {
        /// Number of addresses.
        count: u32,
    },
    /// HTTP server of the image's files and a fixed config, with a flaw.
    Web(WebFlaw),
    /// TFTP server with a flaw.
    Tftp(TftpFlaw),
    /// ProxyDHCP server with a flaw.
    Proxy(ProxyFlaw),
    /// HTTP server that gives every request the same answer.
    Answers(CannedAnswer),
    /// Client that loads URLs again and again; their queries may name another machine.
    Requests {
        /// URLs (`http://…`, `tftp://…`), in order.
        urls: Vec<String>,
    },
    /// Simulated machine that boots again and again.
    Machine {
        /// UUID that the machine sends.
        uuid: Uuid,
    },
}

/// Answer of a web server to every request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CannedAnswer {
    /// HTTP status code of the answer.
    pub status: u16,
    /// `Location`, where the answer is a redirect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Body of the answer, without its headers.
    pub body: String,
}

/// Flaw of a web server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WebFlaw {
    /// Sends this many bytes of a body, then stalls with the connection open.
    StallAfter(u64),
    /// Sends this many bytes of a body, then closes the connection.
    TruncateAfter(u64),
    /// Claims that the whole file has only this many bytes.
    ShortFile(u64),
    /// Answers every request with this status.
    Status(u16),
    /// Sends this many bytes per second.
    Rate(u64),
}

/// Flaw of a DHCP relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RelayFlaw {
    /// Passes requests on without its own address (`giaddr`).
    NoGiaddr,
    /// Names this address as the client's link (RFC 3527).
    OtherLink(Ipv4Addr),
    /// Discards replies that have option 82.
    DropsOption82,
    /// Passes messages on so late that another relay is first.
    Late,
}

/// Flaw of a TFTP server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TftpFlaw {
    /// Refuses every request with options, with error 8 (RFC 2347).
    RefuseOptions,
    /// Falls silent for good after this many bytes of a file.
    DieAfter(u64),
    /// Answers nothing to requests for files that it does not have.
    SilentIfMissing,
}

/// Flaw of a proxyDHCP server's offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProxyFlaw {
    /// Omits `PXEClient` (option 60), so that firmware ignores the offer.
    NoVendorClass,
    /// Sends `PXEClient`, but neither a boot file nor a boot server.
    NoBootFile,
}

/// `[kill]`: a boot server, or a service of the user, that gets SIGKILL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kill {
    pub moment: Moment,
    /// Delay until the restart, in milliseconds; `None` for no restart.
    pub restart_ms: Option<u32>,
}

/// Victim of a kill, and its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Moment {
    /// The lab's boot server, after one of its events.
    Event {
        /// Name of the event, e.g. `tftp_request`.
        name: String,
        /// Keys of the event's JSON that must have these values.
        with: serde_json::Map<String, serde_json::Value>,
    },
    /// A service of the user, when a machine begins a stage with a request at its own port.
    Stage {
        /// Name of the service.
        service: String,
        stage: StageName,
    },
}

impl Kill {
    /// Returns the service of the user that is killed.
    #[must_use]
    pub fn service(&self) -> Option<&str> {
        match &self.moment {
            Moment::Event { .. } => None,
            Moment::Stage { service, .. } => Some(service),
        }
    }
}

impl MachineChange {
    /// Returns the change for the node of this name.
    #[must_use]
    pub fn of(&self, node: &str) -> MachineChange {
        match &self.node {
            Some(changed) if changed != node => MachineChange::default(),
            _ => self.clone(),
        }
    }

    /// Returns the node with the card that boots.
    #[must_use]
    pub fn booted(&self, mut node: Node) -> Node {
        let is_other = |nic: &Nic| self.boots_from.is_some() && nic.network == self.boots_from;
        if let Some(mac) = node
            .nics
            .iter()
            .find(|nic| is_other(nic))
            .map(|nic| nic.mac)
        {
            for nic in &mut node.nics {
                nic.boots = nic.mac == mac;
            }
            node.mac = mac;
        }
        node
    }
}

impl RouterChange {
    /// True if nothing is changed.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == RouterChange::default()
    }
}

impl SwitchChange {
    /// True if nothing is changed.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == SwitchChange::default()
    }
}

impl Injections {
    /// True if machines are on a bridge of their own, behind a link whose frames are looked at.
    #[must_use]
    pub fn have_a_link(&self) -> bool {
        self.link.is_some() || !self.rewrites.is_empty()
    }
}

impl Fault {
    /// Returns the name in reports and artifacts.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.collection.prefix(), self.name)
    }

    /// Returns the expected outcome of the node of this name.
    #[must_use]
    pub fn expectation(&self, node: &str) -> Expectation {
        match &self.victim {
            Some(victim) if victim != node => Expectation::Pass,
            _ => self.expect,
        }
    }
}

impl Station {
    /// Returns the station's MAC address: the claimed one, or one derived from its IPv4 address, so that captures of
    /// two runs agree. `None` for a station in the servers' own place.
    #[must_use]
    pub fn mac(&self) -> Option<String> {
        let address = self.address?;
        Some(self.mac.clone().unwrap_or_else(|| own_mac(address)))
    }
}

fn own_mac(address: Ipv4Addr) -> String {
    let [a, b, c, d] = address.octets();
    // Locally administered (IEEE 802): no card on sale has it.
    MacAddr([2, 0, a, b, c, d]).to_string()
}

/// Direction of frames; each has its own random sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// From a machine to the servers.
    Out,
    /// From the servers to a machine.
    In,
}
