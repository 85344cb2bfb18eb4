//! First process of a cell: mounts the sandbox, starts the worker, reaps orphans.
//!
//! libvirtd's QEMU processes detach and become children of this process. A zombie still responds to `kill(pid,
//! 0)`, so that libvirt would wait for it forever; every child is therefore reaped. When the worker ends, this
//! process ends, and the kernel ends all others.

use std::io;
use std::path::PathBuf;
use std::process::Command;

use lab_report::exit_code::ExitCode;
use rustix::process::{Pid, WaitOptions};
use thiserror::Error;

use super::message::Report;
use super::sandbox::{self, SandboxError};
use super::{INIT_COMMAND, WORKER_COMMAND, on_host};

/// Error of a cell's first process.
#[derive(Debug, Error)]
enum InitError {
    /// A user started the hidden command.
    #[error("`lab {INIT_COMMAND}` is internal: the lab starts it as the first process of a cell")]
    NotFirst,
    /// The sandbox cannot be mounted.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The folder of a cell on the host's libvirt cannot be locked.
    #[error("{}: {source}", folder.display())]
    Hold { folder: PathBuf, source: io::Error },
    /// The path of this program is unknown.
    #[error("cannot find our own executable: {0}")]
    Executable(#[source] io::Error),
    /// The worker does not start.
    #[error("cannot start the cell's worker: {0}")]
    Start(#[source] io::Error),
    /// The kernel refuses to wait for children.
    #[error("cannot wait for the cell's worker: {0}")]
    Wait(#[source] io::Error),
}

/// Runs as the cell's first process; returns when the worker has ended.
#[must_use]
pub fn run() -> ExitCode {
    match prepare_and_wait() {
        Ok(code) => code,
        Err(error) => {
            let why = error.to_string();
            let report = Report::Broken { why };
            if let Ok(line) = serde_json::to_string(&report) {
                println!("{line}");
            }
            ExitCode::Internal
        }
    }
}

fn prepare_and_wait() -> Result<ExitCode, InitError> {
    if rustix::process::getpid() != Pid::INIT {
        return Err(InitError::NotFirst);
    }
    let mut held = None;
    match std::env::var_os(sandbox::CELL_DIR_VARIABLE) {
        None => sandbox::enter()?,
        Some(folder) => {
            let folder = PathBuf::from(folder);
            sandbox::enter_on_host(&folder)?;
            let hold = on_host::hold(&folder);
            held = Some(hold.map_err(|source| InitError::Hold { folder, source })?);
        }
    }
    let lab = std::env::current_exe().map_err(InitError::Executable)?;
    let worker = Command::new(lab)
        .arg(WORKER_COMMAND)
        .spawn()
        .map_err(InitError::Start)?;
    let worker_pid = Pid::from_child(&worker);
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == worker_pid => {
                drop(held);
                return Ok(ExitCode::of_program(status.exit_status()));
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(InitError::Wait(error.into())),
        }
    }
}
