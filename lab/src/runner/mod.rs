//! Runs the selected scenarios: a cell for each scenario and firmware, as many machines at once as
//! processors and memory allow, one verdict a node.
//!
//! Cells are started a little ahead of the free places, so that one cell's set-up hides behind another's
//! machines. What is seen is handed on as [`Progress`]; who shows or saves it is `report`'s business.

pub mod places;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use crate::cell::host::{Cell, CellError};
use crate::cell::message::{Job, Order, Report};
use crate::evidence::Record;
use crate::hypervisor::accel::Accelerator;
use crate::scenario::{Firmware, Scenario};
use crate::timeline::{self, Timeline};
use places::Places;

/// How long a cell may take to end after it was told to stop.
const STOP_DEADLINE: Duration = Duration::from_secs(20);

/// A scenario on one firmware.
#[derive(Debug, Clone)]
pub struct Unit {
    /// The scenario.
    pub scenario: Arc<Scenario>,
    /// The firmware of all its machines.
    pub firmware: Firmware,
}

impl Unit {
    /// `scenario@firmware`, its name in reports and artifacts.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}@{}", self.scenario.name, self.firmware)
    }
}

/// Everything a run needs beside its units.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Six hexadecimal digits.
    pub run_id: String,
    /// The run's artifacts folder.
    pub artifacts: PathBuf,
    /// Folder with the image's kernel and initrd.
    pub image: PathBuf,
    /// The `boot-server` program.
    pub boot_server: PathBuf,
    /// What executes the machines.
    pub accelerator: Accelerator,
    /// How many machines and how much memory at once.
    pub places: Places,
}

/// What happens in a run, as it happens.
#[derive(Debug, Clone)]
pub enum Progress {
    /// A unit's cell is up and its services answer.
    CellReady {
        /// Which unit.
        unit: String,
    },
    /// A machine of it may start.
    NodeStarted {
        /// Which unit.
        unit: String,
        /// Which node.
        node: String,
    },
    /// Something was seen.
    Seen {
        /// In which unit.
        unit: String,
        /// What.
        record: Record,
    },
    /// A machine was stopped; all its records have been seen.
    NodeStopped {
        /// Which unit.
        unit: String,
        /// Which node.
        node: String,
    },
}

/// What one unit came to.
#[derive(Debug)]
pub struct UnitOutcome {
    /// The unit.
    pub unit: Unit,
    /// Its artifacts.
    pub artifacts: PathBuf,
    /// Everything seen.
    pub records: Vec<Record>,
    /// How long each node took from its start to its stop; nodes that never started are absent.
    pub node_times: BTreeMap<String, Duration>,
    /// What of our own set-up failed.
    pub broken: Option<String>,
    /// Whether the run was interrupted before the unit was through.
    pub interrupted: bool,
}

impl UnitOutcome {
    /// The timeline of every node, in the scenario's order.
    #[must_use]
    pub fn timelines(&self) -> Vec<Timeline> {
        let scenario = &self.unit.scenario;
        let build = |node| timeline::build(scenario, node, &self.records);
        scenario.nodes.iter().map(build).collect()
    }
}

/// Runs the units; returns their outcomes in the order given.
///
/// When `stop` turns true, no further machine is started, running ones are stopped, and what was seen so
/// far is returned.
pub async fn run(
    units: Vec<Unit>,
    setting: &Setting,
    progress: mpsc::UnboundedSender<Progress>,
    stop: watch::Receiver<bool>,
) -> Vec<UnitOutcome> {
    let processors = Arc::new(Semaphore::new(setting.places.machines));
    let memory = Arc::new(Semaphore::new(setting.places.memory_mib));
    let cells = Arc::new(Semaphore::new(setting.places.cells()));
    let mut running = JoinSet::new();
    for (index, unit) in units.into_iter().enumerate() {
        let course = Course {
            setting: setting.clone(),
            processors: Arc::clone(&processors),
            memory: Arc::clone(&memory),
            progress: progress.clone(),
            stop: stop.clone(),
        };
        let cells = Arc::clone(&cells);
        running.spawn(async move {
            // Semaphores serve in the order of asking, and tasks are spawned in the order of units.
            let _cell = cells.acquire_owned().await;
            (index, course.run(unit).await)
        });
    }
    let mut outcomes = BTreeMap::new();
    while let Some(ended) = running.join_next().await {
        match ended {
            Ok((index, outcome)) => {
                outcomes.insert(index, outcome);
            }
            Err(error) => tracing::error!(%error, "a unit's task"),
        }
    }
    outcomes.into_values().collect()
}

/// What one unit's task needs.
struct Course {
    setting: Setting,
    processors: Arc<Semaphore>,
    memory: Arc<Semaphore>,
    progress: mpsc::UnboundedSender<Progress>,
    stop: watch::Receiver<bool>,
}

