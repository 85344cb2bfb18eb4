//! Versions of bootcfg and matchbox, as far as their answers to machines differ.

use std::fmt;
use std::str::FromStr;

/// Version of a boot config service, in the order of their releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// bootcfg 0.1 and 0.2: `config.yaml` and `specs/`.
    Bootcfg02,
    /// bootcfg 0.3: `groups/` and `profiles/`, with the templates of 0.2.
    Bootcfg03,
    /// bootcfg 0.4: Ignition 2 from configs in YAML.
    Bootcfg04,
    /// matchbox 0.5, called bootcfg before its release.
    Matchbox05,
    /// matchbox 0.6, the last with Pixiecore's API.
    Matchbox06,
    /// matchbox 0.7.
    Matchbox07,
    /// matchbox 0.8.
    Matchbox08,
    /// matchbox 0.9, the last with Container Linux Configs.
    Matchbox09,
    /// matchbox 0.10, the first with Butane.
    Matchbox010,
    /// matchbox 0.11.
    Matchbox011,
}

/// Not the name of a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown version: {0}")]
pub struct UnknownVersion(String);

impl Version {
    /// All versions.
    pub const ALL: [Version; 10] = [
        Version::Bootcfg02,
        Version::Bootcfg03,
        Version::Bootcfg04,
        Version::Matchbox05,
        Version::Matchbox06,
        Version::Matchbox07,
        Version::Matchbox08,
        Version::Matchbox09,
        Version::Matchbox010,
        Version::Matchbox011,
    ];

    /// Returns the name of program and version, as `matchbox-0.9`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Version::Bootcfg02 => "bootcfg-0.2",
            Version::Bootcfg03 => "bootcfg-0.3",
            Version::Bootcfg04 => "bootcfg-0.4",
            Version::Matchbox05 => "matchbox-0.5",
            Version::Matchbox06 => "matchbox-0.6",
            Version::Matchbox07 => "matchbox-0.7",
            Version::Matchbox08 => "matchbox-0.8",
            Version::Matchbox09 => "matchbox-0.9",
            Version::Matchbox010 => "matchbox-0.10",
            Version::Matchbox011 => "matchbox-0.11",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Version {
    type Err = UnknownVersion;

    fn from_str(name: &str) -> Result<Version, UnknownVersion> {
        let version = Version::ALL.into_iter().find(|known| known.name() == name);
        version.ok_or_else(|| UnknownVersion(name.to_owned()))
    }
}
