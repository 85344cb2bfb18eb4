//! Injection of faults into the cell: other hosts, an impaired link, barriers, a boot server that is killed.
//!
//! All objects are created inside the cell's namespaces and disappear with the cell.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use boot_server::config::Config;
use boot_server_events::BootEvent;
use lab_model::evidence::STATION_PREFIX;
use lab_model::fault::{Barrier, Direction, Impairment, Kill, Moment, Role, rewrite};
use lab_model::scenario::{MacError, Scenario, card_mac};
use lab_model::timeline::requested_stage;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Map, Value};
use thiserror::Error;
use tokio::io::AsyncBufReadExt;
use tokio::sync::mpsc;

use super::link;
use super::message::Job;
use super::programs;
use super::sandbox::cell_dir;
use super::services::{ServiceEvent, start_boot_server};
use crate::capture::ports::OnRequest;
use crate::hosts::attachment::{self, Plug, Plugged};
use crate::hosts::simulated::machine::MachineJob;
use crate::hosts::{StationJob, Task};
use crate::hypervisor::network::{self, NetworkSpec};
use crate::hypervisor::{Hypervisor, HypervisorError};

/// Debian's folders of boot programs, in the boot server's search order.
const BOOT_PROGRAMS: [&str; 2] = ["/usr/lib/ipxe", "/usr/lib/PXELINUX"];

/// Name of the boot server that a fault may change and kill: the one on the machines' network.
pub const SERVER: &str = "server";

