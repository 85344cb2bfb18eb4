//! What a machine went through, as stages in the order in which a network boot has them.
//!
//! Pure: evidence in, [`Timeline`] out. It says what was seen and when, not whether that is right;
//! `verdict` does. Nothing but the timeline is needed for a verdict.

mod applied;
mod build;
mod classify;
mod content;
mod fact;
mod identity;
mod patience;
mod port;
mod restarts;
pub(crate) mod signatures;
#[cfg(test)]
mod tests;
mod wire;

use std::net::{Ipv4Addr, SocketAddr};

use crate::evidence::GaveUp;
use crate::sim::report::Report;
use serde::{Deserialize, Serialize};

pub(crate) use applied::failed_unit;
pub use build::build;
use classify::Named;
#[cfg(test)]
pub(crate) use classify::image_file;
pub use content::{ContentSeen, Difference};
pub use fact::Fact;
pub use patience::{Deadline, Patience, Silences};
pub(crate) use port::{first_frame_in, frame_in};
pub use restarts::{Restart, RestartSign};

/// A sighting on its way into its stage.
#[derive(Debug)]
struct Entry {
    stage: StageName,
    sighting: Sighting,
    /// How long it took; the stage began that much earlier.
    took_us: u64,
    key: Option<Key>,
    /// The machine's end of the exchange, as the server or the packet has it.
    peer: Option<SocketAddr>,
    /// What packets know beyond what a server tells.
    on_the_wire: String,
}

/// By what an event and a packet are known to be the same thing.
#[derive(Debug, Clone, PartialEq)]
enum Key {
    Dhcp {
        message: String,
        xid: u32,
        given: Option<Ipv4Addr>,
    },
    TftpAsked(Named),
    TftpDone(Named),
    TftpFailed(Named),
    /// Path with its query.
    Http(String),
}

/// The stages of a network boot, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StageName {
    /// The machine is switched on.
    PowerOn,
    /// It gets an address.
    Dhcp,
    /// It gets boot options from a proxy: an offer, or the answer of the boot service on port 4011.
    Proxy,
    /// It loads a network boot program.
    Nbp,
    /// iPXE runs: the card's ROM, or the boot program that was loaded.
    Ipxe,
    /// It is told what to boot: an iPXE script or a `pxelinux.cfg/…`.
    Script,
    /// It loads the kernel.
    Kernel,
    /// It loads the initrd.
    Initrd,
    /// The kernel speaks.
    KernelUp,
    /// Ignition fetches its config (in the initrd).
    Ignition,
    /// The system is up: login on the console.
    UserlandUp,
    /// The cloud-config is fetched.
    CloudConfig,
    /// The config is applied, by the machine's own words.
    ConfigApplied,
    /// What the machine came up as is checked inside it.
    Checks,
}

impl StageName {
    /// As in saved verdicts.
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

/// Everything seen of one node in one attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// The node.
    pub node: String,
    /// Where the packets were seen that the timeline is made from.
    #[serde(default)]
    pub vantage: Vantage,
    /// The stages of which anything was seen, in their order.
    pub stages: Vec<Stage>,
    /// The last answer to each check, in the order of the checks.
    pub checks: Vec<CheckSeen>,
    /// Why the lab stopped waiting, when it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gave_up: Option<GaveUp>,
    /// Why the machine stopped, when it did by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub powered_off: Option<String>,
    /// Restarts between power-on and the last check.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restarts: Vec<Restart>,
    /// Report of a simulated machine that came to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would_start: Option<Report>,
    /// Services of the cell that ended by themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services_ended: Vec<ServiceEnded>,
    /// Console lines that tell of trouble.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trouble: Vec<String>,
    /// The last lines of the console.
    pub last_console: Vec<String>,
}

