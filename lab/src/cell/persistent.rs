//! Persistent cell: its machines keep running, evidence is still recorded, and clients send control requests
//! over its socket.
//!
//! New evidence is saved in a separate file, because the attempt has been judged already.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lab_model::evidence::clock::now_us;
use lab_model::evidence::saved::RecordFile;
use lab_model::evidence::tail::Tail;
use lab_model::evidence::{Observation, Record};
use lab_model::scenario::Node;
use tokio::fs::File;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

use super::control::{ControlRequest, ControlResponse, NewNode, SOCKET};
use super::live_fault::LiveFaultLink;
use super::message::CellCommand;
use super::sandbox::cell_dir;
use super::services::{Libvirtd, ServiceEvent};
use crate::node::console::clean;
use crate::node::life::{NodeContext, artifacts_of, domain_name};
use crate::node::machine::{self, Sockets};
use crate::node::picture;

/// Polling interval of consoles.
const LOOK_AGAIN: Duration = Duration::from_millis(300);

/// Time limit for a client to send its request and to read the response.
const PATIENCE: Duration = Duration::from_secs(5);

/// Content of a persistent cell.
pub(super) struct PersistentCell<S, R> {
    pub(super) run_id: String,
    /// Folder of the attempt.
    pub(super) artifacts: PathBuf,
    /// Machines of the cell.
    pub(super) nodes: Vec<Node>,
    /// Context of the machines.
    pub(super) node_context: S,
    /// Conversion of service events into records.
    pub(super) record_of: R,
    pub(super) libvirtd: Arc<Libvirtd>,
    /// Name of the bridge.
    pub(super) bridge: String,
}

/// State of a persistent cell.
struct Cell<S> {
    run_id: String,
    artifacts: PathBuf,
    nodes: Vec<Node>,
    node_context: S,
    libvirtd: Arc<Libvirtd>,
    live_faults: LiveFaultLink,
    kept: RecordFile,
    consoles: Vec<(String, Tail)>,
}

impl<S, R> PersistentCell<S, R>
where
    S: Fn(&Node) -> NodeContext,
    R: Fn(ServiceEvent, &[Node]) -> Record,
{
    /// Serves control requests until the cell is ended; also ends with the lab, unless it has sent
    /// [`CellCommand::Settle`].
    ///
    /// # Errors
    /// A sentence if the control socket cannot be created.
    pub(super) async fn stay(
        self,
        tells: &mut mpsc::UnboundedReceiver<ServiceEvent>,
        seen: &mut mpsc::UnboundedReceiver<Record>,
        commands: &mut Lines<impl AsyncBufRead + Unpin>,
        is_up: impl FnOnce(),
    ) -> Result<(), String> {
        let socket = cell_dir().join(SOCKET);
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", socket.display());
        let listener = UnixListener::bind(&socket).map_err(|error| failed(&error))?;
        // Only the owner of the cell, and root, may access its files.
        fs::set_permissions(&socket, Permissions::from_mode(0o600))
            .map_err(|error| failed(&error))?;
        let mut cell = Cell {
            live_faults: LiveFaultLink::new(&self.run_id, &self.bridge),
            kept: RecordFile::create_afterwards(&self.artifacts).map_err(|error| failed(&error))?,
            consoles: Vec::new(),
            run_id: self.run_id,
            artifacts: self.artifacts,
            nodes: self.nodes,
            node_context: self.node_context,
            libvirtd: self.libvirtd,
        };
        for node in &cell.nodes {
            let log = artifacts_of(&cell.artifacts, node).join("console.log");
            cell.consoles.push((node.name.clone(), Tail::at_end(log)));
        }
        for node in &cell.nodes {
            // A simulated machine has no port.
            if let Err(error) = cell.follow_journal(node).await {
                tracing::debug!(%error, node = node.name, "no journal");
            }
        }
        is_up();
        let mut ticks = tokio::time::interval(LOOK_AGAIN);
        let mut is_settled = false;
        loop {
            tokio::select! {
                command = commands.next_line(), if !is_settled => match command.map_err(text)? {
                    None => return Ok(()),
                    Some(line) => {
                        is_settled = serde_json::from_str::<CellCommand>(&line).map_err(text)? == CellCommand::Settle;
                    }
                },
                Some(told) = tells.recv() => {
                    let record = (self.record_of)(told, &cell.nodes);
                    cell.keep(&record);
                }
                Some(record) = seen.recv() => cell.keep(&record),
                _ = ticks.tick() => cell.read_consoles(),
                visitor = listener.accept() => match visitor {
                    Ok((visitor, _)) => cell.serve(visitor).await,
                    Err(error) => tracing::warn!(%error, "cannot accept a control connection"),
                },
            }
        }
    }
}

