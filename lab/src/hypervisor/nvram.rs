//! Variables of a machine's UEFI firmware before its first boot.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use boot_server_proto::mac::MacAddr;
use efi_program::Program;
use lab_model::scenario::{ForbiddenProgram, SecureBootKeys};
use uefi_variables::{
    VariableStore, enroll_only, forbid, set_sbat_level, set_vlan, trust_web_servers_of,
};

use crate::doctor::Firmware;
use crate::doctor::gather::firmware_descriptors;

/// Variables of Debian's package `ovmf` with the key `PkKek-1-snakeoil`.
const SNAKEOIL: &str = "/usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd";

/// Changes of a machine's variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changes<'a> {
    /// Keys of Secure Boot; `None` for a machine without it.
    pub keys: Option<SecureBootKeys>,
    /// Programs that the firmware refuses.
    pub dbx: &'a [ForbiddenProgram],
    /// Lines of shim's variable `SbatLevel`; empty to leave it out.
    pub sbat_level: &'a [String],
    /// Card whose frames the firmware tags, and their VLAN.
    pub vlan: Option<(MacAddr, u16)>,
    /// Certificate, in DER, of the authority whose web servers the firmware trusts.
    pub authority: Option<&'a Path>,
}

impl Changes<'_> {
    /// True if libvirt's template has these variables.
    #[must_use]
    pub fn is_none(self) -> bool {
        let is_usual = self
            .keys
            .is_none_or(|keys| keys == SecureBootKeys::default());
        is_usual
            && self.dbx.is_empty()
            && self.sbat_level.is_empty()
            && self.vlan.is_none()
            && self.authority.is_none()
    }
}

/// Returns the certificate that is enrolled with `secure_boot = "own"`, in DER, in the folder of a cell.
#[must_use]
pub fn own_certificate(cell: &Path) -> PathBuf {
    cell.join("own.der")
}

/// Writes changed variables to a new file, from `template` or, without it, from the variables of the host's firmware; `own` is the certificate of [`own_certificate`].
///
/// # Errors
/// Fails if no firmware of the host has such keys, or a file cannot be read or written.
pub fn make(
    changes: Changes<'_>,
    template: Option<&Path>,
    own: &Path,
    path: &Path,
) -> io::Result<()> {
    let template = match template {
        Some(template) => template.to_owned(),
        None => usual_template(changes.keys)?,
    };
    let image = read(&template)?;
    let mut store = VariableStore::read(&image).map_err(|error| failed(&template, error))?;
    match changes.keys {
        Some(SecureBootKeys::Microsoft(keys)) => keys.enroll(&mut store),
        Some(SecureBootKeys::Own) => enroll_only(&mut store, &read(own)?),
        Some(SecureBootKeys::Snakeoil) | None => {}
    }
    for program in changes.dbx {
        let hash = match program {
            ForbiddenProgram::Hash(hash) => *hash,
            ForbiddenProgram::File(file) => {
                let program = Program::read(&read(file)?).map_err(|error| failed(file, error))?;
                program.sha256
            }
        };
        forbid(&mut store, hash);
    }
    if !changes.sbat_level.is_empty() {
        let lines = changes.sbat_level.iter();
        let lines: String = lines.map(|line| format!("{line}\n")).collect();
        set_sbat_level(&mut store, &lines);
    }
    if let Some((mac, vlan)) = changes.vlan {
        set_vlan(&mut store, mac.0, vlan);
    }
    if let Some(authority) = changes.authority {
        trust_web_servers_of(&mut store, &[&read(authority)?]);
    }
    let image = store.to_image().map_err(|error| failed(&template, error))?;
    fs::write(path, image)
}

/// Returns the variables to change: as libvirt chooses, with keys only for Secure Boot, and of firmware that cannot enforce
/// it without.
fn usual_template(keys: Option<SecureBootKeys>) -> io::Result<PathBuf> {
    if keys == Some(SecureBootKeys::Snakeoil) {
        return Ok(SNAKEOIL.into());
    }
    let descriptors = firmware_descriptors();
    let mut firmware = descriptors.values().filter_map(|text| Firmware::read(text));
    let template = firmware.find(|firmware| match keys {
        Some(_) => firmware.enrolled_keys,
        None => !firmware.secure_boot,
    });
    template
        .map(|one| PathBuf::from(one.variables))
        .ok_or_else(|| {
            let what = match keys {
                Some(_) => "no UEFI firmware with enrolled keys",
                None => "no UEFI firmware without Secure Boot",
            };
            let what = format!("{what} in /usr/share/qemu/firmware (Debian package: ovmf)");
            io::Error::new(io::ErrorKind::NotFound, what)
        })
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path).map_err(|error| failed(path, error))
}

fn failed(path: &Path, error: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {error}", path.display()))
}
