//! Layout of a data directory, and its folders of configs.

use std::sync::Arc;

use boot_server_proto::ipxe::{self, Dialect, Platform};

use super::profile::Profile;
use super::template::MissingKey;
use super::{BootSettings, Labels};

/// Layout of a data directory, which also decides the program whose responses are reproduced.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// bootcfg 0.1 and 0.2: `config.yaml`, `specs/<id>/spec.json`, `cloud/`, `ignition/`.
    #[default]
    Bootcfg,
    /// bootcfg 0.3 and matchbox: `groups/<id>.json`, `profiles/<id>.json`, `cloud/`, `ignition/`,
    /// `generic/`.
    Matchbox,
}

impl Layout {
    /// Returns the layout's word for a profile.
    pub fn profile_word(self) -> &'static str {
        match self {
            Layout::Bootcfg => "spec",
            Layout::Matchbox => "profile",
        }
    }

    /// Returns the file of a profile.
    pub fn profile_file(self, id: &str) -> String {
        match self {
            Layout::Bootcfg => format!("specs/{id}/spec.json"),
            Layout::Matchbox => format!("profiles/{id}.json"),
        }
    }

    /// Returns the program whose iPXE script text is reproduced.
    pub fn dialect(self) -> Dialect {
        match self {
            Layout::Bootcfg => Dialect::Bootcfg,
            Layout::Matchbox => Dialect::Matchbox,
        }
    }

    /// Returns the iPXE script by which a machine with these labels boots.
    pub fn ipxe_script(self, boot: &BootSettings, labels: &Labels) -> String {
        let platform = Platform::from_label(labels.value("platform"));
        let BootSettings {
            kernel,
            initrd,
            options,
        } = boot;
        ipxe::render(kernel, initrd, options, platform, self.dialect())
    }

    /// Returns the handling of a missing key in a template.
    pub(super) fn missing_key(self) -> MissingKey {
        match self {
            Layout::Bootcfg => MissingKey::NoValue,
            Layout::Matchbox => MissingKey::Error,
        }
    }
}

/// The folders of configs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Folder {
    /// cloud-configs and scripts.
    Cloud,
    /// Ignition configs, in `ignition/`.
    Ignition,
    /// Generic templates, in `generic/`.
    Generic,
}

impl Folder {
    /// All of them.
    pub const ALL: [Folder; 3] = [Folder::Cloud, Folder::Ignition, Folder::Generic];

    /// Returns the folder name.
    pub fn name(self) -> &'static str {
        match self {
            Folder::Cloud => "cloud",
            Folder::Ignition => "ignition",
            Folder::Generic => "generic",
        }
    }

    /// Returns the key of profiles that names files in it.
    pub fn key(self) -> &'static str {
        match self {
            Folder::Cloud => "cloud_id",
            Folder::Ignition => "ignition_id",
            Folder::Generic => "generic_id",
        }
    }

    /// Returns the file in it that a profile names.
    pub fn file(self, profile: &Profile) -> Option<&Arc<str>> {
        match self {
            Folder::Cloud => profile.cloud_id.as_ref(),
            Folder::Ignition => profile.ignition_id.as_ref(),
            Folder::Generic => profile.generic_id.as_ref(),
        }
    }
}
