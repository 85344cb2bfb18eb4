//! `[[service]]`: a program of the user that serves the scenario's network.

mod check;
mod placeholder;
mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

pub(super) use check::{check, config_keys, is_reserved, roots};
pub use placeholder::{Placeholder, expand};
pub(super) use read::{DraftService, read};

/// Default time limit for a service to become ready.
pub(super) const WITHIN_SECONDS_DEFAULT: u32 = 20;
pub(super) const WITHIN_SECONDS_MAX: u32 = 600;

/// Transport of images in podman's storage, as containers-transports(5) writes it.
const STORAGE: &str = "containers-storage:";

/// Program of the user in the scenario's network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Service {
    /// Unique name, used in reports and as the folder of its logs.
    #[schemars(regex(pattern = "^[a-z0-9][a-z0-9-]{0,31}$"))]
    pub name: String,
    /// Program and arguments, with placeholders such as `{dir}` and `{address}`.
    #[schemars(length(min = 1))]
    pub command: Vec<String>,
    /// Root file system of the program: a folder, or a tar archive of one, by its absolute path or relative to the
    /// scenario's folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rootfs: Option<PathBuf>,
    /// Container image in podman's storage whose files are the program's root file system: `containers-storage:NAME`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Roles in the network.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub plays: Vec<Part>,
    /// IPv4 address of the service's own host in the subnet, or `shared` for the host of the lab's services.
    #[serde(skip_serializing_if = "ServiceAddress::is_shared")]
    #[schemars(default, with = "String")]
    pub address: ServiceAddress,
    /// Name of the network of the service's own host [default: the first network].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Sign that the service is ready [default: it still runs after 0.7 s].
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<ReadyToml>")]
    pub ready: Option<Ready>,
    /// User that runs the program [default: the cell's root].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Additional environment variables, with placeholders.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(default)]
    pub env: BTreeMap<String, String>,
    /// The only capabilities of the program, as in capabilities(7) without `cap_` [default: the user's].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Restart::is_never")]
    #[schemars(default)]
    pub restart: Restart,
    /// Signal that ends the service after the last machine.
    #[serde(skip_serializing_if = "StopSignal::is_usual")]
    #[schemars(default)]
    pub stop: StopSignal,
    /// Names of services that must be ready before this one starts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub after: Vec<String>,
}

impl Service {
    /// Returns the file name of the program, without its folder.
    #[must_use]
    pub fn program(&self) -> &str {
        let program = self.command.first().map_or("", String::as_str);
        program.rsplit_once('/').map_or(program, |(_, name)| name)
    }

    /// True if the program runs in a root file system of its own.
    #[must_use]
    pub fn has_root(&self) -> bool {
        self.rootfs.is_some() || self.image.is_some()
    }

    /// Returns the name of the program's image in podman's storage.
    #[must_use]
    pub fn image_name(&self) -> Option<&str> {
        self.image.as_deref()?.strip_prefix(STORAGE)
    }

    /// True if the service has this role.
    #[must_use]
    pub fn plays(&self, part: Part) -> bool {
        self.plays.contains(&part)
    }

    /// True for a program that prepares something and ends.
    #[must_use]
    pub fn is_one_shot(&self) -> bool {
        let ready = self.ready.as_ref();
        ready.is_some_and(|ready| matches!(ready.when, ReadyWhen::Exit(_)))
    }

    /// Returns name and role for reports, e.g. `kea (dhcp)`; without a role the program, e.g. `api (nginx)`.
    #[must_use]
    pub fn title(&self) -> String {
        let parts: Vec<&str> = self.plays.iter().map(|part| part.name()).collect();
        match parts.is_empty() {
            true => format!("{} ({})", self.name, self.program()),
            false => format!("{} ({})", self.name, parts.join(", ")),
        }
    }
}

/// Returns the services in the order of their start: each after those it names in `after`, otherwise as written.
#[must_use]
pub fn start_order(services: &[Service]) -> Vec<&Service> {
    let mut waiting: Vec<&Service> = services.iter().collect();
    let mut order: Vec<&Service> = Vec::new();
    while !waiting.is_empty() {
        let is_free = |service: &&Service| {
            let mut names = service.after.iter();
            names.all(|name| order.iter().any(|one| one.name == *name))
        };
        // A circle is refused when the file is read.
        let next = waiting.iter().position(is_free).unwrap_or(0);
        order.push(waiting.remove(next));
    }
    order
}

/// Role of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Gives addresses to machines.
    Dhcp,
    /// Adds boot options to the answers of another DHCP server.
    ProxyDhcp,
    /// Serves boot programs by TFTP.
    Tftp,
    /// Serves files by HTTP.
    Http,
    /// Serves boot scripts, cloud-configs and Ignition configs by machine.
    Config,
    /// Resolves names.
    Dns,
    /// Serves instance metadata.
    Metadata,
}

