//! Worker of a cell: one attempt at a scenario, from libvirtd's start to the last machine's stop.
//!
//! The worker reads a [`Job`] and then [`CellCommand`]s from standard input and writes [`Report`]s to standard output.
//! It judges nothing. The end of its input means that the lab is gone, and ends the worker at once.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use boot_server::config::Config;
use boot_server_events::Event;
use lab_model::evidence::clock::now_us;
use lab_model::evidence::saved::RecordFile;
use lab_model::evidence::{Observation, Record};
use lab_model::scenario::{DataCheck, Node, PixiecoreService, Scenario};
use lab_model::timeline::StallTimeouts;
use rustix::mount::mount_bind;
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::custom::{CustomServices, Surroundings};
use super::evidence::{captured, domain_names, keep_ports, pass_on};
use super::fault::{self, Killer};
use super::manifest;
use super::message::{Asset, CellCommand, Job, Report};
use super::on_host;
use super::persistent::PersistentCell;
use super::plan;
use super::sandbox::cell_dir;
use super::services::{Libvirtd, ServiceEvent, start_boot_server, start_command};
use crate::capture::ports::Ports;
use crate::capture::{self, Capture};
use crate::hosts::attachment::Plug;
use crate::hypervisor::accel::Accelerator;
use crate::hypervisor::mark::RunMark;
use crate::hypervisor::network;
use crate::node::life::{NodeContext, NodeRecorder, artifacts_of, domain_name, live};
use crate::node::progress::Progress;

/// Time limit for the start of dnsmasq.
const DNSMASQ_DEADLINE: Duration = Duration::from_secs(10);

/// Makes the attempt described on standard input.
///
/// # Errors
/// A sentence if the lab's own set-up failed; the lab was already told.
pub async fn run() -> Result<(), String> {
    let mut commands = BufReader::new(tokio::io::stdin()).lines();
    let result = attempt(&mut commands).await;
    if let Err(why) = &result {
        tell(&Report::Broken { why: why.clone() });
    }
    result
}

async fn attempt(commands: &mut Lines<BufReader<Stdin>>) -> Result<(), String> {
    let line = commands.next_line().await.map_err(text)?;
    let job: Job = serde_json::from_str(&line.unwrap_or_default())
        .map_err(|error| format!("malformed job on standard input: {error}"))?;
    let done = attempt_at(&job, commands).await;
    if let Some(uri) = &job.connect {
        // Without this, the kernel would do it.
        on_host::remove(uri, &job.run_id).await.map_err(text)?;
    }
    done
}

