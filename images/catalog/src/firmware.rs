//! UEFI firmware of Debian's packages, in the versions of its releases: `ovmf:13`.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use thiserror::Error;

use crate::DebianRelease;

/// Name of the package and of the firmware.
const OVMF: &str = "ovmf";

/// Build of the firmware, with its variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirmwareBuild {
    /// Without Secure Boot.
    Plain,
    /// With Secure Boot and Microsoft's keys; needs System Management Mode.
    MicrosoftKeys,
    /// As `MicrosoftKeys`, with the package's own key.
    SnakeoilKeys,
}

/// OVMF of a Debian release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirmwarePackage {
    pub release: DebianRelease,
}

/// The text names no firmware.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown firmware package: `{0}` (use `ovmf:12` or `ovmf:13`)")]
pub struct UnknownFirmware(pub String);

impl FirmwarePackage {
    /// Returns the package that has the firmware.
    #[must_use]
    pub fn package(self) -> &'static str {
        OVMF
    }

    /// Returns the path of the code in the package.
    #[must_use]
    pub fn code(self, build: FirmwareBuild) -> &'static str {
        match build {
            FirmwareBuild::Plain => "usr/share/OVMF/OVMF_CODE_4M.fd",
            FirmwareBuild::MicrosoftKeys | FirmwareBuild::SnakeoilKeys => {
                "usr/share/OVMF/OVMF_CODE_4M.secboot.fd"
            }
        }
    }

    /// Returns the path of the variables in the package.
    #[must_use]
    pub fn variables(self, build: FirmwareBuild) -> &'static str {
        match build {
            FirmwareBuild::Plain => "usr/share/OVMF/OVMF_VARS_4M.fd",
            FirmwareBuild::MicrosoftKeys => "usr/share/OVMF/OVMF_VARS_4M.ms.fd",
            FirmwareBuild::SnakeoilKeys => "usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd",
        }
    }
}

impl fmt::Display for FirmwarePackage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{OVMF}:{}", self.release.number())
    }
}

impl FromStr for FirmwarePackage {
    type Err = UnknownFirmware;

    fn from_str(text: &str) -> Result<FirmwarePackage, UnknownFirmware> {
        let mut all = DebianRelease::ALL
            .map(|release| FirmwarePackage { release })
            .into_iter();
        all.find(|one| one.to_string() == text)
            .ok_or_else(|| UnknownFirmware(text.to_owned()))
    }
}

impl Serialize for FirmwarePackage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_str_of_a_name_gives_the_release() {
        let ovmf: FirmwarePackage = "ovmf:13".parse().unwrap();
        assert_eq!(ovmf.release.codename(), "trixie");
        assert_eq!(ovmf.to_string(), "ovmf:13");
        for wrong in ["ovmf", "ovmf:11", "OVMF:13", "seabios:13", ""] {
            let unknown = Err(UnknownFirmware(wrong.to_owned()));
            assert_eq!(wrong.parse::<FirmwarePackage>(), unknown);
        }
    }
}
