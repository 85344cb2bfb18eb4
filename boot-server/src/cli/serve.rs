//! Runs the server until it is stopped.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::event_log::EventLog;
use super::reload::Reloader;
use super::{ExitCode, logging, privileges, report, secrets};
use crate::catalog::data_dir::{DataDir, Layout};
use crate::catalog::problem::{Problem, Severity};
use crate::config::Config;
use crate::event_sink::EventSink;
use crate::net::pixiecore::ApiClient;
use crate::net::{self, Parts};

/// Serves what the configuration asks for; `file` is where it came from.
///
/// # Errors
/// Whatever kept it from starting, or ended it.
pub(super) fn serve(config: Config, file: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    logging::start(config.log);
    let event_file = config
        .events
        .as_deref()
        .filter(|path| *path != Path::new("-"));
    // Keys are often root's own: they are read before that is given up.
    let tls = secrets::tls(&config)?;
    let rpc_tls = secrets::rpc_tls(&config)?;
    let signer = secrets::signer(&config)?.map(Arc::new);
    if let Some(signer) = &signer {
        info!(key = signer.fingerprint(), "answers are signed");
    }
    if let Some(user) = &config.user {
        let leases = config
            .dhcp
            .as_ref()
            .and_then(|dhcp| dhcp.lease_file.as_deref());
        let files: Vec<&Path> = event_file.into_iter().chain(leases).collect();
        privileges::drop_to(user, &files)?;
    }
    raise_file_limit();
    let (events, receiver) = EventSink::channel();
    let metrics = Arc::clone(events.metrics());
    let log = EventLog::start(
        config.events.as_deref(),
        config.events_max_bytes,
        receiver,
        metrics,
    )
    .with_context(|| {
        let path = event_file.unwrap_or(Path::new("-"));
        format!("cannot open the event file {}", path.display())
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
        stop_on_signals(&shutdown)?;
        let hangup = signal(SignalKind::hangup())?;
        let reloader = Reloader {
            file,
            config: config.clone(),
            catalog: catalog.clone(),
            tls: tls.clone(),
            rpc_tls: rpc_tls.clone(),
            event_file: log.reopener(),
            events: events.clone(),
        };
        tokio::spawn(
            shutdown
                .clone()
                .run_until_cancelled_owned(reload_on(hangup, reloader)),
        );
        let parts = Parts {
            signer,
            pixiecore: pixiecore(&config)?,
            config,
            catalog,
            tls,
            rpc_tls,
            events,
            ready: Some(Box::new(|| tell(&[NotifyState::Ready]))),
        };
        net::run(parts, shutdown).await?;
        anyhow::Ok(())
    });
    // Transfers still under way hold event sinks: they end with the runtime.
    drop(runtime);
    log.finish();
    result.map(|()| ExitCode::Ok)
}

fn catalog(config: &Config, events: &EventSink) -> Result<Option<Arc<DataDir>>, Vec<Problem>> {
    let Some(http) = &config.http else {
        return Ok(None);
    };
    let (data_dir, warnings) = DataDir::open(http.source(), Some(events.clone()))?;
    for warning in warnings {
        warn!("{warning}");
    }
    let data_dir = data_dir.with_max_groups_lost(http.max_groups_lost);
    if config.rpc.is_none() {
        return Ok(Some(Arc::new(data_dir)));
    }
    if data_dir.current().layout == Layout::Bootcfg {
        return Err(vec![grpc_with_bootcfg(&http.data)]);
    }
    // Clients may put configs before there is a group, and remove all groups again.
    Ok(Some(Arc::new(data_dir.with_layout_kept())))
}

/// Returns the problem of gRPC with a data directory whose layout has no such API.
pub(super) fn grpc_with_bootcfg(data: &Path) -> Problem {
    let message = "unsupported: gRPC with a data directory of bootcfg";
    let help =
        "gRPC clients change a directory of matchbox: migrate it, or remove [rpc] or -rpc-address";
    Problem::of_file(Severity::Error, data, message, help)
}

fn pixiecore(config: &Config) -> anyhow::Result<Option<ApiClient>> {
    let Some(pixiecore) = &config.pixiecore else {
        return Ok(None);
    };
    let timeout = Duration::from_millis(pixiecore.api_timeout_ms);
    Ok(Some(match &pixiecore.boot {
        Some(boot) => ApiClient::fixed(boot)?,
        None => ApiClient::new(&pixiecore.api, timeout)?,
    }))
}

/// Each connection and each transfer is a descriptor; the usual soft limit of 1024 is for programs
/// that use `select`.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        warn!(%error, "cannot raise the limit of open files");
    }
}

/// Cancels the token on SIGTERM and SIGINT.
fn stop_on_signals(shutdown: &CancellationToken) -> std::io::Result<()> {
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut stream = signal(kind)?;
        let shutdown = shutdown.clone();
        tokio::spawn(async move {
            if stream.recv().await.is_some() {
                info!("stopping");
                tell(&[NotifyState::Stopping]);
                shutdown.cancel();
            }
        });
    }
    Ok(())
}

/// Reloads at each signal.
async fn reload_on(mut hangup: Signal, reloader: Reloader) {
    let reloader = Arc::new(reloader);
    while hangup.recv().await.is_some() {
        let now = NotifyState::monotonic_usec_now();
        tell(
            &[NotifyState::Reloading]
                .into_iter()
                .chain(now.ok())
                .collect::<Vec<_>>(),
        );
        let task = Arc::clone(&reloader);
        // It reads files: off the threads that answer.
        if let Err(error) = tokio::task::spawn_blocking(move || task.reload()).await {
            warn!(%error, "reload aborted");
        }
        tell(&[NotifyState::Ready]);
    }
}

/// Tells systemd, when it started us.
fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        warn!(%error, "cannot notify systemd");
    }
}
