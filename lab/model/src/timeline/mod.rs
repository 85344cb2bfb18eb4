//! Stages of a machine's boot, in the order of a network boot.
//!
//! Pure: evidence in, [`Timeline`] out. The timeline contains observations and times without judging them;
//! `verdict` needs nothing else.

mod applied;
mod build;
mod classify;
mod content;
mod fact;
mod identity;
mod named;
mod port;
mod restarts;
pub mod signatures;
mod stall;
#[cfg(test)]
mod tests;
mod wire;

use std::net::{Ipv4Addr, SocketAddr};

use crate::evidence::packet::Frame;
use crate::evidence::simulated::Report;
use crate::evidence::{DhcpKind, GaveUp};
use serde::{Deserialize, Serialize};

pub(crate) use applied::failed_unit;
pub use build::build;
#[cfg(test)]
pub(crate) use classify::image_file;
pub(crate) use content::bare;
pub use content::{ContentSeen, Difference};
pub use fact::Fact;
use named::Named;
pub(crate) use port::{first_frame_in, frame_in};
pub use restarts::{Restart, RestartSign};
pub use stall::{Deadline, StallDetector, StallTimeouts};
pub use wire::requested_stage;

/// Observation before its assignment to a stage.
#[derive(Debug)]
struct Entry {
    stage: StageName,
    stage_event: StageEvent,
    /// Duration; the stage began that much earlier.
    took_us: u64,
    key: Option<Key>,
    /// The machine's end of the exchange, from the server or the packet.
    peer: Option<SocketAddr>,
    /// Details from packets that a server's event lacks.
    on_the_wire: String,
}

/// Key by which an event and a packet are recognised as the same observation.
#[derive(Debug, Clone, PartialEq)]
enum Key {
    Dhcp {
        message: DhcpKind,
        xid: u32,
        given: Option<Ipv4Addr>,
    },
    TftpAsked(Named),
    TftpDone(Named),
    TftpFailed(Named),
    /// Path with its query.
    Http(String),
}

/// Stages of a network boot, in order.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum StageName {
    /// Power-on.
    PowerOn,
    /// DHCP lease.
    Dhcp,
    /// Boot options of a proxy: an offer, or the answer of the boot server on port 4011.
    Proxy,
    /// Transfer of a network boot program.
    Nbp,
    /// Start of iPXE: the card's ROM, or the loaded boot program.
    Ipxe,
    /// Transfer of an iPXE script or a `pxelinux.cfg/…`.
    Script,
    /// Transfer of the kernel.
    Kernel,
    /// Transfer of the initrd.
    Initrd,
    /// First line of the kernel.
    KernelUp,
    /// Transfer of the Ignition config (in the initrd).
    Ignition,
    /// Transfer of a config of `/generic`, such as a preseed.
    Generic,
    /// Login on the console.
    UserlandUp,
    /// Transfer of the cloud-config.
    CloudConfig,
    /// Application of the config, as reported by the machine.
    ConfigApplied,
    /// Checks inside the machine.
    Checks,
}

impl StageName {
    /// Returns the name in saved verdicts.
    pub fn name(self) -> &'static str {
        match self {
            StageName::PowerOn => "power-on",
            StageName::Dhcp => "dhcp",
            StageName::Proxy => "proxy",
            StageName::Nbp => "nbp",
            StageName::Ipxe => "ipxe",
            StageName::Script => "script",
            StageName::Kernel => "kernel",
            StageName::Initrd => "initrd",
            StageName::KernelUp => "kernel-up",
            StageName::Ignition => "ignition",
            StageName::Generic => "generic",
            StageName::UserlandUp => "userland-up",
            StageName::CloudConfig => "cloud-config",
            StageName::ConfigApplied => "config-applied",
            StageName::Checks => "checks",
        }
    }
}

impl std::fmt::Display for StageName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// All observations of one node in one attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// Name of the node.
    pub node: String,
    /// Source of the packets.
    #[serde(default)]
    pub vantage: Vantage,
    /// Stages with any observation, in order.
    pub stages: Vec<Stage>,
    /// Last answer to each check, in the order of the checks.
    pub checks: Vec<CheckSeen>,
    /// Units of the config after the last check; `None` if systemd's list is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<UnitsSeen>,
    /// Reason why the lab stopped waiting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gave_up: Option<GaveUp>,
    /// Reason why the machine stopped by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub powered_off: Option<String>,
    /// Restarts between power-on and the last check.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restarts: Vec<Restart>,
    /// Report of a simulated machine that finished its boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would_start: Option<Report>,
    /// Services of the cell that ended unexpectedly.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services_ended: Vec<ServiceEnded>,
    /// Console lines about problems.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trouble: Vec<String>,
    /// Last lines of the console.
    pub last_console: Vec<String>,
}

