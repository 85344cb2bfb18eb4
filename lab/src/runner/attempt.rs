//! One attempt at a unit: starts its cell, gives its machines their places, keeps everything seen, ends
//! the cell or leaves it alive.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::task::JoinSet;

use super::course::Course;
use super::keep::{Keep, Kept, first_child};
use super::leaks::CellNetwork;
use super::{AttemptOutcome, Progress, Unit};
use crate::cell::host::{Cell, CellError};
use crate::cell::message::{Job, Order, Report};
use crate::cell::on_host;
use crate::evidence::GaveUp;
use crate::evidence::beside::{self, Beside};
use crate::evidence::packet::Wire;
use crate::evidence::saved::{self, Attempt};
use crate::verdict::NodeVerdict;

/// How long a cell may take to end after it was told to stop.
const STOP_DEADLINE: Duration = Duration::from_secs(20);

/// Time for a cell to be set up. Each step has a shorter deadline of its own, with a better reason.
const SET_UP_DEADLINE: Duration = Duration::from_secs(300);

/// Time for a machine beyond the scenario's deadline: starting it, a picture, stopping it. As above.
const BESIDE_BOOT: Duration = Duration::from_secs(300);

/// A node's claim on processors and memory.
type Place = (OwnedSemaphorePermit, OwnedSemaphorePermit);

/// What is known of a running cell.
#[derive(Default)]
struct State {
    places: BTreeMap<String, (Place, Instant)>,
    /// Memory of machines that are through but were not stopped.
    held: Vec<OwnedSemaphorePermit>,
    network: Option<CellNetwork>,
}

impl State {
    /// Returns when a machine is overdue that has its place for `longest`, and which one.
    fn overdue(&self, longest: Duration) -> Option<(tokio::time::Instant, String)> {
        let since = |(node, (_, since)): (&String, &(Place, Instant))| (*since, node.clone());
        let (since, node) = self.places.iter().map(since).min()?;
        Some((tokio::time::Instant::from_std(since + longest), node))
    }
}

impl Course {
    /// Makes an attempt; what goes wrong on our side is in its outcome.
    pub(super) async fn attempt(
        &mut self,
        unit: &Unit,
        number: u32,
        artifacts: PathBuf,
    ) -> AttemptOutcome {
        let mut outcome = AttemptOutcome {
            number,
            artifacts,
            attempt: Attempt {
                scenario: (*unit.scenario).clone(),
                firmware: unit.firmware,
                records: Vec::new(),
                wire: Wire::default(),
                ports: BTreeMap::new(),
                node_seconds: BTreeMap::new(),
                broken: None,
                interrupted: *self.stop.borrow(),
                beside: Beside::default(),
            },
            nodes: Vec::new(),
            lost: Vec::new(),
            kept: None,
        };
        let mut left = Vec::new();
        if !outcome.attempt.interrupted {
            match self.in_a_cell(unit, &mut outcome).await {
                Ok(leaked) => left = leaked,
                Err(error) => {
                    outcome.attempt.broken.get_or_insert(error.to_string());
                }
            }
        }
        if outcome.nodes.is_empty() {
            outcome.judge();
        }
        // The folder is missing when nothing was tried.
        if outcome.artifacts.is_dir()
            && let Err(error) = saved::save(&outcome.artifacts, &outcome.attempt)
        {
            outcome.lost.push(error.to_string());
        }
        if !left.is_empty() {
            let what = left.join(", ");
            for node in &mut outcome.nodes {
                if node.result.verdict == NodeVerdict::Pass {
                    node.result.verdict = NodeVerdict::Leaked { what: what.clone() };
                }
            }
        }
        outcome
    }

    /// Lives through the cell; returns what was left of it.
    async fn in_a_cell(
        &mut self,
        unit: &Unit,
        outcome: &mut AttemptOutcome,
    ) -> Result<Vec<String>, CellError> {
        std::fs::create_dir_all(&outcome.artifacts)?;
        beside::keep_data(&unit.scenario.data_dir(), &outcome.artifacts)?;
        let job = Job {
            run_id: self.setting.run_id.clone(),
            scenario: unit.scenario.dir.clone(),
            nodes: unit
                .scenario
                .nodes
                .iter()
                .map(|node| node.name.clone())
                .collect(),
            connect: self.setting.connect.clone(),
            firmware: unit.firmware,
            accelerator: self.setting.accelerator,
            image: self.setting.image.clone(),
            assets: self.setting.assets.clone(),
            boot_server: self.setting.boot_server.clone(),
            artifacts: outcome.artifacts.clone(),
            hold: self.setting.policy.keep != Keep::Never,
            depth: self.setting.depth,
            injections: unit.injections.clone(),
        };
        let mut cell = Cell::start(&job, &outcome.artifacts.join("cell.log")).await?;
        let mut state = State::default();
        self.follow(unit, &mut cell, outcome, &mut state).await?;
        if job.hold && outcome.attempt.broken.is_none() {
            outcome.judge();
            if self.keeps(outcome)
                && let Some(kept) = keep(&mut cell).await?
            {
                cell.detach(self.setting.policy.stays).await;
                // Its machines go on using their memory.
                state
                    .held
                    .into_iter()
                    .for_each(OwnedSemaphorePermit::forget);
                outcome.kept = Some(kept);
                return Ok(Vec::new());
            }
        }
        let status = cell.end().await?;
        if job.connect.is_some() {
            on_host::remove_folder(&job.run_id)?;
        }
        let attempt = &mut outcome.attempt;
        if !status.success() && attempt.broken.is_none() && !attempt.interrupted {
            // `unshare` and a panic tell their reasons there.
            let log = std::fs::read_to_string(outcome.artifacts.join("cell.log"));
            attempt.broken = Some(format!(
                "the cell ended early ({status}): {}",
                log.unwrap_or_default().trim()
            ));
            outcome.nodes.clear();
        }
        Ok(state
            .network
            .map(|network| network.processes())
            .unwrap_or_default())
    }

