//! A run while it goes on: shown, saved, and stopped by Ctrl-C.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use super::{Refusal, internal};
use crate::cli::terminal;
use crate::report::live::Live;
use crate::report::{self, AttemptSummary};
use crate::runner::{self, AttemptOutcome, OnAttempt, Setting, Unit};

/// Writes what came of each attempt when it has ended, so that it is there whatever becomes of the run; also
/// returned is where the first failure to do so is found.
pub(super) fn writer(run: &Path) -> (OnAttempt, Arc<Mutex<Option<Refusal>>>) {
    let failure: Arc<Mutex<Option<Refusal>>> = Arc::default();
    let (run, failed) = (run.to_owned(), Arc::clone(&failure));
    let write = move |attempt: &AttemptOutcome| {
        let summary = AttemptSummary::of(attempt, &run);
        if let Err(error) = report::artifacts::write_attempt(attempt, &summary) {
            let place = attempt.artifacts.display().to_string();
            let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
            failed.get_or_insert(internal(&place)(error));
        }
    };
    (Arc::new(write), failure)
}

/// Runs the units while showing and saving what happens; Ctrl-C and SIGTERM stop them.
pub(super) async fn watch_run(
    units: Vec<Unit>,
    setting: &Setting,
    on_attempt: OnAttempt,
    mut live: Live<std::io::Stderr>,
) -> std::io::Result<Vec<runner::UnitOutcome>> {
    let (stop, stopping) = watch::channel(false);
    let (progress, mut seen) = mpsc::unbounded_channel();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut resized = signal(SignalKind::window_change())?;
    let mut ticks = tokio::time::interval(live.period());
    // A tick that came late is not made up for.
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let course = runner::run(units, setting, progress, on_attempt, stopping);
    tokio::pin!(course);
    loop {
        tokio::select! {
            biased;
            Some(progress) = seen.recv() => live.take(&progress)?,
            outcomes = &mut course => {
                live.end();
                return Ok(outcomes);
            }
            Some(()) = interrupt.recv() => interrupted(&stop, &mut live),
            Some(()) = terminate.recv() => interrupted(&stop, &mut live),
            Some(()) = resized.recv() => live.tick(Instant::now(), terminal::width()),
            now = ticks.tick() => live.tick(now.into_std(), terminal::width()),
        }
    }
}

fn interrupted(stop: &watch::Sender<bool>, live: &mut Live<std::io::Stderr>) {
    live.say("Interrupted: stopping the machines.");
    stop.send_replace(true);
}