/// A node's claim on processors and memory.
type Place = (OwnedSemaphorePermit, OwnedSemaphorePermit);

impl Course {
    async fn run(mut self, unit: Unit) -> UnitOutcome {
        let mut outcome = UnitOutcome {
            artifacts: attempt_folder(&self.setting.artifacts, &unit),
            unit,
            records: Vec::new(),
            node_times: BTreeMap::new(),
            broken: None,
            interrupted: *self.stop.borrow(),
        };
        if !outcome.interrupted
            && let Err(error) = self.attempt(&mut outcome).await
        {
            outcome.broken.get_or_insert(error.to_string());
        }
        outcome
    }

    async fn attempt(&mut self, outcome: &mut UnitOutcome) -> Result<(), CellError> {
        let name = outcome.unit.name();
        std::fs::create_dir_all(&outcome.artifacts)?;
        let job = Job {
            run_id: self.setting.run_id.clone(),
            scenario: outcome.unit.scenario.dir.clone(),
            firmware: outcome.unit.firmware,
            accelerator: self.setting.accelerator,
            image: self.setting.image.clone(),
            boot_server: self.setting.boot_server.clone(),
            artifacts: outcome.artifacts.clone(),
        };
        let mut cell = Cell::start(&job, &outcome.artifacts.join("cell.log")).await?;
        let (granted, mut grants) = mpsc::unbounded_channel::<(String, Place)>();
        let mut claims = JoinSet::new();
        let mut places: BTreeMap<String, (Place, Instant)> = BTreeMap::new();
        let mut stop = self.stop.clone();
        let mut stop_deadline = None;
        loop {
            tokio::select! {
                report = cell.next_report() => match report? {
                    None => break,
                    Some(Report::Ready) => self.say(Progress::CellReady { unit: name.clone() }),
                    Some(Report::Waiting { node }) => {
                        claims.spawn(self.claim(outcome, node, granted.clone()));
                    }
                    Some(Report::Seen(record)) => {
                        self.say(Progress::Seen { unit: name.clone(), record: record.clone() });
                        outcome.records.push(record);
                    }
                    Some(Report::Stopped { node }) => {
                        if let Some((_place, since)) = places.remove(&node) {
                            outcome.node_times.insert(node.clone(), since.elapsed());
                        }
                        self.say(Progress::NodeStopped { unit: name.clone(), node });
                    }
                    Some(Report::Broken { why }) => outcome.broken = Some(why),
                },
                Some((node, place)) = grants.recv() => {
                    places.insert(node.clone(), (place, Instant::now()));
                    self.say(Progress::NodeStarted { unit: name.clone(), node: node.clone() });
                    cell.order(&Order::Start { node }).await;
                }
                () = stopped(&mut stop), if stop_deadline.is_none() => {
                    outcome.interrupted = true;
                    claims.abort_all();
                    stop_deadline = Some(tokio::time::Instant::now() + STOP_DEADLINE);
                    cell.order(&Order::Stop { reason: "interrupted".into() }).await;
                }
                () = until(stop_deadline) => break,
            }
        }
        claims.abort_all();
        let status = cell.end().await?;
        if !status.success() && outcome.broken.is_none() && !outcome.interrupted {
            // `unshare` and a panic tell their reasons there.
            let log = std::fs::read_to_string(outcome.artifacts.join("cell.log"));
            outcome.broken = Some(format!(
                "the cell ended early ({status}): {}",
                log.unwrap_or_default().trim()
            ));
        }
        Ok(())
    }

    /// Waits for a free place for `node` and hands it in.
    fn claim(
        &self,
        outcome: &UnitOutcome,
        node: String,
        granted: mpsc::UnboundedSender<(String, Place)>,
    ) -> impl Future<Output = ()> + use<> {
        let wanted_mib = outcome
            .unit
            .scenario
            .nodes
            .iter()
            .find(|known| known.name == node)
            .map_or(0, |known| known.memory_mib);
        let share = self.setting.places.memory_share(wanted_mib);
        let (processors, memory) = (Arc::clone(&self.processors), Arc::clone(&self.memory));
        async move {
            // Closed semaphores do not occur; a lost claim would only leave the node unstarted.
            let Ok(processor) = processors.acquire_owned().await else {
                return;
            };
            let Ok(memory) = memory.acquire_many_owned(share).await else {
                return;
            };
            let _ = granted.send((node, (processor, memory)));
        }
    }

    fn say(&self, progress: Progress) {
        // Nobody listens any more once reports are closed.
        let _ = self.progress.send(progress);
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

/// Where an attempt's artifacts go.
fn attempt_folder(run: &Path, unit: &Unit) -> PathBuf {
    run.join(unit.name()).join("attempt-1")
}
