//! One attempt at a unit: starts the cell, allots capacity to its machines, collects the evidence, then ends or
//! keeps the cell.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use lab_model::evidence::GaveUp;
use lab_model::evidence::beside::{self, Beside};
use lab_model::evidence::packet::Wire;
use lab_model::evidence::saved::{self, Attempt};
use lab_model::results::Kept;
use lab_model::results::{AttemptOutcome, Progress, Unit};
use lab_model::verdict::NodeVerdict;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::task::JoinSet;

use super::keep::{Keep, first_child};
use super::leaks::CellNetwork;
use super::unit_run::UnitRun;
use crate::cell::custom::image;
use crate::cell::host::{CellError, CellProcess};
use crate::cell::message::{CellCommand, Job, Report};
use crate::cell::on_host;

/// Time limit for a cell to end after a stop request.
const STOP_DEADLINE: Duration = Duration::from_secs(20);

/// Time limit for setting up a cell. Every step has a shorter limit with a more precise error.
const SET_UP_DEADLINE: Duration = Duration::from_secs(300);

/// Time for a machine in addition to the scenario's limit: start, screenshot, stop. Steps have shorter limits.
const BESIDE_BOOT: Duration = Duration::from_secs(300);

/// Permits of a node: processors and memory.
type Place = (OwnedSemaphorePermit, OwnedSemaphorePermit);

/// State of a running cell.
#[derive(Default)]
struct State {
    places: BTreeMap<String, (Place, Instant)>,
    /// Memory of finished machines that keep running.
    held: Vec<OwnedSemaphorePermit>,
    network: Option<CellNetwork>,
}

impl State {
    /// Waits until a machine has used its permits for `longest`; returns its name.
    fn overdue(&self, longest: Duration) -> Option<(tokio::time::Instant, String)> {
        let since = |(node, (_, since)): (&String, &(Place, Instant))| (*since, node.clone());
        let (since, node) = self.places.iter().map(since).min()?;
        Some((tokio::time::Instant::from_std(since + longest), node))
    }
}

impl UnitRun {
    /// Makes an attempt. Errors of the lab itself are part of the outcome.
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
        // The folder is missing if the attempt never began.
        if outcome.artifacts.is_dir()
            && let Err(error) = saved::save(&outcome.artifacts, &outcome.attempt)
        {
            outcome.lost.push(error.to_string());
        }
        // What services left behind is in the evidence, and was judged.
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

    /// Runs the cell to its end and returns processes left over.
    async fn in_a_cell(
        &mut self,
        unit: &Unit,
        outcome: &mut AttemptOutcome,
    ) -> Result<Vec<String>, CellError> {
        std::fs::create_dir_all(&outcome.artifacts)?;
        beside::keep_data(&unit.scenario.data_dir(), &outcome.artifacts)?;
        let images = image::export(&unit.scenario)
            .await
            .map_err(CellError::from)?;
        let job = Job {
            service_images: images.archives.clone(),
            programs: self.setting.programs.clone(),
            replacements: self.setting.replacements,
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
        let mut cell = CellProcess::start(&job, &outcome.artifacts.join("cell.log")).await?;
        let mut state = State::default();
        self.follow(unit, &mut cell, outcome, &mut state).await?;
        if job.hold && outcome.attempt.broken.is_none() {
            outcome.judge();
            if self.keeps(outcome)
                && let Some(kept) = keep(&mut cell).await?
            {
                cell.detach(self.setting.policy.stays).await;
                // Machines of a kept cell continue to use memory.
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
            // `unshare` and panics print their reasons there.
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

    /// Forwards the cell's messages until all machines have finished or the cell has ended.
    async fn follow(
        &mut self,
        unit: &Unit,
        cell: &mut CellProcess,
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
                    Some(Report::Observation(record)) => {
                        self.say(Progress::Observation { unit: name.clone(), record: record.clone() });
                        outcome.attempt.records.push(record);
                    }
                    Some(Report::Stopped { node }) => {
                        if let Some((place, since)) = state.places.remove(&node) {
                            let seconds = since.elapsed().as_secs_f64();
                            outcome.attempt.node_seconds.insert(node.clone(), seconds);
                            // A finished machine is idle, so its processor is released.
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
                    cell.send(&CellCommand::Start { node }).await;
                }
                () = stopped(&mut stop), if stop_deadline.is_none() => {
                    outcome.attempt.interrupted = true;
                    claims.abort_all();
                    stop_deadline = Some(tokio::time::Instant::now() + STOP_DEADLINE);
                    cell.send(&CellCommand::Stop { reason: GaveUp::Interrupted }).await;
                }
                () = until(stop_deadline) => break,
                () = until(set_up) => {
                    let seconds = SET_UP_DEADLINE.as_secs();
                    outcome.attempt.broken = Some(format!("timed out after {seconds} s: the cell's set-up"));
                    break;
                }
                () = until(overdue.as_ref().map(|(at, _)| *at)) => {
                    let node = overdue.map(|(_, node)| node).unwrap_or_default();
                    outcome.attempt.broken = Some(format!("timed out: the cell did not report the stop of {node}"));
                    break;
                }
            }
        }
        claims.abort_all();
        Ok(())
    }

    /// Waits for capacity for `node` and grants it.
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
            // The semaphores are never closed; a lost claim would only leave the node unstarted.
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

/// Tells the cell to stay; returns its process ids, or `None` if it has ended meanwhile.
async fn keep(cell: &mut CellProcess) -> Result<Option<Kept>, CellError> {
    let Some(holder) = cell.pid() else {
        return Ok(None);
    };
    let init = first_child(holder);
    cell.send(&CellCommand::Keep).await;
    loop {
        match cell.next_report().await? {
            None => return Ok(None),
            Some(Report::Kept) => return Ok(init.map(|init| Kept { holder, init })),
            Some(_) => {}
        }
    }
}

/// Waits until the run is to stop.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        // The sender is gone, so the run can no longer be stopped.
        std::future::pending().await
    }
}

async fn until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
