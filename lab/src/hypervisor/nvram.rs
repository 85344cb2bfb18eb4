//! Variables of a machine's UEFI firmware before its first boot.

use std::fs;
use std::io;
use std::path::Path;

use uefi_variables::{KeySet, VariableStore};

use crate::doctor::Firmware;
use crate::doctor::gather::firmware_descriptors;

/// Writes variables with these keys to a new file.
///
/// # Errors
/// Fails if no firmware of the host has Microsoft's keys, or a file cannot be read or written.
pub fn make(keys: KeySet, path: &Path) -> io::Result<()> {
    let descriptors = firmware_descriptors();
    let firmware: Vec<Firmware> = descriptors
        .values()
        .filter_map(|text| Firmware::read(text))
        .collect();
    let template = firmware
        .iter()
        .find(|firmware| firmware.enrolled_keys)
        .map(|firmware| Path::new(&firmware.variables));
    let Some(template) = template else {
        let what = "no UEFI firmware with enrolled keys in /usr/share/qemu/firmware (Debian package: ovmf)";
        return Err(io::Error::new(io::ErrorKind::NotFound, what));
    };
    let failed = |error| io::Error::other(format!("{}: {error}", template.display()));
    let image = fs::read(template).map_err(|error| failed(error.to_string()))?;
    let mut store = VariableStore::read(&image).map_err(|error| failed(error.to_string()))?;
    keys.enroll(&mut store);
    let image = store
        .to_image()
        .map_err(|error| failed(error.to_string()))?;
    fs::write(path, image)
}
