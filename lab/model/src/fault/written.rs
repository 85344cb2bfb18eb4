//! Keys of `fault.toml` and `case.toml` as users write them, for the JSON schema of both; [`super::read`] parses them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use boot_server_events::EVENT_NAMES;
use schemars::JsonSchema;

use super::injection::REQUESTED;
use crate::diagnosis::Cause;
use crate::scenario::{Firmware, Machines};
use crate::timeline::StageName;

/// Fault or adversarial case: a scenario broken or attacked in one place, and the expected outcome.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct FaultFile {
    /// One sentence for lists and reports.
    pub summary: String,
    /// Name of the scenario to break.
    pub scenario: String,
    pub firmware: Firmware,
    /// Nodes of the scenario that take part.
    #[schemars(length(min = 1))]
    pub nodes: Vec<String>,
    #[schemars(default)]
    pub machines: Machines,
    /// Time limit of a boot, in seconds.
    #[schemars(default = "boot_seconds", range(min = 10, max = 600))]
    pub boot_seconds: u32,
    pub expect: ExpectTable,
    /// Changes of the scenario's files, in order.
    #[schemars(default)]
    pub change: Vec<ChangeTable>,
    #[schemars(default)]
    pub machine: MachineTable,
    #[schemars(default)]
    pub server: ServerTable,
    #[schemars(default)]
    pub link: LinkTable,
    /// Texts that a relay between the machines and everything else changes.
    #[schemars(default)]
    pub rewrite: Vec<RewriteTable>,
    /// Ports of the servers' host that machines cannot reach.
    #[schemars(default)]
    pub barrier: Vec<BarrierTable>,
    /// Additional hosts on the network.
    #[schemars(default)]
    pub station: Vec<StationTable>,
    #[schemars(default)]
    pub router: RouterTable,
    #[schemars(default)]
    pub switch: SwitchTable,
    pub kill: Option<KillTable>,
}

fn boot_seconds() -> u32 {
    super::read::BOOT_SECONDS_DEFAULT
}

/// `[expect]`: the expected outcome.
#[derive(Debug, JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend("oneOf" = [
        {"properties": {"verdict": {"const": "pass"}, "stage": false, "cause": false}},
        {"properties": {"verdict": {"const": "fail"}}, "required": ["stage", "cause"]},
    ])
)]
pub struct ExpectTable {
    pub verdict: ExpectedVerdict,
    /// Stage of the failure.
    pub stage: Option<StageName>,
    /// Cause that must rank first.
    pub cause: Option<Cause>,
    /// Node with the expected outcome, while all others must pass [default: all nodes].
    pub node: Option<String>,
    /// Texts that the evidence must contain, so that an attack that never took place is no success.
    #[schemars(default, inner(length(min = 1)))]
    pub shown: Vec<String>,
}

/// Expected verdict.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum ExpectedVerdict {
    /// The machine recovers and passes.
    Pass,
    /// The machine fails.
    Fail,
}

/// `[[change]]`: change of one file of the scenario.
#[derive(Debug, JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend("anyOf" = [
        {"properties": {"remove": {"const": true}}, "required": ["remove"]},
        {"required": ["replace", "with"]},
    ])
)]
pub struct ChangeTable {
    /// Path of the file, relative to the scenario's folder.
    #[schemars(length(min = 1))]
    pub file: String,
    /// True to remove the file.
    #[schemars(default)]
    pub remove: bool,
    /// Text to replace wherever it occurs in the file.
    #[schemars(length(min = 1))]
    pub replace: Option<String>,
    /// Replacement of the text.
    pub with: Option<String>,
}

/// `[machine]`: changes of the machines.
#[derive(Debug, Default, serde::Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct MachineTable {
    /// Node to change [default: all nodes].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// True to leave out virtio-rng.
    #[schemars(default)]
    pub without_rng: bool,
    /// Replacement of the SMBIOS UUID.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "uuid"))]
    pub uuid: Option<String>,
    /// True to enrol a former owner's Secure Boot keys in the UEFI variables, with firmware that enforces them.
    #[schemars(default)]
    pub stale_keys: bool,
    /// Network of the card that boots, in place of the scenario's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boots_from: Option<String>,
}

