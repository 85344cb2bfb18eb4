//! The form of a catalog file, as TOML has it; nothing is checked here but names and types of keys.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

/// A catalog file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireFile {
    /// Tables `[image.NAME]` by name.
    #[serde(default)]
    pub(super) image: BTreeMap<Spanned<String>, WireImage>,
    /// Tables `[override.NAME]` by name.
    #[serde(default, rename = "override")]
    pub(super) overrides: BTreeMap<Spanned<String>, WireOverride>,
}

/// `[override.NAME]`: another mirror or key for an image of the catalog.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireOverride {
    pub(super) mirror: Option<Spanned<String>>,
    pub(super) key: Option<PathBuf>,
    pub(super) fingerprints: Option<Vec<Spanned<String>>>,
}

/// `[image.NAME]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireImage {
    pub(super) summary: Option<String>,
    pub(super) family: Spanned<String>,
    pub(super) layout: Option<Spanned<String>>,
    pub(super) url: Option<Spanned<String>>,
    pub(super) release_url: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) needs_mirror: bool,
    pub(super) mirror: Option<Spanned<String>>,
    pub(super) version_key: Option<String>,
    pub(super) package: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) channels: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) architectures: Vec<Spanned<String>>,
    pub(super) version: Option<Spanned<String>>,
    pub(super) key: Option<PathBuf>,
    pub(super) shipped_key: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) fingerprints: Vec<Spanned<String>>,
    pub(super) expired_key: Option<Spanned<String>>,
    pub(super) console: Option<String>,
    pub(super) autologin: Option<String>,
    pub(super) memory_mib: Option<Spanned<u32>>,
    #[serde(default)]
    pub(super) kernel_options: Vec<String>,
    #[serde(default)]
    pub(super) file: Vec<Spanned<WireImageFile>>,
}

/// `[[image.NAME.file]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireImageFile {
    pub(super) role: Spanned<String>,
    pub(super) name: Option<Spanned<String>>,
    pub(super) url: Option<Spanned<String>>,
    pub(super) path: Option<PathBuf>,
    pub(super) signature: Option<Spanned<String>>,
    pub(super) digests: Option<Spanned<String>>,
    pub(super) sha256: Option<Spanned<String>>,
    pub(super) sha512: Option<Spanned<String>>,
}
