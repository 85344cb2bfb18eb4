//! Machines as they are found one after another: each checked, named, and there once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Display;

use crate::inventory::value;
use crate::inventory::{Inventory, Machine};

/// Machines that were imported.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Machines that were imported.
    pub inventory: Inventory,
    /// Entries left out: a sentence each.
    pub left_out: Vec<String>,
}

/// Data of one machine as written in a source.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Names that it may be called by, the best first.
    pub(super) names: Vec<String>,
    pub(super) macs: Vec<String>,
    pub(super) uuid: Option<String>,
    pub(super) serial: Option<String>,
    pub(super) hostname: Option<String>,
    pub(super) memory_mib: Option<u32>,
    pub(super) cpus: Option<u32>,
    pub(super) labels: BTreeMap<String, String>,
}

/// The machines so far.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    machines: Vec<Machine>,
    names: HashSet<String>,
    /// MACs and UUIDs, and whose they are.
    ids: HashMap<String, String>,
    skipped: Vec<String>,
    /// Stand for machines of which nothing is known but what is selected.
    examples: Vec<Found>,
    parts: BTreeMap<String, usize>,
}

impl Gathered {
    /// Notes an entry that is not a machine, or not fully understood.
    pub(super) fn skip(&mut self, place: impl Display, why: impl Display) {
        self.skipped.push(format!("{place}: {why}"));
    }

    /// Notes a part of a machine that has no place in a list, to be counted.
    pub(super) fn without(&mut self, part: impl Into<String>) {
        *self.parts.entry(part.into()).or_default() += 1;
    }

    /// Notes what would be a machine if it had a MAC or a UUID.
    pub(super) fn example(&mut self, found: Found) {
        self.examples.push(found);
    }

    /// Adds the examples, with placeholder MACs, if no machine was found.
    pub(super) fn with_examples(mut self) -> Gathered {
        if !self.machines.is_empty() {
            return self;
        }
        for mut found in std::mem::take(&mut self.examples) {
            let name = found.names.first().cloned().unwrap_or_default();
            // FNV-1a: the same name has the same MAC in every run.
            let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
                (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
            });
            let [_, a, b, c] = hash.to_be_bytes();
            let mac = format!("52:54:00:{a:02x}:{b:02x}:{c:02x}");
            let why = format!("placeholder MAC {mac}: no group selects a machine; replace it");
            self.skip(format!("machine `{name}`"), why);
            found.macs.push(mac);
            self.add(format!("group `{name}`"), found);
        }
        self
    }

    /// Takes a machine in, as far as it can be.
    pub(super) fn add(&mut self, place: impl Display, found: Found) {
        let place = place.to_string();
        let mut macs: Vec<String> = Vec::new();
        for text in &found.macs {
            match value::mac(&padded(text)) {
                Ok(mac) if macs.contains(&mac) => {}
                Ok(mac) => macs.push(mac),
                Err(error) => self.skip(&place, error),
            }
        }
        let uuid = found.uuid.and_then(|text| match value::uuid(&text) {
            Ok(uuid) => Some(uuid),
            Err(error) => {
                self.skip(&place, error);
                None
            }
        });
        if macs.is_empty() && uuid.is_none() {
            self.skip(&place, "not a machine: neither a MAC nor a UUID");
            return;
        }
        for id in macs.iter().chain(&uuid) {
            if let Some(whose) = self.ids.get(id) {
                let why = format!("left out: {id} already belongs to `{whose}`");
                self.skip(&place, why);
                return;
            }
        }
        let serial = found.serial.and_then(|text| self.one_line(&place, text));
        let hostname = found.hostname.and_then(|text| self.one_line(&place, text));
        let name = self.name(found.names, serial.as_deref(), &macs, uuid.as_deref());
        for id in macs.iter().chain(&uuid) {
            self.ids.insert(id.clone(), name.clone());
        }
        self.machines.push(Machine {
            name,
            macs,
            uuid,
            serial,
            hostname,
            memory_mib: found.memory_mib,
            cpus: found.cpus,
            labels: found.labels,
            ..Machine::default()
        });
    }

    fn one_line(&mut self, place: &str, text: String) -> Option<String> {
        let text = text.trim();
        if text.contains(char::is_control) {
            self.skip(place, format!("{text:?} has control characters"));
            return None;
        }
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn name(
        &mut self,
        names: Vec<String>,
        serial: Option<&str>,
        macs: &[String],
        uuid: Option<&str>,
    ) -> String {
        let given = names.iter().map(String::as_str).chain(serial);
        let ids = macs.first().map(String::as_str).into_iter().chain(uuid);
        let mut usable = given.chain(ids).filter_map(value::usable_name);
        let wanted = usable.next().unwrap_or_else(|| "machine".to_owned());
        let mut name = wanted.clone();
        let mut number = 1;
        while !self.names.insert(name.clone()) {
            number += 1;
            let kept: String = wanted.chars().take(55).collect();
            name = format!("{kept}-{number}");
        }
        name
    }

    /// Returns the machines, and what was left out.
    pub(super) fn finish(self) -> Imported {
        let parts = self.parts.into_iter().map(|(part, count)| match count {
            1 => format!("{part} (1 time)"),
            _ => format!("{part} ({count} times)"),
        });
        Imported {
            inventory: Inventory {
                machines: self.machines,
            },
            left_out: self.skipped.into_iter().chain(parts).collect(),
        }
    }
}

/// Returns a MAC whose bytes may be written with one digit, as DHCP servers take them.
fn padded(text: &str) -> String {
    let parts: Vec<&str> = text.split([':', '-']).collect();
    match parts.len() == 6 && parts.iter().all(|part| matches!(part.len(), 1 | 2)) {
        true => {
            let parts: Vec<String> = parts.iter().map(|part| format!("{part:0>2}")).collect();
            parts.join(":")
        }
        false => text.to_owned(),
    }
}
