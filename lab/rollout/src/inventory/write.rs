//! Output of machine lists in each format; every format is read back as the same machines.

use std::collections::{BTreeMap, BTreeSet};

use boot_server_proto::firmware::Firmware;
use serde::Serialize;
use uefi_variables::KeySet;

use super::check::MACHINE_KEYS;
use super::{Expected, Format, Inventory, Machine};

/// Text that cannot be written in a language.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// TOML cannot be written.
    #[error("cannot write TOML: {0}")]
    Toml(#[from] toml::ser::Error),
    /// YAML cannot be written.
    #[error("cannot write YAML: {0}")]
    Yaml(#[from] serde_saphyr::ser_error::Error),
    /// JSON cannot be written.
    #[error("cannot write JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// CSV cannot be written.
    #[error("cannot write CSV: {0}")]
    Csv(#[from] csv::Error),
}

#[derive(Serialize)]
struct List<'a> {
    machines: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    macs: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    uuid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hostname: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    firmware: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secure_boot: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpus: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    disks: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expect: Option<Expect<'a>>,
}

#[derive(Serialize)]
struct Expect<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cloud_config: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ignition: Option<&'a str>,
}

impl<'a> From<&'a Machine> for Entry<'a> {
    fn from(machine: &'a Machine) -> Entry<'a> {
        let expect = &machine.expect;
        Entry {
            name: &machine.name,
            mac: machine.macs.first().map(String::as_str),
            macs: match machine.macs.as_slice() {
                [] | [_] => &[],
                several => several,
            },
            uuid: machine.uuid.as_deref(),
            serial: machine.serial.as_deref(),
            hostname: machine.hostname.as_deref(),
            firmware: (machine.firmware != Firmware::default()).then(|| machine.firmware.name()),
            secure_boot: machine.secure_boot.map(KeySet::name),
            memory: machine.memory_mib.map(|mib| match mib % 1024 {
                0 => format!("{} GiB", mib / 1024),
                _ => format!("{mib} MiB"),
            }),
            cpus: machine.cpus,
            disks: machine
                .disks_gib
                .iter()
                .map(|gib| format!("{gib} GiB"))
                .collect(),
            labels: &machine.labels,
            expect: (*expect != Expected::default()).then_some(Expect {
                profile: expect.profile.as_deref(),
                cloud_config: expect.cloud_config.as_deref(),
                ignition: expect.ignition.as_deref(),
            }),
        }
    }
}

/// Returns the list as text.
///
/// # Errors
/// A text in it cannot be written in this language.
pub fn write(inventory: &Inventory, format: Format) -> Result<String, WriteError> {
    let machines = inventory.machines.iter().map(Entry::from).collect();
    let list = List { machines };
    Ok(match format {
        Format::Toml => toml::to_string(&list)?,
        Format::Yaml => {
            // What looks like a number or a truth value to one reader of YAML is text to another.
            let options = serde_saphyr::ser_options! { quote_all: true };
            let mut text = String::new();
            serde_saphyr::to_fmt_writer_with_options(&mut text, &list, options)?;
            text
        }
        Format::Json => serde_json::to_string_pretty(&list)? + "\n",
        Format::Csv => csv_text(&list.machines)?,
    })
}

