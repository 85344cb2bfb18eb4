//! The machines of a site.

use std::collections::BTreeMap;

use boot_server::catalog::Labels;

/// The machines of a site, in the order of their list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Machines; names are unique.
    pub machines: Vec<Machine>,
}

/// One machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// What people call it.
    pub name: String,
    /// Addresses of its network cards, lowercase with colons; the one that boots stands first.
    pub macs: Vec<String>,
    /// SMBIOS UUID, lowercase.
    pub uuid: Option<String>,
    /// SMBIOS serial number.
    pub serial: Option<String>,
    /// Host name that it tells the boot config service.
    pub hostname: Option<String>,
    /// How it boots.
    pub firmware: Firmware,
    /// Memory.
    pub memory_mib: Option<u32>,
    /// Processors.
    pub cpus: Option<u32>,
    /// Sizes of its disks.
    pub disks_gib: Vec<u32>,
    /// Further labels that its requests carry.
    pub labels: BTreeMap<String, String>,
    /// What it is to get, where the list says so.
    pub expect: Expected,
}

/// Firmware of a machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Firmware {
    /// Legacy PXE.
    #[default]
    Bios,
    /// UEFI PXE.
    Uefi,
    /// UEFI HTTP boot.
    UefiHttp,
}

/// What a machine is to get; `None` where the list does not say.
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
    /// The labels that its requests to the boot config service carry.
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
