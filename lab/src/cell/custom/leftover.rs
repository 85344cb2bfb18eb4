//! Processes and mounts that a service leaves behind, by /proc.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

use super::command::MARK;
use super::host::Host;

/// True if the process has ended, whether or not its parent knows.
pub(super) fn has_ended(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start());
    state.is_none_or(|state| state.starts_with('Z'))
}

/// Returns the processes of a service's group or network namespace, except the one that holds the namespace.
pub(super) fn remaining(group: u32, host: &Host) -> Vec<(u32, String)> {
    let namespace = host.namespace();
    let holder = match host {
        Host::Shared => None,
        Host::Own { pid, .. } => Some(*pid),
    };
    let is_of_service = |folder: &Path, of: Option<u32>| {
        // Group 0 is outside this PID namespace.
        let is_of_group = group != 0 && of == Some(group);
        let is_of_namespace = namespace.is_some_and(|namespace| {
            let own = fs::metadata(folder.join("ns/net"));
            own.is_ok_and(|own| own.ino() == namespace)
        });
        is_of_group || is_of_namespace
    };
    let mut found = running(is_of_service);
    found.retain(|(pid, _)| Some(*pid) != holder);
    found
}

/// Kills processes of a service that left its group and namespace, such as daemons; returns what they were, except those
/// that are `told` already and may still be ending.
pub(super) fn end_marked(service: &str, told: &BTreeSet<u32>) -> Vec<String> {
    let mark = format!("{MARK}={service}");
    let is_marked = |folder: &Path, _: Option<u32>| {
        let environment = fs::read(folder.join("environ")).unwrap_or_default();
        let mut variables = environment.split(|&byte| byte == 0);
        variables.any(|one| one == mark.as_bytes())
    };
    let mut left = running(is_marked);
    left.retain(|(pid, _)| !told.contains(pid));
    let kill = |(pid, name): &(u32, String)| {
        kill_one(*pid);
        told_running(*pid, name)
    };
    left.iter().map(kill).collect()
}

/// Describes a process that was left running.
pub(super) fn told_running(pid: u32, name: &str) -> String {
    format!("process {pid} ({name}) was left running and was killed")
}

/// Kills a process.
pub(super) fn kill_one(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // An error means that the process has ended already.
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Returns the processes for which `is_wanted` holds, by their folder in /proc and their group.
fn running(is_wanted: impl Fn(&Path, Option<u32>) -> bool) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // `pid (comm) state ppid pgrp …`, proc_pid_stat(5); `comm` may contain spaces.
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let Some((head, tail)) = stat.rsplit_once(')') else {
            continue;
        };
        let mut fields = tail.split_whitespace();
        let is_dead = fields.next() == Some("Z");
        let group = fields.nth(1).and_then(|word| word.parse().ok());
        if !is_dead && is_wanted(&entry.path(), group) {
            let name = head.split_once('(').map_or("", |(_, name)| name);
            found.push((pid, name.to_owned()));
        }
    }
    found
}

/// Mounts of the cell, by id and place.
#[derive(Debug, Default)]
pub(super) struct Mounts(BTreeSet<(u64, String)>);

impl Mounts {
    /// Reads the present mounts of this process's namespace, which services share.
    pub(super) fn read() -> Mounts {
        Mounts(parse(
            &fs::read_to_string("/proc/self/mountinfo").unwrap_or_default(),
        ))
    }

    /// Returns the places of mounts that are new since.
    pub(super) fn added(&self) -> Vec<String> {
        let now = Mounts::read().0;
        let new = now.difference(&self.0);
        new.map(|(_, place)| place.clone()).collect()
    }
}

/// Parses `ID PARENT MAJOR:MINOR ROOT PLACE …` (proc_pid_mountinfo(5)).
fn parse(table: &str) -> BTreeSet<(u64, String)> {
    let mounts = table.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let id = words.next()?.parse().ok()?;
        Some((id, words.nth(3)?.to_owned()))
    });
    mounts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_mounts_by_id_and_place() {
        let table = "22 1 0:20 / / rw - ext4 /dev/vda rw\n\
                     31 22 0:27 / /run/lab rw,nosuid shared:5 - tmpfs tmpfs rw\n\n";
        let expected = BTreeSet::from([(22, "/".to_owned()), (31, "/run/lab".to_owned())]);
        assert_eq!(parse(table), expected);
    }
}
