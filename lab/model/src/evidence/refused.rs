//! Frames that the cell's switch refused.

use std::fmt;

use boot_server_proto::mac::MacAddr;
use serde::{Deserialize, Serialize};

/// Frame that a port of the switch did not let through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RefusedFrame {
    /// Name of the host at the port, or of the network of an access port.
    pub port: String,
    /// VLAN of the frame; absent for an untagged frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    pub way: Way,
    /// Sender of the frame.
    pub source: MacAddr,
}

/// Way of a frame through a port of the switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// From the host into the switch.
    In,
    /// From the switch to the host.
    Out,
}

impl fmt::Display for RefusedFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.vlan {
            Some(vlan) => write!(
                f,
                "frame of VLAN {vlan} refused at the port of {}",
                self.port
            ),
            None => write!(f, "untagged frame refused at the port of {}", self.port),
        }
    }
}
