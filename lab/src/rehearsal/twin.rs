//! A machine of the inventory as a node: what it is, as far as a virtual machine can be that, and what it has to
//! come up as.

use std::collections::HashSet;

use boot_server::catalog::Labels;
use boot_server::catalog::snapshot::Folder;
use rollout::expected::ExpectedState;
use rollout::inventory::{self, Machine};
use rollout::plan::{Asked, Booted, Config};
use rollout::site::asset;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Request, write};
use crate::scenario::{
    Expect, ExpectedHashes, FileExpect, Firmware, MacAddr, MatchedBy, Node, file_path, unit_name,
};

/// Memory of a twin whose machine's is not known, in MiB.
const MEMORY_MIB: u32 = 1024;

/// No kernel of today comes up in less.
const MEMORY_MIB_MIN: u32 = 64;

/// The largest disk of a scenario's node.
const DISK_MIB_MAX: u32 = 1_048_576;

/// QEMU's own addresses begin so.
const MAC_PREFIX: [u8; 3] = [0x52, 0x54, 0x00];

/// A node, and what of its configs nobody looks at.
pub(super) struct Twin {
    pub(super) node: Node,
    pub(super) unproven: Vec<String>,
}

/// The inventory's firmware as the lab calls it.
pub(super) fn firmware(firmware: inventory::Firmware) -> Firmware {
    match firmware {
        inventory::Firmware::Bios => Firmware::Bios,
        inventory::Firmware::Uefi => Firmware::Uefi,
        inventory::Firmware::UefiHttp => Firmware::UefiHttp,
    }
}

/// The machines that are wanted, each with a UUID, a MAC and a serial number: firmware always has some, so what
/// the list does not say is made up before it is planned what the machine gets.
pub(super) fn with_identities(request: &Request<'_>) -> Vec<Machine> {
    let machines = request.inventory.machines.iter();
    let wanted = machines.filter(|machine| request.wanted.contains(&machine.name));
    wanted
        .map(|machine| {
            let mut twin = machine.clone();
            let made_up = made_up_uuid(&machine.name);
            twin.uuid.get_or_insert_with(|| made_up.to_string());
            if twin.macs.is_empty() {
                let [a, b, c] = MAC_PREFIX;
                let [d, e, f, ..] = made_up.into_bytes();
                twin.macs
                    .push(format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}"));
            }
            twin.serial.get_or_insert_with(|| machine.name.clone());
            twin
        })
        .collect()
}

