//! The machines of a site: their list, in four languages, and what it can be imported from.
//!
//! `source` reads a language into a tree with places, `check` makes machines of it and tells every mistake;
//! `write` is the way back. `import` reads what people have instead of a list.

mod check;
pub mod import;
pub mod read;
pub mod schema;
mod seen;
mod source;
mod value;
pub mod write;

use std::collections::BTreeMap;

use boot_server_catalog::Labels;
use boot_server_proto::firmware::Firmware;
use uefi_variables::KeySet;

/// The machines of a site, in the order of their list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Machines; names are unique.
    pub machines: Vec<Machine>,
}

/// Machine of the inventory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// Name of the machine.
    pub name: String,
    /// MACs of its network cards, lowercase with colons; the boot card comes first.
    pub macs: Vec<String>,
    /// SMBIOS UUID, lowercase.
    pub uuid: Option<String>,
    /// SMBIOS serial number.
    pub serial: Option<String>,
    /// Host name that it tells the boot config service.
    pub hostname: Option<String>,
    /// Firmware that boots the machine.
    pub firmware: Firmware,
    /// Keys of its firmware, if that enforces Secure Boot.
    pub secure_boot: Option<KeySet>,
    /// Memory in MiB.
    pub memory_mib: Option<u32>,
    /// Number of processors.
    pub cpus: Option<u32>,
    /// Sizes of its disks.
    pub disks_gib: Vec<u32>,
    /// Further labels that its requests carry.
    pub labels: BTreeMap<String, String>,
    /// Expected boot, where the list states it.
    pub expect: Expected,
}

/// A language that lists of machines are written in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// TOML, with tables `[[machines]]`.
    #[default]
    Toml,
    /// YAML, with a list `machines`.
    Yaml,
    /// JSON, with an array `machines`.
    Json,
    /// CSV with a header.
    Csv,
}

impl Format {
    /// Returns the format by a file's extension.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Format> {
        match name {
            "toml" => Some(Format::Toml),
            "yaml" | "yml" => Some(Format::Yaml),
            "json" => Some(Format::Json),
            "csv" => Some(Format::Csv),
            _ => None,
        }
    }
}

/// Expected boot of a machine; `None` where the list does not state it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// Id of the spec or profile.
    pub profile: Option<String>,
    /// Name of its cloud-config, below `cloud/`.
    pub cloud_config: Option<String>,
    /// Name of its Ignition config, below `ignition/`.
    pub ignition: Option<String>,
}

impl Machine {
    /// Returns the labels that its requests to the boot config service carry.
    #[must_use]
    pub fn request_labels(&self) -> Labels {
        let mut labels = self.labels.clone();
        let mut add = |key: &str, value: Option<&String>| {
            if let Some(value) = value {
                labels.insert(key.to_owned(), value.clone());
            }
        };
        add("mac", self.macs.first());
        add("uuid", self.uuid.as_ref());
        add("serial", self.serial.as_ref());
        add("hostname", self.hostname.as_ref());
        Labels(labels)
    }
}
