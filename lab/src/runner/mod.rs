//! Execution of the selected scenarios: one cell per attempt, as many machines at once as processors and memory
//! allow, one verdict per node.
//!
//! Cells are started slightly ahead of free capacity, so that their set-up overlaps with other cells' machines.
//! Events are passed on as [`Progress`]; `lab_report` shows and saves them.
//!
//! | file | job |
//! |---|---|
//! | `unit_run` | one unit: attempts until it passes or has no retries left |
//! | `attempt` | one attempt: cell, capacity for machines, evidence |
//! | [`capacity`] | number of machines that run at once |
//! | [`keep`] | cells that keep running after the run |
//! | `leaks` | processes left over after a cell |

mod attempt;
pub mod capacity;
pub mod keep;
mod leaks;
mod unit_run;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use lab_model::results::{AttemptOutcome, Progress, Unit, UnitOutcome};
use lab_model::scenario::Replacements;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use crate::capture::EvidenceOptions;
use crate::cell::host::Lifetime;
use crate::cell::message::Asset;
use crate::hypervisor::accel::Accelerator;
use capacity::Capacity;
use keep::Keep;
use unit_run::{Shared, UnitRun};

/// Configuration of a run, apart from its units.
#[derive(Debug, Clone)]
pub struct RunConfig {
    /// Run id: six hexadecimal digits.
    pub run_id: String,
    /// Folder of the run's artifacts.
    pub artifacts: PathBuf,
    /// URI of the host's own libvirt, if machines run there.
    pub connect: Option<String>,
    /// Folder with the image's kernel and initrd.
    pub image: PathBuf,
    /// Files served below `/assets/` instead of the image's folder; empty to serve the image's folder.
    pub assets: Vec<Asset>,
    /// Fetched boot programs of other releases, by their names.
    pub programs: BTreeMap<String, PathBuf>,
    /// Replacements that the units' scenarios have; the cell applies them to the scenario that it loads.
    pub replacements: Replacements,
    /// Path of the `boot-server` program.
    pub boot_server: PathBuf,
    /// Accelerator of the machines.
    pub accelerator: Accelerator,
    /// Limits of machines and memory at once.
    pub places: Capacity,
    /// Treatment of failures.
    pub policy: Policy,
    /// Amount of evidence to collect.
    pub depth: EvidenceOptions,
}

/// Treatment of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// Number of retries of a failed unit.
    pub retries: u32,
    /// True to start no further unit after a final failure.
    pub fail_fast: bool,
    /// Cells to keep running.
    pub keep: Keep,
    /// Lifetime of kept cells.
    pub stays: Lifetime,
}

/// Callback for each attempt as soon as it is judged.
pub type OnAttempt = Arc<dyn Fn(&AttemptOutcome) + Send + Sync>;

/// Runs the units and returns their outcomes in the given order.
///
/// Once `stop` turns true, no further machine is started, running machines are stopped, and the evidence so far
/// is returned.
pub async fn run(
    units: Vec<Unit>,
    setting: &RunConfig,
    progress: mpsc::UnboundedSender<Progress>,
    on_attempt: OnAttempt,
    stop: watch::Receiver<bool>,
) -> Vec<UnitOutcome> {
    let shared = Shared::new(setting);
    // A kept cell holds the memory of all its machines: two cells that wait for each other would never end.
    let cells_at_once = match setting.policy.keep {
        // Their names would collide on one libvirt.
        _ if setting.connect.is_some() => 1,
        Keep::Never => setting.places.cells(),
        Keep::Failed | Keep::Always => 1,
    };
    let cells = Arc::new(Semaphore::new(cells_at_once));
    let mut running = JoinSet::new();
    for (index, unit) in units.into_iter().enumerate() {
        let course = UnitRun {
            setting: setting.clone(),
            shared: shared.clone(),
            progress: progress.clone(),
            on_attempt: Arc::clone(&on_attempt),
            stop: stop.clone(),
        };
        // Acquired here and not in the task, so that units begin in order.
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
