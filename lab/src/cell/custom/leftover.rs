//! Processes that a service leaves behind, by /proc.

use std::fs;
use std::os::unix::fs::MetadataExt;

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
        // Group 0 is outside this PID namespace.
        let is_of_group =
            group != 0 && fields.nth(1).and_then(|word| word.parse().ok()) == Some(group);
        let is_of_namespace = namespace.is_some_and(|namespace| {
            let own = fs::metadata(entry.path().join("ns/net"));
            own.is_ok_and(|own| own.ino() == namespace)
        });
        if !is_dead && Some(pid) != holder && (is_of_group || is_of_namespace) {
            let name = head.split_once('(').map_or("", |(_, name)| name);
            found.push((pid, name.to_owned()));
        }
    }
    found
}
