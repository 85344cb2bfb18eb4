//! Firmware and boot programs of other Debian releases, in place of those of the host.

use image_catalog::{FirmwarePackage, IpxePackage};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::model::Scenario;
use super::program::{PreparedProgram, ProgramSource};
use boot_server_proto::firmware::Firmware;

/// Firmware and boot programs in place of the host's own. Lab and cell both apply them to the scenario that they load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replacements {
    /// UEFI firmware; BIOS machines keep theirs.
    #[serde(serialize_with = "name", deserialize_with = "parsed")]
    pub firmware_package: Option<FirmwarePackage>,
    /// iPXE for BIOS and UEFI.
    #[serde(serialize_with = "name", deserialize_with = "parsed")]
    pub nbp: Option<IpxePackage>,
}

impl Replacements {
    /// Returns the scenario on machines of that firmware with these replacements. Programs that the scenario prepares itself
    /// stay.
    #[must_use]
    pub fn apply(self, scenario: &Scenario, firmware: Firmware) -> Scenario {
        let mut scenario = scenario.clone();
        if firmware.is_uefi() {
            scenario.firmware_package = self.firmware_package.or(scenario.firmware_package);
        }
        for (file, program) in self.nbp.into_iter().flat_map(IpxePackage::programs) {
            let is_own = |one: &PreparedProgram| one.name.as_os_str() == file;
            if !scenario.programs.iter().any(is_own) {
                scenario.programs.push(PreparedProgram {
                    name: file.into(),
                    from: ProgramSource::Package(program),
                    keep_signatures: None,
                    sign: None,
                });
            }
        }
        scenario
    }

    /// True if nothing is replaced.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Replacements::default()
    }
}

fn name<T: ToString, S: Serializer>(package: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    package
        .as_ref()
        .map(ToString::to_string)
        .serialize(serializer)
}

fn parsed<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
    D: Deserializer<'de>,
{
    let text = Option::<String>::deserialize(deserializer)?;
    let parsed = text.map(|text| text.parse()).transpose();
    parsed.map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::scenario::DataCheck;

    fn bundled(name: &str) -> Scenario {
        let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
        Scenario::load_with(&scenarios.join(name), DataCheck::Skip).unwrap()
    }

    fn programs(scenario: &Scenario) -> Vec<String> {
        let programs = scenario.programs.iter();
        programs
            .map(|one| format!("{} = {}", one.name.display(), one.from))
            .collect()
    }

    #[test]
    fn apply_replaces_ipxe_and_the_firmware_of_uefi_machines() {
        let replacements = Replacements {
            firmware_package: Some("ovmf:13".parse().unwrap()),
            nbp: Some("ipxe:12".parse().unwrap()),
        };
        let scenario = bundled("ipxe-chainload");
        let uefi = replacements.apply(&scenario, Firmware::Uefi);
        assert_eq!(uefi.firmware_package, replacements.firmware_package);
        let both = ["ipxe.efi = ipxe:12", "undionly.kpxe = undionly:12"];
        assert_eq!(programs(&uefi), both);
        let bios = replacements.apply(&scenario, Firmware::Bios);
        assert_eq!(
            (bios.firmware_package, programs(&bios)),
            (None, both.map(String::from).into())
        );
        let own = replacements.apply(&bundled("https-boot"), Firmware::UefiHttp);
        assert_eq!(
            programs(&own),
            ["ipxe.efi = ipxe:13", "undionly.kpxe = undionly:12"]
        );
    }

    #[test]
    fn deserialize_of_the_serialized_gives_the_same() {
        let replacements = Replacements {
            firmware_package: None,
            nbp: Some("ipxe:13".parse().unwrap()),
        };
        let json = serde_json::to_string(&replacements).unwrap();
        assert_eq!(json, r#"{"firmware_package":null,"nbp":"ipxe:13"}"#);
        let read: Replacements = serde_json::from_str(&json).unwrap();
        assert_eq!(read, replacements);
        assert!(
            serde_json::from_str::<Replacements>(r#"{"firmware_package":"ovmf:9","nbp":null}"#)
                .is_err()
        );
    }
}
