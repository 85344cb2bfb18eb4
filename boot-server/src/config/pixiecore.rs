//! `[pixiecore]`: whose API is asked, and where its files are served.

use serde::{Deserialize, Serialize};

/// `[pixiecore]`: as `pixiecore api URL`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PixiecoreConfig {
    /// API prefix; `GET <api>/v1/boot/<mac>` is asked.
    pub api: String,
    /// Port of Pixiecore's own HTTP server (`/_/ipxe`, `/_/file`, `/_/booting`).
    #[serde(default = "default_pixiecore_port")]
    pub port: u16,
}

fn default_pixiecore_port() -> u16 {
    80
}
