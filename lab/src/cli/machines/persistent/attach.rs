//! `lab up --attach`: moves a network interface of this host to the lab's bridge, so that a physical machine
//! boots from the lab.
//!
//! The interface moves into the lab's network namespace, and back before the lab ends. If the lab is killed, the
//! kernel returns a physical interface to the host; a virtual one (such as a VLAN) is deleted
//! (network_namespaces(7)).

use std::fs;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use lab_model::evidence::saved;
use lab_report::exit_code::ExitCode;
use thiserror::Error;

use crate::cell::plan;
use crate::cli::error::{CliError, refuse};
use crate::persistent::PersistentLab;

/// Interfaces of the current network namespace.
const INTERFACES: &str = "/sys/class/net";

/// Reason why an interface cannot be taken from the host.
#[derive(Debug, PartialEq, Eq, Error)]
enum InterfaceError {
    #[error("interface not found (interfaces: {known})")]
    NotFound { known: String },
    #[error("the loopback interface cannot be moved")]
    Loopback,
    #[error("this host's default route uses it; attaching it would cut the host off")]
    DefaultRoute,
    #[error(
        "a wireless interface cannot be part of a bridge (IEEE 802.11 has no place for a third address)"
    )]
    Wireless,
    #[error("it belongs to bridge or bond {master}; `ip link set {name} nomaster` releases it")]
    HasMaster { name: String, master: String },
}

/// Interface that may be attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attachment {
    pub(super) interface: String,
}

/// Returns attached interfaces to the host. If this fails, the kernel returns them, or they no longer exist.
pub(super) fn give_back(lab: &PersistentLab) {
    let Some(interface) = &lab.attached else {
        return;
    };
    let own = std::process::id().to_string();
    let told = Command::new("nsenter")
        .args(["--target", &lab.kept.init.to_string(), "--net", "--"])
        .args(["ip", "link", "set", interface, "nomaster", "netns", &own])
        .output();
    if let Err(error) = told.and_then(|output| said_yes(&output)) {
        tracing::warn!(%error, interface, "cannot return the interface to the host");
    }
}

impl Attachment {
    /// Checks the interface and asks for confirmation before it is taken from the host.
    pub(super) fn agree(interface: &str, is_agreed: bool) -> Result<Attachment, CliError> {
        let refused = |code, why: String| Err(refuse(code, format!("--attach {interface}: {why}")));
        if !rustix::process::geteuid().is_root() {
            let why = "root privileges required; run `sudo lab up …`";
            return refused(ExitCode::HostUnsupported, why.into());
        }
        let routes = ["/proc/net/route", "/proc/net/ipv6_route"].map(fs::read_to_string);
        let routes = routes.map(Result::unwrap_or_default);
        if let Err(error) = check(Path::new(INTERFACES), interface, &routes[0], &routes[1]) {
            return refused(ExitCode::InvalidInput, error.to_string());
        }
        if !is_agreed && !asked(interface)? {
            return refused(ExitCode::InvalidInput, "not confirmed".into());
        }
        Ok(Attachment {
            interface: interface.to_owned(),
        })
    }

    /// Moves the interface to the lab's bridge.
    pub(super) fn attach(&self, lab: &PersistentLab) -> Result<(), CliError> {
        let failed = |error: &dyn std::fmt::Display| {
            refuse(
                ExitCode::Internal,
                format!("--attach {}: {error}", self.interface),
            )
        };
        let scenario = saved::scenario(&lab.artifacts).map_err(|error| failed(&error))?;
        let bridge = plan::network(&scenario, &lab.run_id).bridge;
        let init = lab.kept.init.to_string();
        let set = ["link", "set", &self.interface];
        let mut moved = Command::new("ip");
        moved.args(set).args(["netns", &init]);
        let mut joined = lab.command(Path::new("ip"));
        joined.args(set).args(["master", &bridge, "up"]);
        for mut command in [moved, joined] {
            let done = command.output().and_then(|output| said_yes(&output));
            done.map_err(|error| failed(&error))?;
        }
        println!(
            "{} is on the lab's network: machines connected to it boot from the lab. `lab down` returns it to this host.",
            self.interface
        );
        Ok(())
    }
}

/// Returns the program's own words as the error if it failed.
fn said_yes(output: &Output) -> io::Result<()> {
    match output.status.success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(io::Error::other(said.trim().to_owned()))
        }
    }
}

