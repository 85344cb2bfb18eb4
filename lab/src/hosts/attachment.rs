//! Attachment of another host to a cell's network: a process in its own network namespace, with a veth pair to
//! the bridge.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use super::router::{Leg, RouterJob};
use super::trunk;
use super::{INSIDE, STATION_COMMAND, StationJob, Task, UP};

/// Time limit for a station to become ready; one that leases addresses first makes complete exchanges.
const UP_DEADLINE: Duration = Duration::from_secs(40);

/// Time limit of a set-up program.
const RUN_DEADLINE: Duration = Duration::from_secs(30);

/// Attachment point for hosts.
#[derive(Debug, Clone)]
pub struct Plug {
    /// Run id, part of interface names.
    run_id: String,
    /// Name of the bridge.
    bridge: String,
    /// Number of the next host.
    next: Arc<AtomicU32>,
    /// Program of the hosts; this one if absent.
    program: Option<PathBuf>,
}

/// Running station.
#[derive(Debug)]
pub struct Plugged {
    /// Process of the station; killed on drop.
    pub child: Child,
    /// Output after the station became ready.
    pub stdout: BufReader<ChildStdout>,
    /// Network interface in its namespace; empty for one in the servers' own namespace.
    pub interface: String,
    /// Ports of a router on the bridges, in the order of its legs; the same one for all legs on a trunk.
    pub ports: Vec<String>,
}

impl Plug {
    /// Creates an attachment point on this bridge.
    #[must_use]
    pub fn new(run_id: &str, bridge: &str) -> Plug {
        Plug {
            run_id: run_id.to_owned(),
            bridge: bridge.to_owned(),
            next: Arc::default(),
            program: None,
        }
    }

    /// Sets the program `lab` that hosts run, for callers that are another program.
    #[must_use]
    pub fn with_program(self, program: &Path) -> Plug {
        Plug {
            program: Some(program.to_owned()),
            ..self
        }
    }

    /// Returns the name of the bridge.
    #[must_use]
    pub fn bridge(&self) -> &str {
        &self.bridge
    }

    /// Creates an attachment point on another bridge, with shared numbering.
    #[must_use]
    pub fn on(&self, bridge: &str) -> Plug {
        Plug {
            bridge: bridge.to_owned(),
            ..self.clone()
        }
    }

    /// Starts a station on the network and waits until it is ready.
    ///
    /// # Errors
    /// Fails if the station cannot be started or attached, or does not become ready.
    pub async fn start(&self, job: StationJob, stderr: &Path) -> io::Result<Plugged> {
        self.start_with(job, stderr, |_| Ok(())).await
    }

    /// Starts a station like [`Plug::start`] and calls `plugged` with the name of its port on the bridge, before
    /// the station sends any packet.
    ///
    /// # Errors
    /// As [`Plug::start`], and if `plugged` fails.
    pub async fn start_with(
        &self,
        mut job: StationJob,
        stderr: &Path,
        plugged: impl FnOnce(&str) -> io::Result<()>,
    ) -> io::Result<Plugged> {
        let (ours, theirs) = self.interfaces();
        job.interface = Some(theirs.clone());
        let mut station = self.spawn_apart(stderr).await?;
        station.interface.clone_from(&theirs);
        pair(&ours, &theirs, &self.bridge).await?;
        plugged(&ours)?;
        move_into(&station, &theirs).await?;
        hand_over(station, &job, stderr).await
    }

    /// Starts a router, with a leg on the bridge of each network or one trunk, and waits until it forwards and relays.
    ///
    /// # Errors
    /// As [`Plug::start`].
    pub async fn start_router(&self, mut job: RouterJob, stderr: &Path) -> io::Result<Plugged> {
        let mut station = self.spawn_apart(stderr).await?;
        if let Some(trunk) = &mut job.trunk {
            let (ours, theirs) = self.interfaces();
            pair(&ours, &theirs, &trunk.bridge).await?;
            if let Some(mtu) = trunk.mtu {
                ip(&["link", "set", &ours, "mtu", &mtu.to_string()]).await?;
            }
            move_into(&station, &theirs).await?;
            trunk.interface = theirs;
            for (leg, vlan) in job.legs.iter_mut().zip(&trunk.vlans) {
                leg.interface = trunk::interface(*vlan);
                station.ports.push(ours.clone());
            }
        }
        let own = job.legs.iter_mut().filter(|leg| leg.interface.is_empty());
        for leg in own {
            let (ours, theirs) = self.interfaces();
            let Leg { bridge, mtu, .. } = leg;
            pair(&ours, &theirs, bridge).await?;
            if let Some(mtu) = mtu {
                ip(&["link", "set", &ours, "mtu", &mtu.to_string()]).await?;
            }
            move_into(&station, &theirs).await?;
            leg.interface = theirs;
            station.ports.push(ours);
        }
        let job = StationJob {
            interface: None,
            mac: String::new(),
            address: None,
            task: Task::Router(job),
        };
        hand_over(station, &job, stderr).await
    }

