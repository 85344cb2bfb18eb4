//! `[boot]`: what machines are sent to, by kind of client.

use serde::{Deserialize, Serialize};

/// Value of `efi_x64_nbp` and `efi_arm64_nbp` for shim, which starts a signed GRUB, as Secure Boot requires.
pub const SHIM: &str = "shim";
/// Folder of shim and of everything that shim loads, by TFTP and below `/nbp/`.
pub const SHIM_FOLDER: &str = "secureboot";
/// shim for x64, under the name that UEFI gives boot programs on removable media.
const SHIM_X64_NBP: &str = "secureboot/bootx64.efi";
/// shim for 64-bit ARM.
const SHIM_ARM64_NBP: &str = "secureboot/bootaa64.efi";

/// `[boot]`: which network boot program each kind of client is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BootConfig {
    /// Boot loader of BIOS clients.
    pub bios: BiosLoader,
    /// Also chainload clients whose firmware already is iPXE (a network card's ROM), once.
    pub chainload_ipxe: bool,
    /// NBP for BIOS clients with `bios = "ipxe"`.
    pub bios_nbp: String,
    /// NBP for x64 UEFI clients: a file name, or `shim` for the signed shim and GRUB of Debian's packages.
    pub efi_x64_nbp: String,
    /// NBP for 32-bit x86 UEFI clients. Debian's package `ipxe` has none for these and the next
    /// ones: without a setting they are told nothing.
    pub efi_ia32_nbp: Option<String>,
    /// NBP for 32-bit ARM UEFI clients.
    pub efi_arm32_nbp: Option<String>,
    /// NBP for 64-bit ARM UEFI clients; `shim` as with `efi_x64_nbp`.
    pub efi_arm64_nbp: Option<String>,
    /// NBP for 32-bit RISC-V UEFI clients.
    pub efi_riscv32_nbp: Option<String>,
    /// NBP for 64-bit RISC-V UEFI clients.
    pub efi_riscv64_nbp: Option<String>,
    /// Boot file name announced to Raspberry Pis. Their boot loader requests files of its own choice, but only
    /// from a server that announces one. Empty: nothing is announced.
    pub raspberry_pi_nbp: String,
    /// Says `PXEClient` (option 60) in the offers of `[dhcp]` too, with the discovery control that has
    /// clients use the boot file. For firmware that takes no offer without; some firmware ignores the
    /// boot file of an offer with it.
    pub pxe_vendor_class: bool,
    /// Script given to iPXE: a URL; `http://<address>:<http port>/boot.ipxe` when absent.
    pub script_url: Option<String>,
}

impl Default for BootConfig {
    fn default() -> Self {
        BootConfig {
            bios: BiosLoader::Ipxe,
            chainload_ipxe: false,
            bios_nbp: "undionly.kpxe".into(),
            efi_x64_nbp: "ipxe.efi".into(),
            efi_ia32_nbp: None,
            efi_arm32_nbp: None,
            efi_arm64_nbp: None,
            efi_riscv32_nbp: None,
            efi_riscv64_nbp: None,
            raspberry_pi_nbp: "bootcode.bin".into(),
            pxe_vendor_class: false,
            script_url: None,
        }
    }
}

/// The boot loader that BIOS clients are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BiosLoader {
    /// `undionly.kpxe`, then `boot.ipxe` over HTTP.
    Ipxe,
    /// `pxelinux.0` and `pxelinux.cfg/…`, all by TFTP. iPXE ROMs are given it as well.
    Pxelinux,
}

impl BootConfig {
    /// Returns every NBP that may be sent, for telling their downloads from others.
    pub fn nbps(&self) -> impl Iterator<Item = &str> {
        let optional = [
            &self.efi_ia32_nbp,
            &self.efi_arm32_nbp,
            &self.efi_riscv32_nbp,
            &self.efi_riscv64_nbp,
        ];
        [self.bios_nbp.as_str(), self.efi_x64_file()]
            .into_iter()
            .chain(optional.into_iter().flatten().map(String::as_str))
            .chain(self.efi_arm64_file())
    }

    /// Returns the file name of the NBP for x64 UEFI clients.
    #[must_use]
    pub fn efi_x64_file(&self) -> &str {
        match self.efi_x64_nbp.as_str() {
            SHIM => SHIM_X64_NBP,
            file => file,
        }
    }

    /// Returns the file name of the NBP for 64-bit ARM UEFI clients, if they get any.
    #[must_use]
    pub fn efi_arm64_file(&self) -> Option<&str> {
        match self.efi_arm64_nbp.as_deref() {
            Some(SHIM) => Some(SHIM_ARM64_NBP),
            file => file,
        }
    }
}
