//! What a run needs of the host, looked for before anything is started.
//!
//! Each thing that is missing is told with the command that brings it, all at once.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::fault::{Injections, Role};
use crate::scenario::{DhcpService, Firmware, Scenario};

/// Something missing and what would bring it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// What is missing.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

fn lack(what: impl Into<String>, remedy: impl Into<String>) -> Lack {
    Lack {
        what: what.into(),
        remedy: remedy.into(),
    }
}

/// Looks for all that these scenarios, with what is injected into each, need; an empty answer means that they
/// can be run.
#[must_use]
pub fn lacks(wanted: &[(&Scenario, Firmware, &Injections)]) -> Vec<Lack> {
    let mut lacks = Vec::new();
    for (file, package) in needed(wanted) {
        if !Path::new(file).exists() {
            lacks.push(lack(
                format!("{file} is not there"),
                format!("apt-get install {package} (ci/lab does it)"),
            ));
        }
    }
    if let Err(error) = File::options().read(true).write(true).open("/dev/net/tun") {
        lacks.push(lack(
            format!("/dev/net/tun cannot be opened: {error}"),
            "sudo chmod 0666 /dev/net/tun (ci/lab does it)",
        ));
    }
    if !rustix::process::geteuid().is_root() {
        lacks.extend(lacks_of_an_ordinary_user());
    }
    lacks
}

/// Files that have to be there, each with the package that brings it.
fn needed(wanted: &[(&Scenario, Firmware, &Injections)]) -> Vec<(&'static str, &'static str)> {
    let mut needed = vec![
        ("/usr/sbin/libvirtd", "libvirt-daemon"),
        ("/usr/bin/qemu-system-x86_64", "qemu-system-x86"),
        ("/usr/bin/unshare", "util-linux"),
        ("/usr/lib/ipxe/undionly.kpxe", "ipxe"),
        ("/usr/lib/ipxe/ipxe.efi", "ipxe"),
        ("/usr/lib/PXELINUX/pxelinux.0", "pxelinux"),
    ];
    let has_dnsmasq = |(scenario, _, injections): &(&Scenario, Firmware, &Injections)| {
        let stations = &injections.stations;
        matches!(
            scenario.services.dhcp,
            DhcpService::Libvirt | DhcpService::Dnsmasq
        ) || !scenario.network.names.is_empty()
            || stations
                .iter()
                .any(|station| matches!(station.role, Role::DhcpServer { .. }))
    };
    if wanted.iter().any(has_dnsmasq) {
        needed.push(("/usr/sbin/dnsmasq", "dnsmasq-base"));
    }
    if wanted
        .iter()
        .any(|(_, _, injections)| !injections.barriers.is_empty())
    {
        needed.push(("/usr/sbin/iptables", "iptables"));
    }
    if wanted.iter().any(|(_, firmware, _)| firmware.is_uefi()) {
        needed.push(("/usr/share/qemu/firmware/60-edk2-x86_64.json", "ovmf"));
    }
    needed
}

fn lacks_of_an_ordinary_user() -> Vec<Lack> {
    if !Path::new("/usr/bin/newuidmap").exists() {
        return vec![lack(
            "newuidmap is not there",
            "apt-get install uidmap (ci/lab does it)",
        )];
    }
    let made = Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--map-auto",
            "--net",
            "--mount",
        ])
        .args(["--", "mount", "-t", "tmpfs", "tmpfs", "/run"])
        .stdin(Stdio::null())
        .output();
    let why = match made {
        Ok(output) if output.status.success() => return Vec::new(),
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    let restricted = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";
    let remedy = if fs::read_to_string(restricted).is_ok_and(|text| text.trim() == "1") {
        "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0, or run as root"
    } else {
        "give yourself a range of subordinate ids (usermod --add-subuids 100000-165535 \
         --add-subgids 100000-165535 USER; ci/lab does it), or run as root"
    };
    vec![lack(
        format!("a user namespace cannot be made: {why}"),
        remedy,
    )]
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::fault::{Barrier, Station};
    use crate::scenario::DataCheck;

    #[test]
    fn what_a_fault_injects_is_needed_too() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/ipxe-chainload");
        let scenario = Scenario::load_with(&folder, DataCheck::Skip).unwrap();
        let packages = |injections: &Injections| -> Vec<&str> {
            let needed = needed(&[(&scenario, Firmware::Bios, injections)]);
            needed.into_iter().map(|(_, package)| package).collect()
        };
        let plain = packages(&Injections::default());
        assert!(!plain.contains(&"dnsmasq-base") && !plain.contains(&"iptables"));
        let (first, last) = (Ipv4Addr::new(10, 0, 0, 8), Ipv4Addr::new(10, 0, 0, 9));
        let rogue = Station {
            address: Some(first),
            role: Role::DhcpServer { first, last },
        };
        let barrier = Barrier {
            protocol: "tcp".into(),
            port: 80,
            tells: false,
        };
        let more = packages(&Injections {
            stations: vec![rogue],
            barriers: vec![barrier],
            ..Injections::default()
        });
        assert!(more.contains(&"dnsmasq-base") && more.contains(&"iptables"));
    }
}
