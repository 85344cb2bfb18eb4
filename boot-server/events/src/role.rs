//! Role in which a DHCP message was answered.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Role in which a DHCP message was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DhcpRole {
    /// DHCP server: gives addresses and boot options.
    Dhcp,
    /// ProxyDHCP: gives boot options beside another DHCP server.
    ProxyDhcp,
    /// Boot service on port 4011.
    BootService,
    /// ProxyDHCP in Pixiecore's ways.
    Pixiecore,
}

impl DhcpRole {
    /// Name in events and metrics.
    pub fn name(self) -> &'static str {
        match self {
            DhcpRole::Dhcp => "dhcp",
            DhcpRole::ProxyDhcp => "proxy_dhcp",
            DhcpRole::BootService => "boot_service",
            DhcpRole::Pixiecore => "pixiecore",
        }
    }
}

impl fmt::Display for DhcpRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
