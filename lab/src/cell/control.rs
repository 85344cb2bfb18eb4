//! What is asked of a cell that stays, and what it answers: a JSON line each, over a socket in the cell.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::fault::HandFault;

/// The socket on which a cell that stays listens, in its folder.
pub const SOCKET: &str = "control";

/// What is asked of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "wish", rename_all = "kebab-case")]
pub enum Wish {
    /// Press the machine's reset button.
    Reset {
        /// Which.
        node: String,
    },
    /// Pull its plug.
    PowerOff {
        /// Which.
        node: String,
    },
    /// Switch it on.
    PowerOn {
        /// Which.
        node: String,
    },
    /// Take a picture of its display.
    Screenshot {
        /// Which.
        node: String,
    },
    /// Put one more machine on the network and switch it on.
    AddNode(NewNode),
    /// Set a fault.
    SetFault(HandFault),
    /// Take all faults away.
    ClearFaults,
    /// Tell which faults are in force.
    TellFaults,
}

/// A machine that was not in the scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewNode {
    /// Its name.
    pub name: String,
    /// Its SMBIOS UUID.
    pub uuid: Uuid,
    /// MAC of its card.
    pub mac: String,
    /// SMBIOS serial number; its name, where nothing is said.
    pub serial: Option<String>,
    /// Memory in MiB; as the first machine has, where nothing is said.
    pub memory_mib: Option<u32>,
}

/// What it answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub enum Reply {
    /// It is done.
    Done,
    /// The picture.
    Picture {
        /// The file's bytes (PNG), as base64.
        base64: String,
    },
    /// The faults in force.
    Faults {
        /// Each.
        faults: Vec<HandFault>,
    },
    /// It can't be done.
    Refused {
        /// Why.
        why: String,
    },
}
