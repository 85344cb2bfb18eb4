//! The groups of a data directory: one that selects a UUID or a MAC is a machine.

use std::path::Path;

use boot_server_catalog::load::{self, Loaded, Source};
use boot_server_catalog::problem::{Problem, Severity};
use boot_server_catalog::snapshot::Snapshot;

use super::gather::{Found, Gathered, Imported};

/// True for a groups file of bootcfg's, which lies in its data directory.
pub(super) fn is_likely(text: &str) -> bool {
    let mut lines = text.lines();
    lines.any(|line| line.starts_with("api_version:")) && text.contains("groups:")
}

pub(super) fn import(path: &Path, gathered: &mut Gathered) -> Result<(), Vec<Problem>> {
    let Loaded {
        snapshot, problems, ..
    } = load::survey(&Source::of(path));
    let errors: Vec<Problem> = problems
        .into_iter()
        .filter(|problem| problem.severity == Severity::Error)
        .collect();
    if !errors.is_empty() {
        return Err(errors);
    }
    if snapshot.groups.is_empty() {
        let help = "name a data directory with groups; only files directly in `groups` are read";
        let problem = Problem::of_file(Severity::Error, path, "no groups found", help);
        return Err(vec![problem]);
    }
    add(&snapshot, gathered);
    Ok(())
}

/// Returns the machines that the groups of a loaded directory select.
#[must_use]
pub fn of_snapshot(snapshot: &Snapshot) -> Imported {
    of_snapshots(&[snapshot])
}

/// Returns the machines that the groups of several directories select; one that several know is the first's.
#[must_use]
pub fn of_snapshots(snapshots: &[&Snapshot]) -> Imported {
    let mut gathered = Gathered::default();
    for snapshot in snapshots {
        add(snapshot, &mut gathered);
    }
    gathered.finish()
}

fn add(snapshot: &Snapshot, gathered: &mut Gathered) {
    // Of two groups for one machine (not installed, installed) that which requires less is the machine.
    let mut groups: Vec<_> = snapshot.groups.iter().collect();
    groups.sort_by_key(|group| (group.require.len(), group.name.clone()));
    for group in groups {
        let place = format!("group `{}`", group.name);
        let mut found = Found {
            names: vec![group.name.to_string()],
            ..Found::default()
        };
        for (key, value) in group.require.iter() {
            let value = value.to_owned();
            match key {
                "uuid" => found.uuid = Some(value),
                "mac" => found.macs.push(value),
                "serial" => found.serial = Some(value),
                "hostname" => found.hostname = Some(value),
                other => {
                    found.labels.insert(other.to_owned(), value);
                }
            }
        }
        match found.uuid.is_none() && found.macs.is_empty() {
            true => {
                gathered.skip(place, "the group selects neither a UUID nor a MAC");
                gathered.example(found);
            }
            false => gathered.add(place, found),
        }
    }
}
