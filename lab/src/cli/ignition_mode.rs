//! `--ignition`: treatment of Butane and Container Linux Configs, as `[http] ignition` of the boot server has it.

use boot_server_catalog::ignition::IgnitionMode;
use clap::ValueEnum;

/// Values of `--ignition`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum IgnitionName {
    /// Container Linux Configs, as matchbox 0.9
    #[value(name = "as-0.9")]
    AsMatchbox09,
    /// Butane, as matchbox 0.11
    #[value(name = "as-0.11")]
    AsMatchbox011,
    /// Butane, with the version that each config is for
    #[value(name = "as-butane")]
    AsButane,
    /// No translation
    Raw,
}

impl From<IgnitionName> for IgnitionMode {
    fn from(name: IgnitionName) -> IgnitionMode {
        match name {
            IgnitionName::AsMatchbox09 => IgnitionMode::AsMatchbox09,
            IgnitionName::AsMatchbox011 => IgnitionMode::AsMatchbox011,
            IgnitionName::AsButane => IgnitionMode::AsButane,
            IgnitionName::Raw => IgnitionMode::Raw,
        }
    }
}
