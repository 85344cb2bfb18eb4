//! Assembly of a server: the configured services become bound sockets and tasks.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use boot_server_proto::mac::MacAddr;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::context::Context;
use super::files::{Nbps, TftpFiles};
use super::folder::Folder;
use super::http::{self, HttpServer, Limits, Workers};
use super::interface::Interface;
use super::neighbours::Neighbours;
use super::pixiecore::{self, ApiClient};
use super::router_advert::RouterAdvertiser;
use super::rpc::RpcServer;
use super::tftp::{TFTP_PORT, TftpService};
use super::watch::DataDirWatcher;
use super::{NetError, Parts, Services};
use crate::catalog::BootCatalog;
use crate::config::{Config, Explain, HttpConfig};
use crate::policy::Policy;
use crate::store::Store;

/// URL path of the first iPXE script. iPXE expands `${platform}` (`pcbios`, `efi`) before it fetches the file
/// (`usr/autoboot.c`), and EFI kernels need another script than BIOS ones.
const BOOT_SCRIPT: &str = "/boot.ipxe?platform=${platform}";
/// URL path of the NBPs for UEFI clients that boot over HTTP; other clients fetch them by TFTP.
const NBP_FOLDER: &str = "/nbp/";
/// Discovers that may wait for an advertisement; more are answered by the same one.
const DISCOVER_QUEUE: usize = 16;

/// A server being put together.
pub(super) struct Assembly {
    pub(super) parts: Parts,
    shutdown: CancellationToken,
    pub(super) services: Services,
    pub(super) listeners: Vec<String>,
    /// Tells the router advertiser of machines that begin to boot.
    pub(super) discovers: Option<mpsc::Sender<MacAddr>>,
    /// The threads of all HTTP servers, once there is one.
    workers: Option<Workers>,
}

impl Assembly {
    pub(super) fn new(parts: Parts, shutdown: CancellationToken) -> Assembly {
        Assembly {
            parts,
            shutdown,
            services: JoinSet::new(),
            listeners: Vec::new(),
            discovers: None,
            workers: None,
        }
    }

    /// Binds everything and starts it.
    ///
    /// # Errors
    /// [`NetError`]: something could not be started.
    pub(super) fn start(&mut self) -> Result<(), NetError> {
        let config = self.parts.config.clone();
        let neighbours = Neighbours::default();
        let explain = config
            .http
            .as_ref()
            .map_or_else(Explain::default, |http| http.explain);
        let mut nbps = None;
        if config.needs_interface() {
            let name = config.interface.as_deref().ok_or(NetError::NoInterface)?;
            let interface = Interface::find(name, config.address)?;
            let policy = policy(&config, interface.address);
            let events = self.parts.events.clone();
            let context = Context::new(interface, neighbours.clone(), events, policy);
            if config.router_advertisement {
                self.start_router_advertiser(&context)?;
            }
            self.start_dhcp(&config, &context)?;
            self.start_tftp(&config, &context)?;
            let roots = config.tftp.as_ref().map_or(&[][..], |tftp| &tftp.roots);
            let url = assets_url(&config, &context);
            let files = Nbps::new(Arc::clone(&context), roots, url, self.boot_catalog());
            nbps = Some(http::nbp::router(files, explain));
            if let Some(pixiecore) = &config.pixiecore {
                let listen = (context.interface.address, pixiecore.port).into();
                let events = self.parts.events.clone();
                let api = self.pixiecore_api()?;
                let router = pixiecore::explaining_router(api, neighbours.clone(), events, explain);
                let server = self.bind_http("pixiecore http", listen, router)?;
                self.start_http_server("pixiecore http", listen, server);
            }
        }
        if let Some(metrics) = config.metrics {
            let router = http::operator::router(Arc::clone(self.parts.events.metrics()));
            let explained = self
                .parts
                .catalog
                .clone()
                .filter(|_| explain != Explain::Off);
            let router = match explained {
                Some(catalog) => router.merge(http::explain::router(catalog)),
                None => router,
            };
            let server = self.bind_http("metrics", metrics.listen, router)?;
            self.start_http_server("metrics", metrics.listen, server);
        }
        self.start_boot_config_service(&config, neighbours, nbps)?;
        self.start_rpc(&config)
    }

    fn boot_catalog(&self) -> Option<Arc<dyn BootCatalog>> {
        let catalog = self.parts.catalog.clone();
        catalog.map(|data_dir| data_dir as Arc<dyn BootCatalog>)
    }

