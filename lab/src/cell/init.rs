//! First process of a cell: mounts the sandbox, starts the worker, reaps orphans.
//!
//! libvirtd's QEMU processes detach and become children of this process. A zombie still responds to `kill(pid,
//! 0)`, so that libvirt would wait for it forever; every child is therefore reaped. When the worker ends, this
//! process ends, and the kernel ends all others.

use std::io;
use std::path::Path;
use std::process::Command;

use lab_report::exit_code::ExitCode;
use rustix::process::{Pid, WaitOptions};

use super::{WORKER_COMMAND, on_host, sandbox};

/// Runs as the cell's first process; returns when the worker has ended.
#[must_use]
pub fn run() -> ExitCode {
    match prepare_and_wait() {
        Ok(code) => code,
        Err(why) => {
            let report = super::message::Report::Broken { why };
            if let Ok(line) = serde_json::to_string(&report) {
                println!("{line}");
            }
            ExitCode::Internal
        }
    }
}

fn prepare_and_wait() -> Result<ExitCode, String> {
    if rustix::process::getpid() != Pid::INIT {
        return Err(format!(
            "`lab {}` is internal: the lab starts it as the first process of a cell",
            super::INIT_COMMAND
        ));
    }
    let mut held = None;
    match std::env::var_os(sandbox::CELL_DIR_VARIABLE) {
        None => sandbox::enter().map_err(|error| error.to_string())?,
        Some(folder) => {
            let folder = Path::new(&folder);
            sandbox::enter_on_host(folder).map_err(|error| error.to_string())?;
            let hold = on_host::hold(folder);
            held = Some(hold.map_err(|error| format!("{}: {error}", folder.display()))?);
        }
    }
    let lab = std::env::current_exe()
        .map_err(|error| format!("cannot find our own executable: {error}"))?;
    let worker = Command::new(lab)
        .arg(WORKER_COMMAND)
        .spawn()
        .map_err(|error| format!("cannot start the cell's worker: {error}"))?;
    let worker_pid = Pid::from_child(&worker);
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == worker_pid => {
                drop(held);
                return Ok(ExitCode::of_program(status.exit_status()));
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                return Err(format!(
                    "cannot wait for the cell's worker: {}",
                    io::Error::from(error)
                ));
            }
        }
    }
}
