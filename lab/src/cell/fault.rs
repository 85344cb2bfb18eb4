//! Injects a fault into the cell: other hosts, an impaired link, barriers, a boot server that is killed.
//!
//! Everything is made inside the cell's namespaces and goes with the cell.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use boot_server::config::Config;
use boot_server::event::BootEvent;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncBufReadExt;
use tokio::sync::mpsc;

use super::link;
use super::message::Job;
use super::plug::{self, Plug, Plugged};
use super::services::{Told, start_boot_server};
use crate::evidence::STATION_PREFIX;
use crate::fault::{Barrier, Direction, Impairment, Kill, Role, Station};
use crate::hypervisor::Hypervisor;
use crate::hypervisor::network::{self, NetworkSpec};
use crate::scenario::Scenario;
use crate::station::{StationJob, Task};

/// Where Debian has boot programs, as boot-server looks for them.
const BOOT_PROGRAMS: [&str; 2] = ["/usr/lib/ipxe", "/usr/lib/PXELINUX"];

/// Name of the boot server that a fault may change and kill: the one on the wire.
pub const SERVER: &str = "server";

/// Injects what has to be there before the boot servers are started: link and barriers. Returns where
/// simulated machines are plugged in.
///
/// # Errors
/// A sentence when something can't be made.
pub async fn before_servers(
    job: &Job,
    network: &NetworkSpec,
    hypervisor: &Hypervisor,
) -> Result<Plug, String> {
    let injections = &job.injections;
    let mut machines = Plug::new(&job.run_id, &network.bridge);
    if let Some(impaired) = injections.link {
        let failed = |error: &dyn std::fmt::Display| format!("the impaired link: {error}");
        let way = |direction| {
            let mut impairment = Impairment::new(impaired, direction);
            move |_: &[u8]| impairment.arrivals()
        };
        let (out, back) = (way(Direction::Out), way(Direction::In));
        link::join(&job.run_id, &network.bridge, out, back)
            .await
            .map_err(|error| failed(&error))?;
        let far = link::far_bridge(&job.run_id);
        let name = network_of_machines(job, network.name.clone());
        hypervisor
            .create_network(network::render_bridge(&name, &far, &network.mark))
            .await
            .map_err(|error| failed(&error))?;
        machines = machines.on(&far);
    }
    for barrier in &injections.barriers {
        raise(barrier, &network.bridge)
            .await
            .map_err(|error| format!("the barrier: {error}"))?;
    }
    Ok(machines)
}

/// The libvirt network that machines are plugged into: their own where the link is impaired.
#[must_use]
pub fn network_of_machines(job: &Job, network: String) -> String {
    match job.injections.link {
        None => network,
        Some(_) => format!("lab-{}-far", job.run_id),
    }
}

/// Starts the other hosts of the fault, on the servers' side of the link.
///
/// # Errors
/// A sentence when one can't be started.
pub async fn stations(
    job: &Job,
    scenario: &Scenario,
    network: &NetworkSpec,
    machines: &Plug,
    image: &Path,
) -> Result<(), String> {
    let plug = machines.on(&network.bridge);
    for (number, station) in job.injections.stations.iter().enumerate() {
        let name = format!("{STATION_PREFIX}{}", number + 1);
        let failed = |error: io::Error| format!("{name}: {error}");
        let folder = job.artifacts.join(&name);
        fs::create_dir_all(&folder).map_err(failed)?;
        let log = folder.join("stderr.log");
        let address = station.address;
        let station_job = StationJob {
            interface: None,
            mac: address.map_or_else(String::new, Station::mac),
            address: match station.role {
                Role::Leases { .. } => None,
                _ => address.map(|address| (address, scenario.network.subnet.prefix_len())),
            },
            task: task(&station.role, network, image),
        };
        let plugged = match address {
            Some(_) => plug.start(station_job, &log).await,
            None => plug::start_in_place(station_job, &log).await,
        };
        watch(name.clone(), plugged.map_err(failed)?);
    }
    Ok(())
}

fn task(role: &Role, network: &NetworkSpec, image: &Path) -> Task {
    match role {
        Role::Silent => Task::Idle,
        Role::DhcpServer { first, last } => Task::DhcpServer {
            first: *first,
            last: *last,
        },
        Role::Leases { count } => Task::Leases { count: *count },
        Role::Web(flaw) => Task::Web {
            flaw: *flaw,
            image: image.to_owned(),
        },
        Role::Tftp(flaw) => Task::Tftp {
            flaw: *flaw,
            address: network.host,
            roots: BOOT_PROGRAMS.map(PathBuf::from).to_vec(),
        },
        Role::Proxy(flaw) => Task::Proxy { flaw: *flaw },
    }
}

