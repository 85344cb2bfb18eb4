//! Processes of a service: start, restart, end, and what remains after the end.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use lab_model::evidence::OutputStream;
use lab_model::scenario::{Placeholder, Restart, Service, StopSignal, expand};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::AsyncRead;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::CustomServiceError;
use super::output::{self, Lines};
use crate::cell::services::ServiceEvent;
use crate::doctor::programs;

/// Time limit for a service to end after its signal.
const STOP_DEADLINE: Duration = Duration::from_secs(3);

/// Pause before a service is started again.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// Host of a service's processes.
#[derive(Debug, Clone)]
pub(super) enum Host {
    /// The host of the lab's own services.
    Shared,
    /// Network namespace of its own.
    Own {
        /// Process that holds the namespace.
        pid: u32,
        interface: String,
    },
}

impl Host {
    /// Returns the folder of the host's socket tables.
    pub(super) fn sockets(&self) -> PathBuf {
        match self {
            Host::Shared => "/proc/self/net".into(),
            Host::Own { pid, .. } => format!("/proc/{pid}/net").into(),
        }
    }

    /// Returns the identity of the host's network namespace.
    fn namespace(&self) -> Option<u64> {
        match self {
            Host::Shared => None,
            Host::Own { pid, .. } => Some(fs::metadata(format!("/proc/{pid}/ns/net")).ok()?.ino()),
        }
    }
}

/// Program with arguments, environment and working directory.
#[derive(Debug, Clone)]
pub(super) struct CommandLine {
    words: Vec<String>,
    env: Vec<(String, String)>,
    dir: PathBuf,
}

/// Returns the command line of a service, in its namespace, as its user and with its capabilities.
///
/// # Errors
/// [`CustomServiceError`] if the program is not installed or the user does not exist.
pub(super) fn command(
    service: &Service,
    host: &Host,
    dir: &Path,
    state: &Path,
    value: impl Fn(Placeholder) -> String,
) -> Result<CommandLine, CustomServiceError> {
    let mut words: Vec<String> = Vec::new();
    if let Host::Own { pid, .. } = host {
        words.extend([
            "nsenter".into(),
            format!("--net=/proc/{pid}/ns/net"),
            "--".into(),
        ]);
    }
    let mut privileges: Vec<String> = Vec::new();
    if let Some(user) = &service.user {
        let (id, group) = ids(service, user)?;
        let owned = std::os::unix::fs::chown(state, Some(id), Some(group));
        owned.map_err(|source| CustomServiceError::Prepare {
            service: service.name.clone(),
            what: "its state folder".into(),
            source,
        })?;
        privileges.extend([
            format!("--reuid={id}"),
            format!("--regid={group}"),
            "--clear-groups".into(),
        ]);
    }
    if let Some(capabilities) = &service.capabilities {
        let kept: String = capabilities.iter().map(|one| format!(",+{one}")).collect();
        privileges.extend(
            ["--inh-caps", "--ambient-caps", "--bounding-set"].map(|set| {
                // The bounding set cannot be raised, only lowered.
                format!("{set}=-all{kept}")
            }),
        );
    }
    if !privileges.is_empty() {
        words.push("setpriv".into());
        words.extend(privileges);
        words.push("--".into());
    }
    let mut own = service.command.iter().map(|word| expand(word, &value));
    let program = own.next().unwrap_or_default();
    let path = programs::find(&program).ok_or_else(|| CustomServiceError::Program {
        service: service.name.clone(),
        program,
    })?;
    words.push(path.display().to_string());
    words.extend(own);
    let env = service.env.iter();
    let env = env.map(|(name, text)| (name.clone(), expand(text, &value)));
    Ok(CommandLine {
        words,
        env: env.collect(),
        dir: dir.to_owned(),
    })
}

/// Returns the ids of a user and its group, if the cell has them.
fn ids(service: &Service, user: &str) -> Result<(u32, u32), CustomServiceError> {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let found = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let is_it = fields.next()? == user;
        let (id, group) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        is_it.then_some((id, group))
    });
    let (id, group): (u32, u32) = found.ok_or_else(|| CustomServiceError::UnknownUser {
        service: service.name.clone(),
        user: user.to_owned(),
    })?;
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    if !is_mapped(&map, id) {
        return Err(CustomServiceError::UnmappedUser {
            service: service.name.clone(),
            user: user.to_owned(),
            id,
        });
    }
    Ok((id, group))
}

