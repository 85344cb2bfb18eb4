//! Services of a cell beside the machines: the private libvirtd, and the scenario's own services.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use boot_server::config::Config;
use boot_server_events::{BootEvent, Event};
use lab_model::evidence::clock::run_clock;
use lab_model::evidence::{OutputStream, RefusedFrame};
use lab_model::timeline::StageName;
use lab_model::untrusted::plain;
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::{mpsc, oneshot};

use crate::hypervisor::{Hypervisor, HypervisorError};

/// Time limit for libvirtd to listen; it queries QEMU's capabilities first.
const LIBVIRTD_DEADLINE: Duration = Duration::from_secs(30);

/// Time limit for the host's libvirt to answer; its socket starts it.
const HOST_DEADLINE: Duration = Duration::from_secs(10);

/// Time limit for a boot server to bind its sockets.
const READY_DEADLINE: Duration = Duration::from_secs(20);

/// Text for a service without output.
pub(super) const NOTHING: &str = "no output";

/// QEMU runs as the cell's own root, which has no privileges outside; security drivers, control groups and
/// further namespaces are unavailable in a cell, and unnecessary.
const QEMU_CONF: &str = r#"security_driver = "none"
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
"#;

const LIBVIRTD_CONF: &str = r#"auth_unix_ro = "none"
auth_unix_rw = "none"
"#;

/// Error of starting a service.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// A program is not installed.
    #[error("{0} is not installed")]
    Missing(&'static str),
    /// A file cannot be written or a program cannot be started.
    #[error("{what}: {source}")]
    Start {
        /// Action that failed.
        what: String,
        source: io::Error,
    },
    /// libvirtd was started but does not answer.
    #[error(transparent)]
    Hypervisor(#[from] HypervisorError),
    /// The service ended, or did not listen in time.
    #[error("{name} did not start: {detail}")]
    NotReady {
        name: String,
        /// Last lines of its output.
        detail: String,
    },
}

fn starting(what: impl Into<String>) -> impl FnOnce(io::Error) -> ServiceError {
    let what = what.into();
    move |source| ServiceError::Start { what, source }
}

/// The cell's libvirtd, and the connection to it.
#[derive(Debug)]
pub struct Libvirtd {
    pub hypervisor: Hypervisor,
    // Killed with the cell at the latest; `None` for the host's libvirt.
    _daemon: Option<Child>,
}

impl Libvirtd {
    /// Writes libvirtd's configuration into the cell's private folders, starts it and connects.
    ///
    /// # Errors
    /// [`ServiceError`] if libvirtd is not installed, cannot be started or does not answer.
    pub async fn start(log: &Path) -> Result<Libvirtd, ServiceError> {
        let program = ["/usr/sbin/libvirtd", "/usr/local/sbin/libvirtd"]
            .into_iter()
            .find(|path| Path::new(path).exists())
            .ok_or(ServiceError::Missing("libvirtd"))?;
        let conf = "/etc/libvirt/libvirtd.conf";
        fs::write(conf, LIBVIRTD_CONF).map_err(starting(conf))?;
        fs::write("/etc/libvirt/qemu.conf", QEMU_CONF).map_err(starting("qemu.conf"))?;
        let log = File::create(log).map_err(starting("libvirtd's log"))?;
        let daemon = Command::new(program)
            .args(["--config", conf])
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(starting("libvirtd's log"))?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .map_err(starting(program))?;
        let hypervisor = Hypervisor::open("qemu:///system", LIBVIRTD_DEADLINE).await?;
        Ok(Libvirtd {
            hypervisor,
            _daemon: Some(daemon),
        })
    }

    /// Connects to the host's own libvirt.
    ///
    /// # Errors
    /// [`ServiceError::Hypervisor`] if it does not answer.
    pub async fn of_host(uri: &str) -> Result<Libvirtd, ServiceError> {
        let hypervisor = Hypervisor::open(uri, HOST_DEADLINE).await?;
        Ok(Libvirtd {
            hypervisor,
            _daemon: None,
        })
    }
}

/// Event of a service: an event of a boot server, or the service's end.
#[derive(Debug)]
pub enum ServiceEvent {
    /// Event of one of the lab's boot servers.
    Event { service: String, event: Box<Event> },
    /// The service ended unexpectedly.
    Ended {
        service: String,
        /// Exit status and last lines of output.
        detail: String,
    },
    /// A machine sent a request of this stage; told only if a fault waits for it.
    Requested { stage: StageName },
    /// A service of the user was killed by a fault.
    Killed {
        service: String,
        /// Exit status and last lines of output.
        detail: String,
    },
    /// A service of the user ended and is started again.
    Restarted {
        service: String,
        /// Exit status and last lines of output.
        detail: String,
    },
    /// A port of the switch refused a frame.
    Refused(RefusedFrame),
    /// Line of output of a service of the user.
    Line {
        service: String,
        stream: OutputStream,
        line: String,
    },
    /// A service of the user left something behind when it was stopped.
    LeftBehind {
        service: String,
        /// Leftover, and its removal.
        what: String,
    },
}

/// Starts a boot server with `config` and waits until all its sockets are bound.
///
/// Configuration, events and standard error are saved in `folder`. The server ends with the cell. Returns its
/// process id.
///
/// [`ServiceError`] if the server cannot be started or is not ready in time.
pub async fn start_boot_server(
    name: &str,
    program: &Path,
    config: &Config,
    folder: &Path,
    told: mpsc::UnboundedSender<ServiceEvent>,
) -> Result<u32, ServiceError> {
    fs::create_dir_all(folder).map_err(starting(folder.display().to_string()))?;
    let config_file = folder.join("config.toml");
    let text = toml::to_string(config)
        .map_err(|error| starting("the boot server's configuration")(io::Error::other(error)))?;
    fs::write(&config_file, text).map_err(starting(config_file.display().to_string()))?;
    let arguments = [OsString::from("--config"), config_file.into()];
    let (mut child, stderr) = spawn(name, program, &arguments, folder)?;
    let Some(stdout) = child.stdout.take() else {
        return Err(starting(name)(io::Error::other("no pipe from it")));
    };
    let events = tokio::fs::File::create(folder.join("events.jsonl"))
        .await
        .map_err(starting("events.jsonl"))?;
    let pid = child.id().unwrap_or_default();
    let (ready, is_ready) = oneshot::channel();
    let service = name.to_owned();
    let last_words = stderr.clone();
    tokio::spawn(async move {
        follow(&service, stdout, events, ready, &told).await;
        tell_end(service, child, &last_words, &told).await;
    });
    match tokio::time::timeout(READY_DEADLINE, is_ready).await {
        Ok(Ok(())) => Ok(pid),
        Ok(Err(_)) => Err(ServiceError::NotReady {
            name: name.to_owned(),
            detail: tail(&stderr),
        }),
        Err(_) => Err(ServiceError::NotReady {
            name: name.to_owned(),
            detail: format!("not ready within {} s", READY_DEADLINE.as_secs()),
        }),
    }
}

fn spawn(
    name: &str,
    program: &Path,
    arguments: &[OsString],
    folder: &Path,
) -> Result<(Child, PathBuf), ServiceError> {
    let stderr = folder.join("stderr.log");
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(&stderr).map_err(starting(stderr.display().to_string()))?)
        .kill_on_drop(true)
        .spawn()
        .map_err(starting(format!("{name} ({})", program.display())))?;
    Ok((child, stderr))
}

