//! Roles of the DHCP services.

use std::sync::Arc;

use boot_server_events::DhcpRole;

use super::server::ServerRole;

/// Service that answers the messages of a socket.
pub(super) enum Role<A> {
    /// The DHCP server, which gives addresses.
    Server(Box<ServerRole>),
    /// A proxy beside another DHCP server.
    Proxy,
    /// Pixiecore's proxyDHCP service.
    Pixiecore(Arc<A>),
    /// The boot service on port 4011.
    BootService,
}

impl<A> Role<A> {
    /// Returns the role as events name it.
    pub(super) fn name(&self) -> DhcpRole {
        match self {
            Role::Server(_) => DhcpRole::Dhcp,
            Role::Proxy => DhcpRole::ProxyDhcp,
            Role::Pixiecore(_) => DhcpRole::Pixiecore,
            Role::BootService => DhcpRole::BootService,
        }
    }
}
