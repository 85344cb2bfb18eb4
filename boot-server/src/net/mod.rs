//! Sockets, supervision and shutdown: bytes come in here, decisions are made in other rooms.

mod context;
mod dhcp;
mod files;
pub mod http;
mod interface;
mod link;
pub mod neighbours;
pub mod pixiecore;
pub mod pixiecore_api;
mod router_advert;
mod tftp;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use self::context::Context;
use self::dhcp::{DhcpService, DhcpSocket, Listen, Prober, Role, ServerRole};
use self::files::TftpFiles;
use self::http::HttpServer;
use self::interface::Interface;
pub use self::interface::InterfaceError;
use self::link::Link;
use self::neighbours::Neighbours;
use self::pixiecore::ApiClient;
use self::router_advert::RouterAdvertiser;
use self::tftp::{TFTP_PORT, TftpService};
use crate::catalog::BootCatalog;
use crate::catalog::data_dir::DataDir;
use crate::config::{Config, DhcpConfig};
use crate::event::{BootEvent, EventSink};
use crate::lease::{Journal, JournalError, LeaseStore, MemoryOnly};
use crate::policy::Policy;
use crate::proto::mac::MacAddr;
use crate::respond::{Addressing, DhcpServer, Habits};

/// The port of DHCP servers and proxies.
const DHCP_PORT: u16 = 67;
/// Where the first iPXE script is. iPXE fills in `${platform}` (`pcbios`, `efi`) before it fetches
/// the file (`usr/autoboot.c`), and EFI kernels need another script than BIOS ones.
const BOOT_SCRIPT: &str = "/boot.ipxe?platform=${platform}";
/// Where UEFI clients that boot over HTTP find the NBPs that others fetch by TFTP.
const NBP_FOLDER: &str = "/nbp/";
/// The port of the PXE boot service.
const BOOT_SERVICE_PORT: u16 = 4011;
/// Discovers that may wait for an advertisement; more are answered by the same one.
const DISCOVER_QUEUE: usize = 16;
/// How long services may take to end after they were asked to.
const SHUTDOWN_TIME: Duration = Duration::from_secs(5);

/// Why the server does not run, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The configured interface.
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    /// A socket could not be bound.
    #[error("{service} on port {port}: {source}{}", hint(source))]
    Bind {
        /// Which service.
        service: &'static str,
        /// Its port.
        port: u16,
        /// What the kernel said.
        source: io::Error,
    },
    /// The packet socket of the router advertiser.
    #[error("router advertisement: {source}{}", hint(source))]
    Advertiser {
        /// What the kernel said.
        source: io::Error,
    },
    /// A socket for whole packets.
    #[error("{service}: {source}{}", hint(source))]
    Packets {
        /// What needs it.
        service: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The lease file.
    #[error(transparent)]
    Leases(#[from] JournalError),
    /// The configuration asks for what cannot be.
    #[error("{0}")]
    Config(String),
    /// A service ended by itself.
    #[error("{service} ended: {reason}")]
    Ended {
        /// Which service.
        service: &'static str,
        /// Why.
        reason: String,
    },
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            " (it needs root, or CAP_NET_BIND_SERVICE and CAP_NET_RAW)"
        }
        io::ErrorKind::AddrInUse => {
            " (another server holds it and does not share it; dnsmasq shares port 67 with \
             --bind-dynamic or --bind-interfaces)"
        }
        _ => "",
    }
}

/// What a server is made from.
pub struct Parts {
    /// Its configuration, checked.
    pub config: Config,
    /// The boot config directory, when there is one.
    pub catalog: Option<Arc<DataDir>>,
    /// The client of the Pixiecore API, in Pixiecore mode.
    pub pixiecore: Option<ApiClient>,
    /// Where events go.
    pub events: EventSink,
}