impl Timeline {
    /// The stage, when anything of it was seen.
    pub fn stage(&self, name: StageName) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.name == name)
    }

    /// When the machine was switched on, else when the first of it was seen: what times are told from.
    pub fn zero_us(&self) -> u64 {
        let starts = || self.stages.iter().map(|stage| stage.start_us);
        let power_on = self.stage(StageName::PowerOn);
        power_on.map_or_else(|| starts().min().unwrap_or(0), |stage| stage.start_us)
    }

    /// The last stage that was reached to its end.
    pub fn reached(&self) -> Option<StageName> {
        self.stages
            .iter()
            .rev()
            .find(|stage| stage.end_us.is_some())
            .map(|stage| stage.name)
    }

    /// The last stage that the machine began.
    pub fn last_begun(&self) -> Option<&Stage> {
        self.stages.iter().rev().find(|stage| stage.is_begun())
    }
}

/// Where packets were seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Vantage {
    /// At the machine's own port: what crossed it is the machine's, whatever addresses it names.
    OwnPort,
    /// On the whole network, or nowhere: a request is the machine's by its address, MAC or UUID, which
    /// another host can claim.
    #[default]
    Segment,
}

/// One stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// Which.
    pub name: StageName,
    /// When it began: microseconds since the Unix epoch.
    pub start_us: u64,
    /// When it was first through, likewise; for the checks, when the last was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_us: Option<u64>,
    /// What was seen of it, in order.
    pub sightings: Vec<Sighting>,
}

impl Stage {
    /// True if the machine itself did something of the stage.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        self.sightings
            .iter()
            .any(|one| one.impostor.is_none() && one.origin != Origin::Service)
    }
}

/// One thing seen of a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sighting {
    /// Microseconds since the Unix epoch.
    pub at_us: u64,
    /// Who saw it.
    #[serde(default)]
    pub origin: Origin,
    /// Number of the packet in the capture that shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<u64>,
    /// What it means for the stage.
    pub outcome: Outcome,
    /// File or path asked for, without a leading slash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What an HTTP request asked behind the `?`; only known while the evidence is at hand.
    #[serde(skip)]
    pub query: Option<String>,
    /// The group that matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Label keys that the matched group requires, sorted; none where the server does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selectors: Option<Vec<String>>,
    /// What was served, in the server's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served: Option<String>,
    /// Config file that was served, by its name in its folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served_file: Option<String>,
    /// SHA-256 of the answer, by each who knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<ContentSeen>,
    /// Another node in whose name this machine asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed: Option<String>,
    /// Somebody else who asked in this machine's name; proves nothing for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impostor: Option<String>,
    /// What was seen; only known while the evidence is at hand.
    #[serde(skip)]
    pub fact: Fact,
    /// The fact in words, with what else is known of it.
    pub text: String,
}

impl Sighting {
    /// True if a config file of this name was served.
    #[must_use]
    pub fn is_file(&self, name: &str) -> bool {
        let file = self.served_file.as_deref();
        file.and_then(|file| file.rsplit('/').next()) == Some(name)
    }

    fn new(at_us: u64, origin: Origin, outcome: Outcome, fact: Fact) -> Sighting {
        Sighting {
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

/// Those of a stage that the machine itself asked for, where it is known what that is behind the `?`: a config may have
/// others brought in from the same service.
pub(crate) fn own<'s>(
    sightings: &'s [Sighting],
    query: Option<&str>,
) -> impl DoubleEndedIterator<Item = &'s Sighting> {
    let query = query.filter(|query| {
        let asked = |sighting: &Sighting| sighting.query.as_deref() == Some(query);
        sightings.iter().any(asked)
    });
    let query = query.map(str::to_owned);
    sightings
        .iter()
        .filter(move |sighting| query.is_none() || sighting.query == query)
}

/// Who saw something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A boot server of ours; the capture may show the same.
    #[default]
    Server,
    /// The capture alone: somebody else's server, or nobody's answer.
    Wire,
    /// A service of the lab that asked another one about the machine, which need not have asked itself.
    Service,
    /// The serial console.
    Console,
    /// The lab: power, login, checks.
    Lab,
}

/// What a sighting means for its stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The stage is under way.
    Noted,
    /// The stage is through.
    Done,
    /// Something went wrong; the machine may try again.
    Failed,
}

/// The last answer to a check inside the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckSeen {
    /// What was checked.
    pub check: String,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
    /// Whether they agree.
    pub holds: bool,
}

/// A service that ended by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceEnded {
    /// Its name.
    pub service: String,
    /// Exit status and last words.
    pub detail: String,
}