impl Timeline {
    /// Returns the stage, if there is any observation of it.
    pub fn stage(&self, name: StageName) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.name == name)
    }

    /// Returns the time of power-on, else of the first observation: the origin of displayed times.
    pub fn zero_us(&self) -> u64 {
        let starts = || self.stages.iter().map(|stage| stage.start_us);
        let power_on = self.stage(StageName::PowerOn);
        power_on.map_or_else(|| starts().min().unwrap_or(0), |stage| stage.start_us)
    }

    /// Returns the last completed stage.
    pub fn reached(&self) -> Option<StageName> {
        self.stages
            .iter()
            .rev()
            .find(|stage| stage.end_us.is_some())
            .map(|stage| stage.name)
    }

    /// Returns the last stage that the machine began.
    pub fn last_begun(&self) -> Option<&Stage> {
        self.stages.iter().rev().find(|stage| stage.is_begun())
    }
}

/// Place where packets were captured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Vantage {
    /// Capture at the machine's own port, which proves the machine's traffic regardless of addresses.
    OwnPort,
    /// Capture of the whole network, or none: requests are assigned by address, MAC or UUID, which another host
    /// can forge.
    #[default]
    Segment,
}

/// Stage of a boot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    pub name: StageName,
    /// Begin, in microseconds since the Unix epoch.
    pub start_us: u64,
    /// First completion, in microseconds since the Unix epoch; for the checks, the time of the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_us: Option<u64>,
    /// Observations in order.
    #[serde(rename = "sightings")]
    pub events: Vec<StageEvent>,
}

impl Stage {
    /// True if the machine itself did something in the stage.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        self.events
            .iter()
            .any(|one| one.impostor.is_none() && one.origin != Origin::Service)
    }
}

/// Observation of a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageEvent {
    /// Time in microseconds since the Unix epoch.
    pub at_us: u64,
    /// Source of the observation.
    #[serde(default)]
    pub origin: Origin,
    /// Place of the packet in the captures.
    #[serde(flatten)]
    pub frame: Option<Frame>,
    /// Meaning for the stage.
    pub outcome: Outcome,
    /// Requested file or path, without a leading slash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Query string of an HTTP request; not saved.
    #[serde(skip)]
    pub query: Option<String>,
    /// Name of the matched group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Sorted label keys that the matched group requires; `None` if the server does not report them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selectors: Option<Vec<String>>,
    /// Description of the served content, in the server's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served: Option<String>,
    /// Config file that was served, by its name in its folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served_file: Option<String>,
    /// SHA-256 hashes of the answer, by source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<ContentSeen>,
    /// Another node whose identity this machine used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed: Option<String>,
    /// Another sender that used this machine's identity; proves nothing for the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impostor: Option<String>,
    /// Observed fact; not saved.
    #[serde(skip)]
    pub fact: Fact,
    /// Description of the fact, with further details.
    pub text: String,
}

impl StageEvent {
    /// True if a config file of this name was served.
    #[must_use]
    pub fn is_file(&self, name: &str) -> bool {
        let file = self.served_file.as_deref();
        file.and_then(|file| file.rsplit('/').next()) == Some(name)
    }

    fn new(at_us: u64, origin: Origin, outcome: Outcome, fact: Fact) -> StageEvent {
        StageEvent {
            at_us,
            origin,
            frame: None,
            outcome,
            subject: None,
            query: None,
            group: None,
            selectors: None,
            served: None,
            served_file: None,
            content: None,
            claimed: None,
            impostor: None,
            text: fact.to_string(),
            fact,
        }
    }
}

/// Returns the observations of requests by the machine itself, if its query string is known: a config may load
/// others from the same service.
pub(crate) fn own<'s>(
    stage_events: &'s [StageEvent],
    query: Option<&str>,
) -> impl DoubleEndedIterator<Item = &'s StageEvent> {
    let query = query.filter(|query| {
        let asked = |stage_event: &StageEvent| stage_event.query.as_deref() == Some(query);
        stage_events.iter().any(asked)
    });
    let query = query.map(str::to_owned);
    stage_events
        .iter()
        .filter(move |stage_event| query.is_none() || stage_event.query == query)
}

/// Source of an observation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Boot server of the lab; the capture may show the same.
    #[default]
    Server,
    /// Capture alone: a foreign server, or no answer.
    Wire,
    /// Service of the lab that sent a request about the machine, which itself may have sent none.
    Service,
    /// Serial console.
    Console,
    /// Lab: power, login, checks.
    Lab,
}

/// Meaning of an observation for its stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The stage is in progress.
    Noted,
    /// The stage is completed.
    Done,
    /// An error occurred; the machine may retry.
    Failed,
}

/// Units of the machine's config that did not fail, but did not start either.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitsSeen {
    /// Units whose program the stand-in lacks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without_program: Vec<String>,
    /// Units that were still starting after the last check.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub starting: Vec<String>,
}

/// Last answer to a check inside the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckSeen {
    /// Name of the check.
    pub check: String,
    /// Value that the scenario expects.
    pub expected: String,
    /// Value that the machine has.
    pub found: String,
    /// True if both agree.
    pub holds: bool,
}

/// Service that ended unexpectedly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceEnded {
    pub service: String,
    /// Exit status and last output.
    pub detail: String,
}
