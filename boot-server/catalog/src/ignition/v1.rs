//! Ignition config version 1: its shape in JSON and YAML, and the JSON that the reference writes.
//!
//! Source: the configuration documents of Ignition 0.2 (2016). Keys are camelCase in JSON and
//! snake_case in YAML; unknown keys are dropped, empty values left out.

use boot_server_proto::json::{self, InvalidJson};
use serde::{Deserialize, Serialize};

use super::InvalidIgnition;
use crate::go_json;
use crate::yaml::{self, DuplicateKeys};

/// Bytes of a sector, the unit of partition dimensions in JSON.
const SECTOR_BYTES: u64 = 512;
/// Partitions written in YAML are moved to a 1 MiB boundary, in sectors.
const ALIGNMENT_SECTORS: u64 = 2048;

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Config {
    #[serde(rename = "ignitionVersion", alias = "ignition_version", default)]
    version: u32,
    #[serde(default)]
    storage: Storage,
    #[serde(default)]
    systemd: Systemd,
    #[serde(default)]
    networkd: Networkd,
    #[serde(default)]
    passwd: Passwd,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Storage {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    disks: Vec<Disk>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    raid: Vec<Raid>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    filesystems: Vec<Filesystem>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Disk {
    #[serde(skip_serializing_if = "is_default")]
    device: String,
    #[serde(
        rename = "wipeTable",
        alias = "wipe_table",
        skip_serializing_if = "is_default"
    )]
    wipe_table: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    partitions: Vec<Partition>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Partition {
    #[serde(skip_serializing_if = "is_default")]
    label: String,
    number: i64,
    size: Dimension,
    start: Dimension,
    #[serde(
        rename = "typeGuid",
        alias = "type_guid",
        skip_serializing_if = "is_default"
    )]
    type_guid: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Dimension {
    Number(u64),
    Text(String),
}

impl Default for Dimension {
    fn default() -> Self {
        Dimension::Number(0)
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Raid {
    name: String,
    level: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    devices: Vec<String>,
    #[serde(skip_serializing_if = "is_default")]
    spares: i64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Filesystem {
    #[serde(skip_serializing_if = "is_default")]
    device: String,
    #[serde(skip_serializing_if = "is_default")]
    format: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    create: Option<FilesystemCreate>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<File>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct FilesystemCreate {
    #[serde(skip_serializing_if = "is_default")]
    force: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    options: Vec<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct File {
    #[serde(skip_serializing_if = "is_default")]
    path: String,
    #[serde(skip_serializing_if = "is_default")]
    contents: String,
    #[serde(skip_serializing_if = "is_default")]
    mode: u32,
    #[serde(skip_serializing_if = "is_default")]
    uid: i64,
    #[serde(skip_serializing_if = "is_default")]
    gid: i64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Systemd {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    units: Vec<SystemdUnit>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct SystemdUnit {
    #[serde(skip_serializing_if = "is_default")]
    name: String,
    #[serde(skip_serializing_if = "is_default")]
    enable: bool,
    #[serde(skip_serializing_if = "is_default")]
    mask: bool,
    #[serde(skip_serializing_if = "is_default")]
    contents: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dropins: Vec<NamedContents>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct NamedContents {
    #[serde(skip_serializing_if = "is_default")]
    name: String,
    #[serde(skip_serializing_if = "is_default")]
    contents: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Networkd {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    units: Vec<NamedContents>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Passwd {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    users: Vec<User>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<Group>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct User {
    #[serde(skip_serializing_if = "is_default")]
    name: String,
    #[serde(
        rename = "passwordHash",
        alias = "password_hash",
        skip_serializing_if = "is_default"
    )]
    password_hash: String,
    #[serde(
        rename = "sshAuthorizedKeys",
        alias = "ssh_authorized_keys",
        skip_serializing_if = "Vec::is_empty"
    )]
    ssh_authorized_keys: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    create: Option<UserCreate>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct UserCreate {
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    #[serde(skip_serializing_if = "is_default")]
    gecos: String,
    #[serde(
        rename = "homeDir",
        alias = "home_dir",
        skip_serializing_if = "is_default"
    )]
    home_dir: String,
    #[serde(
        rename = "noCreateHome",
        alias = "no_create_home",
        skip_serializing_if = "is_default"
    )]
    no_create_home: bool,
    #[serde(
        rename = "primaryGroup",
        alias = "primary_group",
        skip_serializing_if = "is_default"
    )]
    primary_group: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
    #[serde(
        rename = "noUserGroup",
        alias = "no_user_group",
        skip_serializing_if = "is_default"
    )]
    no_user_group: bool,
    #[serde(skip_serializing_if = "is_default")]
    system: bool,
    #[serde(
        rename = "noLogInit",
        alias = "no_log_init",
        skip_serializing_if = "is_default"
    )]
    no_log_init: bool,
    #[serde(skip_serializing_if = "is_default")]
    shell: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Group {
    #[serde(skip_serializing_if = "is_default")]
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    gid: Option<u32>,
    #[serde(
        rename = "passwordHash",
        alias = "password_hash",
        skip_serializing_if = "is_default"
    )]
    password_hash: String,
    #[serde(skip_serializing_if = "is_default")]
    system: bool,
}

