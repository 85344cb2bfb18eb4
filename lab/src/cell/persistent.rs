//! Persistent cell: its machines keep running, evidence is still recorded, and clients send control requests
//! over its socket.
//!
//! New evidence is saved in a separate file, because the attempt has been judged already.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lab_model::evidence::clock::now_us;
use lab_model::evidence::saved::RecordFile;
use lab_model::evidence::tail::Tail;
use lab_model::evidence::{Observation, Record};
use lab_model::scenario::{MacError, Node, card_mac};
use thiserror::Error;
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use super::attempt::{Commands, parse};
use super::control::{ControlRequest, ControlResponse, NewNode, SOCKET};
use super::error::AttemptError;
use super::evidence::record_of;
use super::live_fault::LiveFaultLink;
use super::message::{CellCommand, Report};
use super::recorder::tell;
use super::sandbox::cell_dir;
use super::worker::Cell;
use crate::hypervisor::{Hypervisor, HypervisorError};
use crate::node::console::clean;
use crate::node::life::{artifacts_of, domain_name};
use crate::node::machine::{self, Sockets};
use crate::node::picture::{self, PictureError};

/// Polling interval of consoles.
const LOOK_AGAIN: Duration = Duration::from_millis(300);

/// Time limit for a client to send its request and to read the response.
const PATIENCE: Duration = Duration::from_secs(5);

