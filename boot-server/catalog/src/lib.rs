//! Boot settings by machine: labels, groups, specs; loaded from a boot-config data directory.
//!
//! This room knows nothing of the network. The types here are what the other rooms name; loaders
//! live in their own files.

pub mod beneath;
pub mod bootcfg;
pub mod changes;
pub mod check;
pub mod checked;
pub mod cloud_config;
mod environment;
pub mod explain;
pub mod files;
pub mod go_json;
pub mod ignition;
pub mod labels;
pub mod layout;
pub mod load;
mod loader;
pub mod matchbox;
pub mod matching;
pub mod nocloud;
#[cfg(test)]
mod odd_files_tests;
pub mod problem;
pub mod profile;
pub mod raw_text;
pub mod requirements;
pub mod snapshot;
pub mod source;
pub mod stamp;
pub mod template;
mod translations;
pub mod unavailable;
pub mod yaml;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::requirements::Requirements;
use self::snapshot::Refusal;

/// The attributes of a machine: `uuid`, `mac`, `hostname`, `serial`, and any free label.
///
/// Keys keep their case. A value whose key equals `mac` in any case is normalised to lowercase with
/// colons, or dropped when it is not a MAC (bootcfg 0.2.0 and matchbox: `labelsFromRequest`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels(pub BTreeMap<String, String>);

/// Boot settings of a machine: the `boot` object of a profile (bootcfg: spec).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BootSettings {
    /// Kernel URL or path, as written.
    pub kernel: String,
    /// Initrd URLs or paths, in order.
    pub initrd: Vec<String>,
    /// Kernel options, `key=value` or `key`, in order.
    pub options: Vec<String>,
}

/// A group that matched, and the profile it names.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// Name of the group.
    pub group: String,
    /// Requirements of the group, which show the attribute by which a machine matched.
    pub require: Requirements,
    /// Id of the profile.
    pub spec_id: String,
    /// Boot settings, if the profile has any.
    pub boot: Option<Arc<BootSettings>>,
}

/// Answers what a machine boots. Implemented by the loaded data directory; a trait so that the rooms
/// which only ask do not depend on how it is loaded.
pub trait BootCatalog: Send + Sync {
    /// Returns the best matching group and its spec for these labels, or the reason for a refusal.
    ///
    /// # Errors
    /// No group matched, or the spec is missing or broken.
    fn select(&self, labels: &Labels) -> Result<Selection, Refusal>;
}
