//! Leak check: no process may remain in the network of a cell that has ended.
//!
//! The kernel ends all processes in the cell's PID namespace. A process that entered only the network namespace
//! (such as a shell opened by a user) survives and keeps the network, its bridge and its addresses.

use std::fs;
use std::path::Path;

/// Network namespace of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CellNetwork(String);

impl CellNetwork {
    /// Returns the network namespace of process `pid`; `None` if the process has ended or shares this process's
    /// network.
    #[must_use]
    pub(super) fn of(pid: u32) -> Option<CellNetwork> {
        let theirs = network_of(format!("/proc/{pid}"))?;
        (network_of("/proc/self")? != theirs).then_some(CellNetwork(theirs))
    }

    /// Returns the number and command line of each process still in the namespace.
    #[must_use]
    pub(super) fn processes(&self) -> Vec<String> {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = entry.path();
            if name.parse::<u32>().is_ok() && network_of(&path).is_some_and(|net| net == self.0) {
                let command = fs::read(path.join("cmdline")).unwrap_or_default();
                let command = String::from_utf8_lossy(&command).replace('\0', " ");
                found.push(format!("process {name} ({})", command.trim()));
            }
        }
        found
    }
}

/// Returns the identity of a process's network namespace, e.g. `net:[4026531840]`.
fn network_of(process: impl AsRef<Path>) -> Option<String> {
    // Processes of other users and ended processes are unreadable, and are not ours.
    let link = fs::read_link(process.as_ref().join("ns/net")).ok()?;
    Some(link.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_network_is_no_cells() {
        assert_eq!(CellNetwork::of(std::process::id()), None);
    }

    #[test]
    fn a_process_in_the_network_is_found_by_its_command_line() {
        let own = CellNetwork(network_of("/proc/self").unwrap());
        let wanted = format!("process {} (", std::process::id());
        assert!(own.processes().iter().any(|one| one.starts_with(&wanted)));
        assert!(CellNetwork("net:[1]".into()).processes().is_empty());
    }
}
