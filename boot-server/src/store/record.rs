//! Groups and profiles between their messages and their files.
//!
//! Files are read as Go reads them, and written byte for byte as matchbox writes them.

use std::collections::BTreeMap;

use boot_server_catalog::labels::normal_mac;
use boot_server_proto::json::{self, InvalidJson};
use boot_server_rpc::storagepb::{Group, NetBoot, Profile};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::go_text::{Fields, compact};

/// Reasons that a message or a file is no group or profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRecord {
    /// A group without its profile.
    #[error("missing `profile` in group `{0}`")]
    NoProfile(String),
    /// A profile without its id.
    #[error("missing `id` in the profile")]
    NoId,
    /// A selector `mac` that is no MAC.
    #[error("invalid MAC in group `{group}`: `{mac}`")]
    Mac {
        /// Id of the group.
        group: String,
        /// The selector's value.
        mac: String,
    },
    /// Metadata that is no JSON object.
    #[error("invalid metadata of group `{group}`: {error}")]
    Metadata {
        /// Id of the group.
        group: String,
        /// Mistake in the JSON.
        error: InvalidJson,
    },
    /// Text that is not JSON, or no group or profile.
    #[error("{0}")]
    Json(#[from] InvalidJson),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct GroupFile {
    id: String,
    name: String,
    profile: String,
    selector: BTreeMap<String, String>,
    metadata: Map<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ProfileFile {
    id: String,
    name: String,
    ignition_id: String,
    cloud_id: String,
    boot: Option<BootFile>,
    generic_id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct BootFile {
    kernel: String,
    initrd: Vec<String>,
    args: Vec<String>,
}

/// Returns the file of a group.
///
/// # Errors
/// The group has no profile, or its metadata is no JSON object.
pub fn group_to_text(group: &Group) -> Result<String, InvalidRecord> {
    if group.profile.is_empty() {
        return Err(InvalidRecord::NoProfile(group.id.clone()));
    }
    let metadata = match group.metadata.is_empty() {
        true => Map::new(),
        false => {
            let text = String::from_utf8_lossy(&group.metadata);
            let read = json::from_str::<Option<Map<String, Value>>>(&text);
            let wrong = |error| InvalidRecord::Metadata {
                group: group.id.clone(),
                error,
            };
            read.map_err(wrong)?.unwrap_or_default()
        }
    };
    let selector: Map<String, Value> = group
        .selector
        .iter()
        .map(|(key, value)| (key.clone(), Value::from(value.as_str())))
        .collect();
    let fields = Fields::default()
        .with("id", group.id.as_str())
        .with("name", group.name.as_str())
        .with("profile", group.profile.as_str())
        .with("selector", selector)
        .with("metadata", metadata);
    Ok(fields.indented())
}

/// Reads a group's file. MACs that it requires get their normal form.
///
/// # Errors
/// [`InvalidRecord`]; a group without a profile is read.
pub fn group_from_text(text: &str) -> Result<Group, InvalidRecord> {
    let file: GroupFile = json::from_str(text)?;
    let mut selector = BTreeMap::new();
    for (key, value) in file.selector {
        let value = match key.eq_ignore_ascii_case("mac") {
            true => normal_mac(&value).ok_or_else(|| InvalidRecord::Mac {
                group: file.id.clone(),
                mac: value,
            })?,
            false => value,
        };
        selector.insert(key, value);
    }
    let metadata = match file.metadata.is_empty() {
        true => Vec::new(),
        false => compact(&file.metadata.into()).into_bytes(),
    };
    Ok(Group {
        id: file.id,
        name: file.name,
        profile: file.profile,
        selector,
        metadata,
    })
}

/// Returns the file of a profile.
///
/// # Errors
/// The profile has no id.
pub fn profile_to_text(profile: &Profile) -> Result<String, InvalidRecord> {
    if profile.id.is_empty() {
        return Err(InvalidRecord::NoId);
    }
    let boot = profile.boot.as_ref().map(|boot| {
        Fields::default()
            .with("kernel", boot.kernel.as_str())
            .with("initrd", boot.initrd.clone())
            .with("args", boot.args.clone())
    });
    let fields = Fields::default()
        .with("id", profile.id.as_str())
        .with("name", profile.name.as_str())
        .with("ignition_id", profile.ignition_id.as_str())
        .with("cloud_id", profile.cloud_id.as_str())
        .with_fields("boot", boot)
        .with("generic_id", profile.generic_id.as_str());
    Ok(fields.indented())
}

/// Reads a profile's file.
///
/// # Errors
/// The text is no profile, or has no id.
pub fn profile_from_text(text: &str) -> Result<Profile, InvalidRecord> {
    let file: ProfileFile = json::from_str(text)?;
    if file.id.is_empty() {
        return Err(InvalidRecord::NoId);
    }
    Ok(Profile {
        id: file.id,
        name: file.name,
        ignition_id: file.ignition_id,
        cloud_id: file.cloud_id,
        boot: file.boot.map(|boot| NetBoot {
            kernel: boot.kernel,
            initrd: boot.initrd,
            args: boot.args,
        }),
        generic_id: file.generic_id,
    })
}
