//! Libvirt definition of a node's machine, and the sockets of its devices.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use images::catalog::FirmwareBuild;
use lab_model::scenario::{CheckConsole, Node, SecureBootKeys};

use super::context::NodeContext;
use crate::cell::sandbox::cell_dir;
use crate::hypervisor::domain::{self, DomainSpec};
use crate::hypervisor::mark::RunMark;
use crate::hypervisor::nvram;

/// Sockets of a machine's devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sockets {
    /// Socket of the serial console.
    pub console: PathBuf,
    /// Socket of the second serial port with a shell for the checks.
    pub checks: Option<PathBuf>,
    /// Socket of the port for the guest's journal.
    pub journal: PathBuf,
    /// Socket of the UEFI firmware's debug console.
    pub debug: Option<PathBuf>,
    pub display: Option<PathBuf>,
}

impl Sockets {
    /// Returns the sockets of a node.
    #[must_use]
    pub fn of(node: &Node, context: &NodeContext) -> Sockets {
        let socket = |kind: &str| context.sockets.join(format!("{}.{kind}", node.name));
        // Only UEFI firmware has a debug console.
        let has_debug = context.depth.firmware_log && context.firmware.is_uefi();
        Sockets {
            console: socket("console"),
            checks: (node.check_console == CheckConsole::SecondPort).then(|| socket("checks")),
            journal: socket("journal"),
            debug: has_debug.then(|| socket("firmware")),
            display: context.depth.display.then(|| socket("vnc")),
        }
    }
}

/// Returns the XML of the machine with libvirt name `name`; creates its disks.
///
/// # Errors
/// Fails if a disk cannot be created.
pub fn xml(name: &str, node: &Node, context: &NodeContext) -> io::Result<String> {
    let sockets = Sockets::of(node, context);
    let further_macs: Vec<String> = node.further_macs.iter().map(ToString::to_string).collect();
    let disks = make_disks(node, &context.sockets)?;
    let has_secure_boot = node.secure_boot.is_some() || context.machine.stale_keys;
    let changes = nvram::Changes {
        keys: node
            .secure_boot
            .or(has_secure_boot.then(SecureBootKeys::default)),
        dbx: &node.dbx,
        sbat_level: &node.sbat_level,
        vlan: context.vlan.map(|vlan| (node.mac, vlan)),
        authority: context.authority.as_deref(),
    };
    let build = match changes.keys {
        None => FirmwareBuild::Plain,
        Some(SecureBootKeys::Snakeoil) => FirmwareBuild::SnakeoilKeys,
        Some(SecureBootKeys::Microsoft(_) | SecureBootKeys::Own) => FirmwareBuild::MicrosoftKeys,
    };
    let files = context.firmware_files.as_ref();
    let template = files.map(|files| files.variables(build));
    let code = files.map(|files| files.code(build));
    let has_own = template.is_some() || !changes.is_none();
    let variables = match context.firmware.is_uefi() && has_own {
        false => None,
        true => {
            let path = context.sockets.join(format!("{}.nvram", node.name));
            let own = nvram::own_certificate(&cell_dir());
            nvram::make(changes, template.as_deref(), &own, &path)?;
            Some(path)
        }
    };
    Ok(domain::render(&DomainSpec {
        name,
        uuid: &context.machine.uuid.unwrap_or(node.uuid).to_string(),
        mac: &node.mac.to_string(),
        cards: &context.cards,
        further_macs: &further_macs,
        serial: node.serial.as_deref().unwrap_or(&node.name),
        memory_mib: node.memory_mib,
        disks: &disks,
        firmware: context.firmware,
        accelerator: context.accelerator,
        network: &context.network,
        console: &sockets.console,
        console_log: &context.artifacts.join("console.log"),
        check_console: sockets.checks.as_deref(),
        journal: &sockets.journal,
        debug_console: sockets.debug.as_deref(),
        display: sockets.display.as_deref(),
        mark: &RunMark::of(&context.run_id),
        has_rng: !context.machine.without_rng,
        has_secure_boot,
        variables: variables.as_deref(),
        code: code.as_deref(),
    }))
}

/// Creates the machine's disks: sparse files in `folder`. They are empty at the first power-on and keep their
/// content afterwards.
fn make_disks(node: &Node, folder: &Path) -> io::Result<Vec<PathBuf>> {
    let make = |(letter, mib): (char, &u32)| {
        let path = folder.join(format!("{}.vd{letter}", node.name));
        let disk = File::options()
            .create(true)
            .write(true)
            .truncate(false)
            .open(&path)?;
        disk.set_len(u64::from(*mib) << 20)?;
        Ok(path)
    };
    ('a'..='z').zip(&node.disks_mib).map(make).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_disk_keeps_what_was_written_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let mac = "52:54:00:00:00:01".parse().unwrap();
        let node = Node {
            disks_mib: vec![1, 2],
            ..Node::stranger("node1", uuid::Uuid::nil(), mac, 64)
        };
        let disks = make_disks(&node, folder.path()).unwrap();
        assert!(disks[1].ends_with("node1.vdb"));
        assert_eq!(fs::metadata(&disks[1]).unwrap().len(), 2 << 20);
        let mut written = fs::read(&disks[0]).unwrap();
        written[7] = 1;
        fs::write(&disks[0], &written).unwrap();
        assert_eq!(make_disks(&node, folder.path()).unwrap(), disks);
        assert_eq!(fs::read(&disks[0]).unwrap(), written);
    }
}
