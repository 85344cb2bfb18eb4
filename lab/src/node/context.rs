//! Context of a node, and the recorder of its observations.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use images::catalog::{FirmwareBuild, FirmwarePackage};
use lab_model::evidence::{GaveUp, Observation, Record};
use lab_model::fault::MachineChange;
use lab_model::scenario::Firmware;
use tokio::sync::mpsc;

use super::progress::Progress;
use crate::capture::EvidenceOptions;
use crate::capture::ports::Ports;
use crate::hypervisor::accel::Accelerator;
use crate::hypervisor::domain::Card;

/// UEFI firmware of an unpacked package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirmwareFiles {
    pub package: FirmwarePackage,
    /// Root of the unpacked package.
    pub root: PathBuf,
}

impl FirmwareFiles {
    /// Returns the file of the code.
    #[must_use]
    pub fn code(&self, build: FirmwareBuild) -> PathBuf {
        self.root.join(self.package.code(build))
    }

    /// Returns the file of the variables.
    #[must_use]
    pub fn variables(&self, build: FirmwareBuild) -> PathBuf {
        self.root.join(self.package.variables(build))
    }
}

/// Context of a node: paths, devices and settings.
#[derive(Debug, Clone)]
pub struct NodeContext {
    /// Run id, part of the domain's name.
    pub run_id: String,
    pub firmware: Firmware,
    pub accelerator: Accelerator,
    /// Amount of evidence to collect.
    pub depth: EvidenceOptions,
    /// Name of the libvirt network.
    pub network: String,
    /// VLAN with which the machine tags its frames.
    pub vlan: Option<u16>,
    /// Firmware in place of the host's.
    pub firmware_files: Option<FirmwareFiles>,
    /// Certificate, in DER, of the authority whose web servers the firmware trusts.
    pub authority: Option<PathBuf>,
    /// Cards beside the one from which the machine boots.
    pub cards: Vec<Card>,
    /// Folder for the console socket and the disks.
    pub sockets: PathBuf,
    /// Folder for the artifacts.
    pub artifacts: PathBuf,
    /// Time limit from power-on to the last check.
    pub deadline: Duration,
    /// True if the finished machine keeps running, with its console free for other clients.
    pub hold: bool,
    /// Changes of the machine by a fault.
    pub machine: MachineChange,
    /// Capture at the machine's own port, during an attempt.
    pub ports: Option<Ports>,
}

/// Recorder of one node's observations.
#[derive(Debug, Clone)]
pub struct NodeRecorder {
    node: String,
    records: mpsc::UnboundedSender<Record>,
    /// Progress of the boot, for its time limits.
    pub(super) progress: Progress,
    /// True once an observation has ruled out a pass.
    saw_failure: Arc<AtomicBool>,
}

impl NodeRecorder {
    /// Creates a recorder for the node of this name.
    #[must_use]
    pub fn new(
        node: &str,
        records: mpsc::UnboundedSender<Record>,
        progress: Progress,
    ) -> NodeRecorder {
        NodeRecorder {
            node: node.to_owned(),
            records,
            progress,
            saw_failure: Arc::default(),
        }
    }

    /// Records one observation with the current time.
    pub fn saw(&self, seen: Observation) {
        if matches!(
            seen,
            Observation::GaveUp { .. }
                | Observation::PowerOff { .. }
                | Observation::Check { holds: false, .. }
                | Observation::ConsoleDisturbed { .. }
        ) {
            self.saw_failure.store(true, Ordering::Relaxed);
        }
        let record = Record {
            at_us: self.progress.now_us(),
            node: Some(self.node.clone()),
            seen,
        };
        self.progress.saw(&record);
        // The receiver is gone once the attempt is over.
        let _ = self.records.send(record);
    }

    /// True once an observation has ruled out a pass.
    pub(super) fn saw_failure(&self) -> bool {
        self.saw_failure.load(Ordering::Relaxed)
    }

    /// Records that the lab stopped waiting.
    pub fn gave_up(&self, reason: GaveUp) {
        self.saw(Observation::GaveUp { reason });
    }
}
