//! Firmware of machines, by the way it boots over the network.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Firmware of a machine, and its way to boot over the network.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Firmware {
    /// BIOS with a PXE ROM. Virtual machines have SeaBIOS with iPXE as the ROM of the network card.
    #[default]
    Bios,
    /// UEFI that boots by PXE. Virtual machines have OVMF without Secure Boot, and a network card without a ROM.
    Uefi,
    /// UEFI that boots by HTTP. Virtual machines have OVMF with PXE disabled.
    UefiHttp,
}

impl Firmware {
    /// All firmware types.
    pub const ALL: [Firmware; 3] = [Firmware::Bios, Firmware::Uefi, Firmware::UefiHttp];

    /// Returns the name in scenarios, in inventories and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Firmware::Bios => "bios",
            Firmware::Uefi => "uefi",
            Firmware::UefiHttp => "uefi-http",
        }
    }

    /// True for UEFI firmware, with PXE or HTTP boot.
    pub fn is_uefi(self) -> bool {
        self != Firmware::Bios
    }
}

impl fmt::Display for Firmware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The text names no firmware type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown firmware: `{0}` (use `bios`, `uefi` or `uefi-http`)")]
pub struct UnknownFirmware(pub String);

impl FromStr for Firmware {
    type Err = UnknownFirmware;

    fn from_str(text: &str) -> Result<Firmware, UnknownFirmware> {
        Firmware::ALL
            .into_iter()
            .find(|firmware| firmware.name() == text)
            .ok_or_else(|| UnknownFirmware(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn firmware_is_read_from_the_name_it_is_written_by() {
        for firmware in Firmware::ALL {
            assert_eq!(firmware.to_string().parse(), Ok(firmware));
            let json = serde_json::to_value(firmware).unwrap();
            assert_eq!(json, firmware.name());
        }
        let unknown = UnknownFirmware("UEFI".into());
        assert_eq!("UEFI".parse::<Firmware>(), Err(unknown));
    }
}