/// Keeps a station alive as long as the cell. That it ends is no evidence: in the place of a stranger's
/// server, it tells no more than that would.
fn watch(name: String, mut plugged: Plugged) {
    tokio::spawn(async move {
        let mut line = String::new();
        while let Ok(1..) = plugged.stdout.read_line(&mut line).await {
            line.clear();
        }
        if let Ok(status) = plugged.child.wait().await {
            tracing::warn!(%status, name, "a station has ended");
        }
    });
}

/// Keeps machines from a port of the servers' host.
async fn raise(barrier: &Barrier, bridge: &str) -> io::Result<()> {
    let port = barrier.port.to_string();
    let target: &[&str] = match barrier.tells {
        true => &["REJECT", "--reject-with", "icmp-admin-prohibited"],
        false => &["DROP"],
    };
    let rule = [
        "--wait",
        "-I",
        "INPUT",
        "-i",
        bridge,
        "-p",
        &barrier.protocol,
    ];
    let rest = ["--dport", &port, "-j"];
    plug::run("iptables", &[&rule[..], &rest[..], target].concat()).await
}

/// Kills the boot server once it tells what the fault waits for, and starts it again.
#[derive(Debug, Default)]
pub struct Killer(Option<Target>);

#[derive(Debug)]
struct Target {
    kill: Kill,
    pid: u32,
    program: PathBuf,
    config: Config,
    folder: PathBuf,
}

impl Killer {
    /// Of the boot server with this process id.
    #[must_use]
    pub fn new(job: &Job, config: Config, pid: u32) -> Killer {
        Killer(job.injections.kill.clone().map(|kill| Target {
            kill,
            pid,
            program: job.boot_server.clone(),
            config,
            folder: job.artifacts.join(format!("{SERVER}-restarted")),
        }))
    }

    /// Takes what a service told, and kills the boot server when that is the moment.
    pub fn hear(&mut self, one: &Told, told: &mpsc::UnboundedSender<Told>) {
        let waited_for = |target: &mut Target| target.kill.is_moment(one);
        let Some(target) = self.0.take_if(waited_for) else {
            return;
        };
        let pid = i32::try_from(target.pid).ok().and_then(Pid::from_raw);
        if let Some(Err(error)) = pid.map(|pid| kill_process(pid, Signal::KILL)) {
            tracing::warn!(%error, "the boot server could not be killed");
        }
        if let Some(after) = target.kill.restart_ms {
            tokio::spawn(restart(target, after, told.clone()));
        }
    }
}

async fn restart(target: Target, after_ms: u32, told: mpsc::UnboundedSender<Told>) {
    tokio::time::sleep(Duration::from_millis(after_ms.into())).await;
    let Target {
        program,
        config,
        folder,
        ..
    } = target;
    let started = start_boot_server(SERVER, &program, &config, &folder, told.clone()).await;
    if let Err(error) = started {
        // Nobody listens any more once the attempt is over.
        let _ = told.send(Told::Ended {
            service: SERVER.to_owned(),
            detail: format!("it could not be started again: {error}"),
        });
    }
}

impl Kill {
    /// Whether this is what the boot server is killed after.
    fn is_moment(&self, told: &Told) -> bool {
        let Told::Event { service, event } = told else {
            return false;
        };
        service == SERVER && event.what.name() == self.after && self.has_keys(&event.what)
    }

    /// True if the event's JSON has the keys with the values that are waited for.
    fn has_keys(&self, event: &BootEvent) -> bool {
        let json = serde_json::to_value(event).unwrap_or_default();
        self.with
            .iter()
            .all(|(key, value)| json.get(key) == Some(value))
    }
}

#[cfg(test)]
mod tests {
    use boot_server::event::{DhcpRole, Event, Who};
    use boot_server::proto::dhcp::MessageType;

    use super::*;

    fn reply(service: &str, message: MessageType) -> Told {
        let what = BootEvent::DhcpReply {
            who: Who::default(),
            xid: 1,
            message,
            role: DhcpRole::Dhcp,
            address: None,
            next_server: None,
            boot_file: None,
            step: "\"message\":\"offer\"".into(),
        };
        Told::Event {
            service: service.into(),
            event: Box::new(Event { at_us: 1, what }),
        }
    }

    #[test]
    fn is_moment_event_with_the_keys_of_the_server_itself_only() {
        let mut kill = Kill {
            after: "dhcp_reply".into(),
            with: serde_json::from_str("{\"message\":\"offer\"}").unwrap(),
            restart_ms: None,
        };
        assert!(kill.is_moment(&reply(SERVER, MessageType::Offer)));
        // The text of another key proves nothing.
        assert!(!kill.is_moment(&reply(SERVER, MessageType::Ack)));
        assert!(!kill.is_moment(&reply("config-service", MessageType::Offer)));
        kill.with.clear();
        assert!(kill.is_moment(&reply(SERVER, MessageType::Ack)));
        kill.after = "tftp_request".into();
        assert!(!kill.is_moment(&reply(SERVER, MessageType::Ack)));
    }
}
