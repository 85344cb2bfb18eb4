//! Variables of a machine's UEFI firmware before its first boot.

use std::fs;
use std::io;
use std::path::Path;

use boot_server_proto::mac::MacAddr;
use uefi_variables::{KeySet, VariableStore, set_vlan};

use crate::doctor::Firmware;
use crate::doctor::gather::firmware_descriptors;

/// Changes of a machine's variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changes {
    /// Keys of Secure Boot; `None` for a machine without it.
    pub keys: Option<KeySet>,
    /// Card whose frames the firmware tags, and their VLAN.
    pub vlan: Option<(MacAddr, u16)>,
}

impl Changes {
    /// True if libvirt's template has these variables.
    #[must_use]
    pub fn is_none(self) -> bool {
        matches!(self.keys, None | Some(KeySet::Microsoft2011)) && self.vlan.is_none()
    }
}

/// Writes changed variables to a new file.
///
/// # Errors
/// Fails if no firmware of the host has Microsoft's keys, or a file cannot be read or written.
pub fn make(changes: Changes, path: &Path) -> io::Result<()> {
    let descriptors = firmware_descriptors();
    let firmware: Vec<Firmware> = descriptors
        .values()
        .filter_map(|text| Firmware::read(text))
        .collect();
    // As libvirt chooses: keys only with Secure Boot, and firmware that cannot enforce it without.
    let suits = |firmware: &&Firmware| match changes.keys {
        Some(_) => firmware.enrolled_keys,
        None => !firmware.secure_boot,
    };
    let template = firmware.iter().find(suits);
    let template = template.map(|firmware| Path::new(&firmware.variables));
    let Some(template) = template else {
        let what = match changes.keys {
            Some(_) => "no UEFI firmware with enrolled keys",
            None => "no UEFI firmware without Secure Boot",
        };
        let what = format!("{what} in /usr/share/qemu/firmware (Debian package: ovmf)");
        return Err(io::Error::new(io::ErrorKind::NotFound, what));
    };
    let failed = |error| io::Error::other(format!("{}: {error}", template.display()));
    let image = fs::read(template).map_err(|error| failed(error.to_string()))?;
    let mut store = VariableStore::read(&image).map_err(|error| failed(error.to_string()))?;
    if let Some(keys) = changes.keys {
        keys.enroll(&mut store);
    }
    if let Some((mac, vlan)) = changes.vlan {
        set_vlan(&mut store, mac.0, vlan);
    }
    let image = store
        .to_image()
        .map_err(|error| failed(error.to_string()))?;
    fs::write(path, image)
}
