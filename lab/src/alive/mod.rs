//! Labs that were brought up and stay: which there are, and how to get at one from outside.
//!
//! A lab that stays is a kept cell (`runner::keep`) with a note of it in the cache. The note is a claim, not the truth:
//! it counts as long as the lab's processes hold its lock, and the one that it names is still the one it was written of.

mod control;
mod registry;
pub mod status;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::cell::on_host;
use crate::cell::sandbox::CELL_DIR;
use crate::node::life::domain_name;
use crate::remote::RemoteLab;
use crate::runner::keep::Kept;
use crate::scenario::Node;

pub use control::ControlError;
pub use registry::{Held, Registry, RegistryError};

/// A lab that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alive {
    /// Id of the run that brought it up: six hexadecimal digits.
    pub run_id: String,
    /// `scenario@firmware`.
    pub unit: String,
    /// When it was up, RFC 3339.
    pub since: String,
    /// Its processes.
    pub kept: Kept,
    /// URI of the host's own libvirt, where its machines are on that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect: Option<String>,
    /// Where it is, where that is another host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<RemoteLab>,
    /// When the holder was started, in clock ticks since the host's boot: a process id may be given again.
    pub born_ticks: u64,
    /// Where that process id means something.
    pub realm: Realm,
    /// Held by its processes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<PathBuf>,
    /// The host's network interface that was put on its network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attached: Option<String>,
    /// Folder of its evidence.
    pub artifacts: PathBuf,
    /// Folder of the image that it serves.
    #[serde(default)]
    pub image: PathBuf,
    /// The data directory that it serves.
    pub data: PathBuf,
    /// The host's address on its network.
    pub host: Ipv4Addr,
    /// Port of its boot config service.
    pub http_port: u16,
    /// Its machines.
    pub nodes: Vec<AliveNode>,
}

/// Where process ids mean something: a boot of a host, and a PID namespace there. A cache may be shared by several,
/// containers for example; what is up in another one can't be seen from here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Realm {
    /// The host's boot (random(4)).
    boot: String,
    /// The PID namespace (pid_namespaces(7)).
    namespace: String,
}

impl Realm {
    /// Ours.
    #[must_use]
    pub fn own() -> Realm {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        let namespace = std::fs::read_link("/proc/self/ns/pid");
        Realm {
            boot: boot.unwrap_or_default().trim().to_owned(),
            namespace: namespace.map_or_else(|_| String::new(), |link| link.display().to_string()),
        }
    }
}

/// A machine of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AliveNode {
    /// Its name.
    pub name: String,
    /// Its name in libvirt.
    pub domain: String,
    /// Its MAC.
    pub mac: String,
    /// Its UUID.
    pub uuid: String,
    /// The address that DHCP gave it.
    pub address: Option<Ipv4Addr>,
    /// Whether it came up as expected.
    pub verdict: String,
}

impl AliveNode {
    /// A machine of which nothing is known yet but what its scenario says.
    #[must_use]
    pub fn of(run_id: &str, node: &Node) -> AliveNode {
        AliveNode {
            name: node.name.clone(),
            domain: domain_name(run_id, node),
            mac: node.mac.to_string(),
            uuid: node.uuid.to_string(),
            address: None,
            verdict: "-".into(),
        }
    }
}

/// Now, as a note has it.
#[must_use]
pub fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

impl Alive {
    /// Whether it is still there.
    #[must_use]
    pub fn is_there(&self) -> bool {
        born_ticks(self.kept.holder) == Some(self.born_ticks)
    }

    /// A program inside it: its network, its files, its libvirt.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.kept.init.to_string()]);
        if !rustix::process::geteuid().is_root() {
            // Entering one's own user namespace makes one root in it; the ids stay as they are.
            command.args(["--user", "--preserve-credentials"]);
        }
        command.args(["--all", "--"]).arg(program);
        command.env("LIBVIRT_DEFAULT_URI", self.libvirt());
        command
    }

    /// URI of its libvirt, seen from inside.
    #[must_use]
    pub fn libvirt(&self) -> &str {
        self.connect.as_deref().unwrap_or("qemu:///system")
    }

    /// Its folder, seen from inside.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        match self.connect {
            None => CELL_DIR.into(),
            Some(_) => on_host::folder(&self.run_id),
        }
    }

    /// A machine's console, as it is seen from outside.
    #[must_use]
    pub fn console(&self, node: &AliveNode) -> PathBuf {
        self.from_outside(&self.folder().join(format!("{}.console", node.name)))
    }

    /// A file of the cell, as it is seen from outside.
    #[must_use]
    pub fn from_outside(&self, inside: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.kept.init));
        root.join(inside.strip_prefix("/").unwrap_or(inside))
    }

    /// Folder of a machine's artifacts.
    #[must_use]
    pub fn artifacts_of(&self, node: &AliveNode) -> PathBuf {
        self.artifacts.join("nodes").join(&node.name)
    }

    /// A machine by its name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&AliveNode> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// Ends it, with everything in it; the kernel ends what is in its PID namespace.
    ///
    /// # Errors
    /// When the process may not be ended.
    pub fn end(&self) -> std::io::Result<()> {
        // `unshare` ignores SIGTERM.
        match pid(self.kept.holder).map(|pid| kill_process(pid, Signal::KILL)) {
            Some(Err(rustix::io::Errno::SRCH)) | None => Ok(()),
            Some(ended) => Ok(ended?),
        }
    }
}

fn pid(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

/// When a process was started, in clock ticks since the host's boot: field 22 of `/proc/PID/stat` (proc(5)).
#[must_use]
pub fn born_ticks(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may have spaces and parentheses in it.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    // A zombie holds nothing any more.
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A lab that is held by this process.
    pub(crate) fn alive(run_id: &str, nodes: &[&str]) -> Alive {
        let own = std::process::id();
        Alive {
            run_id: run_id.into(),
            unit: "ipxe-chainload@bios".into(),
            since: "2026-01-02T03:04:05Z".into(),
            kept: Kept {
                holder: own,
                init: own,
            },
            born_ticks: born_ticks(own).unwrap(),
            realm: Realm::own(),
            lock: None,
            attached: None,
            remote: None,
            connect: None,
            artifacts: "/runs/x".into(),
            image: "/cache/images/x".into(),
            data: "/scenarios/x/data".into(),
            host: Ipv4Addr::new(192, 168, 92, 1),
            http_port: 8080,
            nodes: nodes
                .iter()
                .map(|name| AliveNode {
                    name: (*name).into(),
                    domain: format!("lab-{run_id}-{name}"),
                    mac: "52:54:00:00:00:01".into(),
                    uuid: String::new(),
                    address: None,
                    verdict: "pass".into(),
                })
                .collect(),
        }
    }

    #[test]
    fn a_process_that_was_started_later_is_another() {
        let own = alive("4f2a11", &["node1"]);
        assert!(own.is_there());
        let other = Alive {
            born_ticks: own.born_ticks + 1,
            ..own
        };
        assert!(!other.is_there());
        let nobody = Alive {
            kept: Kept {
                holder: u32::MAX,
                init: 1,
            },
            ..other
        };
        assert!(!nobody.is_there());
    }

    #[test]
    fn a_process_that_has_ended_holds_nothing() {
        let mut child = Command::new("true").spawn().unwrap();
        let id = child.id();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        // It stays a zombie until it is waited for.
        while born_ticks(id).is_some() && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert_eq!(born_ticks(id), None);
        child.wait().unwrap();
    }
}
