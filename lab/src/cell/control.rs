//! Control requests to a persistent cell and their responses: one JSON line each, over a socket in the cell.

use lab_model::fault::LiveFault;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Name of the control socket in the folder of a persistent cell.
pub const SOCKET: &str = "control";

/// Control request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "wish", rename_all = "kebab-case")]
pub enum ControlRequest {
    /// Reset a machine.
    Reset { node: String },
    /// Power a machine off.
    PowerOff { node: String },
    /// Switch a machine on.
    PowerOn { node: String },
    /// Take a screenshot of a machine's display.
    Screenshot { node: String },
    /// Add a machine to the network and switch it on.
    AddNode(NewNode),
    /// Activate a fault.
    SetFault(LiveFault),
    /// Clear all faults.
    ClearFaults,
    /// Return the active faults.
    TellFaults,
}

/// Machine that is not part of the scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewNode {
    pub name: String,
    pub uuid: Uuid,
    /// MAC of the network card.
    pub mac: String,
    /// SMBIOS serial number [default: the name].
    pub serial: Option<String>,
    /// Memory in MiB [default: as the first machine].
    pub memory_mib: Option<u32>,
}

/// Response to a control request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub enum ControlResponse {
    /// The request was carried out.
    Done,
    /// Screenshot of a display.
    Picture {
        /// PNG file, as base64.
        base64: String,
    },
    /// List of active faults.
    Faults { faults: Vec<LiveFault> },
    /// The request was refused.
    Refused { why: String },
}
