//! Reasons that profiles and configs of a data directory cannot be used.

use super::cloud_config::InvalidUserData;
use super::files::Unreadable;
use super::ignition::InvalidIgnition;
use super::nocloud::InvalidCloudInitData;
use super::template::InvalidTemplate;
use boot_server_proto::json::InvalidJson;

/// Reasons that a profile cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// Its file cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// Its file is not a profile.
    #[error("{file}: {error}")]
    Invalid {
        /// Path of the file, relative to the data directory.
        file: String,
        /// Mistake in the file.
        error: InvalidJson,
    },
}

/// A profile without which a machine is not served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word} `{id}`: {error}")]
pub struct NoProfile {
    /// Word of the layout for a profile.
    pub word: &'static str,
    /// Id of the profile.
    pub id: String,
    /// Reason that the profile cannot be used.
    pub error: ProfileError,
}

/// Reasons that a config cannot be used, whatever the machine.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConfigError {
    /// Its file cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// Its file is not an Ignition config.
    #[error("{file}: {error}")]
    Ignition {
        /// Path of the file, relative to the data directory.
        file: String,
        /// Mistake in the file.
        error: InvalidIgnition,
    },
    /// Its file is not a template.
    #[error("{file}: {error}")]
    Template {
        /// Path of the file, relative to the data directory.
        file: String,
        /// Mistake in the file.
        error: InvalidTemplate,
    },
}

/// A rendered text that is not what its folder is for.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum InvalidConfig {
    #[error(transparent)]
    Cloud(#[from] InvalidUserData),
    #[error(transparent)]
    CloudInit(#[from] InvalidCloudInitData),
    #[error(transparent)]
    Ignition(#[from] InvalidIgnition),
}

impl InvalidConfig {
    /// Returns line and column in the rendered text.
    pub(super) fn place(&self) -> Option<(usize, usize)> {
        match self {
            InvalidConfig::Cloud(error) => error.place(),
            InvalidConfig::CloudInit(error) => Some(error.place()),
            InvalidConfig::Ignition(error) => error.place(),
        }
    }
}

/// A config whose rendered text is not what its folder is for.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{file}, rendered: {error}")]
pub(super) struct InvalidRendered {
    /// Path of the config, relative to the data directory.
    pub(super) file: String,
    pub(super) error: InvalidConfig,
}