/// `[server]`: changes of the boot server on the network.
#[derive(Debug, Default, serde::Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ServerTable {
    /// Services to leave out although the scenario has them.
    #[schemars(default)]
    pub without: Vec<ServerName>,
    /// Keys of the boot server's own configuration, as in `boot-server.toml`.
    #[schemars(default)]
    pub set: BTreeMap<String, serde_json::Value>,
}

/// Service of a boot server.
#[derive(Debug, serde::Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServerName {
    /// DHCP server.
    Dhcp,
    /// Boot options beside another DHCP server.
    ProxyDhcp,
    /// TFTP server.
    Tftp,
    /// Boot config service.
    Http,
}

/// `[link]`: impairment between the machines and everything else, in each direction.
#[derive(Debug, Default, serde::Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct LinkTable {
    /// Percentage of frames lost.
    #[schemars(default, range(max = 100))]
    pub loss_percent: u32,
    /// Percentage of frames duplicated.
    #[schemars(default, range(max = 100))]
    pub duplicate_percent: u32,
    /// Percentage of frames reordered.
    #[schemars(default, range(max = 100))]
    pub reorder_percent: u32,
    /// Additional delay, in milliseconds.
    #[schemars(default, range(max = 10_000))]
    pub delay_ms: u32,
    /// Seed of the random sequence, which makes runs repeatable.
    #[schemars(default)]
    pub seed: u32,
}

/// `[router]`: changes of the scenario's first router.
#[derive(Debug, Default, serde::Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RouterTable {
    /// Flaw of its relay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flaw: Option<RelayFlawName>,
    /// Link that its relay names instead of the client's (RFC 3527), in the place of a `flaw`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<Ipv4Addr>,
    /// Link named by a second relay between the same networks, which answers first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_link: Option<Ipv4Addr>,
    /// MTU of the networks of machines at the router, in bytes; longer frames are lost without notice.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 576, max = 1499))]
    pub narrow: Option<u16>,
    /// True to cut the router's link to the servers' network.
    #[schemars(default)]
    pub unplugged: bool,
}

/// `[switch]`: changes of a trunk at the cell's switch; the host at its other end keeps its settings.
#[derive(Debug, Default, serde::Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SwitchTable {
    /// Name of the router or machine at the port [default: the first router with a trunk].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// VLANs that the port does not allow.
    #[schemars(default, inner(range(min = 1, max = 4094)))]
    pub without: Vec<u16>,
    /// VLAN whose frames have no tag [default: as at the host].
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4094))]
    pub native: Option<u16>,
}

/// Flaw of a DHCP relay.
#[derive(Debug, serde::Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RelayFlawName {
    /// Passes requests on without its own address (`giaddr`).
    NoGiaddr,
    /// Discards replies that have option 82.
    #[serde(rename = "drops-option-82")]
    DropsOption82,
}

/// `[[rewrite]]`: text that a relay replaces in each packet that has it.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RewriteTable {
    /// Direction of the packets.
    #[schemars(default)]
    pub toward: Toward,
    /// Text as it was sent.
    #[schemars(length(min = 1))]
    pub replace: String,
    /// Replacement of the same length.
    #[schemars(length(min = 1))]
    pub with: String,
}

/// Receiver of changed packets.
#[derive(Debug, Default, serde::Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Toward {
    /// Packets from the servers to a machine.
    #[default]
    Machine,
    /// Packets from a machine to the servers.
    Servers,
}

/// `[[barrier]]`: a port of the servers' host that machines cannot reach.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct BarrierTable {
    pub protocol: Protocol,
    #[schemars(range(min = 1))]
    pub port: u16,
    /// True to reject packets with ICMP, false to drop them silently.
    #[schemars(default)]
    pub tells: bool,
}

/// Protocol above IP.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum Protocol {
    Tcp,
    Udp,
}