async fn attempt_at(job: &Job, commands: &mut Lines<BufReader<Stdin>>) -> Result<(), String> {
    // The lab has validated the data already, or was told not to.
    let mut scenario = Scenario::load_with(&job.scenario, DataCheck::Skip)
        .map_err(|error| format!("{:?}", miette::Report::new(error)))?;
    scenario.nodes.retain(|node| job.nodes.contains(&node.name));
    let mut kept = RecordFile::create(&job.artifacts).map_err(text)?;
    let (told, mut tells) = mpsc::unbounded_channel();
    let SetUp {
        libvirtd,
        capture,
        machines,
        mut killer,
        custom,
        tftp_roots,
    } = tokio::select! {
        set_up = set_up(job, &scenario, &told) => set_up?,
        stopped = stopped_early(commands) => return stopped,
    };
    let libvirtd = Arc::new(libvirtd);
    tell(&Report::Ready);

    let (records, mut seen) = mpsc::unbounded_channel();
    if let Some(events) = libvirtd.hypervisor.take_events() {
        let names = domain_names(job, &scenario);
        tokio::spawn(pass_on(events, names, records.clone()));
    }
    for record in manifest::records(&cell_dir().join("assets"), &tftp_roots)? {
        saw(record, &mut kept);
    }
    let arrived = records.clone();
    // The receiver is gone once the attempt is over.
    let ports = Ports::new(move |record| drop(arrived.send(record)));
    let (stop, stopping) = watch::channel(None);
    let mut places = HashMap::new();
    let mut lives = JoinSet::new();
    let (known, stall_timeouts) = (Arc::new(scenario.clone()), stall_timeouts(job, &scenario));
    let mut watched: HashMap<String, Progress> = HashMap::new();
    for node in scenario.nodes.clone() {
        let (place, has_place) = oneshot::channel();
        places.insert(node.name.clone(), place);
        let context = NodeContext {
            ports: Some(ports.clone()),
            ..node_context(job, &scenario, &node)
        };
        let (machines, simulated) = (machines.clone(), !scenario.machines.is_virtual());
        let progress = Progress::new(Arc::clone(&known), stall_timeouts);
        watched.insert(node.name.clone(), progress.clone());
        let recorder = NodeRecorder::new(&node.name, records.clone(), progress);
        let (libvirtd, stopping) = (Arc::clone(&libvirtd), stopping.clone());
        tell(&Report::Waiting {
            node: node.name.clone(),
        });
        lives.spawn(async move {
            // The sender is dropped if everything is stopped before this node began.
            let lived = match has_place.await {
                Err(_) => Ok(()),
                Ok(()) if simulated => {
                    let lived =
                        super::simulated::live(&node, &context, &machines, &recorder, stopping);
                    lived.await.map_err(text)
                }
                Ok(()) => {
                    let hypervisor = &libvirtd.hypervisor;
                    let lived = live(&node, &context, hypervisor, &recorder, stopping);
                    lived.await.map_err(text)
                }
            };
            (node.name, lived)
        });
    }
    drop(records);

    let mut is_before_power_on = true;
    let lived = async {
        loop {
            tokio::select! {
                biased;
                Some(record) = seen.recv() => {
                    if record.seen == Observation::Reset
                        && let Some(progress) = record.node.as_ref().and_then(|node| watched.get(node))
                    {
                        progress.saw(&record);
                    }
                    saw(record, &mut kept);
                }
                Some(one) = tells.recv() => {
                    if let (ServiceEvent::Ended { service, detail }, true) = (&one, is_before_power_on) {
                        return Err(format!("{service} ended before the first machine started: {detail}"));
                    }
                    killer.hear(&one, &told);
                    let record = record_of(one, &scenario.nodes);
                    if let Some(progress) = record.node.as_ref().and_then(|node| watched.get(node)) {
                        progress.saw(&record);
                    }
                    saw(record, &mut kept);
                }
                Some(lived) = lives.join_next() => {
                    let (node, lived) = lived.map_err(|error| format!("the task of a node failed: {error}"))?;
                    // Output so far belongs to this node's evidence.
                    while let Ok(record) = seen.try_recv() {
                        saw(record, &mut kept);
                    }
                    tell(&Report::Stopped { node });
                    lived?;
                    if lives.is_empty() {
                        break;
                    }
                }
                command = commands.next_line() => match command.map_err(text)? {
                    None => return Err("the lab is gone".into()),
                    Some(line) => match serde_json::from_str(&line).map_err(text)? {
                        CellCommand::Start { node } => {
                            if let Some(place) = places.remove(&node) {
                                is_before_power_on = false;
                                let _ = place.send(());
                            }
                        }
                        CellCommand::Stop { reason } => {
                            places.clear();
                            stop.send_replace(Some(reason));
                        }
                        // Sent only after all machines have finished.
                        CellCommand::Keep | CellCommand::Settle => {
                            tracing::warn!("told to stay before all machines have finished");
                        }
                    },
                },
            }
        }
        Ok::<(), String>(())
    }
    .await;
    // A cell that may stay keeps its services, which end with it.
    if !job.hold {
        custom.stop(&told).await;
    }
    // While waiting for the last frames, the last events of libvirt and the services arrive.
    if let Some(capture) = capture {
        let record = captured(capture).await?;
        saw(record, &mut kept);
    }
    for record in keep_ports(ports, &job.artifacts).await? {
        saw(record, &mut kept);
    }
    while let Ok(record) = seen.try_recv() {
        saw(record, &mut kept);
    }
    while let Ok(one) = tells.try_recv() {
        saw(record_of(one, &scenario.nodes), &mut kept);
    }
    keep_qemu_logs(job, &scenario);
    lived?;
    if job.hold && is_to_stay(commands).await? {
        let staying = PersistentCell {
            run_id: job.run_id.clone(),
            artifacts: job.artifacts.clone(),
            nodes: scenario.nodes.clone(),
            node_context: |node: &Node| node_context(job, &scenario, node),
            record_of,
            libvirtd,
            bridge: plan::network(&scenario, &job.run_id).bridge,
        };
        staying
            .stay(&mut tells, &mut seen, commands, || tell(&Report::Kept))
            .await?;
    }
    Ok(())
}

