//! Input of the rules: the loaded directory, and the machines that get something of it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use boot_server_catalog::Labels;
use boot_server_catalog::check::labels_of;
use boot_server_catalog::files::Root;
use boot_server_catalog::load::Place;
use boot_server_catalog::matching::Group;
use boot_server_catalog::profile::Profile;
use boot_server_catalog::snapshot::Snapshot;

use super::Network;
use super::finding::Source;
use crate::inventory::Machine;
use crate::inventory::read::Listed;

/// Labels that a booting machine's script sends to the boot config service.
pub(super) const SENT_LABELS: [&str; 7] = [
    "uuid", "mac", "domain", "hostname", "serial", "arch", "platform",
];

/// Recipient of configs: a machine of the inventory, or a machine with just the labels that a group requires.
#[derive(Debug)]
pub(super) struct Subject<'a> {
    /// In a sentence: "machine `node1`".
    pub(super) name: String,
    /// The machine, and its place in the inventory.
    pub(super) machine: Option<(usize, &'a Machine)>,
    pub(super) labels: Labels,
    pub(super) query: String,
    pub(super) group: &'a Arc<Group>,
    pub(super) profile: Option<&'a Arc<Profile>>,
}

/// Everything that rules look at.
pub(super) struct Context<'a> {
    pub(super) root: &'a Root,
    /// The groups file of the bootcfg layout.
    pub(super) groups_path: PathBuf,
    pub(super) snapshot: &'a Snapshot,
    /// Position of each group.
    pub(super) places: &'a [Place],
    pub(super) machines: Option<&'a Listed>,
    pub(super) assets: Option<&'a Path>,
    pub(super) network: Network,
    pub(super) subjects: Vec<Subject<'a>>,
    /// Places in the inventory of machines that no group matches, and why.
    pub(super) unmatched: Vec<(usize, String)>,
}

impl<'a> Context<'a> {
    /// Finds out who gets what.
    pub(super) fn find_subjects(&mut self) {
        let snapshot = self.snapshot;
        let mut chosen = HashSet::new();
        let machines = self
            .machines
            .map_or(&[][..], |list| &list.inventory.machines);
        for (index, machine) in machines.iter().enumerate() {
            let labels = machine.request_labels();
            match snapshot.group(&labels) {
                Ok(group) => {
                    chosen.insert(group.number);
                    self.subjects.push(Subject {
                        name: format!("machine `{}`", machine.name),
                        machine: Some((index, machine)),
                        query: query(&labels),
                        labels,
                        group,
                        profile: snapshot.profile(&group.profile_id).ok(),
                    });
                }
                Err(refusal) => self.unmatched.push((index, refusal.reason)),
            }
        }
        for group in snapshot.groups.iter() {
            if !chosen.contains(&group.number) {
                let (labels, query) = labels_of(group, snapshot.layout);
                self.subjects.push(Subject {
                    name: format!("group `{}`", group.name),
                    machine: None,
                    labels,
                    query,
                    group,
                    profile: snapshot.profile(&group.profile_id).ok(),
                });
            }
        }
    }

    /// Returns a file of the directory, as rules look at it.
    pub(super) fn source(&self, file: &str) -> Option<Source> {
        let text = self.root.read_text(file).ok()?;
        Some(Source::new(&self.root.path_of(file), text))
    }

    /// Returns the full path of a file of the directory.
    pub(super) fn path_of(&self, file: &str) -> PathBuf {
        self.root.path_of(file)
    }
}

/// Returns the query by which a machine asks for its configs.
fn query(labels: &Labels) -> String {
    let pairs = labels.0.iter().map(|(key, value)| {
        let value = match key.as_str() {
            "mac" => value.replace(':', "-"),
            _ => value
                .replace('%', "%25")
                .replace('&', "%26")
                .replace(' ', "%20"),
        };
        format!("{key}={value}")
    });
    pairs.collect::<Vec<String>>().join("&")
}

/// Returns the names in a sentence: the first ones, and how many more there are.
pub(super) fn named(names: &[&str]) -> String {
    const NAMED: usize = 3;
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        names if names.len() <= NAMED => {
            let (last, first) = names.split_last().unwrap_or((&"", &[]));
            format!("{} and {last}", first.join(", "))
        }
        names => {
            let first = names.get(..NAMED).unwrap_or_default().join(", ");
            format!("{first} and {} more", names.len() - NAMED)
        }
    }
}
