//! `[tftp]`: what is served by TFTP.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[tftp]`: what TFTP serves beside the rendered `pxelinux.cfg/…`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TftpConfig {
    /// Folders searched in order; Debian's NBP folders (`/usr/lib/ipxe`, `/usr/lib/PXELINUX`,
    /// `/usr/lib/syslinux/modules/bios`) are searched after them. `assets/…` is the HTTP assets folder.
    pub roots: Vec<PathBuf>,
}
