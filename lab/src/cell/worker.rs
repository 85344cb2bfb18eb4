//! Cell from the inside: services, machines, and the record of everything that happens.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lab_model::evidence::{GaveUp, Observation, Record};
use lab_model::scenario::{Node, Scenario};
use lab_model::timeline::StallTimeouts;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinSet};

use super::error::AttemptError;
use super::evidence::{captured, domain_names, keep_ports, pass_on, record_of};
use super::https;
use super::manifest;
use super::message::{Job, Report};
use super::recorder::{Recorder, tell};
use super::sandbox::cell_dir;
use super::services::ServiceEvent;
use super::set_up::Services;
use super::{fault, simulated, switch, topology};
use crate::capture::ports::Ports;
use crate::hypervisor::accel::Accelerator;
use crate::hypervisor::domain::Card;
use crate::node::context::{FirmwareFiles, NodeContext, NodeRecorder};
use crate::node::life::{artifacts_of, domain_name, live};
use crate::node::progress::Progress;

/// Cell of one attempt, in the order of its life: [`Cell::set_up`], [`Cell::record_served_files`],
/// [`Cell::add_nodes`], [`Cell::next`] with [`Cell::start_node`] and [`Cell::stop`] until [`Cell::has_finished`],
/// [`Cell::stop_services`], [`Cell::complete_evidence`], and [`Cell::persist`] if the lab keeps the cell.
pub(super) struct Cell {
    pub(super) job: Job,
    pub(super) scenario: Arc<Scenario>,
    pub(super) services: Services,
    /// Events of the services, and their sender for services that start later.
    pub(super) events: mpsc::UnboundedReceiver<ServiceEvent>,
    events_sender: mpsc::UnboundedSender<ServiceEvent>,
    /// Records of the machines, of their ports and of libvirt, and their sender.
    pub(super) records: mpsc::UnboundedReceiver<Record>,
    records_sender: mpsc::UnboundedSender<Record>,
    recorder: Recorder,
    ports: Ports,
    machines: Machines,
}

/// Machines of an attempt, each with its own task.
#[derive(Debug, Default)]
struct Machines {
    lives: JoinSet<(String, Result<(), AttemptError>)>,
    progress: HashMap<String, Progress>,
    /// Start signals of machines that still wait.
    waiting: HashMap<String, oneshot::Sender<()>>,
    /// True once a machine was started.
    any_started: bool,
    /// Signal to stop, with its reason.
    stop: watch::Sender<Option<GaveUp>>,
}

impl Cell {
    /// Starts everything except the machines.
    ///
    /// # Errors
    /// [`AttemptError`] if a service or a part of the network cannot be started.
    pub(super) async fn set_up(job: Job, scenario: Scenario) -> Result<Cell, AttemptError> {
        let recorder = Recorder::create(&job.artifacts)?;
        let (events_sender, events) = mpsc::unbounded_channel();
        let services = Services::start(&job, &scenario, &events_sender).await?;
        let (records_sender, records) = mpsc::unbounded_channel();
        if let Some(events) = services.libvirtd.hypervisor.take_events() {
            let names = domain_names(&job, &scenario);
            tokio::spawn(pass_on(events, names, records_sender.clone()));
        }
        let arrived = records_sender.clone();
        let ports = Ports::new(
            // The receiver is gone once the attempt is over.
            move |record| drop(arrived.send(record)),
            fault::stage_watch(&job, &scenario, &events_sender),
        );
        Ok(Cell {
            job,
            scenario: Arc::new(scenario),
            services,
            events,
            events_sender,
            records,
            records_sender,
            recorder,
            ports,
            machines: Machines::default(),
        })
    }

    /// Records the hashes of all served files.
    ///
    /// # Errors
    /// [`AttemptError::Manifest`] if a file cannot be read.
    pub(super) fn record_served_files(&mut self) -> Result<(), AttemptError> {
        let assets = cell_dir().join("assets");
        for record in manifest::records(&assets, &self.services.tftp_roots)? {
            self.recorder.saw(record);
        }
        Ok(())
    }

