//! UEFI firmware, read from the descriptors of QEMU's packages, which libvirt uses to choose firmware
//! (`docs/interop/firmware.json` of QEMU).

use serde::Deserialize;

use super::host::Host;
use super::packages::remedy_of;
use super::{Finding, Group, Subject};

/// Relevant part of a descriptor.
#[derive(Debug, Deserialize)]
struct Descriptor {
    #[serde(rename = "interface-types", default)]
    interfaces: Vec<String>,
    mapping: Mapping,
    #[serde(default)]
    targets: Vec<Target>,
    #[serde(default)]
    features: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Mapping {
    device: String,
    executable: Option<File>,
    #[serde(rename = "nvram-template")]
    variables: Option<File>,
}

#[derive(Debug, Deserialize)]
struct File {
    filename: String,
}

#[derive(Debug, Deserialize)]
struct Target {
    architecture: String,
    #[serde(default)]
    machines: Vec<String>,
}

/// UEFI firmware suitable for the lab's machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firmware {
    /// Path of the code image.
    pub code: String,
    /// Path of the template of its variables.
    pub variables: String,
    /// True if it can enforce Secure Boot.
    pub secure_boot: bool,
    /// True if the template has Microsoft's keys.
    pub enrolled_keys: bool,
    /// True if its flash has 4 MiB, as in newer releases.
    pub four_mib: bool,
}

impl Firmware {
    /// Returns all suitable firmware of this host, in libvirt's order.
    #[must_use]
    pub fn all(host: &Host) -> Vec<Firmware> {
        let texts = host.firmware.values();
        texts.filter_map(|text| Firmware::read(text)).collect()
    }

    /// Parses a descriptor; returns `None` if it does not suit the lab's machines.
    #[must_use]
    pub fn read(text: &str) -> Option<Firmware> {
        let descriptor: Descriptor = serde_json::from_str(text).ok()?;
        let fits = descriptor.targets.iter().any(|target| {
            target.architecture == "x86_64"
                && target
                    .machines
                    .iter()
                    .any(|name| name.starts_with("pc-q35"))
        });
        let has = |name: &str| descriptor.features.iter().any(|feature| feature == name);
        let is_uefi = descriptor.interfaces.iter().any(|name| name == "uefi");
        let Mapping {
            device,
            executable,
            variables,
        } = descriptor.mapping;
        let code = executable?.filename;
        let variables = variables?.filename;
        if !fits || !is_uefi || device != "flash" {
            return None;
        }
        Some(Firmware {
            variables,
            secure_boot: has("secure-boot"),
            enrolled_keys: has("enrolled-keys"),
            four_mib: code.to_ascii_lowercase().contains("4m"),
            code,
        })
    }
}

pub(super) fn examine(host: &Host) -> Vec<Finding> {
    let secure = "UEFI firmware with Secure Boot";
    let secure = Subject(Group::Machines, "ovmf-secure-boot", secure);
    let large = "UEFI firmware in a flash of 4 MiB";
    let large = Subject(Group::Machines, "ovmf-4m", large);
    vec![
        uefi(host),
        match first(host, |one| one.secure_boot) {
            Some(code) => secure.ok(code),
            None => secure.warning(
                "not found; nodes with `secure_boot = true` cannot run",
                remedy_of("ovmf", host),
            ),
        },
        match first(host, |one| one.four_mib) {
            Some(_) => large.ok("found"),
            None => large.warning(
                "not found; 2 MiB firmware works, but distributions no longer maintain it",
                remedy_of("ovmf", host),
            ),
        },
    ]
}

/// Returns the firmware finding for machines without Secure Boot.
#[must_use]
pub fn uefi(host: &Host) -> Finding {
    let subject = Subject(Group::Machines, "ovmf", "UEFI firmware");
    match first(host, |one| !one.secure_boot) {
        Some(code) => subject.ok(code),
        None => subject.missing(
            "not found: no descriptor in /usr/share/qemu/firmware without Secure Boot",
            remedy_of("ovmf", host),
        ),
    }
}

/// Returns the code path of the first firmware that matches.
fn first(host: &Host, wanted: impl Fn(&Firmware) -> bool) -> Option<String> {
    let all = Firmware::all(host).into_iter();
    all.filter(|one| wanted(one)).map(|one| one.code).next()
}
