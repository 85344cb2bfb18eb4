//! Protocol between the lab and a cell: one JSON value per line.

use std::collections::BTreeMap;
use std::path::PathBuf;

use lab_model::evidence::{GaveUp, Record};
use lab_model::fault::Injections;
use lab_model::scenario::{Firmware, Replacements};
use serde::{Deserialize, Serialize};

use crate::capture::EvidenceOptions;
use crate::hypervisor::accel::Accelerator;

/// Description of one attempt: the first line that a cell reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Run id: six hexadecimal digits, part of every resource name.
    pub run_id: String,
    /// Folder of the scenario.
    pub scenario: PathBuf,
    /// Names of the machines to start.
    pub nodes: Vec<String>,
    /// URI of the host's own libvirt; `None` for a private one in the cell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect: Option<String>,
    /// Firmware of all machines.
    pub firmware: Firmware,
    pub accelerator: Accelerator,
    /// Folder with the image's kernel and initrd, served as `/assets/coreos/current/`.
    pub image: PathBuf,
    /// Files served below `/assets/` instead; empty to serve the image alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assets: Vec<Asset>,
    /// Path of the `boot-server` program.
    pub boot_server: PathBuf,
    /// Folder for the attempt's artifacts.
    pub artifacts: PathBuf,
    /// True if finished machines keep running until it is decided whether the cell is kept.
    pub hold: bool,
    /// Exported container images, by the name of their service.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub service_images: BTreeMap<String, PathBuf>,
    /// Fetched boot programs of other releases, by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub programs: BTreeMap<String, PathBuf>,
    /// Replacements in the scenario.
    #[serde(default)]
    pub replacements: Replacements,
    /// Amount of evidence to collect.
    pub depth: EvidenceOptions,
    /// Faults to inject.
    #[serde(default)]
    pub injections: Injections,
}

/// File or folder served below `/assets/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asset {
    /// Path below `/assets/`.
    pub at: PathBuf,
    /// Path on this host.
    pub from: PathBuf,
}

/// Command of the lab after the [`Job`]. The end of its input ends the cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum CellCommand {
    /// Start a node, which now has its share of processors and memory.
    Start { node: String },
    /// Stop all machines, report the evidence and end.
    Stop {
        /// Reason, e.g. an interrupt.
        reason: GaveUp,
    },
    /// Stay with everything in the cell while the lab runs; sent to a cell that holds its machines.
    Keep,
    /// Stay even after the lab has ended; the last command to a cell that was told to stay.
    Settle,
}

/// Message of a cell to the lab.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "snake_case")]
pub enum Report {
    /// Everything except the machines is up.
    Ready,
    /// The node waits for [`CellCommand::Start`].
    Waiting { node: String },
    /// Evidence was recorded.
    Observation(Record),
    /// The node's machine has stopped, or finished in a cell that holds its machines.
    Stopped { node: String },
    /// Every machine has finished and keeps running: the cell waits for [`CellCommand::Keep`] or its end.
    Through,
    /// The cell stays from now on.
    Kept,
    /// The lab's own set-up failed; the cell ends.
    Broken { why: String },
}