    /// Adds all machines of the scenario; each waits for [`Cell::start_node`].
    pub(super) fn add_nodes(&mut self) {
        let scenario = Arc::clone(&self.scenario);
        for node in &scenario.nodes {
            self.add_node(node.clone());
        }
    }

    fn add_node(&mut self, node: Node) {
        let node = self.job.injections.machine.of(&node.name).booted(node);
        let progress = Progress::new(Arc::clone(&self.scenario), self.stall_timeouts());
        let recorder = NodeRecorder::new(&node.name, self.records_sender.clone(), progress.clone());
        let context = NodeContext {
            ports: Some(self.ports.clone()),
            ..self.node_context(&node)
        };
        let is_virtual = self.scenario.machines.is_virtual();
        let libvirtd = Arc::clone(&self.services.libvirtd);
        let plug = match topology::network_of(&self.scenario, &node, &self.job.run_id) {
            Some(bridge) => self.services.plug.on(&bridge),
            None => self.services.plug.clone(),
        };
        let stopping = self.machines.stop.subscribe();
        let (start, started) = oneshot::channel();
        self.machines.waiting.insert(node.name.clone(), start);
        self.machines.progress.insert(node.name.clone(), progress);
        tell(&Report::Waiting {
            node: node.name.clone(),
        });
        self.machines.lives.spawn(async move {
            // The sender is dropped if everything is stopped before this node began.
            let lived = match (started.await, is_virtual) {
                (Err(_), _) => Ok(()),
                (Ok(()), true) => {
                    let hypervisor = &libvirtd.hypervisor;
                    let lived = live(&node, &context, hypervisor, &recorder, stopping);
                    lived.await.map_err(AttemptError::from)
                }
                (Ok(()), false) => {
                    let lived = simulated::live(&node, &context, &plug, &recorder, stopping);
                    lived.await.map_err(AttemptError::from)
                }
            };
            (node.name, lived)
        });
    }

    /// Starts a machine that waits.
    pub(super) fn start_node(&mut self, node: &str) {
        if let Some(start) = self.machines.waiting.remove(node) {
            self.machines.any_started = true;
            let _ = start.send(());
        }
    }

    /// Stops all machines, and starts no further ones.
    pub(super) fn stop(&mut self, reason: GaveUp) {
        self.machines.waiting.clear();
        self.machines.stop.send_replace(Some(reason));
    }

    /// True if all machines have finished.
    pub(super) fn has_finished(&self) -> bool {
        self.machines.lives.is_empty()
    }

    /// Waits for the next record, service event or end of a machine, and records it. Cancel safe.
    ///
    /// # Errors
    /// [`AttemptError`] if a machine cannot be started, or if a service ended before the first machine started.
    pub(super) async fn next(&mut self) -> Result<(), AttemptError> {
        tokio::select! {
            biased;
            Some(record) = self.records.recv() => {
                // The machine's own recorder has noted all other progress.
                if record.seen == Observation::Reset {
                    self.note_progress(&record);
                }
                self.recorder.saw(record);
            }
            Some(event) = self.events.recv() => self.heard(event)?,
            Some(lived) = self.machines.lives.join_next() => self.finished(lived)?,
        }
        Ok(())
    }

    fn heard(&mut self, event: ServiceEvent) -> Result<(), AttemptError> {
        if let (ServiceEvent::Ended { service, detail }, false) =
            (&event, self.machines.any_started)
        {
            return Err(AttemptError::ServiceEnded {
                service: service.clone(),
                detail: detail.clone(),
            });
        }
        let killer = &mut self.services.killer;
        if let Some((service, restart)) = killer.hear(&event, &self.events_sender) {
            self.services.custom.kill(&service, restart);
        }
        if let Some(record) = record_of(event, &self.scenario.nodes) {
            self.note_progress(&record);
            self.recorder.saw(record);
        }
        Ok(())
    }

    fn finished(
        &mut self,
        lived: Result<(String, Result<(), AttemptError>), JoinError>,
    ) -> Result<(), AttemptError> {
        let (node, lived) = lived.map_err(AttemptError::Task)?;
        // Output so far belongs to this node's evidence.
        while let Ok(record) = self.records.try_recv() {
            self.recorder.saw(record);
        }
        tell(&Report::Stopped { node });
        lived
    }