/// Reads JSON, where partition dimensions are sectors.
pub(super) fn from_json(text: &str) -> Result<Config, InvalidIgnition> {
    // No key of JSON has an underscore: those names are YAML's.
    let mut config: Config = json::from_str_by(text, |name| !name.contains('_'))?;
    config.settle(|dimension| match dimension {
        Dimension::Number(sectors) => Some(*sectors),
        Dimension::Text(_) => None,
    })?;
    Ok(config)
}

/// Reads YAML, where partition dimensions have a unit, and aligns where partitions start.
pub(super) fn from_yaml(text: &str) -> Result<Config, InvalidIgnition> {
    let mut config: Config = yaml::parse(text, DuplicateKeys::LastCounts)?;
    config.settle(|dimension| match dimension {
        Dimension::Number(0) => Some(0),
        Dimension::Number(_) => None,
        Dimension::Text(text) => Some(parse_bytes(text)?.div_ceil(SECTOR_BYTES)),
    })?;
    let partitions = config
        .storage
        .disks
        .iter_mut()
        .flat_map(|d| &mut d.partitions);
    for partition in partitions {
        if let Dimension::Number(start @ 1..) = &mut partition.start {
            *start = (*start).max(ALIGNMENT_SECTORS) / ALIGNMENT_SECTORS * ALIGNMENT_SECTORS;
        }
    }
    Ok(config)
}

impl Config {
    fn settle(&mut self, sectors: fn(&Dimension) -> Option<u64>) -> Result<(), InvalidIgnition> {
        if self.version != 1 {
            return Err(InvalidIgnition::Version);
        }
        for partition in self
            .storage
            .disks
            .iter_mut()
            .flat_map(|d| &mut d.partitions)
        {
            for dimension in [&mut partition.size, &mut partition.start] {
                *dimension = Dimension::Number(sectors(dimension).ok_or_else(|| {
                    InvalidIgnition::Dimension {
                        label: partition.label.clone(),
                        value: match dimension {
                            Dimension::Number(number) => number.to_string(),
                            Dimension::Text(text) => format!("`{text}`"),
                        },
                    }
                })?);
            }
        }
        Ok(())
    }

    pub(super) fn to_json(&self) -> Result<String, InvalidIgnition> {
        Ok(go_json::to_string(self).map_err(InvalidJson::from)?)
    }
}

/// Returns the bytes of `10GiB`, `512MB`, `4K…` – all in steps of 1024, as the reference's library counts.
fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let power = match unit {
        "" if number == 0 => 0,
        "B" => 0,
        "KB" | "KiB" => 1,
        "MB" | "MiB" => 2,
        "GB" | "GiB" => 3,
        "TB" | "TiB" => 4,
        _ => return None,
    };
    number.checked_mul(1024u64.pow(power))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_sizes_become_aligned_sectors() {
        let yaml = "ignition_version: 1\nstorage:\n  disks:\n    - device: /dev/sda\n      \
                    partitions:\n        - {label: A, number: 1, size: 1GiB, start: 3MB}\n        \
                    - {label: B, number: 2, start: 10B, size: 0}\n";
        assert_eq!(
            from_yaml(yaml).unwrap().to_json().unwrap(),
            r#"{"ignitionVersion":1,"storage":{"disks":[{"device":"/dev/sda","partitions":[{"label":"A","number":1,"size":2097152,"start":6144},{"label":"B","number":2,"size":0,"start":2048}]}]},"systemd":{},"networkd":{},"passwd":{}}"#
        );
    }

    #[test]
    fn a_size_without_a_unit_is_refused_in_yaml_and_one_with_a_unit_in_json() {
        let yaml = "ignition_version: 1\nstorage: {disks: [{partitions: [{size: 5}]}]}\n";
        assert!(matches!(
            from_yaml(yaml),
            Err(InvalidIgnition::Dimension { .. })
        ));
        let json =
            r#"{"ignitionVersion":1,"storage":{"disks":[{"partitions":[{"size":"1GiB"}]}]}}"#;
        assert!(matches!(
            from_json(json),
            Err(InvalidIgnition::Dimension { .. })
        ));
    }

    #[test]
    fn yaml_modes_are_octal_and_unknown_keys_are_dropped() {
        let yaml = "ignition_version: 1\nnonsense: 1\nstorage:\n  filesystems:\n    - device: \
                    /dev/sda9\n      format: ext4\n      create: {force: true}\n      files: \
                    [{path: /etc/x, mode: 0644, contents: hi}]\n";
        let json = from_yaml(yaml).unwrap().to_json().unwrap();
        assert!(
            json.contains(
                r#"{"device":"/dev/sda9","format":"ext4","create":{"force":true},"files":[{"path":"/etc/x","contents":"hi","mode":420}]}"#
            ),
            "{json}"
        );
    }
}