/// Refused control request.
#[derive(Debug, Error)]
enum RequestError {
    /// No machine has this name.
    #[error("unknown machine: `{0}`")]
    UnknownMachine(String),
    /// The machine to reset is off.
    #[error("{0} is off; switch it on with `lab power on {0}`")]
    IsOff(String),
    /// The machine is already off.
    #[error("{0} is already off")]
    AlreadyOff(String),
    /// The machine is already on.
    #[error("{0} is already on")]
    AlreadyOn(String),
    /// A new machine has the name, UUID or MAC of this one.
    #[error("duplicate name, UUID or MAC: already used by {0}")]
    Duplicate(String),
    /// The MAC of a new machine cannot be parsed.
    #[error(transparent)]
    Mac(#[from] MacError),
    /// libvirt refused.
    #[error(transparent)]
    Hypervisor(#[from] HypervisorError),
    /// The screenshot has an unknown format.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// A socket of an earlier machine cannot be removed.
    #[error("{}: {source}", path.display())]
    Socket { path: PathBuf, source: io::Error },
    /// A file, a socket or the link of the live faults is unusable.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Persistent cell, and what it has beside an attempt's.
struct PersistentCell {
    cell: Cell,
    /// Machines, including those added since.
    nodes: Vec<Node>,
    live_faults: LiveFaultLink,
    /// File of the records after the attempt.
    kept: RecordFile,
    /// Console log of each machine.
    consoles: Vec<(String, Tail)>,
}

impl Cell {
    /// Serves control requests until the cell is ended; also ends with the lab, unless it has sent
    /// [`CellCommand::Settle`].
    ///
    /// # Errors
    /// [`AttemptError`] if the control socket or the file of records cannot be created.
    pub(super) async fn persist(self, commands: &mut Commands) -> Result<(), AttemptError> {
        let listener = listen(&cell_dir().join(SOCKET))?;
        let mut cell = PersistentCell::of(self)?;
        cell.follow_machines().await;
        tell(&Report::Kept);
        let mut ticks = tokio::time::interval(LOOK_AGAIN);
        let mut is_settled = false;
        loop {
            tokio::select! {
                line = commands.next_line(), if !is_settled => match line? {
                    None => return Ok(()),
                    Some(line) => is_settled = parse::<CellCommand>(&line)? == CellCommand::Settle,
                },
                Some(event) = cell.cell.events.recv() => {
                    if let Some(record) = record_of(event, &cell.nodes) {
                        cell.keep(&record);
                    }
                }
                Some(record) = cell.cell.records.recv() => cell.keep(&record),
                _ = ticks.tick() => cell.read_consoles(),
                visitor = listener.accept() => match visitor {
                    Ok((visitor, _)) => cell.serve(visitor).await,
                    Err(error) => tracing::warn!(%error, "cannot accept a control connection"),
                },
            }
        }
    }
}

/// Listens for control requests.
fn listen(socket: &Path) -> Result<UnixListener, AttemptError> {
    let listener = UnixListener::bind(socket).and_then(|listener| {
        // Only the owner of the cell, and root, may access its files.
        fs::set_permissions(socket, Permissions::from_mode(0o600))?;
        Ok(listener)
    });
    listener.map_err(|source| AttemptError::File {
        path: socket.to_owned(),
        source,
    })
}

impl PersistentCell {
    fn of(cell: Cell) -> Result<PersistentCell, AttemptError> {
        Ok(PersistentCell {
            nodes: cell.scenario.nodes.clone(),
            live_faults: LiveFaultLink::new(&cell.job.run_id, &cell.services.network.bridge),
            kept: RecordFile::create_afterwards(&cell.job.artifacts)?,
            consoles: Vec::new(),
            cell,
        })
    }

    fn hypervisor(&self) -> &Hypervisor {
        &self.cell.services.libvirtd.hypervisor
    }

    /// Follows the console and the journal of each machine.
    async fn follow_machines(&mut self) {
        for node in &self.nodes {
            let log = artifacts_of(&self.cell.job.artifacts, node).join("console.log");
            self.consoles.push((node.name.clone(), Tail::at_end(log)));
            // A simulated machine has no port.
            if let Err(error) = self.follow_journal(node).await {
                tracing::debug!(%error, node = node.name, "no journal");
            }
        }
    }

    async fn serve(&mut self, visitor: UnixStream) {
        let mut visitor = BufReader::new(visitor);
        let mut line = String::new();
        let heard = tokio::time::timeout(PATIENCE, visitor.read_line(&mut line)).await;
        if !matches!(heard, Ok(Ok(1..))) {
            return;
        }
        let reply = match serde_json::from_str(&line) {
            Ok(request) => {
                self.grant(request)
                    .await
                    .unwrap_or_else(|error| ControlResponse::Refused {
                        why: error.to_string(),
                    })
            }
            Err(error) => ControlResponse::Refused {
                why: format!("malformed control request: {error}"),
            },
        };
        let mut answer = serde_json::to_vec(&reply).unwrap_or_default();
        answer.push(b'\n');
        // A client that has disconnected needs no response.
        let _ = tokio::time::timeout(PATIENCE, visitor.get_mut().write_all(&answer)).await;
    }

    async fn grant(&mut self, request: ControlRequest) -> Result<ControlResponse, RequestError> {
        let hypervisor = self.hypervisor();
        match request {
            ControlRequest::Reset { node } => {
                let domain = self.domain(&node)?;
                if !hypervisor.domain_exists(&domain).await? {
                    return Err(RequestError::IsOff(node));
                }
                // Earlier output belongs before this record.
                self.read_consoles();
                self.hypervisor().reset_domain(&domain).await?;
                self.saw(&node, Observation::PowerOn);
            }
            ControlRequest::PowerOff { node } => {
                let domain = self.domain(&node)?;
                if !hypervisor.domain_exists(&domain).await? {
                    return Err(RequestError::AlreadyOff(node));
                }
                hypervisor.destroy_domain(&domain).await?;
            }
            ControlRequest::PowerOn { node } => {
                let node = self.node(&node)?.clone();
                self.power_on(&node).await?;
            }
            ControlRequest::Screenshot { node } => {
                let domain = self.domain(&node)?;
                let png = picture::as_png(hypervisor.screenshot(&domain).await?)?;
                return Ok(ControlResponse::Picture {
                    base64: STANDARD.encode(png),
                });
            }
            ControlRequest::AddNode(new) => self.add(new).await?,
            ControlRequest::SetFault(fault) => self.live_faults.set(fault).await?,
            ControlRequest::ClearFaults => self.live_faults.clear().await?,
            ControlRequest::TellFaults => {
                return Ok(ControlResponse::Faults {
                    faults: self.live_faults.in_force(),
                });
            }
        }
        Ok(ControlResponse::Done)
    }

    async fn add(&mut self, new: NewNode) -> Result<(), RequestError> {
        let same = |node: &&Node| {
            node.name == new.name || node.uuid == new.uuid || node.mac.to_string() == new.mac
        };
        if let Some(node) = self.nodes.iter().find(same) {
            return Err(RequestError::Duplicate(node.name.clone()));
        }
        let usual_mib = self.nodes.first().map_or(1024, |node| node.memory_mib);
        let memory_mib = new.memory_mib.unwrap_or(usual_mib);
        let mac = card_mac(&new.mac)?;
        let node = Node {
            serial: new.serial,
            ..Node::stranger(&new.name, new.uuid, mac, memory_mib)
        };
        let log = artifacts_of(&self.cell.job.artifacts, &node).join("console.log");
        self.power_on(&node).await?;
        self.consoles.push((node.name.clone(), Tail::at_start(log)));
        self.nodes.push(node);
        Ok(())
    }

    async fn power_on(&mut self, node: &Node) -> Result<(), RequestError> {
        let domain = domain_name(&self.cell.job.run_id, node);
        if self.hypervisor().domain_exists(&domain).await? {
            return Err(RequestError::AlreadyOn(node.name.clone()));
        }
        let context = self.cell.node_context(node);
        let sockets = Sockets::of(node, &context);
        fs::create_dir_all(&context.artifacts)?;
        // QEMU would take the old machine's sockets for another process's.
        let own = [&sockets.console, &sockets.journal];
        for socket in own.into_iter().chain(&sockets.checks) {
            match fs::remove_file(socket) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    let path = socket.clone();
                    return Err(RequestError::Socket { path, source });
                }
                _ => {}
            }
        }
        let xml = machine::xml(&domain, node, &context)?;
        let xml = self.hypervisor().create_domain(&domain, xml).await?;
        let begun = async {
            fs::write(context.artifacts.join("domain.xml"), xml)?;
            self.live_faults.place_machines().await?;
            self.follow_journal(node).await?;
            self.hypervisor().resume_domain(&domain).await?;
            Ok::<(), RequestError>(())
        };
        if let Err(error) = begun.await {
            // A partial machine is not left behind.
            let _ = self.hypervisor().destroy_domain(&domain).await;
            return Err(error);
        }
        self.saw(&node.name, Observation::PowerOn);
        Ok(())
    }

    /// Appends the machine's journal to its file as long as the machine exists.
    async fn follow_journal(&self, node: &Node) -> io::Result<()> {
        let context = self.cell.node_context(node);
        let mut port = UnixStream::connect(Sockets::of(node, &context).journal).await?;
        let log = context.artifacts.join("journal.log");
        let mut log = File::options().create(true).append(true).open(log).await?;
        tokio::spawn(async move { tokio::io::copy(&mut port, &mut log).await });
        Ok(())
    }

    fn node(&self, name: &str) -> Result<&Node, RequestError> {
        let found = self.nodes.iter().find(|node| node.name == name);
        found.ok_or_else(|| RequestError::UnknownMachine(name.to_owned()))
    }

    fn domain(&self, name: &str) -> Result<String, RequestError> {
        Ok(domain_name(&self.cell.job.run_id, self.node(name)?))
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
