//! Processes of a service: start, restart and end.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lab_model::scenario::{Restart, Service, StopSignal};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::CustomServiceError;
use super::command::{CommandLine, Spawned};
use super::host::Host;
use super::leftover::{has_ended, kill_one, remaining, told_running};
use super::output::{self, Lines};
use crate::cell::services::ServiceEvent;

/// Time limit for a service to end after its signal.
const STOP_DEADLINE: Duration = Duration::from_secs(3);

/// Pause before a service is started again.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

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
    killed: Arc<Mutex<Option<Killed>>>,
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
        let first = command.spawn(log, &lines).map_err(failed)?;
        let (pids, pid) = watch::channel(first.0.id().unwrap_or_default());
        let (ends, ended) = watch::channel(None);
        let (stopping, is_stopping) = watch::channel(false);
        let killed: Arc<Mutex<Option<Killed>>> = Arc::default();
        let supervisor = Supervisor {
            killed: Arc::clone(&killed),
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
            killed,
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

    /// Kills the service, as a fault says, and starts it again after `restart`.
    pub(super) fn kill(&self, restart: Option<Duration>) {
        // No operation leaves the state inconsistent under the lock.
        let mut killed = self.killed.lock().unwrap_or_else(PoisonError::into_inner);
        *killed = Some(Killed { restart });
        drop(killed);
        let process = i32::try_from(*self.pid.borrow()).ok();
        let process = process.and_then(Pid::from_raw);
        if let Some(Err(error)) = process.map(|group| kill_process_group(group, Signal::KILL)) {
            tracing::warn!(%error, service = self.name, "cannot kill a service");
        }
    }

    /// Ends the service; returns what it left behind, with process ids.
    pub(super) async fn stop(mut self) -> Vec<(u32, String)> {
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
            let what = format!("process {pid} did not end within {seconds} s and was killed");
            left.push((pid, what));
        }
        for (other, name) in remaining(pid, &self.host) {
            if other != pid {
                left.push((other, told_running(other, &name)));
            }
            kill_one(other);
        }
        if let Some(process) = process {
            let _ = kill_process_group(process, Signal::KILL);
        }
        left
    }
}

/// Kill of a service by a fault.
#[derive(Debug)]
struct Killed {
    /// Delay until the restart; `None` for what the service's `restart` says.
    restart: Option<Duration>,
}

/// Waits for the end of a service's processes.
struct Supervisor {
    killed: Arc<Mutex<Option<Killed>>>,
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
            let killed = {
                let killed = self.killed.lock();
                killed.unwrap_or_else(PoisonError::into_inner).take()
            };
            let pause = match (&killed, self.restart) {
                (
                    Some(Killed {
                        restart: Some(after),
                    }),
                    _,
                ) => Some(*after),
                (_, Restart::Always) => Some(RESTART_PAUSE),
                (_, Restart::Never) => None,
            };
            // The receiver is gone once the attempt is over.
            let _ = self.told.send(match (killed, pause) {
                (Some(_), _) => ServiceEvent::Killed { service, detail },
                (None, Some(_)) => ServiceEvent::Restarted { service, detail },
                (None, None) => ServiceEvent::Ended { service, detail },
            });
            let Some(pause) = pause else { return };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = self.is_stopping.wait_for(|is| *is) => return,
            }
            match self.command.spawn(&self.log, &self.lines) {
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