impl Part {
    pub(super) const ALL: [Part; 7] = [
        Part::Dhcp,
        Part::ProxyDhcp,
        Part::Tftp,
        Part::Http,
        Part::Config,
        Part::Dns,
        Part::Metadata,
    ];

    /// Returns the name in `scenario.toml`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Part::Dhcp => "dhcp",
            Part::ProxyDhcp => "proxy-dhcp",
            Part::Tftp => "tftp",
            Part::Http => "http",
            Part::Config => "config",
            Part::Dns => "dns",
            Part::Metadata => "metadata",
        }
    }

    /// True if clients find the service by broadcast, so that a network has at most one.
    pub(super) fn is_found_by_broadcast(self) -> bool {
        matches!(self, Part::Dhcp | Part::ProxyDhcp)
    }
}

/// Host of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServiceAddress {
    /// Host of the lab's own services: `[network] address`.
    #[default]
    Shared,
    /// Host of its own, in a network namespace with this address.
    Own(Ipv4Addr),
}

impl ServiceAddress {
    fn is_shared(&self) -> bool {
        *self == ServiceAddress::Shared
    }

    /// Returns the address of the service's own host.
    #[must_use]
    pub fn own(self) -> Option<Ipv4Addr> {
        match self {
            ServiceAddress::Shared => None,
            ServiceAddress::Own(address) => Some(address),
        }
    }
}

impl fmt::Display for ServiceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServiceAddress::Shared => f.write_str("shared"),
            ServiceAddress::Own(address) => address.fmt(f),
        }
    }
}

impl Serialize for ServiceAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Sign that a service is ready, and its time limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "ReadyToml")]
pub struct Ready {
    pub when: ReadyWhen,
    pub within: Duration,
}

/// Sign that a service is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadyWhen {
    /// A socket listens on this TCP port of the service's host.
    Tcp(u16),
    /// A socket is bound to this UDP port of the service's host.
    Udp(u16),
    /// This URL is answered with a status below 400.
    Http(String),
    /// A line of the output matches this regular expression.
    Log(String),
    /// The program ends with this exit code; it prepares something for services that start after it.
    Exit(u8),
}

impl fmt::Display for ReadyWhen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadyWhen::Tcp(port) => write!(f, "a socket on TCP port {port}"),
            ReadyWhen::Udp(port) => write!(f, "a socket on UDP port {port}"),
            ReadyWhen::Http(url) => write!(f, "an answer of {url}"),
            ReadyWhen::Log(pattern) => write!(f, "a line of output that matches `{pattern}`"),
            ReadyWhen::Exit(code) => write!(f, "its end with exit code {code}"),
        }
    }
}

/// `ready` in `scenario.toml`: one sign and its time limit.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
#[schemars(rename = "Ready", deny_unknown_fields)]
struct ReadyToml {
    /// TCP port on which a socket listens.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    tcp: Option<u16>,
    /// UDP port to which a socket is bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    udp: Option<u16>,
    /// URL that is answered with a status below 400, with placeholders.
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<String>,
    /// Regular expression that a line of the output matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<String>,
    /// Exit code of a program that prepares something and ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    exit: Option<u8>,
    #[schemars(default = "usual_within", range(min = 1, max = WITHIN_SECONDS_MAX))]
    within_seconds: u32,
}

fn usual_within() -> u32 {
    WITHIN_SECONDS_DEFAULT
}

impl From<Ready> for ReadyToml {
    fn from(ready: Ready) -> ReadyToml {
        let mut toml = ReadyToml {
            tcp: None,
            udp: None,
            http: None,
            log: None,
            exit: None,
            within_seconds: u32::try_from(ready.within.as_secs()).unwrap_or(WITHIN_SECONDS_MAX),
        };
        match ready.when {
            ReadyWhen::Tcp(port) => toml.tcp = Some(port),
            ReadyWhen::Udp(port) => toml.udp = Some(port),
            ReadyWhen::Http(url) => toml.http = Some(url),
            ReadyWhen::Log(pattern) => toml.log = Some(pattern),
            ReadyWhen::Exit(code) => toml.exit = Some(code),
        }
        toml
    }
}

/// Reaction to the end of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// The end is recorded, and the service stays away.
    #[default]
    Never,
    /// The end is recorded, and the service is started again.
    Always,
}

impl Restart {
    fn is_never(&self) -> bool {
        *self == Restart::Never
    }
}

/// Signal that ends a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum StopSignal {
    #[default]
    Term,
    Int,
    Quit,
    Hup,
    Kill,
}

impl StopSignal {
    fn is_usual(&self) -> bool {
        *self == StopSignal::Term
    }
}
