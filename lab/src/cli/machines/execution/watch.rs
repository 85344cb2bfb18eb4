//! Display, saving and interruption of a run in progress.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use console::Term;
use lab_model::results::{AttemptOutcome, Unit, UnitOutcome};
use lab_report::AttemptSummary;
use lab_report::live::Live;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::interrupt::Interrupt;
use crate::runner::{self, OnAttempt, RunConfig};

/// Artifacts that could not be written, each with its path and reason.
#[derive(Debug, Clone, Default)]
pub(super) struct Lost(Arc<Mutex<Vec<String>>>);

impl Lost {
    /// Records an artifact that could not be written.
    pub(super) fn note(&self, what: String) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(what);
    }

    /// Returns everything recorded.
    pub(super) fn all(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Returns a callback that writes the result of each attempt as soon as it ends, so that it survives an aborted
/// run.
pub(super) fn writer(run: &Path, lost: &Lost) -> OnAttempt {
    let (run, lost) = (run.to_owned(), lost.clone());
    let write = move |attempt: &AttemptOutcome| {
        let mut failed = attempt.lost.clone();
        let summary = AttemptSummary::of(attempt, &run);
        if let Err(error) = lab_report::artifacts::write_attempt(attempt, &summary) {
            failed.push(error.to_string());
        }
        // The first error is enough; the others follow from it.
        if let Some(error) = failed.into_iter().next() {
            lost.note(format!("{}: {error}", attempt.artifacts.display()));
        }
    };
    Arc::new(write)
}

/// Runs the units while showing and saving their events; Ctrl-C and SIGTERM stop them.
pub(super) async fn watch_run(
    units: Vec<Unit>,
    setting: &RunConfig,
    on_attempt: OnAttempt,
    mut live: Live<std::io::Stderr>,
    interrupt: &Interrupt,
    lost: &Lost,
) -> std::io::Result<Vec<UnitOutcome>> {
    let (progress, mut seen) = mpsc::unbounded_channel();
    let mut resized = signal(SignalKind::window_change())?;
    let mut ticks = tokio::time::interval(live.period());
    // Missed ticks are skipped.
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let course = runner::run(units, setting, progress, on_attempt, interrupt.stopping());
    tokio::pin!(course);
    let mut is_told = false;
    loop {
        tokio::select! {
            biased;
            Some(progress) = seen.recv() => live.take(&progress),
            outcomes = &mut course => {
                live.end();
                live.lost().into_iter().for_each(|what| lost.note(what));
                return Ok(outcomes);
            }
            () = interrupt.heard(), if !is_told => {
                is_told = true;
                live.say("Interrupted; stopping the machines.");
            }
            Some(()) = resized.recv() => live.tick(Instant::now(), width()),
            now = ticks.tick() => live.tick(now.into_std(), width()),
        }
    }
}

/// Returns the width of the terminal on standard error, in columns.
fn width() -> usize {
    usize::from(Term::stderr().size().1)
}
