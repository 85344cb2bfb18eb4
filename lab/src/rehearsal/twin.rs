//! Conversion of an inventory machine into a node, with its expectations.

use std::collections::{BTreeMap, HashSet};

use boot_server_catalog::Labels;
use boot_server_catalog::snapshot::Folder;
use boot_server_proto::mac::MacAddr;
use lab_model::scenario::{
    CheckConsole, Expect, ExpectedHashes, FileExpect, MacError, MatchedBy, Node, SecureBootKeys,
    card_mac, file_path, unit_name,
};
use rollout::expected::ExpectedState;
use rollout::inventory::Machine;
use rollout::plan::{Asked, Booted, Config};
use rollout::site::asset;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Request, write};

/// Memory of a twin if the list gives none, in MiB.
const MEMORY_MIB: u32 = 1024;

/// Minimum memory for today's kernels, in MiB.
const MEMORY_MIB_MIN: u32 = 64;

/// Maximum size of a node's disk, in MiB.
const DISK_MIB_MAX: u32 = 1_048_576;

/// First octets of QEMU's own MAC addresses.
const MAC_PREFIX: [u8; 3] = [0x52, 0x54, 0x00];

/// Node, and the settings of its configs that no check covers.
pub(super) struct Twin {
    pub(super) node: Node,
    pub(super) unproven: Vec<String>,
}

/// Returns the selected machines, each with UUID, MAC and serial number. Real firmware always has these, so
/// missing values are made up before the plan is computed.
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
                twin.macs.push(MacAddr([a, b, c, d, e, f]).to_string());
            }
            twin.serial.get_or_insert_with(|| machine.name.clone());
            twin
        })
        .collect()
}

/// Returns a UUID derived from the name (RFC 9562 §5.8).
fn made_up_uuid(name: &str) -> Uuid {
    let digest = Sha256::digest(name.as_bytes());
    let bytes = digest.first_chunk::<16>().copied().unwrap_or_default();
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// Reasons that a machine has no twin.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoTwin {
    #[error("invalid MAC: {text} ({error})")]
    Mac { text: String, error: MacError },
    #[error("missing MAC")]
    NoMac,
}

/// Builds the twin of a machine from its boot and its expectations; the error explains why it is impossible.
pub(super) fn node(
    request: &Request<'_>,
    machine: &Machine,
    booted: &Booted,
    expected: ExpectedState,
) -> Result<Twin, NoTwin> {
    let mut unproven = expected.unproven.clone();
    let known = request.inventory.machines.iter();
    let mut known = known.filter(|one| one.name == machine.name);
    if let Some(listed) = known.next() {
        unproven.extend(made_up(listed));
    }
    let macs = machine.macs.iter().map(|text| {
        let mac = card_mac(text);
        mac.map_err(|error| NoTwin::Mac {
            text: text.clone(),
            error,
        })
    });
    let macs = macs.collect::<Result<Vec<_>, _>>()?;
    let [mac, further_macs @ ..] = macs.as_slice() else {
        return Err(NoTwin::NoMac);
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
        network: None,
        nics: Vec::new(),
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
        secure_boot: request.keys_of(machine).map(SecureBootKeys::Microsoft),
        dbx: Vec::new(),
        sbat_level: Vec::new(),
        check_console: CheckConsole::default(),
        expect,
    };
    Ok(Twin { node, unproven })
}

/// Returns the size of an empty sparse disk.
fn disk_mib(gib: u32) -> u32 {
    gib.saturating_mul(1024).min(DISK_MIB_MAX)
}

/// Describes the identity values that the list does not give and the twin makes up.
fn made_up(listed: &Machine) -> Vec<String> {
    let lacks = [
        ("UUID", listed.uuid.is_none()),
        ("MAC", listed.macs.is_empty()),
    ];
    lacks
        .into_iter()
        .filter(|(_, is_missing)| *is_missing)
        .map(|(what, _)| format!("{what}: not in the list, made up for the twin"))
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
    // The group that serves the configs may differ from the one that boots the machine.
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
        generic_config: None,
        hostname: expected.hostname,
        kernel_options: expected.kernel_options,
        units_active: checked(expected.units_active, unproven, |unit| {
            unit_name(unit).ok().map(|_| unit.clone())
        }),
        preseed: BTreeMap::new(),
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

/// Returns the expectations that can be checked, and reports the others.
fn checked<T: std::fmt::Debug, C>(
    list: Vec<T>,
    unproven: &mut Vec<String>,
    check: impl Fn(&T) -> Option<C>,
) -> Vec<C> {
    list.into_iter()
        .filter_map(|one| {
            let checked = check(&one);
            if checked.is_none() {
                unproven.push(format!("{one:?}: no check for this form"));
            }
            checked
        })
        .collect()
}

/// Config, and the group that serves it.
struct Served {
    group: String,
    /// Label keys that the group requires, joined by `+`.
    by: String,
    /// File name of the config.
    file: String,
}

/// Returns the config that a group serves; `None` if the machine does not request one.
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

/// Renames nodes whose names became equal by the conversion.
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
