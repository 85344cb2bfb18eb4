//! Persistent labs: registry entries, and access to a lab from outside.
//!
//! A persistent lab is a kept cell (`runner::keep`) with a registry entry in the cache. An entry alone proves
//! nothing: it counts only while the lab's processes hold its lock and the process id still belongs to the
//! process that was registered.

mod control;
mod registry;
pub mod status;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use lab_model::results::Kept;
use lab_model::scenario::Node;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::cell::on_host;
use crate::cell::sandbox::CELL_DIR;
use crate::node::life::domain_name;
use crate::remote::RemoteLab;

pub use control::ControlError;
pub use registry::{Held, Registry, RegistryError};

/// Registry entry of a persistent lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersistentLab {
    /// Id of the run that started the lab: six hexadecimal digits.
    pub run_id: String,
    /// Unit name, `scenario@firmware`.
    pub unit: String,
    /// Start time, RFC 3339.
    pub since: String,
    /// Process ids of the cell.
    pub kept: Kept,
    /// URI of the host's own libvirt, if the machines run there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect: Option<String>,
    /// Location of the lab, if it is on another host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<RemoteLab>,
    /// Start time of the holder process, in clock ticks since the host's boot; detects reused process ids.
    pub born_ticks: u64,
    /// Host boot and PID namespace in which the process id is valid.
    pub realm: HostScope,
    /// Lock file held by the lab's processes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<PathBuf>,
    /// Network interface of the host that was attached to the lab's network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attached: Option<String>,
    /// Folder of the evidence.
    pub artifacts: PathBuf,
    /// Folder of the served image.
    #[serde(default)]
    pub image: PathBuf,
    /// Served data directory.
    pub data: PathBuf,
    /// Host's address on the lab's network.
    pub host: Ipv4Addr,
    /// TCP port of the boot config service.
    pub http_port: u16,
    pub nodes: Vec<PersistentNode>,
}

/// Scope in which process ids are valid: one boot of a host and one PID namespace. A cache may be shared by
/// several, such as containers, and labs in another scope cannot be observed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostScope {
    /// Boot id of the host (random(4)).
    boot: String,
    /// PID namespace (pid_namespaces(7)).
    namespace: String,
}

impl HostScope {
    /// Returns the scope of this process.
    #[must_use]
    pub fn own() -> HostScope {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        let namespace = std::fs::read_link("/proc/self/ns/pid");
        HostScope {
            boot: boot.unwrap_or_default().trim().to_owned(),
            namespace: namespace.map_or_else(|_| String::new(), |link| link.display().to_string()),
        }
    }
}

/// Machine of a persistent lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersistentNode {
    pub name: String,
    /// Name of the libvirt domain.
    pub domain: String,
    pub mac: String,
    pub uuid: String,
    /// Address leased by DHCP.
    pub address: Option<Ipv4Addr>,
    /// Verdict of the boot at start.
    pub verdict: String,
}

impl PersistentNode {
    /// Builds the entry of a machine from its scenario alone.
    #[must_use]
    pub fn of(run_id: &str, node: &Node) -> PersistentNode {
        PersistentNode {
            name: node.name.clone(),
            domain: domain_name(run_id, node),
            mac: node.mac.to_string(),
            uuid: node.uuid.to_string(),
            address: None,
            verdict: "-".into(),
        }
    }
}

/// Returns the current time in the format of registry entries.
#[must_use]
pub fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

impl PersistentLab {
    /// True if the lab's processes still exist.
    #[must_use]
    pub fn is_there(&self) -> bool {
        born_ticks(self.kept.holder) == Some(self.born_ticks)
    }

    /// Returns a command that runs a program inside the lab: with its network, files and libvirt.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.kept.init.to_string()]);
        if !rustix::process::geteuid().is_root() {
            // Entering the user namespace makes the caller root in it, so the ids must not be changed.
            command.args(["--user", "--preserve-credentials"]);
        }
        command.args(["--all", "--"]).arg(program);
        command.env("LIBVIRT_DEFAULT_URI", self.libvirt());
        command
    }

    /// Returns the URI of the lab's libvirt, as seen from inside.
    #[must_use]
    pub fn libvirt(&self) -> &str {
        self.connect.as_deref().unwrap_or("qemu:///system")
    }

    /// Returns the lab's folder, as seen from inside.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        match self.connect {
            None => CELL_DIR.into(),
            Some(_) => on_host::folder(&self.run_id),
        }
    }

    /// Returns the path of a machine's console socket, as seen from outside.
    #[must_use]
    pub fn console(&self, node: &PersistentNode) -> PathBuf {
        self.from_outside(&self.folder().join(format!("{}.console", node.name)))
    }

    /// Returns the path of the socket with a machine's shell, as seen from outside: a second serial port, if the machine
    /// has one, else the console.
    #[must_use]
    pub fn shell(&self, node: &PersistentNode) -> PathBuf {
        let checks = self.folder().join(format!("{}.checks", node.name));
        Some(self.from_outside(&checks))
            .filter(|port| port.exists())
            .unwrap_or_else(|| self.console(node))
    }

    /// Returns the path of a file of the cell, as seen from outside.
    #[must_use]
    pub fn from_outside(&self, inside: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.kept.init));
        root.join(inside.strip_prefix("/").unwrap_or(inside))
    }

    /// Returns the folder of a machine's artifacts.
    #[must_use]
    pub fn artifacts_of(&self, node: &PersistentNode) -> PathBuf {
        self.artifacts.join("nodes").join(&node.name)
    }

    /// Returns a machine by name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&PersistentNode> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// Kills the lab: the kernel ends all processes in its PID namespace.
    ///
    /// # Errors
    /// Fails if the process may not be killed.
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

/// Returns the start time of a process, in clock ticks since the host's boot: field 22 of `/proc/PID/stat`
/// (proc(5)).
#[must_use]
pub fn born_ticks(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in parentheses and may contain spaces and parentheses.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    // A zombie holds no lock.
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A lab that is held by this process.
    pub(crate) fn alive(run_id: &str, nodes: &[&str]) -> PersistentLab {
        let own = std::process::id();
        PersistentLab {
            run_id: run_id.into(),
            unit: "ipxe-chainload@bios".into(),
            since: "2026-01-02T03:04:05Z".into(),
            kept: Kept {
                holder: own,
                init: own,
            },
            born_ticks: born_ticks(own).unwrap(),
            realm: HostScope::own(),
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
                .map(|name| PersistentNode {
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
        let other = PersistentLab {
            born_ticks: own.born_ticks + 1,
            ..own
        };
        assert!(!other.is_there());
        let nobody = PersistentLab {
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