fn csv_text(machines: &[Entry<'_>]) -> Result<String, WriteError> {
    let rows: Vec<BTreeMap<String, String>> = machines.iter().map(row).collect();
    let used: BTreeSet<&str> = rows.iter().flatten().map(|(key, _)| key.as_str()).collect();
    let mut columns: Vec<&str> = MACHINE_KEYS
        .iter()
        .copied()
        .filter(|key| used.contains(key))
        .collect();
    columns.extend(used.iter().filter(|key| !MACHINE_KEYS.contains(key)));
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(&columns)?;
    for row in &rows {
        writer.write_record(
            columns
                .iter()
                .map(|key| row.get(*key).map_or("", String::as_str)),
        )?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|error| csv::Error::from(error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Returns the cells of a machine by their columns.
fn row(machine: &Entry<'_>) -> BTreeMap<String, String> {
    let mut row = BTreeMap::new();
    let mut cell = |key: &str, value: Option<&str>| {
        if let Some(value) = value {
            row.insert(key.to_owned(), value.to_owned());
        }
    };
    let cpus = machine.cpus.map(|cpus| cpus.to_string());
    cell("name", Some(machine.name));
    cell("mac", machine.mac);
    cell(
        "macs",
        (!machine.macs.is_empty())
            .then(|| machine.macs.join(" "))
            .as_deref(),
    );
    cell("uuid", machine.uuid);
    cell("serial", machine.serial);
    cell("hostname", machine.hostname);
    cell("firmware", machine.firmware);
    cell("secure_boot", machine.secure_boot);
    cell("memory", machine.memory.as_deref());
    cell("cpus", cpus.as_deref());
    cell(
        "disks",
        (!machine.disks.is_empty())
            .then(|| machine.disks.join(", "))
            .as_deref(),
    );
    for (key, value) in machine.labels {
        cell(&format!("label.{key}"), Some(value));
    }
    if let Some(expect) = &machine.expect {
        cell("expect.profile", expect.profile);
        cell("expect.cloud_config", expect.cloud_config);
        cell("expect.ignition", expect.ignition);
    }
    row
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::inventory::read::read_text;

    const FORMATS: [Format; 4] = [Format::Toml, Format::Yaml, Format::Json, Format::Csv];

    fn full() -> Inventory {
        let machine = Machine {
            name: "node1".into(),
            macs: vec!["52:54:00:a1:9c:ae".into(), "52:54:00:a1:9c:00".into()],
            uuid: Some("16e7d8a7-bfa9-428b-9117-363341bb330b".into()),
            serial: Some("0123".into()),
            hostname: Some("node1".into()),
            firmware: Firmware::UefiHttp,
            secure_boot: Some(KeySet::Microsoft2023),
            memory_mib: Some(8192),
            cpus: Some(4),
            disks_gib: vec![20, 2048],
            labels: [("rack".into(), "7".into()), ("os".into(), "no".into())].into(),
            expect: Expected {
                profile: Some("etcd".into()),
                cloud_config: Some("node1.yaml".into()),
                ignition: None,
            },
        };
        let plain = Machine {
            name: "node2".into(),
            macs: vec!["52:54:00:b2:2f:86".into()],
            memory_mib: Some(1536),
            ..Machine::default()
        };
        Inventory {
            machines: vec![machine, plain],
        }
    }

    #[test]
    fn all_that_is_known_of_a_machine_is_written() {
        let texts = FORMATS.map(|format| write(&full(), format).unwrap());
        insta::assert_snapshot!(texts.join("\n"));
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            "[ -~äß🦀]{1,12}".prop_map(|text| text.trim().to_owned()),
            Just("yes".to_owned()),
            Just("1e5".to_owned()),
            Just("0x10".to_owned()),
            Just("~".to_owned()),
            Just("00:11:22:33:44:55".to_owned()),
        ]
        .prop_filter("empty is absent", |text| !text.is_empty())
    }

    prop_compose! {
        fn machine()(
            macs in proptest::collection::btree_set("52:54:00:[0-9a-f]{2}:[0-9a-f]{2}:[0-9a-f]{2}", 1..4),
            uuid in proptest::option::of("[1-9a-f]{8}-[0-9]{4}-4[0-9a-f]{3}-8123-[0-9a-f]{12}"),
            serial in proptest::option::of(text()),
            hostname in proptest::option::of(text()),
            firmware in 0..3_usize,
            keys in proptest::option::of(0..3_usize),
            memory_mib in proptest::option::of(1..u32::MAX),
            cpus in proptest::option::of(1..4096_u32),
            disks_gib in proptest::collection::vec(1..u32::MAX, 0..3),
            labels in proptest::collection::btree_map("[a-z]{5,9}", text(), 0..3),
            profile in proptest::option::of(text()),
        ) -> Machine {
            let firmware = Firmware::ALL[firmware];
            let secure_boot = keys.map(|keys| KeySet::ALL[keys]).filter(|_| firmware.is_uefi());
            let expect = Expected { profile, ..Expected::default() };
            let macs = macs.into_iter().rev().collect();
            Machine {
                name: "m".into(),
                macs, uuid, serial, hostname, firmware, secure_boot, memory_mib, cpus, disks_gib, labels, expect,
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_as_the_same_machines(machine in machine()) {
            let inventory = Inventory { machines: vec![machine] };
            for format in FORMATS {
                let text = write(&inventory, format).unwrap();
                let read = read_text(Path::new("m"), &text, format);
                let read = read.map(|listed| listed.inventory);
                prop_assert_eq!(read.as_ref(), Ok(&inventory), "{}", text);
            }
        }
    }
}