/// A UUID that is the same for the same name (RFC 9562 §5.8).
fn made_up_uuid(name: &str) -> Uuid {
    let digest = Sha256::digest(name.as_bytes());
    let bytes = digest.first_chunk::<16>().copied().unwrap_or_default();
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// The twin of a machine that boots this and has to come up as that; the error says why there is none.
pub(super) fn node(
    request: &Request<'_>,
    machine: &Machine,
    booted: &Booted,
    expected: ExpectedState,
) -> Result<Twin, String> {
    let mut unproven = expected.unproven.clone();
    let known = request.inventory.machines.iter();
    let mut known = known.filter(|one| one.name == machine.name);
    if let Some(listed) = known.next() {
        unproven.extend(made_up(listed));
    }
    let macs = machine.macs.iter().map(|text| {
        let mac = text.parse::<MacAddr>();
        mac.map_err(|error| format!("its MAC {text}: {error}"))
    });
    let macs = macs.collect::<Result<Vec<_>, _>>()?;
    let [mac, further_macs @ ..] = macs.as_slice() else {
        return Err("it has no MAC".into());
    };
    let expect = expect(request, booted, expected, &mut unproven);
    let node = Node {
        name: write::word(&machine.name),
        uuid: machine
            .uuid
            .as_deref()
            .and_then(|uuid| uuid.parse().ok())
            .unwrap_or_default(),
        mac: *mac,
        further_macs: further_macs.to_vec(),
        serial: machine.serial.clone(),
        dhcp_hostname: machine.hostname.clone(),
        memory_mib: machine
            .memory_mib
            .unwrap_or(MEMORY_MIB)
            .clamp(MEMORY_MIB_MIN, request.memory_mib),
        disks_mib: machine
            .disks_gib
            .iter()
            .take(26)
            .map(|gib| disk_mib(*gib))
            .collect(),
        secure_boot: false,
        expect,
    };
    Ok(Twin { node, unproven })
}

/// An empty file of that size, of which only what is written takes place.
fn disk_mib(gib: u32) -> u32 {
    gib.saturating_mul(1024).min(DISK_MIB_MAX)
}

/// What the list does not say of a machine, and every machine has.
fn made_up(listed: &Machine) -> Vec<String> {
    let lacks = [
        ("UUID", listed.uuid.is_none()),
        ("MAC", listed.macs.is_empty()),
    ];
    lacks
        .into_iter()
        .filter(|(_, is_missing)| *is_missing)
        .map(|(what, _)| format!("its {what}: the list has none, and the twin's is made up"))
        .collect()
}

fn expect(
    request: &Request<'_>,
    booted: &Booted,
    expected: ExpectedState,
    unproven: &mut Vec<String>,
) -> Expect {
    let cloud = served(request, booted, Folder::Cloud);
    let ignition = served(request, booted, Folder::Ignition);
    let serving = cloud.as_ref().or(ignition.as_ref());
    // The group that serves the configs need not be the one that the machine boots by.
    let by = serving.map_or_else(|| booted.by.clone(), |served| served.by.clone());
    let group = serving.map_or_else(|| booted.group.clone(), |served| served.group.clone());
    let ignition = ignition.filter(
        |Served {
             group: by, file, ..
         }| {
            let is_same = *by == group;
            if !is_same {
                unproven.push(format!(
                    "that {file} is served: group {by} gives it, and group {group} the cloud-config"
                ));
            }
            is_same
        },
    );
    Expect {
        matched_by: match by.as_str() {
            "" => MatchedBy::Default,
            "uuid" => MatchedBy::Uuid,
            "mac" => MatchedBy::Mac,
            _ => MatchedBy::Labels,
        },
        boot_group: (booted.group != group).then(|| booted.group.clone()),
        group,
        kernel: asset(&booted.kernel).ok(),
        initrd: booted
            .initrd
            .iter()
            .filter_map(|file| asset(file).ok())
            .collect(),
        cloud_config: cloud.map(|served| served.file),
        ignition: ignition.map(|served| served.file),
        hostname: expected.hostname,
        kernel_options: expected.kernel_options,
        units_active: checked(expected.units_active, unproven, |unit| {
            unit_name(unit).ok().map(|_| unit.clone())
        }),
        resets: 0,
        config_may_fail: false,
        sha256: ExpectedHashes::default(),
        files: checked(
            expected.files.into_iter().collect(),
            unproven,
            |(path, file)| {
                Some(FileExpect {
                    path: file_path(path).ok()?,
                    content: file.content.clone(),
                    owner: file.owner.parse().ok()?,
                    mode: file.mode.parse().ok()?,
                })
            },
        ),
    }
}

/// Those of a list that can be checked; the others are told.
fn checked<T: std::fmt::Debug, C>(
    list: Vec<T>,
    unproven: &mut Vec<String>,
    check: impl Fn(&T) -> Option<C>,
) -> Vec<C> {
    list.into_iter()
        .filter_map(|one| {
            let checked = check(&one);
            if checked.is_none() {
                unproven.push(format!("{one:?}: it has no form that is checked"));
            }
            checked
        })
        .collect()
}

/// A config, and the group that serves it.
struct Served {
    group: String,
    /// Label keys that the group requires, joined by `+`.
    by: String,
    /// File name of the config.
    file: String,
}

/// The config that a group serves; none that the machine does not ask for.
fn served(request: &Request<'_>, booted: &Booted, folder: Folder) -> Option<Served> {
    let Config {
        asked: Asked::ByKernelOption,
        request: question,
        served: Ok(document),
        ..
    } = booted.config(folder)?
    else {
        return None;
    };
    let query = question.split_once('?').map_or("", |(_, query)| query);
    let group = request.snapshot.group(&Labels::from_query(query)).ok()?;
    let file = document.file.as_deref()?;
    let file = file.strip_prefix(folder.name())?.strip_prefix('/')?;
    let by: Vec<&str> = group.require.iter().map(|(key, _)| key).collect();
    Some(Served {
        group: group.name.to_string(),
        by: by.join("+"),
        file: file.to_owned(),
    })
}

/// Gives nodes that have the same name now, which their machines had not, different ones.
pub(super) fn name_apart(nodes: &mut [Node]) {
    let mut taken: HashSet<String> = HashSet::new();
    for node in nodes {
        let mut name = node.name.clone();
        let mut number = 2;
        while !taken.insert(name.clone()) {
            name = format!("{}-{number}", node.name);
            number += 1;
        }
        node.name = name;
    }
}
