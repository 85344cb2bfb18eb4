//! Other hosts on a cell's network: simulated machines, and the servers with a flaw that faults need.
//!
//! Each is a process `lab cell-station` in a network namespace of its own inside the cell, plugged into the
//! bridge by a veth pair (`cell/plug.rs`), so that it has its own MAC, address and routing, as another host
//! has. It reads a [`StationJob`] from its standard input and says [`UP`] when it is at work.
//!
//! | file | what it is |
//! |---|---|
//! | [`web`] | a web server |
//! | [`tftp`] | a TFTP server |
//! | [`proxy`] | a proxyDHCP server |

mod proxy;
mod tftp;
mod web;

use std::io::{self, BufRead, Write};
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use serde::{Deserialize, Serialize};

use crate::fault::{ProxyFlaw, TftpFlaw, WebFlaw};
use crate::sim::dhcp;
use crate::sim::machine::{self, MachineJob};

/// Said as soon as the process is in its namespace.
pub const INSIDE: &str = "station: inside";

/// Said when the station is at work, so that machines may start.
pub const UP: &str = "station: up";

/// Everything a station has to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StationJob {
    /// Its network interface; none for one that works in the servers' own place.
    pub interface: Option<String>,
    /// Its MAC.
    pub mac: String,
    /// Its address and the length of its network's prefix.
    pub address: Option<(Ipv4Addr, u8)>,
    /// What it does.
    pub task: Task,
}

/// What a station does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// It is there.
    Idle,
    /// It gives addresses (dnsmasq).
    DhcpServer {
        /// First address.
        first: Ipv4Addr,
        /// Last address.
        last: Ipv4Addr,
    },
    /// It takes addresses.
    Leases {
        /// How many.
        count: u32,
    },
    /// It serves a folder by HTTP, at the port of boot config services.
    Web {
        /// What is wrong with it.
        flaw: WebFlaw,
        /// The image's folder, served as `/assets/coreos/current/`.
        image: PathBuf,
    },
    /// It serves boot programs by TFTP.
    Tftp {
        /// What is wrong with it.
        flaw: TftpFlaw,
        /// Address it listens on.
        address: Ipv4Addr,
        /// Folders with the programs.
        roots: Vec<PathBuf>,
    },
    /// It gives boot options beside a DHCP server.
    Proxy {
        /// What is wrong with it.
        flaw: ProxyFlaw,
    },
    /// It boots as a machine does.
    Machine(MachineJob),
}

/// Becomes a station: reads the job, sets the interface up, works until it is killed or through.
#[must_use]
pub fn run() -> ExitCode {
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("station: {error}");
            ExitCode::FAILURE
        }
    }
}

fn work() -> io::Result<()> {
    say(INSIDE)?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let job: StationJob = serde_json::from_str(&line)?;
    if let Some(interface) = &job.interface {
        set_up(interface, &job)?;
    }
    let interface = job.interface.clone().unwrap_or_default();
    match &job.task {
        Task::Idle => {
            say(UP)?;
            loop {
                std::thread::park();
            }
        }
        Task::DhcpServer { first, last } => {
            say(UP)?;
            Err(dnsmasq(&interface, *first, *last).exec())
        }
        Task::Leases { count } => {
            let [.., last] = *uuid::Uuid::new_v4().as_bytes();
            for number in 0..*count {
                let [_, _, high, low] = number.to_be_bytes();
                let taken = dhcp::lease([2, 0, 1, last, high, low], &interface);
                taken.map_err(|error| io::Error::other(format!("lease {number}: {error}")))?;
            }
            say(UP)
        }
        Task::Web { flaw, image } => {
            let (address, _) = job.address.unwrap_or((Ipv4Addr::UNSPECIFIED, 0));
            web::serve(address, *flaw, image, || say(UP))
        }
        Task::Tftp {
            flaw,
            address,
            roots,
        } => tftp::serve(*address, *flaw, roots, || say(UP)),
        Task::Proxy { flaw } => {
            let (address, _) = job.address.unwrap_or((Ipv4Addr::UNSPECIFIED, 0));
            proxy::serve(&interface, address, *flaw, || say(UP))
        }
        Task::Machine(machine) => {
            say(UP)?;
            machine::run(machine, &interface);
            Ok(())
        }
    }
}

fn set_up(interface: &str, job: &StationJob) -> io::Result<()> {
    // Only IPv4 is asked for here; a host that is not there to be reached by IPv6 should not say that it is.
    let _ = std::fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
    ip(&["link", "set", "lo", "up"])?;
    ip(&["link", "set", interface, "address", &job.mac])?;
    ip(&["link", "set", interface, "up"])?;
    if let Some((address, prefix_len)) = job.address {
        let address = format!("{address}/{prefix_len}");
        ip(&["address", "add", &address, "dev", interface])?;
    }
    Ok(())
}

fn ip(arguments: &[&str]) -> io::Result<()> {
    let output = Command::new("ip").args(arguments).output()?;
    if output.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    let what = format!("ip {}: {}", arguments.join(" "), why.trim());
    Err(io::Error::other(what))
}

/// An address server that knows nothing of booting.
fn dnsmasq(interface: &str, first: Ipv4Addr, last: Ipv4Addr) -> Command {
    let mut command = Command::new("dnsmasq");
    command
        .args(["--keep-in-foreground", "--conf-file=/dev/null", "--port=0"])
        .args(["--user=root", "--group=root", "--leasefile-ro", "--no-ping"])
        .args(["--dhcp-authoritative", "--bind-interfaces", "--pid-file="])
        .arg(format!("--interface={interface}"))
        .arg(format!("--dhcp-range={first},{last},1h"));
    command
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
