//! Runs the selected scenarios: a cell for each attempt at a scenario on a firmware, as many machines at
//! once as processors and memory allow, one verdict a node.
//!
//! Cells are started a little ahead of the free places, so that one cell's set-up hides behind another's
//! machines. What is seen is handed on as [`Progress`]; who shows or saves it is `report`'s business.
//!
//! | file | job |
//! |---|---|
//! | `unit` | what is run, and what it came to |
//! | `course` | a unit: attempts until it passes or may not be retried |
//! | `attempt` | one attempt: a cell, its machines' places, everything seen |
//! | [`places`] | how many machines run side by side |
//! | [`shard`] | a run's part of the units |
//! | [`keep`] | cells that stay alive after the run |
//! | `leaks` | whether a cell is really gone |

mod attempt;
mod course;
pub mod keep;
mod leaks;
pub mod places;
pub mod shard;
mod unit;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use crate::cell::host::Stays;
use crate::cell::message::Asset;
use crate::evidence::{Depth, Record};
use crate::hypervisor::accel::Accelerator;
use course::{Course, Shared};
use keep::Keep;
use places::Places;

pub use unit::{AttemptOutcome, Unit, UnitOutcome, unit_name};

/// Everything a run needs beside its units.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Six hexadecimal digits.
    pub run_id: String,
    /// The run's artifacts folder.
    pub artifacts: PathBuf,
    /// URI of the host's own libvirt, where machines are put on that.
    pub connect: Option<String>,
    /// Folder with the image's kernel and initrd.
    pub image: PathBuf,
    /// What is served below `/assets/` in the place of the image's folder; nothing for that.
    pub assets: Vec<Asset>,
    /// The `boot-server` program.
    pub boot_server: PathBuf,
    /// What executes the machines.
    pub accelerator: Accelerator,
    /// How many machines and how much memory at once.
    pub places: Places,
    /// What to do about failures.
    pub policy: Policy,
    /// How much evidence is collected.
    pub depth: Depth,
}

/// What to do about failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// How often a unit that failed is tried again.
    pub retries: u32,
    /// Start no further unit once one has failed for good.
    pub fail_fast: bool,
    /// Which cells stay alive.
    pub keep: Keep,
    /// For how long.
    pub stays: Stays,
}

/// What happens in a run, as it happens.
#[derive(Debug, Clone)]
pub enum Progress {
    /// An attempt begins: its cell is being made.
    AttemptStarted {
        /// Which unit.
        unit: String,
        /// Which attempt, from 1.
        attempt: u32,
    },
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
    /// A unit is not tried.
    Skipped {
        /// Which unit.
        unit: String,
        /// Why not.
        reason: String,
    },
}

/// Is told of each attempt as soon as it is judged.
pub type OnAttempt = Arc<dyn Fn(&AttemptOutcome) + Send + Sync>;

/// Runs the units; returns their outcomes in the order given.
///
/// When `stop` turns true, no further machine is started, running ones are stopped, and what was seen so
/// far is returned.
pub async fn run(
    units: Vec<Unit>,
    setting: &Setting,
    progress: mpsc::UnboundedSender<Progress>,
    on_attempt: OnAttempt,
    stop: watch::Receiver<bool>,
) -> Vec<UnitOutcome> {
    let shared = Shared::new(setting);
    // A kept cell holds all its machines to its end: two that wait for each other's memory never end.
    let cells_at_once = match setting.policy.keep {
        // On one libvirt their names would be the same.
        _ if setting.connect.is_some() => 1,
        Keep::Never => setting.places.cells(),
        Keep::Failed | Keep::Always => 1,
    };
    let cells = Arc::new(Semaphore::new(cells_at_once));
    let mut running = JoinSet::new();
    for (index, unit) in units.into_iter().enumerate() {
        let course = Course {
            setting: setting.clone(),
            shared: shared.clone(),
            progress: progress.clone(),
            on_attempt: Arc::clone(&on_attempt),
            stop: stop.clone(),
        };
        // Asked for here and not in the task, so that units begin in their order.
        let cell = Arc::clone(&cells).acquire_owned().await;
        running.spawn(async move {
            let _cell = cell;
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
