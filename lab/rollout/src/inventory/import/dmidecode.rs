//! Import from the output of `dmidecode`: whole, or of a type (`-t system`), of one machine or of several in a
//! row.
//!
//! dmidecode shows the UUID as iPXE does: since SMBIOS 2.6 the first three fields are little-endian to
//! both (dmidecode's `dmi_system_uuid`, iPXE's `smbios_settings.c`). It does not show MACs.

use std::path::Path;

use boot_server_catalog::problem::Problem;

use super::gather::{Found, Gathered};

/// Texts that vendors leave in place of a serial number.
const NO_SERIAL: [&str; 12] = [
    "not specified",
    "not applicable",
    "to be filled by o.e.m.",
    "system serial number",
    "default string",
    "none",
    "n/a",
    "unknown",
    "empty",
    "0",
    "123456789",
    "0123456789",
];

pub(super) fn is_likely(text: &str) -> bool {
    text.contains("# dmidecode ") || text.lines().any(|line| line == "System Information")
}

/// A machine as far as it is read.
#[derive(Default)]
struct Machine {
    line: usize,
    uuid: Option<String>,
    serial: Option<String>,
    memory_mib: u64,
    threads: u32,
    cores: u32,
    can_uefi: bool,
    has_system: bool,
}

pub(super) fn import(path: &Path, text: &str, gathered: &mut Gathered) -> Result<(), Vec<Problem>> {
    let mut machines: Vec<Machine> = Vec::new();
    let mut section = "";
    for (index, line) in text.lines().enumerate() {
        let begins = |machines: &mut Vec<Machine>| {
            machines.push(Machine {
                line: index + 1,
                ..Machine::default()
            });
        };
        if line.starts_with("# dmidecode") {
            begins(&mut machines);
            section = "";
            continue;
        }
        if !line.starts_with(char::is_whitespace) {
            if !line.starts_with("Handle ") {
                section = line.trim();
            }
            // Without comments (`-q`) only its system tells one machine from the next.
            let next = machines.last().is_none_or(|machine| machine.has_system);
            if section == "System Information" && next {
                begins(&mut machines);
            }
            if let (Some(machine), "System Information") = (machines.last_mut(), section) {
                machine.has_system = true;
            }
            continue;
        }
        if let Some(machine) = machines.last_mut() {
            machine.line(section, line.trim());
        }
    }
    let several = machines.len() > 1;
    for machine in machines {
        machine.add(path, several, gathered);
    }
    Ok(())
}

impl Machine {
    fn line(&mut self, section: &str, line: &str) {
        let (key, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.trim();
        match (section, key) {
            ("System Information", "UUID") => self.uuid = Some(value.to_owned()),
            ("System Information", "Serial Number") => self.serial = Some(value.to_owned()),
            ("BIOS Information", "UEFI is supported") => self.can_uefi = true,
            ("Memory Device", "Size") => self.memory_mib += mib(value),
            ("Processor Information", "Thread Count") => {
                self.threads += value.parse::<u32>().unwrap_or(0);
            }
            ("Processor Information", "Core Count") => {
                self.cores += value.parse::<u32>().unwrap_or(0);
            }
            _ => {}
        }
    }

    fn add(self, path: &Path, several: bool, gathered: &mut Gathered) {
        let place = format!("{}:{}", path.display(), self.line);
        let uuid = self.uuid.filter(|uuid| {
            let is_one = !uuid.starts_with("Not ");
            if !is_one {
                gathered.skip(&place, format!("no usable UUID: `{uuid}`"));
            }
            is_one
        });
        let serial = self.serial.filter(|serial| {
            let is_one = !serial.is_empty() && !NO_SERIAL.contains(&&*serial.to_lowercase());
            if !is_one {
                gathered.skip(&place, format!("no usable serial number: `{serial}`"));
            }
            is_one
        });
        let stem = path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned());
        let stem = stem.filter(|stem| !several && stem != "-");
        gathered.without("MACs (not shown by dmidecode)");
        if self.can_uefi {
            let part = "firmware (dmidecode shows UEFI support, but not the boot mode)";
            gathered.without(part);
        }
        let found = Found {
            names: stem.into_iter().collect(),
            uuid,
            serial,
            memory_mib: u32::try_from(self.memory_mib).ok().filter(|mib| *mib > 0),
            cpus: Some(self.threads.max(self.cores)).filter(|count| *count > 0),
            ..Found::default()
        };
        gathered.add(place, found);
    }
}

/// Returns the size of a memory module: dmidecode's `GB` are 1024 `MB`, and its `MB` are MiB.
fn mib(size: &str) -> u64 {
    let (number, unit) = size.split_once(' ').unwrap_or((size, ""));
    let number: u64 = number.parse().unwrap_or(0);
    match unit {
        "kB" => number / 1024,
        "MB" | "MiB" => number,
        "GB" | "GiB" => number * 1024,
        "TB" | "TiB" => number * 1024 * 1024,
        _ => 0,
    }
}