    /// Returns the names of the next pair of interfaces: on the bridge, and the host's.
    fn interfaces(&self) -> (String, String) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let name = |side| format!("lab-{}-{side}{number}", self.run_id);
        (name('s'), name('p'))
    }

    /// Starts a station in a network namespace of its own.
    async fn spawn_apart(&self, stderr: &Path) -> io::Result<Plugged> {
        let program = match &self.program {
            Some(program) => program.clone(),
            None => std::env::current_exe()?,
        };
        let mut unshare = Command::new("unshare");
        unshare.arg("--net").arg(program);
        let mut station = spawn(unshare, stderr)?;
        wait_for(&mut station, INSIDE, stderr).await?;
        Ok(station)
    }
}

/// Creates a pair of interfaces, the first of them on a bridge.
async fn pair(ours: &str, theirs: &str, bridge: &str) -> io::Result<()> {
    ip(&["link", "add", ours, "type", "veth", "peer", "name", theirs]).await?;
    ip(&["link", "set", ours, "master", bridge, "up"]).await
}

async fn move_into(station: &Plugged, interface: &str) -> io::Result<()> {
    let pid = station.child.id().unwrap_or_default().to_string();
    ip(&["link", "set", interface, "netns", &pid]).await
}

/// Starts a station in the servers' own namespace and waits until it is ready.
///
/// # Errors
/// Fails if the station cannot be started or does not become ready.
pub async fn start_in_place(job: StationJob, stderr: &Path) -> io::Result<Plugged> {
    let mut station = spawn(Command::new(std::env::current_exe()?), stderr)?;
    wait_for(&mut station, INSIDE, stderr).await?;
    hand_over(station, &job, stderr).await
}

fn spawn(mut command: Command, stderr: &Path) -> io::Result<Plugged> {
    let mut child = command
        .arg(STATION_COMMAND)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(File::create(stderr)?)
        .kill_on_drop(true)
        .spawn()?;
    let stdout = child.stdout.take();
    let stdout = stdout.ok_or_else(|| io::Error::other("no pipe from a station"))?;
    Ok(Plugged {
        child,
        stdout: BufReader::new(stdout),
        interface: String::new(),
        ports: Vec::new(),
    })
}

async fn hand_over(mut station: Plugged, job: &StationJob, stderr: &Path) -> io::Result<Plugged> {
    let mut line = serde_json::to_vec(job)?;
    line.push(b'\n');
    if let Some(mut stdin) = station.child.stdin.take() {
        stdin.write_all(&line).await?;
    }
    wait_for(&mut station, UP, stderr).await?;
    Ok(station)
}

/// Reads up to the line `word`.
async fn wait_for(station: &mut Plugged, word: &str, stderr: &Path) -> io::Result<()> {
    let mut line = String::new();
    let heard = tokio::time::timeout(UP_DEADLINE, station.stdout.read_line(&mut line)).await;
    if matches!(heard, Ok(Ok(_))) && line.trim_end() == word {
        return Ok(());
    }
    let said = std::fs::read_to_string(stderr).unwrap_or_default();
    Err(io::Error::other(format!(
        "a host on the network did not start (waiting for `{word}`): {line}{said}"
    )))
}

/// Runs `ip`.
///
/// # Errors
/// Contains the output of `ip`.
pub async fn ip(arguments: &[&str]) -> io::Result<()> {
    run("ip", arguments).await
}

/// Runs a set-up program.
///
/// # Errors
/// Contains the output of the program.
pub async fn run(program: &str, arguments: &[&str]) -> io::Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(RUN_DEADLINE, output)
        .await
        .map_err(|_| {
            let seconds = RUN_DEADLINE.as_secs();
            let what = format!(
                "timed out after {seconds} s: {program} {}",
                arguments.join(" ")
            );
            io::Error::new(io::ErrorKind::TimedOut, what)
        })??;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!(
        "{program} {}: {}",
        arguments.join(" "),
        said.trim()
    )))
}
