//! Keys of Secure Boot that machines are sold with.
//!
//! Microsoft's certificates come from `microsoft/secureboot_objects` by way of virt-firmware 26.10. The UEFI CA 2011, which
//! signs the shims of Debian 12 and 13, expired in June 2026: machines with only the certificates of 2023 refuse them.

use std::str::FromStr;

use thiserror::Error;
use uuid::{Uuid, uuid};

use crate::signatures::{MICROSOFT, Signatures};
use crate::store::{Attributes, Variable, VariableStore};

/// Vendor of `db` and `dbx` (`EFI_IMAGE_SECURITY_DATABASE_GUID`).
const SECURITY_DATABASE: Uuid = uuid!("d719b2cb-3d3a-4596-a3bc-dad00e67656f");
/// Vendor of `PK` and `KEK` (`EFI_GLOBAL_VARIABLE`).
const GLOBAL: Uuid = uuid!("8be4df61-93ca-11d2-aa0d-00e098032b8c");
/// Vendor of shim's variables.
const SHIM: Uuid = uuid!("605dab50-e046-4300-abb6-3dd810dd8b23");

/// "Microsoft Corporation UEFI CA 2011", which signs boot loaders of others.
const UEFI_CA_2011: &[u8] = include_bytes!("../certificates/ms-uefi-2011.der");
/// "Microsoft Windows Production PCA 2011", which signs Windows.
const WINDOWS_CA_2011: &[u8] = include_bytes!("../certificates/windows-2011.der");
/// "Microsoft UEFI CA 2023", which signs boot loaders of others.
const UEFI_CA_2023: &[u8] = include_bytes!("../certificates/ms-uefi-2023.der");
/// "Windows UEFI CA 2023", which signs Windows.
const WINDOWS_CA_2023: &[u8] = include_bytes!("../certificates/windows-2023.der");
/// "Microsoft Corporation KEK 2K CA 2023", which signs changes of `db` and `dbx`.
const KEK_2023: &[u8] = include_bytes!("../certificates/ms-kek-2023.der");

/// Keys of a machine.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, schemars::JsonSchema,
)]
pub enum KeySet {
    /// Microsoft's certificates of 2011, as in OVMF of Debian 12 and 13 and in machines sold before 2024.
    #[default]
    #[serde(rename = "microsoft-2011")]
    Microsoft2011,
    /// Microsoft's certificates of 2011 and 2023, as in machines of today and in updated ones.
    #[serde(rename = "2011+2023")]
    Microsoft2011And2023,
    /// Microsoft's certificates of 2023 only.
    #[serde(rename = "2023-only")]
    Microsoft2023,
}

impl KeySet {
    /// All key sets.
    pub const ALL: [KeySet; 3] = [
        KeySet::Microsoft2011,
        KeySet::Microsoft2011And2023,
        KeySet::Microsoft2023,
    ];

    /// Returns the name in scenarios and inventories.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            KeySet::Microsoft2011 => "microsoft-2011",
            KeySet::Microsoft2011And2023 => "2011+2023",
            KeySet::Microsoft2023 => "2023-only",
        }
    }

    /// Returns the certificates by which firmware with these keys accepts programs (`db`).
    #[must_use]
    pub fn db(self) -> Signatures {
        let certificates: &[&[u8]] = match self {
            KeySet::Microsoft2011 => &[WINDOWS_CA_2011, UEFI_CA_2011],
            KeySet::Microsoft2011And2023 => {
                &[WINDOWS_CA_2011, UEFI_CA_2011, UEFI_CA_2023, WINDOWS_CA_2023]
            }
            KeySet::Microsoft2023 => &[UEFI_CA_2023, WINDOWS_CA_2023],
        };
        Signatures::of_certificates(MICROSOFT, certificates)
    }

    /// Enrolls the keys in a store that has those of 2011.
    pub fn enroll(self, store: &mut VariableStore) {
        let (db, kek) = match self {
            KeySet::Microsoft2011 => return,
            KeySet::Microsoft2011And2023 => (
                database(store, "db", SECURITY_DATABASE),
                database(store, "KEK", GLOBAL),
            ),
            KeySet::Microsoft2023 => (Signatures::default(), Signatures::default()),
        };
        add(
            store,
            "db",
            SECURITY_DATABASE,
            db,
            &[UEFI_CA_2023, WINDOWS_CA_2023],
        );
        add(store, "KEK", GLOBAL, kek, &[KEK_2023]);
    }
}

/// The text names no key set.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown keys: `{0}` (use `microsoft-2011`, `2011+2023` or `2023-only`)")]
pub struct UnknownKeySet(pub String);

impl FromStr for KeySet {
    type Err = UnknownKeySet;

    fn from_str(text: &str) -> Result<KeySet, UnknownKeySet> {
        let mut all = KeySet::ALL.into_iter();
        all.find(|keys| keys.name() == text)
            .ok_or_else(|| UnknownKeySet(text.to_owned()))
    }
}

