//! What a run needs of the host, looked for before anything is started.
//!
//! Each thing that is missing is told with the command that brings it, all at once.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

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

/// Looks for all that these scenarios need; an empty answer means that they can be run.
#[must_use]
pub fn lacks(scenarios: &[(&Scenario, Firmware)]) -> Vec<Lack> {
    let mut lacks = Vec::new();
    let mut needed = vec![
        ("/usr/sbin/libvirtd", "libvirt-daemon"),
        ("/usr/bin/qemu-system-x86_64", "qemu-system-x86"),
        ("/usr/bin/unshare", "util-linux"),
        ("/usr/lib/ipxe/undionly.kpxe", "ipxe"),
        ("/usr/lib/ipxe/ipxe.efi", "ipxe"),
        ("/usr/lib/PXELINUX/pxelinux.0", "pxelinux"),
    ];
    if scenarios
        .iter()
        .any(|(scenario, _)| scenario.services.dhcp == DhcpService::Libvirt)
    {
        needed.push(("/usr/sbin/dnsmasq", "dnsmasq-base"));
    }
    if scenarios.iter().any(|(_, firmware)| firmware.is_uefi()) {
        needed.push(("/usr/share/qemu/firmware/60-edk2-x86_64.json", "ovmf"));
    }
    for (file, package) in needed {
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
