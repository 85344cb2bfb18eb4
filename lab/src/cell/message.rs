//! What the lab and a cell say to each other: one JSON value a line.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::evidence::{Depth, GaveUp, Record};
use crate::fault::Injections;
use crate::hypervisor::accel::Accelerator;
use crate::scenario::Firmware;

/// One attempt at a scenario, all that a cell has to know. It is the first line a cell reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Id of the run: six hexadecimal digits, part of every name.
    pub run_id: String,
    /// The scenario's folder.
    pub scenario: PathBuf,
    /// Those of its machines that are started.
    pub nodes: Vec<String>,
    /// URI of the host's own libvirt, where the machines are put on that and not on one of the cell's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect: Option<String>,
    /// Firmware of all its machines.
    pub firmware: Firmware,
    /// What executes them.
    pub accelerator: Accelerator,
    /// Folder with the image's kernel and initrd, served as `/assets/coreos/current/`.
    pub image: PathBuf,
    /// What is served below `/assets/` in the place of that; nothing for the image alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assets: Vec<Asset>,
    /// The `boot-server` program.
    pub boot_server: PathBuf,
    /// Where this attempt's artifacts go.
    pub artifacts: PathBuf,
    /// Machines that are through run on, until it is decided whether the cell is kept.
    pub hold: bool,
    /// How much evidence is collected.
    pub depth: Depth,
    /// What is injected.
    #[serde(default)]
    pub injections: Injections,
}

/// A file or folder that is served below `/assets/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asset {
    /// Its path there.
    pub at: PathBuf,
    /// Where it is on this host.
    pub from: PathBuf,
}

/// What the lab tells a cell after the [`Job`]. The end of its input ends the cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum Order {
    /// This node may use a place on the processors now.
    Start {
        /// Which.
        node: String,
    },
    /// Stop all machines, say what was seen, end.
    Stop {
        /// Reason, e.g. an interrupt.
        reason: GaveUp,
    },
    /// Stay alive with everything in it, as long as the lab is there: to a cell that holds its machines.
    Keep,
    /// Stay alive whatever becomes of the lab: the last order to a cell that was told to stay.
    Settle,
}

/// What a cell tells the lab.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "snake_case")]
pub enum Report {
    /// Everything but the machines is up.
    Ready,
    /// The node waits for [`Order::Start`].
    Waiting {
        /// Which.
        node: String,
    },
    /// Something was seen.
    Seen(Record),
    /// The node's machine is stopped (or through, in a cell that holds its machines).
    Stopped {
        /// Which.
        node: String,
    },
    /// Every machine is through, and runs on: the cell waits for [`Order::Keep`] or for its end.
    Through,
    /// The cell stays alive by itself from now on.
    Kept,
    /// Our own set-up failed; the cell ends.
    Broken {
        /// What failed and why.
        why: String,
    },
}