/// Fault that cannot be injected.
#[derive(Debug, Error)]
pub enum FaultError {
    /// The impaired link cannot be created.
    #[error("the impaired link: {0}")]
    Link(#[source] io::Error),
    /// libvirt refused the machines' side of the impaired link.
    #[error("the impaired link: {0}")]
    Network(#[source] HypervisorError),
    /// The firewall refused a rule.
    #[error("the barrier: {0}")]
    Barrier(#[source] io::Error),
    /// Another host cannot be started.
    #[error("{name}: {source}")]
    Station { name: String, source: io::Error },
    /// A station's MAC is invalid.
    #[error("the MAC of a station: {0}")]
    Mac(#[from] MacError),
}

/// Creates link and barriers before the boot servers start. Returns the attachment of simulated machines.
///
/// # Errors
/// [`FaultError`] if an object cannot be created.
pub async fn before_servers(
    job: &Job,
    network: &NetworkSpec,
    hypervisor: &Hypervisor,
) -> Result<Plug, FaultError> {
    let injections = &job.injections;
    let mut machines = Plug::new(&job.run_id, &network.bridge);
    if injections.have_a_link() {
        let impaired = injections.link.unwrap_or_default();
        let way = |direction| {
            let mut impairment = Impairment::new(impaired, direction);
            let rewrites = injections.rewrites.iter();
            let rewrites: Vec<_> = rewrites
                .filter(|one| one.direction == direction)
                .cloned()
                .collect();
            move |frame: &mut [u8]| {
                rewrite(frame, &rewrites);
                impairment.arrivals()
            }
        };
        let (out, back) = (way(Direction::Out), way(Direction::In));
        link::join(&job.run_id, &network.bridge, out, back)
            .await
            .map_err(FaultError::Link)?;
        let far = link::far_bridge(&job.run_id);
        let name = network_of_machines(job, network.name.clone());
        hypervisor
            .create_network(network::render_bridge(&name, &far, &network.mark))
            .await
            .map_err(FaultError::Network)?;
        machines = machines.on(&far);
    }
    for barrier in &injections.barriers {
        raise(barrier, &network.bridge)
            .await
            .map_err(FaultError::Barrier)?;
    }
    Ok(machines)
}

/// Returns the libvirt network for machines: a separate one if the link is impaired.
#[must_use]
pub fn network_of_machines(job: &Job, network: String) -> String {
    match job.injections.have_a_link() {
        false => network,
        true => format!("lab-{}-far", job.run_id),
    }
}

/// Starts the other hosts of the fault, on the servers' side of the link.
///
/// # Errors
/// [`FaultError::Station`] if a host cannot be started.
pub async fn stations(
    job: &Job,
    scenario: &Scenario,
    network: &NetworkSpec,
    machines: &Plug,
    image: &Path,
) -> Result<(), FaultError> {
    let plug = machines.on(&network.bridge);
    for (number, station) in job.injections.stations.iter().enumerate() {
        let name = format!("{STATION_PREFIX}{}", number + 1);
        let failed = |source| FaultError::Station {
            name: name.clone(),
            source,
        };
        let folder = job.artifacts.join(&name);
        fs::create_dir_all(&folder).map_err(failed)?;
        let log = folder.join("stderr.log");
        let address = station.address;
        let station_job = StationJob {
            interface: None,
            mac: station.mac().unwrap_or_default(),
            address: match station.role {
                Role::Leases { .. } | Role::Machine { .. } => None,
                _ => address.map(|address| (address, scenario.network.subnet.prefix_len())),
            },
            task: task(job, &station.role, &station.mac(), network, image)?,
        };
        let plugged = match address {
            Some(_) => plug.start(station_job, &log).await,
            None => attachment::start_in_place(station_job, &log).await,
        };
        watch(name.clone(), plugged.map_err(failed)?);
    }
    Ok(())
}

fn task(
    job: &Job,
    role: &Role,
    mac: &Option<String>,
    network: &NetworkSpec,
    image: &Path,
) -> Result<Task, FaultError> {
    Ok(match role {
        Role::Silent => Task::Idle,
        Role::DhcpServer {
            first,
            last,
            boot_file,
            next_server,
        } => Task::DhcpServer {
            first: *first,
            last: *last,
            boot_file: boot_file.clone(),
            next_server: *next_server,
        },
        Role::Leases { count } => Task::Leases { count: *count },
        Role::Web(flaw) => Task::Web {
            flaw: *flaw,
            image: image.to_owned(),
        },
        Role::Tftp(flaw) => Task::Tftp {
            flaw: *flaw,
            address: network.host,
            roots: [programs::folder(&cell_dir())]
                .into_iter()
                .chain(BOOT_PROGRAMS.map(PathBuf::from))
                .collect(),
        },
        Role::Proxy(flaw) => Task::Proxy { flaw: *flaw },
        Role::Answers(answer) => Task::Answers {
            answer: answer.clone(),
        },
        Role::Requests { urls } => Task::Requests { urls: urls.clone() },
        Role::Machine { uuid } => {
            let mac = card_mac(mac.as_deref().unwrap_or_default())?;
            Task::Impostor(MachineJob {
                mac,
                uuid: *uuid,
                serial: "impostor".into(),
                firmware: job.firmware,
                vlan: None,
            })
        }
    })
}

/// Keeps a station alive as long as the cell. Its end is not evidence, because a foreign server would not report
/// its end either.
pub(super) fn watch(name: String, mut plugged: Plugged) {
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

/// Blocks a port of the servers' host for machines.
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
    attachment::run("iptables", &[&rule[..], &rest[..], target].concat()).await
}

/// Returns a watch that reports stages that machines begin, if a fault kills a service at one.
pub fn stage_watch(
    job: &Job,
    scenario: &Scenario,
    told: &mpsc::UnboundedSender<ServiceEvent>,
) -> Option<Box<OnRequest>> {
    job.injections.kill.as_ref()?.service()?;
    let (scenario, told) = (scenario.clone(), told.clone());
    Some(Box::new(move |packet| {
        if let Some(stage) = requested_stage(packet, &scenario) {
            // The receiver is gone once the attempt is over.
            let _ = told.send(ServiceEvent::Requested { stage });
        }
    }))
}

/// Kills the boot server after the fault's trigger event, or names the service of the user to kill.
#[derive(Debug, Default)]
pub struct Killer(Option<Target>);

#[derive(Debug)]
struct Target {
    kill: Kill,
    /// The lab's boot server; `None` for a service of the user.
    server: Option<BootServer>,
}

#[derive(Debug)]
struct BootServer {
    pid: u32,
    program: PathBuf,
    config: Config,
    folder: PathBuf,
}

impl Killer {
    /// Watches the boot server with this process id.
    #[must_use]
    pub fn new(job: &Job, config: Config, pid: u32) -> Killer {
        Killer(job.injections.kill.clone().map(|kill| Target {
            kill,
            server: Some(BootServer {
                pid,
                program: job.boot_server.clone(),
                config,
                folder: job.artifacts.join(format!("{SERVER}-restarted")),
            }),
        }))
    }

    /// Waits for the moment to kill a service of the user, if the fault kills one.
    pub fn watch_services(&mut self, job: &Job) {
        let kill = job.injections.kill.clone();
        let kill = kill.filter(|kill| kill.service().is_some());
        if let Some(kill) = kill {
            self.0 = Some(Target { kill, server: None });
        }
    }

    /// Processes an event, and kills the boot server if it is the trigger. Returns the service of the user to kill
    /// now, with the delay until its restart.
    pub fn hear(
        &mut self,
        one: &ServiceEvent,
        told: &mpsc::UnboundedSender<ServiceEvent>,
    ) -> Option<(String, Option<Duration>)> {
        let waited_for = |target: &mut Target| is_moment(&target.kill, one);
        let target = self.0.take_if(waited_for)?;
        let after = target.kill.restart_ms;
        let after = after.map(|after| Duration::from_millis(after.into()));
        if let Some(service) = target.kill.service() {
            return Some((service.to_owned(), after));
        }
        let server = target.server?;
        let pid = i32::try_from(server.pid).ok().and_then(Pid::from_raw);
        if let Some(Err(error)) = pid.map(|pid| kill_process(pid, Signal::KILL)) {
            tracing::warn!(%error, "cannot kill the boot server");
        }
        if let Some(after) = after {
            tokio::spawn(restart(server, after, told.clone()));
        }
        None
    }
}

async fn restart(server: BootServer, after: Duration, told: mpsc::UnboundedSender<ServiceEvent>) {
    tokio::time::sleep(after).await;
    let BootServer {
        program,
        config,
        folder,
        ..
    } = server;
    let started = start_boot_server(SERVER, &program, &config, &folder, told.clone()).await;
    if let Err(error) = started {
        // The receiver is gone once the attempt is over.
        let _ = told.send(ServiceEvent::Ended {
            service: SERVER.to_owned(),
            detail: format!("cannot restart the boot server: {error}"),
        });
    }
}

/// True if this is the fault's trigger event.
fn is_moment(kill: &Kill, told: &ServiceEvent) -> bool {
    match (&kill.moment, told) {
        (Moment::Event { name, with }, ServiceEvent::Event { service, event }) => {
            service == SERVER && event.what.name() == name && has_keys(with, &event.what)
        }
        (Moment::Stage { stage, .. }, ServiceEvent::Requested { stage: begun }) => stage == begun,
        _ => false,
    }
}

/// True if the event's JSON has the keys with the values that are waited for.
fn has_keys(with: &Map<String, Value>, event: &BootEvent) -> bool {
    let json = serde_json::to_value(event).unwrap_or_default();
    with.iter().all(|(key, value)| json.get(key) == Some(value))
}

#[cfg(test)]
mod tests {
    use boot_server_events::{DhcpRole, Event, Who};
    use boot_server_proto::dhcp::MessageType;
    use lab_model::timeline::StageName;

    use super::*;

    fn reply(service: &str, message: MessageType) -> ServiceEvent {
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
        ServiceEvent::Event {
            service: service.into(),
            event: Box::new(Event { at_us: 1, what }),
        }
    }

    #[test]
    fn is_moment_event_with_the_keys_of_the_server_itself_only() {
        let kill = |name: &str, with: &str| Kill {
            moment: Moment::Event {
                name: name.into(),
                with: serde_json::from_str(with).unwrap(),
            },
            restart_ms: None,
        };
        let of_offer = kill("dhcp_reply", "{\"message\":\"offer\"}");
        let kill = |name| kill(name, "{}");
        assert!(is_moment(&of_offer, &reply(SERVER, MessageType::Offer)));
        // The text of another key proves nothing.
        assert!(!is_moment(&of_offer, &reply(SERVER, MessageType::Ack)));
        let elsewhere = reply("config-service", MessageType::Offer);
        assert!(!is_moment(&of_offer, &elsewhere));
        let ack = reply(SERVER, MessageType::Ack);
        assert!(is_moment(&kill("dhcp_reply"), &ack));
        assert!(!is_moment(&kill("tftp_request"), &ack));
    }

    #[test]
    fn is_moment_request_of_the_stage_only() {
        let kill = Kill {
            moment: Moment::Stage {
                service: "files".into(),
                stage: StageName::Kernel,
            },
            restart_ms: None,
        };
        let stage = |stage| ServiceEvent::Requested { stage };
        assert!(is_moment(&kill, &stage(StageName::Kernel)));
        assert!(!is_moment(&kill, &stage(StageName::Script)));
        assert!(!is_moment(&kill, &reply(SERVER, MessageType::Offer)));
    }
}
