//! Start of the DHCP services while a server is assembled.

use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use super::leases;
use super::probe::Prober;
use super::role::Role;
use super::server::ServerRole;
use super::service::DhcpService;
use super::socket::{DhcpSocket, Listen};
use crate::config::{Config, DhcpConfig};
use crate::net::NetError;
use crate::net::assembly::Assembly;
use crate::net::context::Context;
use crate::net::link::Link;
use crate::net::pixiecore::ApiClient;
use crate::respond::{Addressing, DhcpServer, ServerOptions};

/// The port of DHCP servers and proxies.
const DHCP_PORT: u16 = 67;
/// The port of the PXE boot service.
const BOOT_SERVICE_PORT: u16 = 4011;

impl Assembly {
    /// Starts what the configuration wants of DHCP.
    ///
    /// # Errors
    /// [`NetError`].
    pub(in crate::net) fn start_dhcp(
        &mut self,
        config: &Config,
        context: &Arc<Context>,
    ) -> Result<(), NetError> {
        if let Some(dhcp) = &config.dhcp {
            let address = context.interface.address;
            let pools = dhcp.pools(address)?;
            let (store, known) = leases::open(dhcp, &pools, &self.parts.events)?;
            let server =
                DhcpServer::new(address, server_options(config, dhcp), pools, &known, store);
            let link = open_link(dhcp, context)?;
            let prober = self.start_prober(dhcp, link.clone())?;
            let role = ServerRole::new(server, prober, self.parts.events.clone());
            let role = Role::Server(Box::new(role));
            self.start_dhcp_role("dhcp", Listen::All(DHCP_PORT), context, role, link)?;
        }
        let proxy = if config.pixiecore.is_some() {
            let api = self.pixiecore_api()?;
            Some(("pixiecore", Role::Pixiecore(Arc::new(api))))
        } else {
            config
                .proxy_dhcp
                .is_some()
                .then_some(("proxyDHCP", Role::Proxy))
        };
        if let Some((name, role)) = proxy {
            let proxy = config.proxy_dhcp.as_ref();
            let pixiecore = config.pixiecore.as_ref();
            let no_bind = proxy.is_some_and(|proxy| proxy.no_bind)
                || pixiecore.is_some_and(|pixiecore| pixiecore.no_bind);
            let listen = match no_bind {
                true => Listen::Unbound(DHCP_PORT),
                false => Listen::Broadcasts(DHCP_PORT),
            };
            self.start_dhcp_role(name, listen, context, role, None)?;
            let listen = Listen::OwnAddress(BOOT_SERVICE_PORT);
            self.start_dhcp_role("boot service", listen, context, Role::BootService, None)?;
        }
        Ok(())
    }

    /// Starts the prober of free addresses.
    fn start_prober(
        &mut self,
        dhcp: &DhcpConfig,
        link: Option<Arc<Link>>,
    ) -> Result<Option<Arc<Prober>>, NetError> {
        if dhcp.probe_ms == 0 {
            return Ok(None);
        }
        let patience = Duration::from_millis(dhcp.probe_ms.into());
        let prober = Prober::open(link, !dhcp.pools.is_empty(), patience);
        let prober = Arc::new(prober.map_err(|source| NetError::Packets {
            service: "looking for addresses behind relays (dhcp.probe_ms)",
            source,
        })?);
        let listener = Arc::clone(&prober);
        self.spawn("address prober", async move { listener.listen().await });
        Ok(Some(prober))
    }

    fn start_dhcp_role(
        &mut self,
        service: &'static str,
        listen: Listen,
        context: &Arc<Context>,
        role: Role<ApiClient>,
        link: Option<Arc<Link>>,
    ) -> Result<(), NetError> {
        let port = listen.port();
        let socket =
            DhcpSocket::bind(&context.interface, listen).map_err(|source| NetError::Bind {
                service,
                port,
                source,
            })?;
        self.listeners
            .push(format!("{service} {}:{port}", context.interface.name));
        let dhcp = DhcpService {
            context: Arc::clone(context),
            socket,
            port,
            role,
            link,
            discovers: self.discovers.clone(),
        };
        self.spawn(service, dhcp.serve());
        Ok(())
    }
}

/// Opens the packet socket that reaches machines without an address.
fn open_link(dhcp: &DhcpConfig, context: &Context) -> Result<Option<Arc<Link>>, NetError> {
    match Link::open(&context.interface) {
        Ok(link) => Ok(link.map(Arc::new)),
        // Clients can be answered by broadcast as well.
        Err(error) if dhcp.probe_ms == 0 => {
            warn!(%error, "cannot open a packet socket: replies to clients without an address are broadcast");
            Ok(None)
        }
        Err(source) => Err(NetError::Packets {
            service: "looking for addresses (dhcp.probe_ms)",
            source,
        }),
    }
}

fn server_options(config: &Config, dhcp: &DhcpConfig) -> ServerOptions {
    ServerOptions {
        addressing: match dhcp.always_broadcast {
            true => Addressing::Broadcast,
            false => Addressing::AsAsked,
        },
        pxe_vendor_class: config.boot.pxe_vendor_class,
        probing: dhcp.probe_ms > 0,
    }
}
