//! Cells that stay alive after the run, for somebody to look into.

use std::path::PathBuf;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::cell::on_host;
use crate::cell::sandbox::CELL_DIR;
use crate::node::life::domain_name;
use crate::scenario::Scenario;

/// Which cells stay alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Keep {
    /// None.
    #[default]
    Never,
    /// Those in which a machine failed.
    Failed,
    /// All.
    Always,
}

/// A cell that was left alive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Process whose end ends the cell and everything in it (`unshare`, which ignores SIGTERM).
    pub holder: u32,
    /// First process of the cell, as seen from outside: its namespaces are the cell's.
    pub init: u32,
}

impl Kept {
    /// The commands to look into it and to end it.
    #[must_use]
    pub fn instructions(
        &self,
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
            format!("nsenter --target {} --all", self.init)
        } else {
            // Entering one's own user namespace makes one root in it; the ids stay as they are.
            format!(
                "nsenter --target {} --user --preserve-credentials --all",
                self.init
            )
        };
        let mut text = format!("{unit} is kept alive (processes {}):\n", self.holder);
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
             end it and everything in it: kill -KILL {}\n",
            self.holder
        ));
        text
    }
}

/// The first process of the cell that `holder` started, by what the kernel tells of its children.
#[must_use]
pub fn first_child(holder: u32) -> Option<u32> {
    let path = PathBuf::from(format!("/proc/{holder}/task/{holder}/children"));
    let children = std::fs::read_to_string(path).ok()?;
    children.split_whitespace().next()?.parse().ok()
}
