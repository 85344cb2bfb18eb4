//! Runs the server until it is told to stop.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::event_log::EventLog;
use super::report;
use crate::catalog::data_dir::DataDir;
use crate::catalog::problem::Problem;
use crate::config::Config;
use crate::event::EventSink;
use crate::net::http::Tls;
use crate::net::pixiecore::ApiClient;
use crate::net::{self, Parts};

/// Serves what the configuration asks for.
///
/// # Errors
/// Whatever kept it from starting, or ended it.
pub(super) fn serve(config: Config) -> anyhow::Result<ExitCode> {
    let (events, receiver) = EventSink::channel();
    let log = EventLog::start(config.events.as_deref(), receiver).with_context(|| {
        format!(
            "opening the event file {}",
            config.events.clone().unwrap_or_default().display()
        )
    })?;
    let catalog = match catalog(&config, &events) {
        Ok(catalog) => catalog,
        Err(problems) => return Ok(report(&problems)),
    };
    // One thread for what waits for packets: DHCP, requests by TFTP. HTTP and transfers have their own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(async {
        let shutdown = CancellationToken::new();
        stop_on_signals(shutdown.clone())?;
        let pixiecore = config.pixiecore.as_ref();
        let pixiecore = pixiecore.map(|p| ApiClient::new(&p.api)).transpose()?;
        let tls = tls(&config)?;
        let parts = Parts {
            tls,
            config,
            catalog,
            pixiecore,
            events,
        };
        net::run(parts, shutdown).await?;
        anyhow::Ok(())
    });
    // Transfers still under way hold event sinks: they end with the runtime.
    drop(runtime);
    log.finish();
    result.map(|()| ExitCode::SUCCESS)
}

fn catalog(config: &Config, events: &EventSink) -> Result<Option<Arc<DataDir>>, Vec<Problem>> {
    let Some(http) = &config.http else {
        return Ok(None);
    };
    let (data_dir, warnings) = DataDir::open(http.source(), Some(events.clone()))?;
    for warning in warnings {
        warn!("{warning}");
    }
    Ok(Some(Arc::new(data_dir)))
}

fn tls(config: &Config) -> anyhow::Result<Option<Tls>> {
    let http = config.http.as_ref();
    let pair = http.and_then(|http| http.tls_certificate.as_ref().zip(http.tls_key.as_ref()));
    let load = |(certificate, key): (&PathBuf, &PathBuf)| Tls::load(certificate, key);
    Ok(pair.map(load).transpose()?)
}

/// Cancels the token on SIGTERM and SIGINT.
fn stop_on_signals(shutdown: CancellationToken) -> std::io::Result<()> {
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut stream = signal(kind)?;
        let shutdown = shutdown.clone();
        tokio::spawn(async move {
            if stream.recv().await.is_some() {
                info!("stopping");
                shutdown.cancel();
            }
        });
    }
    Ok(())
}