/// Waits for the command to stop during the set-up; no other command comes before.
async fn stopped_early(commands: &mut Lines<BufReader<Stdin>>) -> Result<(), String> {
    match commands.next_line().await.map_err(text)? {
        None => Err("the lab is gone".into()),
        Some(command) => {
            tracing::info!(command, "stopped while the cell was set up");
            Ok(())
        }
    }
}

/// Waits with all machines running until the cell is to end or to stay.
async fn is_to_stay(commands: &mut Lines<BufReader<Stdin>>) -> Result<bool, String> {
    tell(&Report::Through);
    while let Some(line) = commands.next_line().await.map_err(text)? {
        if serde_json::from_str::<CellCommand>(&line).map_err(text)? == CellCommand::Keep {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Everything in a cell except the machines.
struct SetUp {
    libvirtd: Libvirtd,
    capture: Option<Capture>,
    /// Attachment of simulated machines.
    machines: Plug,
    killer: Killer,
    /// Services of the user.
    custom: CustomServices,
    /// Folders that TFTP servers search before those of Debian's boot programs.
    tftp_roots: Vec<PathBuf>,
}

/// Starts everything except the machines.
async fn set_up(
    job: &Job,
    scenario: &Scenario,
    told: &mpsc::UnboundedSender<ServiceEvent>,
) -> Result<SetUp, String> {
    let libvirtd = match &job.connect {
        None => Libvirtd::start(&job.artifacts.join("libvirtd.log")).await,
        Some(uri) => Libvirtd::of_host(uri).await,
    };
    let libvirtd = libvirtd.map_err(text)?;
    let mut network = plan::network(scenario, &job.run_id);
    network.mark = RunMark::of(&job.run_id);
    let xml = network::render(&network);
    let nets = job.artifacts.join("nets");
    fs::create_dir_all(&nets).map_err(text)?;
    fs::write(nets.join("network.xml"), &xml).map_err(text)?;
    libvirtd
        .hypervisor
        .create_network(xml)
        .await
        .map_err(text)?;
    let capture = match plan::capture(scenario, &network, job) {
        Some(spec) => Some(capture::start(&spec).map_err(text)?),
        None => None,
    };

    let machines = fault::before_servers(job, &network, &libvirtd.hypervisor).await?;
    let assets = cell_dir().join("assets");
    let image = plan::image_folder(&assets);
    lay_out(job, &assets, &image)?;

    let site = match &scenario.services.boot_server_config {
        Some(file) => Some(site_config(file)?),
        None => None,
    };
    let (mut killer, mut tftp_roots) = (Killer::default(), Vec::new());
    for mut server in plan::boot_servers(scenario, &network.bridge, &assets, site.as_ref()) {
        let folder = job.artifacts.join(server.name);
        if server.name == fault::SERVER {
            server.config = super::server_change::changed(
                &server.config,
                &job.injections.server,
                &scenario.data_dir(),
            )?;
        }
        let tftp = server.config.tftp.iter();
        tftp_roots.extend(tftp.flat_map(|tftp| tftp.roots.iter().cloned()));
        let pid = start_boot_server(
            server.name,
            &job.boot_server,
            &server.config,
            &folder,
            told.clone(),
        )
        .await
        .map_err(text)?;
        if server.name == fault::SERVER {
            killer = Killer::new(job, server.config, pid);
        }
    }
    if let PixiecoreService::Command(command) = &scenario.services.pixiecore {
        let command: Vec<String> = command
            .iter()
            .map(|word| {
                word.replace("{api}", &plan::pixiecore_api(&scenario.network))
                    .replace("{interface}", &network.bridge)
                    .replace("{address}", &network.host.to_string())
            })
            .collect();
        let folder = job.artifacts.join("pixiecore");
        start_command("pixiecore", &command, &folder, told.clone())
            .await
            .map_err(text)?;
    }
    if let Some(command) = plan::dnsmasq(scenario) {
        let folder = job.artifacts.join("dnsmasq");
        start_command("dnsmasq", &command, &folder, told.clone())
            .await
            .map_err(text)?;
        wait_for_dnsmasq(&folder).await?;
    }
    let around = Surroundings {
        scenario,
        bridge: &network.bridge,
        plug: &machines.on(&network.bridge),
        assets: &assets,
        artifacts: &job.artifacts,
    };
    let custom = CustomServices::start(around, told).await.map_err(text)?;
    fault::stations(job, scenario, &network, &machines, &image).await?;
    Ok(SetUp {
        libvirtd,
        capture,
        machines,
        killer,
        custom,
        tftp_roots,
    })
}

/// Lays out the files that are served below `/assets/`.
fn lay_out(job: &Job, assets: &Path, image: &Path) -> Result<(), String> {
    let whole_image = Asset {
        at: image
            .strip_prefix(assets)
            .map_or_else(|_| image.to_owned(), Path::to_owned),
        from: job.image.clone(),
    };
    fs::create_dir_all(assets).map_err(text)?;
    let all = match job.assets.as_slice() {
        [] => std::slice::from_ref(&whole_image),
        all => all,
    };
    for Asset { at, from } in all {
        let place = assets.join(at);
        let bound = || -> io::Result<()> {
            if from.is_dir() {
                fs::create_dir_all(&place)?;
            } else {
                fs::create_dir_all(place.parent().unwrap_or(assets))?;
                fs::File::create(&place)?;
            }
            Ok(mount_bind(from, &place)?)
        };
        bound().map_err(|error| format!("cannot serve {} as an asset: {error}", from.display()))?;
    }
    Ok(())
}

/// Returns the boot server's configuration of the site.
fn site_config(file: &Path) -> Result<Config, String> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let text = fs::read_to_string(file).map_err(|error| failed(&error))?;
    toml::from_str(&text).map_err(|error| failed(&error))
}

/// Waits for dnsmasq's start message, which it prints after binding its sockets.
async fn wait_for_dnsmasq(folder: &Path) -> Result<(), String> {
    let log = folder.join("stderr.log");
    let deadline = tokio::time::Instant::now() + DNSMASQ_DEADLINE;
    loop {
        let said = fs::read_to_string(&log).unwrap_or_default();
        if said.lines().any(|line| line.contains(": started")) {
            return Ok(());
        }
        if tokio::time::Instant::now() >= deadline
            || said.contains("dnsmasq: ") && !said.contains("started")
        {
            return Err(format!("dnsmasq did not start: {}", said.trim()));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn node_context(job: &Job, scenario: &Scenario, node: &Node) -> NodeContext {
    NodeContext {
        run_id: job.run_id.clone(),
        firmware: job.firmware,
        accelerator: job.accelerator,
        depth: job.depth,
        network: fault::network_of_machines(job, plan::network(scenario, &job.run_id).name),
        sockets: cell_dir(),
        artifacts: artifacts_of(&job.artifacts, node),
        deadline: scenario.deadline.boot,
        hold: job.hold,
        machine: job.injections.machine.of(&node.name),
        ports: None,
    }
}

/// Returns the time limits without progress: the scenario's, else the accelerator's defaults.
fn stall_timeouts(job: &Job, scenario: &Scenario) -> StallTimeouts {
    let usual = match job.accelerator {
        Accelerator::Kvm => StallTimeouts::KVM,
        Accelerator::Tcg => StallTimeouts::TCG,
    };
    let said = &scenario.deadline.silence;
    let or = |seconds: Option<u32>, usual| {
        seconds.map_or(usual, |seconds| Duration::from_secs(seconds.into()))
    };
    StallTimeouts {
        firmware: or(said.firmware_seconds, usual.firmware),
        dhcp: or(said.dhcp_seconds, usual.dhcp),
        load: or(said.load_seconds, usual.load),
        system: or(said.system_seconds, usual.system),
    }
}

/// Converts a service's output into a record of the node concerned.
fn record_of(told: ServiceEvent, nodes: &[Node]) -> Record {
    match told {
        ServiceEvent::Event { service, event } => Record {
            at_us: event.at_us,
            node: node_of(&event, nodes),
            seen: Observation::Server {
                service,
                entry: event,
            },
        },
        ServiceEvent::Ended { service, detail } => Record {
            at_us: now_us(),
            node: None,
            seen: Observation::ServiceEnded { service, detail },
        },
        ServiceEvent::Restarted { service, detail } => {
            let detail = format!("{detail} (started again)");
            of_service(Observation::ServiceEnded { service, detail })
        }
        ServiceEvent::Line {
            service,
            stream,
            line,
        } => of_service(Observation::ServiceLine {
            service,
            stream,
            line,
        }),
        ServiceEvent::LeftBehind { service, what } => {
            of_service(Observation::ServiceLeft { service, what })
        }
    }
}

/// Builds a record of a service that concerns no single node.
fn of_service(seen: Observation) -> Record {
    Record {
        at_us: now_us(),
        node: None,
        seen,
    }
}

/// Returns the node of an event: by MAC, which is unambiguous on this bridge, else by UUID.
fn node_of(event: &Event, nodes: &[Node]) -> Option<String> {
    let who = event.what.who()?;
    let by_mac = |node: &&Node| who.mac == Some(node.mac.into());
    let by_uuid = |node: &&Node| who.uuid == Some(node.uuid.into());
    nodes
        .iter()
        .find(by_mac)
        .or_else(|| nodes.iter().find(by_uuid))
        .map(|node| node.name.clone())
}

/// Copies QEMU's logs, which explain the death of a machine and would vanish with the cell.
fn keep_qemu_logs(job: &Job, scenario: &Scenario) {
    for node in &scenario.nodes {
        let name = domain_name(&job.run_id, node);
        let log = format!("/var/log/libvirt/qemu/{name}.log");
        if Path::new(&log).exists()
            && let Err(error) = fs::copy(&log, artifacts_of(&job.artifacts, node).join("qemu.log"))
        {
            tracing::warn!(%error, log, "not kept");
        }
    }
}

/// Saves a record in the artifacts and reports it.
fn saw(record: Record, kept: &mut RecordFile) {
    if let Err(error) = kept.add(&record) {
        // The lab receives the record anyway; a full disk is reported elsewhere.
        tracing::warn!(%error, "cannot save a record");
    }
    tell(&Report::Observation(record));
}

fn tell(report: &Report) {
    match serde_json::to_string(report) {
        // A closed pipe means that the lab is gone; the end of the input shows it as well.
        Ok(line) => drop(writeln!(io::stdout(), "{line}")),
        Err(error) => tracing::error!(%error, "report"),
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
