//! A server under measurement: a process, what it has used of the processors, and its end.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;

/// Time limit for a server to answer for the first time.
const START_TIME: Duration = Duration::from_secs(30);

/// A running server; ends with this.
pub(crate) struct Server {
    child: Child,
    log: std::path::PathBuf,
}

impl Server {
    /// Starts a command, its output in a file of the folder.
    pub(crate) fn start(mut command: Command, folder: &Path, name: &str) -> anyhow::Result<Server> {
        let log = folder.join(format!("{name}.log"));
        let out = File::create(&log).with_context(|| format!("making {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("starting {command:?}"))?;
        Ok(Server { child, log })
    }

    /// Waits until `ready` says so.
    pub(crate) fn wait_until(&mut self, mut ready: impl FnMut(&str) -> bool) -> anyhow::Result<()> {
        let start = Instant::now();
        while start.elapsed() < START_TIME {
            let log = std::fs::read(&self.log)?;
            if ready(&String::from_utf8_lossy(&log)) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{status}: {}", self.last_words());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("not ready after {START_TIME:?}: {}", self.last_words())
    }

    /// Waits until a TCP port is open.
    pub(crate) fn wait_for_port(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        self.wait_until(|_| TcpStream::connect(address).is_ok())
    }

    /// True if the server has not ended by itself.
    pub(crate) fn is_running(&mut self) -> anyhow::Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Processor time used so far, in seconds, by it and the processes it started.
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let mut seconds = 0.0;
        let mut processes = vec![i32::try_from(self.child.id())?];
        while let Some(pid) = processes.pop() {
            // To the nanosecond, threads that have ended included.
            let clock = clock_getcpuclockid(Pid::from_raw(pid))?;
            seconds += Duration::from(clock.now()?).as_secs_f64();
            let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
            let children = children.unwrap_or_default();
            processes.extend(children.split_whitespace().flat_map(str::parse::<i32>));
        }
        Ok(seconds)
    }

    /// Resident memory in MiB.
    pub(crate) fn resident_mib(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        Ok(kib.context("no VmRSS")?.parse::<f64>()? / 1024.0)
    }

    /// Returns the end of the program's output.
    pub(crate) fn last_words(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
