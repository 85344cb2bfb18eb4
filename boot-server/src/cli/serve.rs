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
use crate::net::http::{Signer, Tls};
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
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(async {
        let shutdown = CancellationToken::new();
        stop_on_signals(shutdown.clone())?;
        let pixiecore = config.pixiecore.as_ref();
        let pixiecore = pixiecore.map(|p| ApiClient::new(&p.api)).transpose()?;
        let tls = tls(&config)?;
        let signer = signer(&config)?;
        let parts = Parts {
            tls,
            signer,
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

/// The signer of `http.key_ring`, unlocked by the passphrase in the environment: ours, or that of
/// the programs whose place we take.
fn signer(config: &Config) -> anyhow::Result<Option<Arc<Signer>>> {
    const PASSPHRASES: [&str; 3] = [
        "BOOT_SERVER_PASSPHRASE",
        "MATCHBOX_PASSPHRASE",
        "BOOTCFG_PASSPHRASE",
    ];
    let http = config.http.as_ref();
    let Some(key_ring) = http.and_then(|http| http.key_ring.as_ref()) else {
        return Ok(None);
    };
    let passphrase = PASSPHRASES.iter().find_map(|name| std::env::var(name).ok());
    let signer = Signer::open(key_ring, passphrase.as_deref())?;
    info!(key = signer.fingerprint(), "answers are signed");
    Ok(Some(Arc::new(signer)))
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
