//! Sockets, supervision and shutdown: bytes come in here, decisions are made in other rooms.

mod arp;
mod assembly;
mod context;
mod dhcp;
mod error;
mod files;
#[cfg(test)]
mod files_tests;
pub mod folder;
pub mod http;
mod interface;
mod link;
pub mod neighbours;
pub mod pixiecore;
pub mod pixiecore_api;
mod refusals;
mod router_advert;
pub mod rpc;
mod settling;
mod tftp;
mod unchanged;
mod watch;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use self::assembly::Assembly;
pub use self::error::NetError;
use self::http::{Signer, Tls};
pub use self::interface::{InterfaceError, interface_of};
use self::rpc::MutualTls;
use boot_server_events::BootEvent;

use self::pixiecore::ApiClient;
use crate::catalog::data_dir::DataDir;
use crate::config::Config;
use crate::event_sink::EventSink;

/// Time limit for the services to stop after a shutdown was requested.
const SHUTDOWN_TIME: Duration = http::GRACE.saturating_add(Duration::from_secs(2));

/// Parts from which a server is assembled.
pub struct Parts {
    /// Checked configuration of the server.
    pub config: Config,
    /// The boot config directory, when there is one.
    pub catalog: Option<Arc<DataDir>>,
    /// The client of the Pixiecore API, in Pixiecore mode.
    pub pixiecore: Option<ApiClient>,
    /// The HTTP service's identity, when it speaks TLS.
    pub tls: Option<Tls>,
    /// The gRPC API's identity and the authorities of its clients, when it is served.
    pub rpc_tls: Option<MutualTls>,
    /// Signs the answers of the boot config service, when there is a key.
    pub signer: Option<Arc<Signer>>,
    /// Sink of events.
    pub events: EventSink,
    /// Called once everything is bound.
    pub ready: Option<Box<dyn FnOnce() + Send>>,
}

type Services = JoinSet<(&'static str, io::Result<()>)>;

/// Runs everything the configuration asks for until `shutdown`.
///
/// # Errors
/// [`NetError`]: something could not be started, or ended by itself.
pub async fn run(parts: Parts, shutdown: CancellationToken) -> Result<(), NetError> {
    let (events, mut parts) = (parts.events.clone(), parts);
    let tell_ready = parts.ready.take();
    let mut assembly = Assembly::new(parts, shutdown.clone());
    assembly.start()?;
    let Assembly {
        mut services,
        listeners,
        ..
    } = assembly;
    info!(listeners = listeners.join(", "), "ready");
    events.emit(BootEvent::Ready { listeners });
    if let Some(tell) = tell_ready {
        tell();
    }
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
        error!("services did not stop in time and were aborted");
    }
    result
}