/// True if a user namespace has this id, by the text of its `uid_map` (user_namespaces(7)).
fn is_mapped(map: &str, id: u32) -> bool {
    let number = |word: Option<&str>| word.and_then(|word| word.parse::<u64>().ok());
    map.lines().any(|line| {
        let mut words = line.split_whitespace();
        let (first, count) = (number(words.next()), number(words.nth(1)));
        matches!((first, count), (Some(first), Some(count))
            if (first..first.saturating_add(count)).contains(&u64::from(id)))
    })
}

/// Running service.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) name: String,
    pub(super) host: Host,
    /// Lines of its output, for a sign.
    pub(super) heard: mpsc::UnboundedReceiver<String>,
    /// Status and last lines of the first process, once it has ended.
    pub(super) ended: watch::Receiver<Option<(ExitStatus, String)>>,
    log: PathBuf,
    /// Id of the present process, which is also the id of its group; 0 between two.
    pid: watch::Receiver<u32>,
    stopping: watch::Sender<bool>,
    stop: StopSignal,
    supervisor: JoinHandle<()>,
}

impl Process {
    /// Starts a service; its end is reported, or it is started again.
    ///
    /// # Errors
    /// [`CustomServiceError`] if the program cannot be started.
    pub(super) fn start(
        service: &Service,
        host: Host,
        command: CommandLine,
        log: &Path,
        told: mpsc::UnboundedSender<ServiceEvent>,
    ) -> Result<Process, CustomServiceError> {
        let (hears, heard) = mpsc::unbounded_channel();
        let lines = Lines::new(&service.name, told.clone(), hears);
        let failed = |source| CustomServiceError::Start {
            service: service.name.clone(),
            source,
        };
        let first = spawn(&command, log, &lines).map_err(failed)?;
        let (pids, pid) = watch::channel(first.0.id().unwrap_or_default());
        let (ends, ended) = watch::channel(None);
        let (stopping, is_stopping) = watch::channel(false);
        let supervisor = Supervisor {
            command,
            log: log.to_owned(),
            lines,
            told,
            restart: service.restart,
            is_one_shot: service.is_one_shot(),
            pids,
            ends,
            is_stopping,
        };
        Ok(Process {
            name: service.name.clone(),
            host,
            heard,
            ended,
            log: log.to_owned(),
            pid,
            stopping,
            stop: service.stop,
            supervisor: tokio::spawn(supervisor.run(first)),
        })
    }

    /// Drops further lines instead of keeping them for a sign in the output.
    pub(super) fn stop_hearing(&mut self) {
        self.heard.close();
    }

    /// Returns the last lines of the output.
    pub(super) fn last_lines(&self) -> String {
        output::last_lines(&self.log)
    }

    /// Ends the service; returns what it left behind.
    pub(super) async fn stop(mut self) -> Vec<String> {
        let pid = *self.pid.borrow();
        if has_ended(pid) {
            // Its end is no effect of the signal: it is reported first.
            let _ = tokio::time::timeout(RESTART_PAUSE, &mut self.supervisor).await;
        }
        self.stopping.send_replace(true);
        let signal = match self.stop {
            StopSignal::Term => Signal::TERM,
            StopSignal::Int => Signal::INT,
            StopSignal::Quit => Signal::QUIT,
            StopSignal::Hup => Signal::HUP,
            StopSignal::Kill => Signal::KILL,
        };
        let mut left = Vec::new();
        let process = i32::try_from(pid).ok().and_then(Pid::from_raw);
        if let Some(process) = process {
            // An error means that the process has ended already.
            let _ = kill_process(process, signal);
        }
        let is_stopped = self.supervisor.is_finished()
            || tokio::time::timeout(STOP_DEADLINE, self.supervisor)
                .await
                .is_ok();
        if !is_stopped {
            let seconds = STOP_DEADLINE.as_secs();
            left.push(format!(
                "process {pid} did not end within {seconds} s and was killed"
            ));
        }
        for (other, name) in remaining(pid, &self.host) {
            if other != pid {
                left.push(format!(
                    "process {other} ({name}) was left running and was killed"
                ));
            }
            if let Some(other) = i32::try_from(other).ok().and_then(Pid::from_raw) {
                let _ = kill_process(other, Signal::KILL);
            }
        }
        if let Some(process) = process {
            let _ = kill_process_group(process, Signal::KILL);
        }
        left
    }
}

/// True if the process has ended, whether or not its parent knows.
fn has_ended(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start());
    state.is_none_or(|state| state.starts_with('Z'))
}

