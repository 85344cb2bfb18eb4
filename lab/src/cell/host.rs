//! The lab's side of a cell: starts it, sends its job, receives its reports, ends it.

use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde::Serialize;
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::INIT_COMMAND;
use super::custom::image::ImageError;
use super::message::{CellCommand, Job, Report};
use super::on_host;
use super::sandbox::CELL_DIR_VARIABLE;

/// Error of a cell's start or communication.
#[derive(Debug, Error)]
pub enum CellError {
    /// `unshare` cannot be started.
    #[error("cannot create the cell's namespaces: {0}")]
    Start(#[source] io::Error),
    /// A container image of a service cannot be exported.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The connection to the cell failed.
    #[error("connection to the cell lost: {0}")]
    Talk(#[from] io::Error),
    /// The cell sent a line that is not a [`Report`].
    #[error("malformed report from the cell: `{line}` ({source})")]
    Report {
        line: String,
        source: serde_json::Error,
    },
}

/// Time limit for a cell to end after its standard input is closed.
const END_DEADLINE: Duration = Duration::from_secs(20);

/// Time limit for the kernel to end a killed cell.
const KILL_DEADLINE: Duration = Duration::from_secs(10);

/// Lifetime of a kept cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lifetime {
    /// Until it is ended explicitly
    #[default]
    UntilEnded,
    /// Until this process ends, at the latest
    OfProcess,
}

/// Running cell, as seen from the lab.
#[derive(Debug)]
pub struct CellProcess {
    child: Child,
    commands: ChildStdin,
    reports: Lines<BufReader<ChildStdout>>,
}

impl CellProcess {
    /// Creates the namespaces, starts the cell's first process in them and sends its job.
    ///
    /// On the host's own libvirt the network is the host's; processes and mounts still belong to the cell.
    ///
    /// The namespaces are created by util-linux's `unshare`, which also requests the subordinate ids of an
    /// ordinary user from `newuidmap` (QEMU's network card and dnsmasq need more than one id). `--kill-child`
    /// and `kill_on_drop` tie the cell to the lab; closing its standard input ends it in any case.
    ///
    /// # Errors
    /// [`CellError::Start`] if `unshare` or the lab's own program cannot be started.
    pub async fn start(job: &Job, stderr: &Path) -> Result<CellProcess, CellError> {
        let lab = std::env::current_exe().map_err(CellError::Start)?;
        let stderr = std::fs::File::create(stderr).map_err(CellError::Start)?;
        let mut command = Command::new("unshare");
        if !rustix::process::geteuid().is_root() {
            command.args(["--user", "--map-root-user", "--map-auto"]);
        }
        match &job.connect {
            None => command.args(["--net", "--ipc"]),
            Some(_) => command.env(CELL_DIR_VARIABLE, on_host::folder(&job.run_id)),
        };
        let mut child = command
            .args(["--mount", "--pid", "--fork"])
            .args(["--kill-child", "--mount-proc"])
            .arg(lab)
            .arg(INIT_COMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            // The lab handles Ctrl-C and tells its cells.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(CellError::Start)?;
        let (Some(commands), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(CellError::Start(io::Error::other("no pipe to the cell")));
        };
        let mut cell = CellProcess {
            child,
            commands,
            reports: BufReader::new(stdout).lines(),
        };
        cell.say(job).await?;
        Ok(cell)
    }

    /// Returns the next report; `None` once the cell has ended.
    ///
    /// # Errors
    /// [`CellError`] if the connection fails or a report is malformed.
    pub async fn next_report(&mut self) -> Result<Option<Report>, CellError> {
        match self.reports.next_line().await? {
            None => Ok(None),
            Some(line) => serde_json::from_str(&line)
                .map(Some)
                .map_err(|source| CellError::Report { line, source }),
        }
    }

    /// Sends a command; a cell that has ended is ignored.
    pub async fn send(&mut self, command: &CellCommand) {
        if let Err(error) = self.say(command).await {
            tracing::debug!(%error, ?command, "cell is gone");
        }
    }

    async fn say(&mut self, value: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.commands.write_all(&line).await?;
        self.commands.flush().await
    }

    /// Returns the process whose end ends the cell; `None` once it has ended.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Detaches a cell that has confirmed to stay, until this process ends or longer.
    pub async fn detach(mut self, stays: Lifetime) {
        match stays {
            // The kernel closes the pipe when this process ends in any way.
            Lifetime::OfProcess => std::mem::forget(self.commands),
            Lifetime::UntilEnded => self.send(&CellCommand::Settle).await,
        }
        // Dropping the child would kill it, and only here it must outlive this process.
        std::mem::forget(self.child);
    }

    /// Closes the cell's standard input and waits until all its processes have ended. A cell that does not end
    /// in time is killed: `unshare` kills its first process, and the kernel all others.
    ///
    /// Fails if waiting fails.
    pub async fn end(self) -> io::Result<ExitStatus> {
        self.end_within(END_DEADLINE).await
    }

    async fn end_within(mut self, deadline: Duration) -> io::Result<ExitStatus> {
        drop(self.commands);
        if let Ok(ended) = tokio::time::timeout(deadline, self.child.wait()).await {
            return ended;
        }
        tracing::warn!("a cell did not end in time and is killed");
        self.child.start_kill()?;
        tokio::time::timeout(KILL_DEADLINE, self.child.wait())
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "a killed cell did not end"))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program in a cell's place.
    fn cell(script: &str) -> CellProcess {
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        CellProcess {
            commands: child.stdin.take().unwrap(),
            reports: BufReader::new(child.stdout.take().unwrap()).lines(),
            child,
        }
    }

    #[tokio::test]
    async fn end_cell_that_reads_its_end_ends_by_itself() {
        let status = cell("cat; exit 3").end().await.unwrap();
        assert_eq!(status.code(), Some(3));
    }

    #[tokio::test]
    async fn end_cell_that_does_not_end_is_killed() {
        let hanging = cell("exec sleep 600").end_within(Duration::from_millis(50));
        let status = hanging.await.unwrap();
        assert!(!status.success(), "{status}");
    }
}