impl<S: Fn(&Node) -> NodeContext> Cell<S> {
    async fn serve(&mut self, visitor: UnixStream) {
        let mut visitor = BufReader::new(visitor);
        let mut line = String::new();
        let heard = tokio::time::timeout(PATIENCE, visitor.read_line(&mut line)).await;
        if !matches!(heard, Ok(Ok(1..))) {
            return;
        }
        let reply = match serde_json::from_str(&line) {
            Ok(request) => self
                .grant(request)
                .await
                .unwrap_or_else(|why| ControlResponse::Refused { why }),
            Err(error) => ControlResponse::Refused {
                why: format!("malformed control request: {error}"),
            },
        };
        let mut answer = serde_json::to_vec(&reply).unwrap_or_default();
        answer.push(b'\n');
        // A client that has disconnected needs no response.
        let _ = tokio::time::timeout(PATIENCE, visitor.get_mut().write_all(&answer)).await;
    }

    async fn grant(&mut self, request: ControlRequest) -> Result<ControlResponse, String> {
        let hypervisor = &self.libvirtd.hypervisor;
        match request {
            ControlRequest::Reset { node } => {
                let domain = self.domain(&node)?;
                if !hypervisor.domain_exists(&domain).await.map_err(text)? {
                    return Err(format!(
                        "{node} is off; switch it on with `lab power on {node}`"
                    ));
                }
                // Earlier output belongs before this record.
                self.read_consoles();
                let hypervisor = &self.libvirtd.hypervisor;
                hypervisor.reset_domain(&domain).await.map_err(text)?;
                self.saw(&node, Observation::PowerOn);
            }
            ControlRequest::PowerOff { node } => {
                let domain = self.domain(&node)?;
                if !hypervisor.domain_exists(&domain).await.map_err(text)? {
                    return Err(format!("{node} is already off"));
                }
                hypervisor.destroy_domain(&domain).await.map_err(text)?;
            }
            ControlRequest::PowerOn { node } => {
                let node = self.node(&node)?.clone();
                self.power_on(&node).await?;
            }
            ControlRequest::Screenshot { node } => {
                let domain = self.domain(&node)?;
                let picture = hypervisor.screenshot(&domain).await.map_err(text)?;
                let png = picture::as_png(picture).map_err(text)?;
                return Ok(ControlResponse::Picture {
                    base64: STANDARD.encode(png),
                });
            }
            ControlRequest::AddNode(new) => self.add(new).await?,
            ControlRequest::SetFault(fault) => self.live_faults.set(fault).await.map_err(text)?,
            ControlRequest::ClearFaults => self.live_faults.clear().await.map_err(text)?,
            ControlRequest::TellFaults => {
                return Ok(ControlResponse::Faults {
                    faults: self.live_faults.in_force(),
                });
            }
        }
        Ok(ControlResponse::Done)
    }

