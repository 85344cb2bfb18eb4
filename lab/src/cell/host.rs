//! The lab's side of a cell: start it, hand it its job, pass its reports on, end it.

use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde::Serialize;
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::INIT_COMMAND;
use super::message::{Job, Order, Report};
use super::on_host;
use super::sandbox::CELL_DIR_VARIABLE;

/// Why a cell could not be started or understood.
#[derive(Debug, Error)]
pub enum CellError {
    /// `unshare` could not be started.
    #[error("the cell's namespaces could not be made: {0}")]
    Start(#[source] io::Error),
    /// Talking with the cell failed.
    #[error("the connection to the cell broke: {0}")]
    Talk(#[from] io::Error),
    /// The cell said something that is no [`Report`].
    #[error("the cell said `{line}`, which is no report: {source}")]
    Report {
        /// What it said.
        line: String,
        /// Why it can't be read.
        source: serde_json::Error,
    },
}

/// Time for a cell to end by itself once its standard input is closed.
const END_DEADLINE: Duration = Duration::from_secs(20);

/// Time for the kernel to end a cell that is killed.
const KILL_DEADLINE: Duration = Duration::from_secs(10);

/// How long a cell that is kept stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stays {
    /// Until it is ended.
    #[default]
    ByItself,
    /// Until this process ends, at the latest.
    WithUs,
}

/// A running cell.
#[derive(Debug)]
pub struct Cell {
    child: Child,
    orders: ChildStdin,
    reports: Lines<BufReader<ChildStdout>>,
}

impl Cell {
    /// Makes the namespaces, starts the cell's first process in them and gives it its job.
    ///
    /// On the host's own libvirt the network is the host's; processes and mounts still go with the cell.
    ///
    /// The namespaces are made by util-linux's `unshare`, which also asks `newuidmap` for the subordinate
    /// ids of an ordinary user (QEMU's network card and dnsmasq need more than one id). `--kill-child` and
    /// `kill_on_drop` tie the cell to the lab; the closing of its standard input ends it in any case.
    ///
    /// # Errors
    /// [`CellError::Start`] when `unshare` or the lab's own program can't be started.
    pub async fn start(job: &Job, stderr: &Path) -> Result<Cell, CellError> {
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
            // Ctrl-C at the terminal is the lab's to hear; it tells its cells.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(CellError::Start)?;
        let (Some(orders), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(CellError::Start(io::Error::other("no pipe to the cell")));
        };
        let mut cell = Cell {
            child,
            orders,
            reports: BufReader::new(stdout).lines(),
        };
        cell.say(job).await?;
        Ok(cell)
    }

    /// The next report; `None` when the cell has ended.
    ///
    /// # Errors
    /// [`CellError`] when the cell can't be heard or understood.
    pub async fn next_report(&mut self) -> Result<Option<Report>, CellError> {
        match self.reports.next_line().await? {
            None => Ok(None),
            Some(line) => serde_json::from_str(&line)
                .map(Some)
                .map_err(|source| CellError::Report { line, source }),
        }
    }

    /// Gives an order. A cell that ended already does not mind.
    pub async fn order(&mut self, order: &Order) {
        if let Err(error) = self.say(order).await {
            tracing::debug!(%error, ?order, "cell is gone");
        }
    }

    async fn say(&mut self, value: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.orders.write_all(&line).await?;
        self.orders.flush().await
    }

    /// The process that holds the cell: with it the cell ends. None once it has ended.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Leaves the cell alive, after it said that it stays: for as long as this process is there, or for longer.
    pub async fn detach(mut self, stays: Stays) {
        match stays {
            // The kernel closes the pipe when we end, however that comes about.
            Stays::WithUs => std::mem::forget(self.orders),
            Stays::ByItself => self.order(&Order::Settle).await,
        }
        // Dropping the child would kill it; this is the one place where it has to outlive us.
        std::mem::forget(self.child);
    }

    /// Closes the cell's standard input and waits until every process in it is gone. A cell that does not end by
    /// itself is killed: `unshare` takes its first process along, and the kernel all others.
    ///
    /// # Errors
    /// When waiting fails.
    pub async fn end(self) -> io::Result<ExitStatus> {
        self.end_within(END_DEADLINE).await
    }

    async fn end_within(mut self, deadline: Duration) -> io::Result<ExitStatus> {
        drop(self.orders);
        if let Ok(ended) = tokio::time::timeout(deadline, self.child.wait()).await {
            return ended;
        }
        tracing::warn!("a cell did not end by itself and is killed");
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
    fn cell(script: &str) -> Cell {
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Cell {
            orders: child.stdin.take().unwrap(),
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