    fn note_progress(&self, record: &Record) {
        let node = record.node.as_ref();
        if let Some(progress) = node.and_then(|node| self.machines.progress.get(node)) {
            progress.saw(record);
        }
    }

    /// Stops the services of the user; a cell that may stay keeps them until its end.
    pub(super) async fn stop_services(&mut self) {
        if !self.job.hold {
            let custom = std::mem::take(&mut self.services.custom);
            custom.stop(&self.events_sender).await;
        }
    }

    /// Ends the captures and records everything that is still on its way.
    ///
    /// # Errors
    /// [`AttemptError`] if a capture failed or cannot be saved.
    pub(super) async fn complete_evidence(&mut self) -> Result<(), AttemptError> {
        // While waiting for the last frames, the last events of libvirt and the services arrive.
        for (network, capture) in std::mem::take(&mut self.services.captures) {
            self.recorder.saw(captured(network, capture).await?);
        }
        for record in keep_ports(self.ports.clone(), &self.job.artifacts).await? {
            self.recorder.saw(record);
        }
        while let Ok(record) = self.records.try_recv() {
            self.recorder.saw(record);
        }
        while let Ok(event) = self.events.try_recv() {
            if let Some(record) = record_of(event, &self.scenario.nodes) {
                self.recorder.saw(record);
            }
        }
        self.keep_qemu_logs();
        Ok(())
    }

    /// Copies QEMU's logs, which explain the death of a machine and would vanish with the cell.
    fn keep_qemu_logs(&self) {
        for node in &self.scenario.nodes {
            let name = domain_name(&self.job.run_id, node);
            let log = format!("/var/log/libvirt/qemu/{name}.log");
            let copy = artifacts_of(&self.job.artifacts, node).join("qemu.log");
            if Path::new(&log).exists()
                && let Err(error) = fs::copy(&log, copy)
            {
                tracing::warn!(%error, log, "not kept");
            }
        }
    }

    /// Returns the context of a machine, without a capture at its port.
    pub(super) fn node_context(&self, node: &Node) -> NodeContext {
        let job = &self.job;
        let network = |mac, name: Option<&str>| {
            let port = switch::bridge_of_card(&self.scenario, mac, &job.run_id);
            let further = || topology::further_name(&self.scenario, name, &job.run_id);
            let first = || fault::network_of_machines(job, self.services.network.name.clone());
            port.or_else(further).unwrap_or_else(first)
        };
        let beside = node.nics.iter().filter(|nic| !nic.boots).map(|nic| Card {
            mac: nic.mac.to_string(),
            network: network(nic.mac, nic.network.as_deref()),
        });
        NodeContext {
            run_id: job.run_id.clone(),
            firmware: job.firmware,
            accelerator: job.accelerator,
            depth: job.depth,
            network: network(node.mac, node.network()),
            vlan: topology::vlan_of(&self.scenario, node),
            firmware_files: self.firmware_files(),
            authority: (self.scenario.services.https.is_some())
                .then(|| https::authority(&cell_dir())),
            cards: beside.collect(),
            sockets: cell_dir(),
            artifacts: artifacts_of(&job.artifacts, node),
            deadline: self.scenario.deadline.boot,
            hold: job.hold,
            machine: job.injections.machine.of(&node.name),
            ports: None,
        }
    }

    /// Returns the scenario's firmware, if it is not that of the host. Packages are fetched before the cell starts.
    fn firmware_files(&self) -> Option<FirmwareFiles> {
        let package = self.scenario.firmware_package?;
        let root = self.job.programs.get(&package.to_string())?.clone();
        Some(FirmwareFiles { package, root })
    }

    /// Returns the time limits without progress: the scenario's, else the accelerator's defaults.
    fn stall_timeouts(&self) -> StallTimeouts {
        let usual = match self.job.accelerator {
            Accelerator::Kvm => StallTimeouts::KVM,
            Accelerator::Tcg => StallTimeouts::TCG,
        };
        let said = &self.scenario.deadline.silence;
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
}