type Services = JoinSet<(&'static str, io::Result<()>)>;

/// A server being put together.
struct Assembly {
    parts: Parts,
    shutdown: CancellationToken,
    services: Services,
    listeners: Vec<String>,
    /// Tells the router advertiser of machines that begin to boot.
    discovers: Option<mpsc::Sender<MacAddr>>,
}

/// Runs everything the configuration asks for until `shutdown`.
///
/// # Errors
/// [`NetError`]: something could not be started, or ended by itself.
pub async fn run(parts: Parts, shutdown: CancellationToken) -> Result<(), NetError> {
    let events = parts.events.clone();
    let mut assembly = Assembly {
        parts,
        shutdown,
        services: JoinSet::new(),
        listeners: Vec::new(),
        discovers: None,
    };
    assembly.start()?;
    let Assembly {
        shutdown,
        mut services,
        listeners,
        ..
    } = assembly;
    info!(listeners = listeners.join(", "), "ready");
    events.emit(BootEvent::Ready { listeners });
    let ended = tokio::select! {
        // Services end when told to stop: that is not an end of their own.
        biased;
        () = shutdown.cancelled() => None,
        ended = services.join_next() => ended,
    };
    shutdown.cancel();
    let result = match ended {
        None => Ok(()),
        Some(Ok((service, result))) => {
            let reason = result
                .err()
                .map_or("without an error".into(), |error| error.to_string());
            Err(NetError::Ended { service, reason })
        }
        Some(Err(error)) => Err(NetError::Ended {
            service: "a service",
            reason: error.to_string(),
        }),
    };
    let all_ended = async { while services.join_next().await.is_some() {} };
    if tokio::time::timeout(SHUTDOWN_TIME, all_ended)
        .await
        .is_err()
    {
        error!("services did not end in time and are cut off");
    }
    result
}

impl Assembly {
    fn start(&mut self) -> Result<(), NetError> {
        let config = self.parts.config.clone();
        let neighbours = Neighbours::default();
        let with_packets = config.dhcp.is_some()
            || config.proxy_dhcp.is_some()
            || config.pixiecore.is_some()
            || config.tftp.is_some()
            || config.router_advertisement;
        if with_packets {
            let name = config.interface.as_deref().ok_or_else(|| {
                NetError::Config("`interface` is needed for DHCP, TFTP and advertisements".into())
            })?;
            let interface = Interface::find(name, config.address)?;
            let policy = policy(&config, interface.address);
            let events = self.parts.events.clone();
            let context = Context::new(interface, neighbours.clone(), events, policy);
            if config.router_advertisement {
                self.start_router_advertiser(&context)?;
            }
            self.start_dhcp(&config, &context)?;
            self.start_tftp(&config, &context)?;
            if let Some(pixiecore) = &config.pixiecore {
                let listen = (context.interface.address, pixiecore.port).into();
                let events = self.parts.events.clone();
                let api = self.pixiecore_api()?;
                let router = pixiecore::router(api, neighbours.clone(), events);
                self.start_http_server("pixiecore http", listen, router)?;
            }
        }
        self.start_boot_config_service(&config, neighbours)
    }

    fn start_dhcp(&mut self, config: &Config, context: &Arc<Context>) -> Result<(), NetError> {
        if let Some(dhcp) = &config.dhcp {
            let store: Box<dyn LeaseStore>;
            let known;
            match &dhcp.lease_file {
                Some(path) => {
                    let (journal, leases) = Journal::open(path)?;
                    (store, known) = (Box::new(journal), leases);
                }
                None => (store, known) = (Box::new(MemoryOnly), Vec::new()),
            }
            let address = context.interface.address;
            let pools = dhcp.pools(address).map_err(NetError::Config)?;
            let server = DhcpServer::new(address, habits(config, dhcp), pools, &known, store);
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
            self.start_dhcp_role(name, Listen::Broadcasts(DHCP_PORT), context, role, None)?;
            let listen = Listen::OwnAddress(BOOT_SERVICE_PORT);
            self.start_dhcp_role("boot service", listen, context, Role::BootService, None)?;
        }
        Ok(())
    }

    /// What looks whether an address is free.
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
        let (Listen::All(port) | Listen::Broadcasts(port) | Listen::OwnAddress(port)) = listen;
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

    fn start_tftp(&mut self, config: &Config, context: &Arc<Context>) -> Result<(), NetError> {
        if config.tftp.is_none() && config.pixiecore.is_none() {
            return Ok(());
        }
        let tftp = config.tftp.clone().unwrap_or_default();
        let assets = config.http.as_ref().and_then(|http| http.assets.clone());
        let assets_url =
            http_url(config, context.interface.address).map(|url| format!("{url}/assets/"));
        let catalog = self
            .parts
            .catalog
            .clone()
            .map(|data_dir| data_dir as Arc<dyn BootCatalog>);
        let files = TftpFiles::new(
            Arc::clone(context),
            &tftp.roots,
            assets,
            assets_url,
            catalog,
        );
        let service =
            TftpService::bind(Arc::clone(context), files, TFTP_PORT).map_err(|source| {
                NetError::Bind {
                    service: "tftp",
                    port: TFTP_PORT,
                    source,
                }
            })?;
        self.listeners
            .push(format!("tftp {}:69", context.interface.address));
        self.spawn("tftp", service.serve());
        Ok(())
    }

    fn start_router_advertiser(&mut self, context: &Arc<Context>) -> Result<(), NetError> {
        let (sender, receiver) = mpsc::channel(DISCOVER_QUEUE);
        self.discovers = Some(sender);
        let service = "router advertisement";
        let advertiser = RouterAdvertiser::bind(Arc::clone(context), receiver)
            .map_err(|source| NetError::Advertiser { source })?;
        self.listeners
            .push(format!("{service} {}", context.interface.name));
        self.spawn(service, advertiser.serve());
        Ok(())
    }

    fn pixiecore_api(&self) -> Result<ApiClient, NetError> {
        let missing = || NetError::Config("Pixiecore mode needs a client of its API".into());
        self.parts.pixiecore.clone().ok_or_else(missing)
    }

    /// The boot config service of `[http]`, which names machines by `neighbours`.
    fn start_boot_config_service(
        &mut self,
        config: &Config,
        neighbours: Neighbours,
    ) -> Result<(), NetError> {
        let (Some(http), Some(data_dir)) = (&config.http, self.parts.catalog.clone()) else {
            return Ok(());
        };
        let events = self.parts.events.clone();
        let router = http::router(data_dir, http.assets.clone(), neighbours, events);
        self.start_http_server("http", http.listen, router)
    }

    fn start_http_server(
        &mut self,
        service: &'static str,
        listen: SocketAddr,
        router: axum::Router,
    ) -> Result<(), NetError> {
        let bound = HttpServer::bind(listen, router);
        let server = bound.map_err(|source| NetError::Bind {
            service,
            port: listen.port(),
            source,
        })?;
        self.listeners.push(format!("{service} {listen}"));
        let shutdown = self.shutdown.clone();
        let serve = server.serve(async move { shutdown.cancelled().await });
        self.services.spawn(async move { (service, serve.await) });
        Ok(())
    }

    fn spawn(
        &mut self,
        name: &'static str,
        service: impl Future<Output = io::Result<()>> + Send + 'static,
    ) {
        let shutdown = self.shutdown.clone();
        self.services.spawn(async move {
            let result = shutdown.run_until_cancelled(service).await;
            (name, result.unwrap_or(Ok(())))
        });
    }
}

/// What reaches machines that have no address yet.
fn open_link(dhcp: &DhcpConfig, context: &Context) -> Result<Option<Arc<Link>>, NetError> {
    match Link::open(&context.interface) {
        Ok(link) => Ok(link.map(Arc::new)),
        // Clients can be answered by broadcast as well.
        Err(error) if dhcp.probe_ms == 0 => {
            warn!(%error, "no packet socket: clients without an address get broadcasts");
            Ok(None)
        }
        Err(source) => Err(NetError::Packets {
            service: "looking for addresses (dhcp.probe_ms)",
            source,
        }),
    }
}

fn habits(config: &Config, dhcp: &DhcpConfig) -> Habits {
    Habits {
        addressing: match dhcp.always_broadcast {
            true => Addressing::Broadcast,
            false => Addressing::AsAsked,
        },
        pxe_vendor_class: config.boot.pxe_vendor_class,
        probing: dhcp.probe_ms > 0,
    }
}

fn policy(config: &Config, address: Ipv4Addr) -> Policy {
    match &config.pixiecore {
        Some(pixiecore) => Policy::pixiecore(address, config.boot.clone(), pixiecore.port),
        None => {
            let script = config
                .boot
                .script_url
                .clone()
                .or_else(|| http_url(config, address).map(|url| format!("{url}{BOOT_SCRIPT}")));
            let nbp_url = http_url(config, address).map(|url| format!("{url}{NBP_FOLDER}"));
            Policy::boot(address, config.boot.clone(), script).with_nbp_url(nbp_url)
        }
    }
}

/// Where machines reach the HTTP service: the address it listens on, or ours when that is all or
/// only this host's.
fn http_url(config: &Config, address: Ipv4Addr) -> Option<String> {
    let listen = config.http.as_ref()?.listen;
    let host = match listen.ip() {
        IpAddr::V4(ip) if !ip.is_unspecified() && !ip.is_loopback() => ip,
        _ => address,
    };
    Some(format!("http://{host}:{}", listen.port()))
}