    fn start_tftp(&mut self, config: &Config, context: &Arc<Context>) -> Result<(), NetError> {
        if config.tftp.is_none() && config.pixiecore.is_none() {
            return Ok(());
        }
        let tftp = config.tftp.clone().unwrap_or_default();
        let assets = config.http.as_ref().and_then(assets);
        let files = TftpFiles::new(
            Arc::clone(context),
            &tftp.roots,
            assets,
            assets_url(config, context),
            self.boot_catalog(),
        );
        let explain = config.http.as_ref().map(|http| http.explain);
        let files = files.explaining(explain.unwrap_or_default());
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

    pub(super) fn pixiecore_api(&self) -> Result<ApiClient, NetError> {
        let api = self.parts.pixiecore.clone();
        api.ok_or(NetError::NoPixiecoreApi)
    }

    /// Returns the boot config service of `[http]`, which names machines by `neighbours`.
    fn start_boot_config_service(
        &mut self,
        config: &Config,
        neighbours: Neighbours,
        nbps: Option<axum::Router>,
    ) -> Result<(), NetError> {
        let (Some(http), Some(data_dir)) = (&config.http, self.parts.catalog.clone()) else {
            return Ok(());
        };
        match DataDirWatcher::new(
            Arc::clone(&data_dir),
            http.assets.iter().chain(&http.images).cloned(),
        ) {
            Ok(watcher) => self.spawn("watcher of the data directory", watcher.serve()),
            Err(error) => {
                warn!(%error, "cannot watch the data directory: send SIGHUP to reload it");
            }
        }
        let events = self.parts.events.clone();
        let signer = self.parts.signer.as_ref();
        let folders = http::Folders {
            assets: assets(http),
            images: http
                .images
                .as_ref()
                .map(|images| Folder::new(images, &http.links_to)),
        };
        let router =
            http::explaining_router(data_dir, folders, neighbours, events, signer, http.explain);
        let router = nbps.into_iter().fold(router, axum::Router::merge);
        let limits = Limits {
            connections: http.max_connections,
            per_address: http.max_connections_per_address,
            ..Limits::default()
        };
        let server = self.bind_http("http", http.listen, router)?.limits(limits);
        self.start_http_server("http", http.listen, server.tls(self.parts.tls.clone()));
        Ok(())
    }

    fn start_rpc(&mut self, config: &Config) -> Result<(), NetError> {
        let (Some(rpc), Some(data_dir), Some(tls)) = (
            &config.rpc,
            self.parts.catalog.clone(),
            self.parts.rpc_tls.clone(),
        ) else {
            return Ok(());
        };
        let service = "grpc";
        let events = self.parts.events.clone();
        let workers = self.workers();
        let server = workers
            .and_then(|workers| {
                RpcServer::bind(rpc.listen, tls, Store::new(data_dir), events, workers)
            })
            .map_err(|source| NetError::Bind {
                service,
                port: rpc.listen.port(),
                source,
            })?;
        let listen = server.local_addr().unwrap_or(rpc.listen);
        self.listeners.push(format!("{service} {listen}"));
        let shutdown = self.shutdown.clone();
        let serve = server.serve(async move { shutdown.cancelled().await });
        self.services.spawn(async move { (service, serve.await) });
        Ok(())
    }

    /// Returns the threads that answer, which are started for the first server.
    fn workers(&mut self) -> io::Result<Workers> {
        Ok(match &self.workers {
            Some(workers) => workers.clone(),
            None => self.workers.insert(Workers::start()?).clone(),
        })
    }

    fn bind_http(
        &mut self,
        service: &'static str,
        listen: SocketAddr,
        router: axum::Router,
    ) -> Result<HttpServer, NetError> {
        let bind = || {
            let server = HttpServer::bind(listen, router)?;
            let workers = self.workers()?;
            let metrics = Arc::clone(self.parts.events.metrics());
            Ok(server.workers(workers).metrics(metrics))
        };
        bind().map_err(|source| NetError::Bind {
            service,
            port: listen.port(),
            source,
        })
    }

    fn start_http_server(&mut self, service: &'static str, listen: SocketAddr, server: HttpServer) {
        // Port 0 has become a port by now.
        let listen = server.local_addr().unwrap_or(listen);
        self.listeners.push(format!("{service} {listen}"));
        let shutdown = self.shutdown.clone();
        let serve = server.serve(async move { shutdown.cancelled().await });
        self.services.spawn(async move { (service, serve.await) });
    }

    pub(super) fn spawn(
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

/// Returns the URL of `/assets/` by HTTP.
fn assets_url(config: &Config, context: &Context) -> Option<String> {
    http_url(config, context.interface.address).map(|url| format!("{url}/assets/"))
}

/// Returns the folder of assets, served by HTTP and by TFTP.
fn assets(http: &HttpConfig) -> Option<Folder> {
    let assets = http.assets.as_ref()?;
    Some(Folder::new(assets, &http.links_to))
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

/// Returns the URL of the HTTP service for machines: its listen address, or the server's own when that is a
/// wildcard or loopback.
fn http_url(config: &Config, address: Ipv4Addr) -> Option<String> {
    let http = config.http.as_ref()?;
    let listen = http.listen;
    let host = match listen.ip() {
        IpAddr::V4(ip) if !ip.is_unspecified() && !ip.is_loopback() => ip,
        _ => address,
    };
    let scheme = match http.tls_certificate {
        Some(_) => "https",
        None => "http",
    };
    Some(format!("{scheme}://{host}:{}", listen.port()))
}