    async fn add(&mut self, new: NewNode) -> Result<(), String> {
        let same = |node: &&Node| {
            node.name == new.name || node.uuid == new.uuid || node.mac.to_string() == new.mac
        };
        if let Some(node) = self.nodes.iter().find(same) {
            return Err(format!(
                "duplicate name, UUID or MAC: already used by {}",
                node.name
            ));
        }
        let usual_mib = self.nodes.first().map_or(1024, |node| node.memory_mib);
        let memory_mib = new.memory_mib.unwrap_or(usual_mib);
        let mac = new.mac.parse().map_err(text)?;
        let node = Node {
            serial: new.serial,
            ..Node::stranger(&new.name, new.uuid, mac, memory_mib)
        };
        let log = artifacts_of(&self.artifacts, &node).join("console.log");
        self.power_on(&node).await?;
        self.consoles.push((node.name.clone(), Tail::at_start(log)));
        self.nodes.push(node);
        Ok(())
    }

    async fn power_on(&mut self, node: &Node) -> Result<(), String> {
        let hypervisor = &self.libvirtd.hypervisor;
        let domain = domain_name(&self.run_id, node);
        if hypervisor.domain_exists(&domain).await.map_err(text)? {
            return Err(format!("{} is already on", node.name));
        }
        let context = (self.node_context)(node);
        let sockets = Sockets::of(node, &context);
        fs::create_dir_all(&context.artifacts).map_err(text)?;
        // QEMU would take the old machine's sockets for another process's.
        for socket in [&sockets.console, &sockets.journal] {
            match fs::remove_file(socket) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(format!("{}: {error}", socket.display()));
                }
                _ => {}
            }
        }
        let xml = machine::xml(&domain, node, &context).map_err(text)?;
        let xml = hypervisor.create_domain(&domain, xml).await.map_err(text)?;
        let begun = async {
            fs::write(context.artifacts.join("domain.xml"), xml).map_err(text)?;
            self.live_faults.place_machines().await.map_err(text)?;
            self.follow_journal(node).await.map_err(text)?;
            let hypervisor = &self.libvirtd.hypervisor;
            hypervisor.resume_domain(&domain).await.map_err(text)
        };
        if let Err(why) = begun.await {
            // A partial machine is not left behind.
            let _ = self.libvirtd.hypervisor.destroy_domain(&domain).await;
            return Err(why);
        }
        self.saw(&node.name, Observation::PowerOn);
        Ok(())
    }

    /// Appends the machine's journal to its file as long as the machine exists.
    async fn follow_journal(&self, node: &Node) -> io::Result<()> {
        let context = (self.node_context)(node);
        let mut port = UnixStream::connect(Sockets::of(node, &context).journal).await?;
        let log = context.artifacts.join("journal.log");
        let mut log = File::options().create(true).append(true).open(log).await?;
        tokio::spawn(async move { tokio::io::copy(&mut port, &mut log).await });
        Ok(())
    }

    fn node(&self, name: &str) -> Result<&Node, String> {
        let found = self.nodes.iter().find(|node| node.name == name);
        found.ok_or_else(|| format!("unknown machine: `{name}`"))
    }

    fn domain(&self, name: &str) -> Result<String, String> {
        Ok(domain_name(&self.run_id, self.node(name)?))
    }

    /// Records the console lines since the last poll.
    fn read_consoles(&mut self) {
        for (node, tail) in &mut self.consoles {
            for line in tail.lines() {
                let record = Record {
                    at_us: now_us(),
                    node: Some(node.clone()),
                    seen: Observation::Console { line: clean(&line) },
                };
                keep(&mut self.kept, &record);
            }
        }
    }

    fn saw(&mut self, node: &str, seen: Observation) {
        self.keep(&Record {
            at_us: now_us(),
            node: Some(node.to_owned()),
            seen,
        });
    }

    fn keep(&mut self, record: &Record) {
        keep(&mut self.kept, record);
    }
}

fn keep(kept: &mut RecordFile, record: &Record) {
    if let Err(error) = kept.add(record) {
        tracing::warn!(%error, "cannot save a record");
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
