//! What runs in a cell beside the machines: the private libvirtd, and the scenario's own services.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use boot_server::config::Config;
use boot_server::event::{BootEvent, Event};
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::{mpsc, oneshot};

use crate::hypervisor::{Hypervisor, HypervisorError};

/// How long libvirtd may take to listen; it asks QEMU for its abilities first.
const LIBVIRTD_DEADLINE: Duration = Duration::from_secs(30);

/// How long the host's libvirt may take to answer; its socket starts it.
const HOST_DEADLINE: Duration = Duration::from_secs(10);

/// How long a boot server may take to bind its sockets.
const READY_DEADLINE: Duration = Duration::from_secs(20);

/// QEMU runs as the cell's own root, which is nobody special outside; no security driver, control group or
/// further namespace is to be had in a cell, and none is needed.
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

/// Why a service of the cell does not run.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// A program is not installed.
    #[error("{0} is not installed")]
    Missing(&'static str),
    /// A file could not be written or a program not started.
    #[error("{what}: {source}")]
    Start {
        /// What was being done.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// libvirtd started but does not answer.
    #[error(transparent)]
    Hypervisor(#[from] HypervisorError),
    /// The service ended or stayed silent instead of listening.
    #[error("{name} did not come up: {detail}")]
    NotReady {
        /// Which.
        name: String,
        /// Its last words.
        detail: String,
    },
}

fn starting(what: impl Into<String>) -> impl FnOnce(io::Error) -> ServiceError {
    let what = what.into();
    move |source| ServiceError::Start { what, source }
}

/// The cell's libvirtd and a connection to it.
#[derive(Debug)]
pub struct Libvirtd {
    /// The connection.
    pub hypervisor: Hypervisor,
    // Killed with the cell at the latest; none where it is the host's.
    _daemon: Option<Child>,
}

impl Libvirtd {
    /// Writes its configuration into the cell's private folders, starts it and connects.
    ///
    /// # Errors
    /// [`ServiceError`] when it is not installed, can't be started or does not answer.
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

    /// A connection to the host's own.
    ///
    /// # Errors
    /// [`ServiceError::Hypervisor`] when it does not answer.
    pub async fn of_host(uri: &str) -> Result<Libvirtd, ServiceError> {
        let hypervisor = Hypervisor::open(uri, HOST_DEADLINE).await?;
        Ok(Libvirtd {
            hypervisor,
            _daemon: None,
        })
    }
}

/// What a service of the scenario tells: an event of a boot server, or its end.
#[derive(Debug)]
pub enum Told {
    /// An event of a boot server of ours.
    Event {
        /// Name of the service.
        service: String,
        /// The event.
        event: Box<Event>,
    },
    /// The service ended by itself.
    Ended {
        /// Name of the service.
        service: String,
        /// Exit status and last words.
        detail: String,
    },
}

/// Starts a boot server with `config` and waits until all its sockets are bound.
///
/// Its configuration, events and standard error are kept in `folder`. It ends with the cell. Returned is its
/// process id.
///
/// # Errors
/// [`ServiceError`] when it can't be started or is not ready in time.
pub async fn start_boot_server(
    name: &str,
    program: &Path,
    config: &Config,
    folder: &Path,
    told: mpsc::UnboundedSender<Told>,
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
            detail: format!("no sign of life within {} s", READY_DEADLINE.as_secs()),
        }),
    }
}

/// Starts a program of the user's own, e.g. a real `pixiecore`; its output is kept in `folder`.
///
/// # Errors
/// [`ServiceError::Start`] when it can't be started.
pub fn start_command(
    name: &str,
    command: &[String],
    folder: &Path,
    told: mpsc::UnboundedSender<Told>,
) -> Result<(), ServiceError> {
    fs::create_dir_all(folder).map_err(starting(folder.display().to_string()))?;
    let Some((program, arguments)) = command.split_first() else {
        return Err(starting(name)(io::Error::other("an empty command line")));
    };
    let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
    let (mut child, stderr) = spawn(name, Path::new(program), &arguments, folder)?;
    let service = name.to_owned();
    let stdout = child.stdout.take();
    let log = folder.join("stdout.log");
    tokio::spawn(async move {
        if let (Some(mut stdout), Ok(mut log)) = (stdout, tokio::fs::File::create(log).await) {
            let _ = tokio::io::copy(&mut stdout, &mut log).await;
        }
        tell_end(service, child, &stderr, &told).await;
    });
    Ok(())
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

/// Waits until a service ends and tells its status and last words.
async fn tell_end(
    service: String,
    mut child: Child,
    stderr: &Path,
    told: &mpsc::UnboundedSender<Told>,
) {
    let detail = match child.wait().await {
        Ok(status) => format!("{status}; {}", tail(stderr)),
        Err(error) => error.to_string(),
    };
    // Nobody listens any more once the attempt is over.
    let _ = told.send(Told::Ended { service, detail });
}

/// Passes events on until the stream ends; says when the first `Ready` was seen.
async fn follow(
    service: &str,
    stdout: ChildStdout,
    mut file: tokio::fs::File,
    ready: oneshot::Sender<()>,
    told: &mpsc::UnboundedSender<Told>,
) {
    let mut ready = Some(ready);
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Err(error) = file.write_all(format!("{line}\n").as_bytes()).await {
            tracing::warn!(%error, service, "events.jsonl");
        }
        match serde_json::from_str::<Event>(&line) {
            Ok(event) => {
                if matches!(event.what, BootEvent::Ready { .. })
                    && let Some(ready) = ready.take()
                {
                    let _ = ready.send(());
                }
                let _ = told.send(Told::Event {
                    service: service.to_owned(),
                    event: Box::new(event),
                });
            }
            Err(error) => tracing::warn!(%error, service, line, "no event"),
        }
    }
    let _ = file.flush().await;
}

/// The last lines of a log, for a message of one paragraph.
fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let from = lines.len().saturating_sub(8);
    match lines.get(from..) {
        Some(last) if !last.is_empty() => last.join("\n"),
        _ => "it said nothing".into(),
    }
}