/// `[[station]]`: additional host on the network.
#[derive(Debug, JsonSchema)]
#[schemars(tag = "role", rename_all = "kebab-case", deny_unknown_fields)]
pub enum StationTable {
    /// Host that answers ARP for its address and nothing else.
    Silent {
        address: Ipv4Addr,
        /// MAC that the host claims [default: derived from its address].
        mac: Option<String>,
    },
    /// Second DHCP server.
    DhcpServer {
        address: Ipv4Addr,
        /// MAC that the host claims [default: derived from its address].
        mac: Option<String>,
        /// First address of its pool.
        first: Ipv4Addr,
        /// Last address of its pool.
        last: Ipv4Addr,
        /// Boot file in its answers [default: no boot options].
        boot_file: Option<String>,
        /// Server of the boot file [default: the host itself].
        next_server: Option<Ipv4Addr>,
    },
    /// DHCP client that leases addresses before the machines start.
    Leases {
        address: Ipv4Addr,
        /// MAC that the host claims [default: derived from its address].
        mac: Option<String>,
        /// Number of addresses.
        #[schemars(range(min = 1, max = 64))]
        count: u32,
    },
    /// HTTP server of the image's files and a fixed config, with exactly one flaw.
    #[schemars(extend("oneOf" = [
        {"required": ["stall_after"]},
        {"required": ["truncate_after"]},
        {"required": ["short_file"]},
        {"required": ["bytes_per_second"]},
        {"required": ["status"]},
    ]))]
    Web {
        address: Ipv4Addr,
        /// MAC that the host claims [default: derived from its address].
        mac: Option<String>,
        /// Bytes of a body that are sent before the connection stalls.
        stall_after: Option<u32>,
        /// Bytes of a body that are sent before the connection is closed.
        truncate_after: Option<u32>,
        /// Claimed length of each file, in bytes.
        short_file: Option<u32>,
        /// Data rate, in bytes per second.
        bytes_per_second: Option<u32>,
        /// HTTP status code of every answer.
        status: Option<u32>,
    },
    /// TFTP server at the servers' own address, with exactly one flaw.
    #[schemars(extend("oneOf" = [
        {"required": ["die_after"]},
        {"required": ["refuse_options"]},
        {"required": ["silent_if_missing"]},
    ]))]
    Tftp {
        /// MAC that the host claims [default: derived from its address].
        mac: Option<String>,
        /// Bytes of a file that are sent before the server falls silent for good.
        die_after: Option<u32>,
        /// True to refuse every request with options, with error 8 (RFC 2347).
        refuse_options: Option<bool>,
        /// True to answer nothing to requests for missing files.
        silent_if_missing: Option<bool>,
    },
    /// ProxyDHCP server with a flaw.
    Proxy {
        address: Ipv4Addr,
        /// MAC that the host claims [default: derived from its address].
        mac: Option<String>,
        flaw: ProxyFlawName,
    },
    /// HTTP server that gives every request the same answer.
    Answers {
        address: Ipv4Addr,
        /// MAC that the host claims [default: derived from its address].
        mac: Option<String>,
        /// HTTP status code.
        #[schemars(default = "ok", range(min = 100, max = 599))]
        status: u16,
        /// `Location` of a redirect.
        location: Option<String>,
        #[schemars(default)]
        body: String,
    },
    /// Client that loads URLs again and again.
    Requests {
        address: Ipv4Addr,
        /// MAC that the host claims [default: derived from its address].
        mac: Option<String>,
        /// URLs (`http://…`, `tftp://…`), in order.
        #[schemars(inner(regex(pattern = "^(http|tftp)://")))]
        urls: Vec<String>,
    },
    /// Simulated machine that boots again and again.
    Machine {
        address: Ipv4Addr,
        /// MAC that the host claims [default: derived from its address].
        mac: Option<String>,
        /// UUID that the machine sends.
        #[schemars(extend("format" = "uuid"))]
        uuid: String,
    },
}

fn ok() -> u16 {
    200
}

/// Flaw of a proxyDHCP server's offer.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub enum ProxyFlawName {
    /// No `PXEClient` (option 60), so that firmware ignores the offer.
    NoVendorClass,
    /// `PXEClient`, but neither a boot file nor a boot server.
    NoBootFile,
}

/// `[kill]`: a boot server that gets SIGKILL `after` an event, or a `service` of the user that gets it at a `stage`.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct KillTable {
    /// Event of the server that triggers the kill.
    #[schemars(extend("enum" = EVENT_NAMES))]
    pub after: Option<String>,
    /// Name of a `[[service]]`.
    pub service: Option<String>,
    /// Stage that a machine begins with a request at its own port.
    #[schemars(extend("enum" = REQUESTED.map(StageName::name)))]
    pub stage: Option<String>,
    /// Keys of the event's JSON that must have these values, without the braces, e.g. `"message":"offer"`.
    pub with: Option<String>,
    /// Delay until the restart, in milliseconds [default: no restart].
    #[schemars(range(max = 60_000))]
    pub restart_ms: Option<u32>,
}
