//! `[boot]`: what machines are sent to, by kind of client.

use serde::{Deserialize, Serialize};

/// `[boot]`: which network boot program each kind of client is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BootConfig {
    /// What BIOS clients run.
    pub bios: BiosLoader,
    /// Also chainload clients whose firmware already is iPXE (a network card's ROM), once.
    pub chainload_ipxe: bool,
    /// NBP for BIOS clients with `bios = "ipxe"`.
    pub bios_nbp: String,
    /// NBP for x64 UEFI clients.
    pub efi_x64_nbp: String,
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
            script_url: None,
        }
    }
}

/// The boot loader that BIOS clients are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BiosLoader {
    /// `undionly.kpxe`, then `boot.ipxe` over HTTP.
    Ipxe,
    /// `pxelinux.0` and `pxelinux.cfg/…`, all by TFTP. iPXE ROMs are given it as well.
    Pxelinux,
}