/// Waits for a service's end and reports its status and last output.
async fn tell_end(
    service: String,
    mut child: Child,
    stderr: &Path,
    told: &mpsc::UnboundedSender<ServiceEvent>,
) {
    let detail = match child.wait().await {
        Ok(status) => format!("{status}; {}", tail(stderr)),
        Err(error) => error.to_string(),
    };
    // The receiver is gone once the attempt is over.
    let _ = told.send(ServiceEvent::Ended { service, detail });
}

/// Forwards events until the stream ends; reports the first `Ready`.
async fn follow(
    service: &str,
    stdout: ChildStdout,
    mut file: tokio::fs::File,
    ready: oneshot::Sender<()>,
    told: &mpsc::UnboundedSender<ServiceEvent>,
) {
    let mut ready = Some(ready);
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Err(error) = file.write_all(format!("{line}\n").as_bytes()).await {
            tracing::warn!(%error, service, "events.jsonl");
        }
        match serde_json::from_str::<Event>(&line) {
            Ok(mut event) => {
                event.at_us = run_clock().corrected(event.at_us);
                if matches!(event.what, BootEvent::Ready { .. })
                    && let Some(ready) = ready.take()
                {
                    let _ = ready.send(());
                }
                let _ = told.send(ServiceEvent::Event {
                    service: service.to_owned(),
                    event: Box::new(event),
                });
            }
            Err(error) => tracing::warn!(%error, service, line, "no event"),
        }
    }
    let _ = file.flush().await;
}

/// Returns the last lines of a log, for a message of one paragraph.
fn tail(log: &Path) -> String {
    last_lines(log).unwrap_or_else(|| NOTHING.into())
}

/// Returns the last lines of a log without control sequences; `None` if the log does not exist.
pub(super) fn last_lines(log: &Path) -> Option<String> {
    let bytes = fs::read(log).unwrap_or_default();
    let text = plain(&String::from_utf8_lossy(&bytes));
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let from = lines.len().saturating_sub(8);
    let last = lines.get(from..).filter(|last| !last.is_empty())?;
    Some(last.join("\n"))
}