/// Replaces all keys by one certificate: its owner signs programs, and changes of the keys.
pub fn enroll_only(store: &mut VariableStore, certificate: &[u8]) {
    let signatures = Signatures::of_certificates(MICROSOFT, &[certificate]);
    for (name, vendor) in [("PK", GLOBAL), ("KEK", GLOBAL), ("db", SECURITY_DATABASE)] {
        set(store, name, vendor, &signatures);
    }
}

/// Adds the hash of a program that the firmware must refuse (`dbx`).
pub fn forbid(store: &mut VariableStore, sha256: [u8; 32]) {
    let mut dbx = database(store, "dbx", SECURITY_DATABASE);
    dbx.hashes.push((MICROSOFT, sha256));
    set(store, "dbx", SECURITY_DATABASE, &dbx);
}

/// Sets the lowest SBAT generations that shim accepts, as CSV lines (`SBAT.md` of shim).
pub fn set_sbat_level(store: &mut VariableStore, level: &str) {
    let data = level.as_bytes().to_vec();
    store.set(Variable::new("SbatLevel", SHIM, Attributes::BOOT, data));
}

fn database(store: &VariableStore, name: &str, vendor: Uuid) -> Signatures {
    let found = store.get(name, vendor);
    found.map_or_else(Signatures::default, |found| Signatures::read(&found.data))
}

fn add(
    store: &mut VariableStore,
    name: &str,
    vendor: Uuid,
    mut signatures: Signatures,
    certificates: &[&[u8]],
) {
    let new = Signatures::of_certificates(MICROSOFT, certificates);
    signatures.certificates.extend(new.certificates);
    set(store, name, vendor, &signatures);
}

fn set(store: &mut VariableStore, name: &str, vendor: Uuid, signatures: &Signatures) {
    let data = signatures.to_data();
    store.set(Variable::new(name, vendor, Attributes::SIGNED, data));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Firmware variables with Microsoft's keys of 2011, from Debian's package `ovmf`.
    fn microsoft() -> VariableStore {
        let image = std::fs::read("/usr/share/OVMF/OVMF_VARS_4M.ms.fd").expect("package ovmf");
        VariableStore::read(&image).expect("a variable store")
    }

    fn certificates(store: &VariableStore, name: &str, vendor: Uuid) -> usize {
        database(store, name, vendor).certificates.len()
    }

    #[test]
    fn to_image_of_an_unchanged_store_has_the_same_variables() {
        let store = microsoft();
        assert!(store.get("PK", GLOBAL).is_some());
        let again = VariableStore::read(&store.to_image().unwrap()).unwrap();
        assert_eq!(again.variables(), store.variables());
    }

    #[test]
    fn enroll_has_the_certificates_of_the_set() {
        for (keys, db, kek) in [
            (KeySet::Microsoft2011, 2, 2),
            (KeySet::Microsoft2011And2023, 4, 3),
            (KeySet::Microsoft2023, 2, 1),
        ] {
            let mut store = microsoft();
            keys.enroll(&mut store);
            let image = store.to_image().unwrap();
            assert_eq!(image.len(), 540_672, "the size of the flash");
            let store = VariableStore::read(&image).unwrap();
            assert_eq!(
                certificates(&store, "db", SECURITY_DATABASE),
                db,
                "{keys:?}"
            );
            assert_eq!(certificates(&store, "KEK", GLOBAL), kek, "{keys:?}");
            let sorted = |signatures: Signatures| {
                let ders = signatures.certificates.into_iter().map(|(_, der)| der);
                ders.collect::<std::collections::BTreeSet<_>>()
            };
            let enrolled = database(&store, "db", SECURITY_DATABASE);
            assert_eq!(sorted(enrolled), sorted(keys.db()), "{keys:?}");
            assert_eq!(keys.name().parse(), Ok(keys));
        }
    }

    #[test]
    fn enroll_only_leaves_one_certificate_of_each_kind() {
        let mut store = microsoft();
        enroll_only(&mut store, UEFI_CA_2011);
        for (name, vendor) in [("PK", GLOBAL), ("KEK", GLOBAL), ("db", SECURITY_DATABASE)] {
            let found = database(&store, name, vendor).certificates;
            assert_eq!(found, [(MICROSOFT, UEFI_CA_2011.to_vec())], "{name}");
        }
    }

    #[test]
    fn forbid_keeps_the_hashes_that_were_there() {
        let mut store = microsoft();
        let before = database(&store, "dbx", SECURITY_DATABASE).hashes.len();
        forbid(&mut store, [7; 32]);
        let dbx = database(&store, "dbx", SECURITY_DATABASE);
        assert_eq!(dbx.hashes.len(), before + 1);
        assert!(dbx.hashes.iter().any(|(_, hash)| *hash == [7; 32]));
    }

    #[test]
    fn read_of_another_file_is_an_error() {
        use crate::store::StoreError;
        assert_eq!(VariableStore::read(b"MZ"), Err(StoreError::NoVolume));
        let image = microsoft().to_image().unwrap();
        assert_eq!(VariableStore::read(&image[..60]), Err(StoreError::NoVolume));
        let mut damaged = image;
        damaged[48 + 24] ^= 1;
        let read = VariableStore::read(&damaged);
        assert_eq!(read, Err(StoreError::NotAuthenticated));
    }
}
