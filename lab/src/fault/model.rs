//! What a fault is, once it has been read and found good.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::diagnosis::Cause;
use crate::scenario::{Firmware, Machines};
use crate::timeline::StageName;

/// A scenario broken in one place.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// Name: that of its folder.
    pub name: String,
    /// Its folder.
    pub dir: PathBuf,
    /// One sentence for lists and reports.
    pub summary: String,
    /// The scenario that is broken.
    pub scenario: String,
    /// The firmware it is shown on.
    pub firmware: Firmware,
    /// The nodes that are kept of the scenario.
    pub nodes: Vec<String>,
    /// Whether machines are virtual or only simulated.
    pub machines: Machines,
    /// When the lab stops waiting, in seconds.
    pub boot_seconds: u32,
    /// What is changed in the scenario's files, in order.
    pub changes: Vec<Change>,
    /// What is injected while it runs.
    pub injections: Injections,
    /// What has to come of it.
    pub expect: Expectation,
    /// The node it has to come of, where the others have to pass; none for all of them.
    pub victim: Option<String>,
}

/// What has to come of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "lowercase")]
pub enum Expectation {
    /// The machine gets over it.
    Pass,
    /// It fails.
    Fail {
        /// At this stage.
        stage: StageName,
        /// With this cause ranked first.
        cause: Cause,
    },
}

/// A change of one file of the scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The file, relative to the scenario's folder.
    pub file: String,
    /// What is done to it.
    pub edit: Edit,
}

/// What is done to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// It is removed.
    Remove,
    /// This text, which has to be in it, is replaced wherever it stands.
    Replace {
        /// The text.
        from: String,
        /// What stands in its place.
        to: String,
    },
}

/// What is injected into a running cell; empty for an ordinary run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Injections {
    /// `[machine]`: machines other than the scenario says.
    pub machine: MachineChange,
    /// `[server]`: a boot server with another configuration.
    pub server: ServerChange,
    /// `[link]`: an impaired link between the machines and everything else.
    pub link: Option<Link>,
    /// `[[barrier]]`: what the servers' host does not let through.
    pub barriers: Vec<Barrier>,
    /// `[[station]]`: others on the network.
    pub stations: Vec<Station>,
    /// `[kill]`: a boot server that is killed.
    pub kill: Option<Kill>,
}

/// `[machine]`: what is other about the machines.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MachineChange {
    /// The node that is changed; none for all of them.
    pub node: Option<String>,
    /// Without virtio-rng.
    pub without_rng: bool,
    /// With this UUID in SMBIOS.
    pub uuid: Option<Uuid>,
    /// UEFI variables in which a former owner's Secure Boot keys are enrolled, and firmware that heeds them.
    pub stale_keys: bool,
}

/// `[server]`: what is other about the boot server on the wire.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerChange {
    /// Parts that it does not play though the scenario says so.
    pub without: Vec<ServerPart>,
    /// Keys of its configuration, as in its own configuration file.
    pub set: toml::Table,
}

/// A part that a boot server plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServerPart {
    /// Addresses.
    Dhcp,
    /// Boot options beside another DHCP server.
    ProxyDhcp,
    /// TFTP.
    Tftp,
    /// The boot config service.
    Http,
}

/// `[link]`: what happens to frames between the machines and everything else, in each direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Link {
    /// Of a hundred frames, how many are lost.
    pub loss_percent: u32,
    /// Of a hundred frames, how many arrive twice.
    pub duplicate_percent: u32,
    /// Of a hundred frames, how many are overtaken by later ones.
    pub reorder_percent: u32,
    /// How much later each arrives, in milliseconds.
    pub delay_ms: u32,
    /// Where the sequence of chances begins, so that a run can be repeated.
    pub seed: u32,
}

/// `[[barrier]]`: a port of the servers' host that machines cannot reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Barrier {
    /// `tcp` or `udp`.
    pub protocol: String,
    /// The port.
    pub port: u16,
    /// Whether the sender is told (ICMP), or nothing is said.
    pub tells: bool,
}

/// `[[station]]`: another host on the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Station {
    /// Its address; none for one that stands in the servers' own place.
    pub address: Option<Ipv4Addr>,
    /// What it does.
    pub role: Role,
}

/// What another host does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It has its address and answers for it, nothing else.
    Silent,
    /// It is another DHCP server.
    DhcpServer {
        /// First address it gives.
        first: Ipv4Addr,
        /// Last address it gives.
        last: Ipv4Addr,
    },
    /// It takes this many addresses from the DHCP server before the machines start.
    Leases {
        /// How many.
        count: u32,
    },
    /// It serves the image's files and a canned config by HTTP, with a flaw.
    Web(WebFlaw),
    /// It is the TFTP server, with a flaw.
    Tftp(TftpFlaw),
    /// It is the proxyDHCP server, with a flaw.
    Proxy(ProxyFlaw),
}

/// What is wrong with a web server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WebFlaw {
    /// It sends that many bytes of a body and then nothing, without closing the connection.
    StallAfter(u64),
    /// It sends that many bytes of a body and closes the connection.
    TruncateAfter(u64),
    /// It says that the whole file is only that long.
    ShortFile(u64),
    /// It answers everything with this status.
    Status(u16),
    /// It sends that many bytes a second.
    Rate(u64),
}

/// What is wrong with a TFTP server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TftpFlaw {
    /// It refuses every request that has options, with error 8 (RFC 2347).
    RefuseOptions,
    /// It falls silent after that many bytes of a file, for good.
    DieAfter(u64),
}

/// What is wrong with a proxyDHCP server's offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProxyFlaw {
    /// It does not say `PXEClient` (option 60), so firmware does not take it for a proxy's.
    NoVendorClass,
    /// It says `PXEClient`, but neither a boot file nor a boot server.
    NoBootFile,
}

/// `[kill]`: a boot server that gets SIGKILL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kill {
    /// Name of the event of its own after which it is killed, e.g. `tftp_request`.
    pub after: String,
    /// Keys of that event's JSON that must have these values.
    #[serde(default)]
    pub with: serde_json::Map<String, serde_json::Value>,
    /// How much later it is started again, in milliseconds; never when absent.
    pub restart_ms: Option<u32>,
}

impl MachineChange {
    /// The change as it is for the node of this name.
    #[must_use]
    pub fn of(&self, node: &str) -> MachineChange {
        match &self.node {
            Some(changed) if changed != node => MachineChange::default(),
            _ => self.clone(),
        }
    }
}

impl Fault {
    /// What has to come of the node of this name.
    #[must_use]
    pub fn expectation(&self, node: &str) -> Expectation {
        match &self.victim {
            Some(victim) if victim != node => Expectation::Pass,
            _ => self.expect,
        }
    }
}

impl Station {
    /// The MAC it has on the network: made from its address, so that captures of two runs show the same.
    #[must_use]
    pub fn mac(address: Ipv4Addr) -> String {
        let [a, b, c, d] = address.octets();
        // Locally administered (IEEE 802): no card on sale has it.
        format!("02:00:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
    }
}
