//! Other hosts on a cell's network: simulated machines, servers with a flaw for faults, and hosts that claim to be
//! others.
//!
//! Each host is a process `lab cell-station` in its own network namespace inside the cell, connected to the
//! bridge by a veth pair ([`attachment`]), so that it has its own MAC, address and routing. It reads a
//! [`StationJob`] from standard input and prints [`UP`] when it is ready.
//!
//! | file | what it is |
//! |---|---|
//! | [`attachment`] | network namespace and veth pair of a host |
//! | [`simulated`] | machines that send the requests of firmware and iPXE |
//! | [`web`] | a web server |
//! | [`tftp`] | a TFTP server |
//! | [`proxy`] | a proxyDHCP server |
//! | [`router`] | a router between networks |
//! | [`relay`] | DHCP relay of a router |
//! | [`advertise`] | router advertisements of a router |
//! | [`switch`] | VLAN switch |
//! | [`trunk`] | end of a trunk at a host |
//! | [`answers`] | a web server that gives every request the same answer |
//! | [`requests`] | a client that asks in a machine's name |

mod advertise;
mod answers;
pub mod attachment;
mod proxy;
mod relay;
mod requests;
pub mod router;
pub mod simulated;
pub mod switch;
mod tftp;
pub mod trunk;
mod web;

use std::io::{self, BufRead, Write};
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use boot_server_proto::mac::MacAddr;
use lab_model::fault::{CannedAnswer, ProxyFlaw, TftpFlaw, WebFlaw};
use lab_report::exit_code::ExitCode;
use serde::{Deserialize, Serialize};

use crate::hosts::router::RouterJob;
use crate::hosts::simulated::dhcp;
use crate::hosts::simulated::machine::{self, MachineJob};
use crate::hosts::switch::UNTAGGED;
use crate::hosts::trunk::TrunkJob;

/// Name of the hidden subcommand for another host on a cell's network.
pub const STATION_COMMAND: &str = "cell-station";

/// Printed as soon as the process is in its namespace.
pub const INSIDE: &str = "station: inside";

/// Printed when the station is ready, so that machines may start.
pub const UP: &str = "station: up";

/// Description of a station.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StationJob {
    /// Name of the network interface; `None` in the servers' own namespace.
    pub interface: Option<String>,
    pub mac: String,
    /// Address, and prefix length of the network.
    pub address: Option<(Ipv4Addr, u8)>,
    pub task: Task,
}

/// Role of a station.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Host without services.
    Idle,
    /// DHCP server (dnsmasq).
    DhcpServer {
        /// First address of the pool.
        first: Ipv4Addr,
        /// Last address of the pool.
        last: Ipv4Addr,
        /// Boot file that its offers name.
        boot_file: Option<String>,
        /// Server of the boot file; the station itself when absent.
        next_server: Option<Ipv4Addr>,
    },
    /// DHCP client that keeps its leases.
    Leases {
        /// Number of addresses.
        count: u32,
    },
    /// HTTP server of a folder, at the port of boot config services.
    Web {
        /// Flaw of the server.
        flaw: WebFlaw,
        /// Folder of the image, served as `/assets/coreos/current/`.
        image: PathBuf,
    },
    /// TFTP server of boot programs.
    Tftp {
        /// Flaw of the server.
        flaw: TftpFlaw,
        /// Address that the server listens on.
        address: Ipv4Addr,
        /// Folders of the programs.
        roots: Vec<PathBuf>,
    },
    /// ProxyDHCP server.
    Proxy {
        /// Flaw of the server.
        flaw: ProxyFlaw,
    },
    /// Web server that gives every request the same answer, at the port of boot config services.
    Answers {
        /// Answer to every request.
        answer: CannedAnswer,
    },
    /// Client that loads URLs again and again.
    Requests {
        /// URLs to request, in this order.
        urls: Vec<String>,
    },
    /// Router between networks, with an address and an interface for each.
    Router(RouterJob),
    /// Simulated machine.
    Machine(MachineJob),
    /// It boots as a machine does, again and again.
    Impostor(MachineJob),
}

/// Runs a station: reads the job, configures the interface, works until it is killed or finished.
#[must_use]
pub fn run() -> ExitCode {
    match work() {
        Ok(()) => ExitCode::Ok,
        Err(error) => {
            eprintln!("station: {error}");
            ExitCode::Internal
        }
    }
}

fn work() -> io::Result<()> {
    say(INSIDE)?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let job: StationJob = serde_json::from_str(&line)?;
    let mut interface = job.interface.clone().unwrap_or_default();
    match &job.task {
        Task::Machine(MachineJob {
            vlan: Some(vlan), ..
        }) => interface = set_up_tagged(interface, *vlan, &job)?,
        _ if job.interface.is_some() => set_up(&interface, &job)?,
        _ => {}
    }
    match &job.task {
        Task::Idle => {
            say(UP)?;
            loop {
                std::thread::park();
            }
        }
        Task::DhcpServer {
            first,
            last,
            boot_file,
            next_server,
        } => {
            let mut server = dnsmasq(&interface, *first, *last);
            if let Some(file) = boot_file {
                let next = next_server.map_or_else(String::new, |next| format!(",,{next}"));
                server.arg(format!("--dhcp-boot={file}{next}"));
            }
            say(UP)?;
            Err(server.exec())
        }
        Task::Leases { count } => {
            let [.., last] = *uuid::Uuid::new_v4().as_bytes();
            for number in 0..*count {
                let [_, _, high, low] = number.to_be_bytes();
                let taken = dhcp::lease(MacAddr([2, 0, 1, last, high, low]), &interface);
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
        Task::Answers { answer } => {
            let (address, _) = job.address.unwrap_or((Ipv4Addr::UNSPECIFIED, 0));
            answers::serve(address, answer, || say(UP))
        }
        Task::Requests { urls } => {
            say(UP)?;
            requests::ask(urls)
        }
        Task::Router(router) => router::run(router),
        Task::Impostor(machine) => {
            say(UP)?;
            loop {
                machine::run(machine, &interface);
                std::thread::sleep(requests::PAUSE);
            }
        }
        Task::Machine(machine) => {
            say(UP)?;
            machine::run(machine, &interface);
            Ok(())
        }
    }
}

fn set_up(interface: &str, job: &StationJob) -> io::Result<()> {
    // Only IPv4 is used; a host without IPv6 services should not announce an IPv6 address.
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

/// Sets up a machine on a trunk, with an interface for its VLAN and one for programs that do not tag their frames.
/// Returns the name of the latter.
fn set_up_tagged(interface: String, vlan: u16, job: &StationJob) -> io::Result<String> {
    let vlans = vec![vlan, UNTAGGED];
    trunk::join(&TrunkJob {
        bridge: String::new(),
        interface,
        vlans: vlans.clone(),
        native: Some(UNTAGGED),
        mtu: None,
    })?;
    for vlan in vlans {
        set_up(&trunk::interface(vlan), job)?;
    }
    Ok(trunk::interface(UNTAGGED))
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

/// Runs a DHCP server without boot options.
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

/// Reports that the station is ready.
fn say_up() -> io::Result<()> {
    say(UP)
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
