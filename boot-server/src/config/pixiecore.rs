//! `[pixiecore]`: who says what machines boot, and where its files are served.

use serde::{Deserialize, Serialize};

/// `[pixiecore]`: as `pixiecore api URL`, or as `pixiecore boot KERNEL` with `[pixiecore.boot]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PixiecoreConfig {
    /// API prefix; `GET <api>/v1/boot/<mac>` is asked. Empty with `[pixiecore.boot]`.
    pub api: String,
    /// Fixed boot for all machines, instead of an API.
    pub boot: Option<FixedBoot>,
    /// Port of Pixiecore's own HTTP server (`/_/ipxe`, `/_/file`, `/_/booting`).
    pub port: u16,
    /// Timeout of an API request, in milliseconds.
    pub api_timeout_ms: u64,
    /// Listen to port 67 without binding it, for a host whose DHCP server does not share the port.
    pub no_bind: bool,
}

/// `[pixiecore.boot]`: one boot for every machine that asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FixedBoot {
    /// The kernel: a file, or an http or https URL.
    pub kernel: String,
    /// Initrds: files, or http or https URLs.
    #[serde(default)]
    pub initrd: Vec<String>,
    /// Kernel options: a Go template, whose `URL "…"` expands to the URL at which machines fetch a file or URL.
    #[serde(default)]
    pub cmdline: String,
    /// Shown by the machine before it boots.
    #[serde(default)]
    pub message: String,
}

impl Default for PixiecoreConfig {
    fn default() -> Self {
        PixiecoreConfig {
            api: String::new(),
            boot: None,
            port: 80,
            api_timeout_ms: 5000,
            no_bind: false,
        }
    }
}