    /// Passes on what the cell reports, until it is through with all its machines or has ended.
    async fn follow(
        &mut self,
        unit: &Unit,
        cell: &mut Cell,
        outcome: &mut AttemptOutcome,
        state: &mut State,
    ) -> Result<(), CellError> {
        let name = unit.name();
        let (granted, mut grants) = mpsc::unbounded_channel::<(String, Place)>();
        let mut claims = JoinSet::new();
        let mut stop = self.stop.clone();
        let mut stop_deadline = None;
        let mut set_up = Some(tokio::time::Instant::now() + SET_UP_DEADLINE);
        loop {
            let overdue = state.overdue(unit.scenario.deadline.boot + BESIDE_BOOT);
            tokio::select! {
                report = cell.next_report() => match report? {
                    None | Some(Report::Through | Report::Kept) => break,
                    Some(Report::Ready) => {
                        set_up = None;
                        state.network = cell.pid().and_then(first_child).and_then(CellNetwork::of);
                        self.say(Progress::CellReady { unit: name.clone() });
                    }
                    Some(Report::Waiting { node }) => {
                        claims.spawn(self.claim(unit, node, granted.clone()));
                    }
                    Some(Report::Seen(record)) => {
                        self.say(Progress::Seen { unit: name.clone(), record: record.clone() });
                        outcome.attempt.records.push(record);
                    }
                    Some(Report::Stopped { node }) => {
                        if let Some((place, since)) = state.places.remove(&node) {
                            let seconds = since.elapsed().as_secs_f64();
                            outcome.attempt.node_seconds.insert(node.clone(), seconds);
                            // A machine that is through only waits: its processor is for the next one.
                            let (_, memory) = place;
                            if self.setting.policy.keep != Keep::Never {
                                state.held.push(memory);
                            }
                        }
                        self.say(Progress::NodeStopped { unit: name.clone(), node });
                    }
                    Some(Report::Broken { why }) => outcome.attempt.broken = Some(why),
                },
                Some((node, place)) = grants.recv() => {
                    state.places.insert(node.clone(), (place, Instant::now()));
                    self.say(Progress::NodeStarted { unit: name.clone(), node: node.clone() });
                    cell.order(&Order::Start { node }).await;
                }
                () = stopped(&mut stop), if stop_deadline.is_none() => {
                    outcome.attempt.interrupted = true;
                    claims.abort_all();
                    stop_deadline = Some(tokio::time::Instant::now() + STOP_DEADLINE);
                    cell.order(&Order::Stop { reason: GaveUp::Interrupted }).await;
                }
                () = until(stop_deadline) => break,
                () = until(set_up) => {
                    let seconds = SET_UP_DEADLINE.as_secs();
                    outcome.attempt.broken = Some(format!("timed out after {seconds} s: the cell's set-up"));
                    break;
                }
                () = until(overdue.as_ref().map(|(at, _)| *at)) => {
                    let node = overdue.map(|(_, node)| node).unwrap_or_default();
                    outcome.attempt.broken = Some(format!("timed out: the cell does not tell that {node} stopped"));
                    break;
                }
            }
        }
        claims.abort_all();
        Ok(())
    }

    /// Waits for a free place for `node` and hands it in.
    fn claim(
        &self,
        unit: &Unit,
        node: String,
        granted: mpsc::UnboundedSender<(String, Place)>,
    ) -> impl Future<Output = ()> + use<> {
        let wanted_mib = unit
            .scenario
            .node(&node)
            .map_or(0, |known| known.memory_mib);
        let share = self.setting.places.memory_share(wanted_mib);
        let shared = self.shared.clone();
        async move {
            // Closed semaphores do not occur; a lost claim would only leave the node unstarted.
            let Ok(processor) = shared.processors.acquire_owned().await else {
                return;
            };
            let Ok(memory) = shared.memory.acquire_many_owned(share).await else {
                return;
            };
            let _ = granted.send((node, (processor, memory)));
        }
    }
}

/// Tells the cell to stay; returns how it is found. None when it has ended meanwhile.
async fn keep(cell: &mut Cell) -> Result<Option<Kept>, CellError> {
    let Some(holder) = cell.pid() else {
        return Ok(None);
    };
    let init = first_child(holder);
    cell.order(&Order::Keep).await;
    loop {
        match cell.next_report().await? {
            None => return Ok(None),
            Some(Report::Kept) => return Ok(init.map(|init| Kept { holder, init })),
            Some(_) => {}
        }
    }
}

/// Returns when the run is to stop.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        // Nobody can stop the run any more.
        std::future::pending().await
    }
}

async fn until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