/// Returns the reason why the interface cannot be taken from the host, if any.
fn check(
    interfaces: &Path,
    name: &str,
    routes: &str,
    ipv6_routes: &str,
) -> Result<(), InterfaceError> {
    let is_name = !name.is_empty() && !name.contains('/') && !name.starts_with('.');
    let folder: PathBuf = interfaces.join(name);
    if !is_name || !folder.exists() {
        let mut known: Vec<String> = fs::read_dir(interfaces)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|known| known != "lo")
            .collect();
        known.sort();
        let known = known.join(", ");
        return Err(InterfaceError::NotFound { known });
    }
    if name == "lo" {
        return Err(InterfaceError::Loopback);
    }
    if has_default_route(name, routes, ipv6_routes) {
        return Err(InterfaceError::DefaultRoute);
    }
    if folder.join("wireless").exists() || folder.join("phy80211").exists() {
        return Err(InterfaceError::Wireless);
    }
    if let Ok(master) = fs::read_link(folder.join("master")) {
        let master = master.file_name().unwrap_or_default();
        return Err(InterfaceError::HasMaster {
            name: name.to_owned(),
            master: master.to_string_lossy().into_owned(),
        });
    }
    Ok(())
}

/// True if a default route uses the interface, by `/proc/net/route` and `/proc/net/ipv6_route`
/// (proc_pid_net(5)).
fn has_default_route(name: &str, routes: &str, ipv6_routes: &str) -> bool {
    let over_ipv4 = routes.lines().skip(1).any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        // Columns: interface, destination; the mask is the eighth.
        words.first() == Some(&name)
            && words.get(1) == Some(&"00000000")
            && words.get(7) == Some(&"00000000")
    });
    let over_ipv6 = ipv6_routes.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        // Columns: destination, prefix length, …; the next hop is the fifth, the interface the last.
        let nobody = "0".repeat(32);
        words.last() == Some(&name)
            && words.first() == Some(&nobody.as_str())
            && words.get(1) == Some(&"00")
            && words.get(4) != Some(&nobody.as_str())
    });
    over_ipv4 || over_ipv6
}

/// Asks for confirmation on the terminal.
fn asked(interface: &str) -> Result<bool, CliError> {
    if !std::io::stdin().is_terminal() {
        let what = format!("--attach removes {interface} from this host until the lab is down");
        return Err(refuse(
            ExitCode::InvalidInput,
            format!("{what}; confirm with --yes"),
        ));
    }
    eprint!(
        "{interface}, with its addresses and routes, is removed from this host until the lab is down. Continue? [y/N] "
    );
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    Ok(read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
        eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
        eth1\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n";

    fn ipv6_default(interface: &str) -> String {
        let zero = "0".repeat(32);
        format!(
            "{zero} 00 {zero} 00 fe80{} 00000400 00000001 00000000 00000003     {interface}\n",
            "0".repeat(28)
        )
    }

    fn interfaces() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in ["lo", "eth0", "eth1", "eth2", "wlan0", "br0"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        fs::create_dir(folder.path().join("wlan0/wireless")).unwrap();
        std::os::unix::fs::symlink("../br0", folder.path().join("eth2/master")).unwrap();
        folder
    }

    #[test]
    fn only_an_interface_that_the_host_can_miss_is_taken() {
        let folder = interfaces();
        let check = |name| check(folder.path(), name, ROUTES, &ipv6_default("eth7"));
        assert_eq!(check("eth1"), Ok(()));
        assert_eq!(check("eth0"), Err(InterfaceError::DefaultRoute));
        assert_eq!(check("lo"), Err(InterfaceError::Loopback));
        assert_eq!(check("wlan0"), Err(InterfaceError::Wireless));
        let (name, master) = ("eth2".into(), "br0".into());
        assert_eq!(
            check("eth2"),
            Err(InterfaceError::HasMaster { name, master })
        );
        let known = "br0, eth0, eth1, eth2, wlan0".to_owned();
        let not_found = Err(InterfaceError::NotFound { known });
        assert_eq!(check("eth9"), not_found);
        assert_eq!(check("../eth1"), not_found);
    }

    #[test]
    fn a_default_route_of_ipv6_counts_too() {
        let folder = interfaces();
        let refused = check(folder.path(), "eth1", ROUTES, &ipv6_default("eth1"));
        assert_eq!(refused, Err(InterfaceError::DefaultRoute));
    }
}
