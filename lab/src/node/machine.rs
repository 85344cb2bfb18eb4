//! A node's machine as libvirt is asked for it, and the sockets by which it is reached.

use std::path::PathBuf;

use super::life::Surroundings;
use crate::hypervisor::domain::{self, DomainSpec};
use crate::scenario::Node;

/// Where a machine's devices listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sockets {
    /// Its serial console.
    pub console: PathBuf,
    /// The port that the guest's journal comes by.
    pub journal: PathBuf,
    /// The debug console of UEFI firmware.
    pub debug: Option<PathBuf>,
    /// Its display.
    pub display: Option<PathBuf>,
}

impl Sockets {
    /// Those of a node.
    #[must_use]
    pub fn of(node: &Node, around: &Surroundings) -> Sockets {
        let socket = |kind: &str| around.sockets.join(format!("{}.{kind}", node.name));
        // Only UEFI firmware has one.
        let has_debug = around.depth.firmware_log && around.firmware.is_uefi();
        Sockets {
            console: socket("console"),
            journal: socket("journal"),
            debug: has_debug.then(|| socket("firmware")),
            display: around.depth.display.then(|| socket("vnc")),
        }
    }
}

/// libvirt's XML of the machine that it knows by `name`.
#[must_use]
pub fn xml(name: &str, node: &Node, around: &Surroundings) -> String {
    let sockets = Sockets::of(node, around);
    let further_macs: Vec<String> = node.further_macs.iter().map(ToString::to_string).collect();
    domain::render(&DomainSpec {
        name,
        uuid: &around.machine.uuid.unwrap_or(node.uuid).to_string(),
        mac: &node.mac.to_string(),
        further_macs: &further_macs,
        serial: node.serial.as_deref().unwrap_or(&node.name),
        memory_mib: node.memory_mib,
        firmware: around.firmware,
        accelerator: around.accelerator,
        network: &around.network,
        console: &sockets.console,
        console_log: &around.artifacts.join("console.log"),
        journal: &sockets.journal,
        debug_console: sockets.debug.as_deref(),
        display: sockets.display.as_deref(),
        run_id: &around.run_id,
        has_rng: !around.machine.without_rng,
        has_secure_boot: node.secure_boot || around.machine.stale_keys,
    })
}
