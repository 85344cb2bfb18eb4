//! Variants and versions of Butane configs.
//!
//! Source: `config/config.go` of Butane v0.29.0.

use super::{Minor, Shape, spec3};

/// A variant of Butane configs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    Fcos,
    Flatcar,
    Openshift,
    R4e,
    Fiot,
}

/// A variant and version of Butane configs.
pub(crate) struct Release {
    pub(crate) variant: Variant,
    pub(crate) version: &'static str,
    /// Minor version of the Ignition specification that configs are translated to.
    pub(crate) spec: Minor,
    pub(crate) shape: &'static Shape,
}

/// Ignition specification that is experimental in Butane v0.29.0.
const EXPERIMENTAL: Minor = 7;

impl Release {
    /// Returns the release of a variant's name and a version.
    pub(crate) fn find(variant: &str, version: &str) -> Option<&'static Release> {
        let variant = Variant::from_name(variant)?;
        RELEASES
            .iter()
            .find(|release| release.variant == variant && release.version == version)
    }

    /// Returns the version of the Ignition specification.
    pub(crate) fn spec_version(&self) -> String {
        let suffix = if self.spec == EXPERIMENTAL {
            "-experimental"
        } else {
            ""
        };
        format!("3.{}.0{suffix}", self.spec)
    }

    /// Returns the minor version of an openshift release.
    pub(crate) fn minor(&self) -> u32 {
        let minor = self.version.split('.').nth(1);
        minor.and_then(|minor| minor.parse().ok()).unwrap_or(0)
    }
}

impl Variant {
    fn from_name(name: &str) -> Option<Variant> {
        Some(match name {
            "fcos" => Variant::Fcos,
            "flatcar" => Variant::Flatcar,
            "openshift" => Variant::Openshift,
            "r4e" => Variant::R4e,
            "fiot" => Variant::Fiot,
            _ => return None,
        })
    }
}

const fn release(
    variant: Variant,
    version: &'static str,
    spec: Minor,
    shape: &'static Shape,
) -> Release {
    Release {
        variant,
        version,
        spec,
        shape,
    }
}

static RELEASES: [Release; 33] = [
    release(Variant::Fcos, "1.0.0", 0, &spec3::BASE),
    release(Variant::Fcos, "1.1.0", 1, &spec3::BASE),
    release(Variant::Fcos, "1.2.0", 2, &spec3::BASE),
    release(Variant::Fcos, "1.3.0", 2, &spec3::FCOS_1_3),
    release(Variant::Fcos, "1.4.0", 3, &spec3::FCOS_1_3),
    release(Variant::Fcos, "1.5.0", 4, &spec3::FCOS_1_5),
    release(Variant::Fcos, "1.6.0", 5, &spec3::FCOS_1_5),
    release(Variant::Fcos, "1.7.0", 6, &spec3::FCOS_1_5),
    release(Variant::Fcos, "1.8.0-experimental", 7, &spec3::FCOS_1_5),
    release(Variant::Flatcar, "1.0.0", 3, &spec3::BASE),
    release(Variant::Flatcar, "1.1.0", 4, &spec3::BASE),
    release(Variant::Flatcar, "1.2.0-experimental", 7, &spec3::BASE),
    release(Variant::R4e, "1.0.0", 3, &spec3::BASE),
    release(Variant::R4e, "1.1.0", 4, &spec3::BASE),
    release(Variant::R4e, "1.2.0-experimental", 7, &spec3::BASE),
    release(Variant::Fiot, "1.0.0", 4, &spec3::BASE),
    release(Variant::Fiot, "1.1.0-experimental", 7, &spec3::BASE),
    release(Variant::Openshift, "4.8.0", 2, &spec3::OPENSHIFT_4_8),
    release(Variant::Openshift, "4.9.0", 2, &spec3::OPENSHIFT_4_8),
    release(Variant::Openshift, "4.10.0", 2, &spec3::OPENSHIFT_4_8),
    release(Variant::Openshift, "4.11.0", 2, &spec3::OPENSHIFT_4_8),
    release(Variant::Openshift, "4.12.0", 2, &spec3::OPENSHIFT_4_8),
    release(Variant::Openshift, "4.13.0", 2, &spec3::OPENSHIFT_4_8),
    release(Variant::Openshift, "4.14.0", 4, &spec3::OPENSHIFT_4_14),
    release(Variant::Openshift, "4.15.0", 4, &spec3::OPENSHIFT_4_14),
    release(Variant::Openshift, "4.16.0", 4, &spec3::OPENSHIFT_4_14),
    release(Variant::Openshift, "4.17.0", 4, &spec3::OPENSHIFT_4_14),
    release(Variant::Openshift, "4.18.0", 4, &spec3::OPENSHIFT_4_14),
    release(Variant::Openshift, "4.19.0", 5, &spec3::OPENSHIFT_4_14),
    release(Variant::Openshift, "4.20.0", 5, &spec3::OPENSHIFT_4_14),
    release(Variant::Openshift, "4.21.0", 5, &spec3::OPENSHIFT_4_14),
    release(Variant::Openshift, "4.22.0", 5, &spec3::OPENSHIFT_4_14),
    release(
        Variant::Openshift,
        "4.23.0-experimental",
        7,
        &spec3::OPENSHIFT_4_14,
    ),
];