/// Returns the processes of a service's group or network namespace, except the one that holds the namespace.
fn remaining(group: u32, host: &Host) -> Vec<(u32, String)> {
    let namespace = host.namespace();
    let holder = match host {
        Host::Shared => None,
        Host::Own { pid, .. } => Some(*pid),
    };
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // `pid (comm) state ppid pgrp …`, proc_pid_stat(5); `comm` may contain spaces.
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let Some((head, tail)) = stat.rsplit_once(')') else {
            continue;
        };
        let mut fields = tail.split_whitespace();
        let is_dead = fields.next() == Some("Z");
        // Group 0 is outside this PID namespace.
        let is_of_group =
            group != 0 && fields.nth(1).and_then(|word| word.parse().ok()) == Some(group);
        let is_of_namespace = namespace.is_some_and(|namespace| {
            let own = fs::metadata(entry.path().join("ns/net"));
            own.is_ok_and(|own| own.ino() == namespace)
        });
        if !is_dead && Some(pid) != holder && (is_of_group || is_of_namespace) {
            let name = head.split_once('(').map_or("", |(_, name)| name);
            found.push((pid, name.to_owned()));
        }
    }
    found
}

type Spawned = (Child, Vec<JoinHandle<std::io::Result<()>>>);

fn spawn(command: &CommandLine, log: &Path, lines: &Lines) -> std::io::Result<Spawned> {
    let (program, arguments) = command
        .words
        .split_first()
        .ok_or_else(|| std::io::Error::other("empty command line"))?;
    let mut child = Command::new(program)
        .args(arguments)
        .envs(command.env.iter().cloned())
        .current_dir(&command.dir)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut readers = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        readers.push(reader(stdout, OutputStream::Stdout, log, lines)?);
    }
    if let Some(stderr) = child.stderr.take() {
        readers.push(reader(stderr, OutputStream::Stderr, log, lines)?);
    }
    Ok((child, readers))
}

/// Starts a task that copies a stream to its log in the folder `log`, and its lines to `lines`.
fn reader(
    stream: impl AsyncRead + Send + Unpin + 'static,
    kind: OutputStream,
    log: &Path,
    lines: &Lines,
) -> std::io::Result<JoinHandle<std::io::Result<()>>> {
    let log = File::options()
        .create(true)
        .append(true)
        .open(log.join(output::log_name(kind)))?;
    Ok(tokio::spawn(output::follow(
        stream,
        kind,
        log,
        lines.clone(),
    )))
}

/// Waits for the end of a service's processes.
struct Supervisor {
    command: CommandLine,
    log: PathBuf,
    lines: Lines,
    told: mpsc::UnboundedSender<ServiceEvent>,
    restart: Restart,
    is_one_shot: bool,
    pids: watch::Sender<u32>,
    ends: watch::Sender<Option<(ExitStatus, String)>>,
    is_stopping: watch::Receiver<bool>,
}

/// Time for the last output of a process that has ended; a child of it may hold the pipe.
const LAST_OUTPUT: Duration = Duration::from_millis(300);

impl Supervisor {
    async fn run(mut self, first: Spawned) {
        let (mut child, mut readers) = first;
        loop {
            let status = child.wait().await;
            for reader in readers.drain(..) {
                let _ = tokio::time::timeout(LAST_OUTPUT, reader).await;
            }
            let detail = match &status {
                Ok(status) => format!("{status}; {}", output::last_lines(&self.log)),
                Err(error) => error.to_string(),
            };
            if let Ok(status) = status {
                self.ends.send_replace(Some((status, detail.clone())));
            }
            self.pids.send_replace(0);
            if *self.is_stopping.borrow() || self.is_one_shot {
                return;
            }
            let service = self.lines.service.clone();
            // The receiver is gone once the attempt is over.
            if self.restart == Restart::Never {
                let _ = self.told.send(ServiceEvent::Ended { service, detail });
                return;
            }
            let _ = self.told.send(ServiceEvent::Restarted { service, detail });
            tokio::select! {
                () = tokio::time::sleep(RESTART_PAUSE) => {}
                _ = self.is_stopping.wait_for(|is| *is) => return,
            }
            match spawn(&self.command, &self.log, &self.lines) {
                Ok(next) => (child, readers) = next,
                Err(error) => {
                    let (service, detail) = (self.lines.service.clone(), error.to_string());
                    let _ = self.told.send(ServiceEvent::Ended { service, detail });
                    return;
                }
            }
            self.pids.send_replace(child.id().unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_mapped_ids_of_the_map_only() {
        let rootless = "         0       1000          1\n         1     100000      65536\n";
        assert!(is_mapped(rootless, 0) && is_mapped(rootless, 65534));
        assert!(!is_mapped("0 1000 1\n", 65534));
        assert!(is_mapped("0 0 4294967295\n", 65534));
        assert!(!is_mapped("", 0));
    }
}
