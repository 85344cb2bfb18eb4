//! Cells that keep running after the run, for inspection.

use std::path::PathBuf;

use clap::ValueEnum;
use lab_model::results::Kept;
use lab_model::scenario::Scenario;

use crate::cell::on_host;
use crate::cell::sandbox::CELL_DIR;
use crate::node::life::domain_name;

/// Choice of cells to keep running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Keep {
    /// No cells
    #[default]
    Never,
    /// Cells in which a machine failed
    Failed,
    /// All cells
    Always,
}

/// Returns the commands that attach to the cell and end it.
#[must_use]
pub fn instructions(
    kept: &Kept,
    run_id: &str,
    unit: &str,
    scenario: &Scenario,
    connect: Option<&str>,
) -> String {
    let (folder, libvirt) = match connect {
        None => (PathBuf::from(CELL_DIR), "qemu:///system"),
        Some(uri) => (on_host::folder(run_id), uri),
    };
    let enter = if rustix::process::geteuid().is_root() {
        format!("nsenter --target {} --all", kept.init)
    } else {
        // Entering the user namespace makes the caller root in it, so the ids must not be changed.
        format!(
            "nsenter --target {} --user --preserve-credentials --all",
            kept.init
        )
    };
    let mut text = format!("{unit} keeps running (processes {}):\n", kept.holder);
    for node in &scenario.nodes {
        let socket = folder.join(format!("{}.console", node.name));
        text.push_str(&format!(
            "  console of {} ({}): {enter} socat -,raw,echo=0,escape=0x1d UNIX-CONNECT:{}\n",
            node.name,
            domain_name(run_id, node),
            socket.display()
        ));
    }
    text.push_str(&format!(
        "  shell on its network: {enter} bash\n  its libvirt: {enter} virsh --connect {libvirt} list\n  \
         stop it with everything in it: kill -KILL {}\n",
        kept.holder
    ));
    text
}

/// Returns the first process of the cell that `holder` started, from the kernel's list of children.
#[must_use]
pub fn first_child(holder: u32) -> Option<u32> {
    let path = PathBuf::from(format!("/proc/{holder}/task/{holder}/children"));
    let children = std::fs::read_to_string(path).ok()?;
    children.split_whitespace().next()?.parse().ok()
}
