//! Secure Boot of a node: keys, and what its firmware and shim refuse.

use std::fmt;
use std::path::PathBuf;

use serde::{Serialize, Serializer};
use uefi_variables::KeySet;

use super::digest::Sha256Hex;
use super::draft::{Draft, DraftNode};
use super::problem::{Located, Source, Wrong};
use super::read::{Item, Table};

/// Keys of a machine's firmware.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SecureBootKeys {
    /// Keys that machines are sold with.
    Microsoft(KeySet),
    /// Keys of Debian's package `ovmf`, whose private half is public.
    Snakeoil,
    /// A key that the lab makes for the run.
    Own,
}

impl Default for SecureBootKeys {
    fn default() -> SecureBootKeys {
        SecureBootKeys::Microsoft(KeySet::default())
    }
}

impl SecureBootKeys {
    /// All keys.
    pub const ALL: [SecureBootKeys; 5] = [
        SecureBootKeys::Microsoft(KeySet::Microsoft2011),
        SecureBootKeys::Microsoft(KeySet::Microsoft2011And2023),
        SecureBootKeys::Microsoft(KeySet::Microsoft2023),
        SecureBootKeys::Snakeoil,
        SecureBootKeys::Own,
    ];

    /// Returns the name in scenarios.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            SecureBootKeys::Microsoft(keys) => keys.name(),
            SecureBootKeys::Snakeoil => "snakeoil",
            SecureBootKeys::Own => "own",
        }
    }

    pub(super) fn schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let names = SecureBootKeys::ALL.map(SecureBootKeys::name);
        schemars::json_schema!({ "anyOf": [{ "type": "boolean" }, { "enum": names }] })
    }
}

impl Serialize for SecureBootKeys {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Program that the firmware refuses: its hash is in `dbx`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForbiddenProgram {
    /// SHA-256 as in signatures, without checksum and certificate table.
    Hash([u8; 32]),
    /// EFI program on the host, or a served one by its `name` in `[[program]]`.
    File(PathBuf),
}

impl fmt::Display for ForbiddenProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ForbiddenProgram::Hash(hash) => {
                hash.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            ForbiddenProgram::File(file) => write!(f, "{}", file.display()),
        }
    }
}

impl Serialize for ForbiddenProgram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Keys of Secure Boot in a node's table.
#[derive(Debug, Default)]
pub(super) struct DraftSecureBoot {
    /// Keys; `None` inside if Secure Boot is off.
    pub(super) keys: Option<Located<Option<SecureBootKeys>>>,
    pub(super) dbx: Vec<Located<ForbiddenProgram>>,
    pub(super) sbat_level: Vec<Located<String>>,
}

/// Reads the keys of a node's table.
pub(super) fn read(table: &Table<'_, '_>) -> DraftSecureBoot {
    let lines = |key| table.optional(key).and_then(|item| item.list());
    DraftSecureBoot {
        keys: table.optional("secure_boot").and_then(|item| keys(&item)),
        dbx: lines("dbx")
            .into_iter()
            .flatten()
            .filter_map(|item| item.parse(forbidden))
            .collect(),
        sbat_level: lines("sbat_level")
            .into_iter()
            .flatten()
            .filter_map(|item| item.parse(sbat_line))
            .collect(),
    }
}

/// Reads `true`, `false` or a name.
fn keys(item: &Item<'_, '_>) -> Option<Located<Option<SecureBootKeys>>> {
    if item.is_text() {
        return item.choice(&SecureBootKeys::ALL.map(|keys| (keys.name(), Some(keys))));
    }
    let flag = item.flag()?;
    Some(Located {
        value: flag.value.then(SecureBootKeys::default),
        at: flag.at,
    })
}

fn forbidden(text: &str) -> Result<ForbiddenProgram, Wrong> {
    if text.starts_with('/') {
        return Ok(ForbiddenProgram::File(text.into()));
    }
    let hash = text.parse::<Sha256Hex>().ok().and_then(|_| bytes(text));
    hash.map(ForbiddenProgram::Hash).ok_or_else(|| {
        Wrong::new(
            format!("invalid program in `dbx`: `{text}`"),
            "write the absolute path of an EFI program, or its SHA-256 as `lab validate --assets` prints it with --format json",
        )
    })
}

fn bytes(hex: &str) -> Option<[u8; 32]> {
    let pairs = hex.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    pairs.collect::<Option<Vec<u8>>>()?.try_into().ok()
}

/// Checks a line of shim's variable `SbatLevel`: a component and its lowest generation.
fn sbat_line(text: &str) -> Result<String, Wrong> {
    let mut columns = text.split(',');
    let name = columns.next().unwrap_or_default();
    let generation = columns.next().and_then(|number| number.parse::<u32>().ok());
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if !name.is_empty() && name.chars().all(is_word) && generation.is_some() {
        return Ok(text.to_owned());
    }
    Err(Wrong::new(
        format!("invalid line of `sbat_level`: `{text}`"),
        "write a component and its lowest generation, e.g. `grub,6`; the first line is `sbat,1,2099010100`",
    ))
}

/// Adds conflicts of a node's keys to `source`.
pub(super) fn check(node: &DraftNode, draft: &Draft, source: &Source) {
    let keys = node.secure_boot.keys.as_ref();
    let is_on = keys.map_or(draft.is_secure, |keys| keys.value.is_some());
    if let (Some(keys), true) = (keys, is_on) {
        let bios = |firmware: &&Located<_>| !super::Firmware::is_uefi(firmware.value);
        if let Some(bios) = draft.firmware.iter().find(bios) {
            source.clash(
                (keys.at.clone(), "UEFI only"),
                (bios.at.clone(), "has no Secure Boot"),
                Wrong::new(
                    "Secure Boot requires UEFI firmware",
                    "use `firmware = [\"uefi\"]`, or remove `secure_boot`",
                ),
            );
        }
    }
    let dbx = node.secure_boot.dbx.first().map(|one| (&one.at, "`dbx`"));
    let level = node.secure_boot.sbat_level.first();
    let level = level.map(|line| (&line.at, "`sbat_level`"));
    for (at, key) in [dbx, level].into_iter().flatten().filter(|_| !is_on) {
        source.wrong(
            at.clone(),
            "without Secure Boot",
            Wrong::new(
                format!("{key} requires Secure Boot"),
                "add `secure_boot = true`, or the name of other keys",
            ),
        );
    }
    let first = node.secure_boot.sbat_level.first();
    if let Some(line) = first.filter(|line| !line.value.starts_with("sbat,1,")) {
        source.wrong(
            line.at.clone(),
            "the first line",
            Wrong::new(
                "missing version of `sbat_level`",
                "begin with `\"sbat,1,2099010100\"`: shim takes a level only if its date is later than that of its own",
            ),
        );
    }
}
