//! Attempts at one unit: repeated until it passes, has no retries left, or the run is stopped.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use lab_model::results::{AttemptOutcome, Progress, Unit, UnitOutcome};
use tokio::sync::{Semaphore, mpsc, watch};

use super::keep::Keep;
use super::{OnAttempt, RunConfig};

/// State shared by all units of a run.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    /// Free processors for machines.
    pub(super) processors: Arc<Semaphore>,
    /// Free memory for machines, in MiB.
    pub(super) memory: Arc<Semaphore>,
    /// Unit whose failure ended the run early (`--fail-fast`).
    failed: Arc<Mutex<Option<String>>>,
}

impl Shared {
    pub(super) fn new(setting: &RunConfig) -> Shared {
        Shared {
            processors: Arc::new(Semaphore::new(setting.places.machines)),
            memory: Arc::new(Semaphore::new(setting.places.memory_mib)),
            failed: Arc::default(),
        }
    }

    fn failed(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything that the task of one unit needs.
pub(super) struct UnitRun {
    pub(super) setting: RunConfig,
    pub(super) shared: Shared,
    pub(super) progress: mpsc::UnboundedSender<Progress>,
    pub(super) on_attempt: OnAttempt,
    pub(super) stop: watch::Receiver<bool>,
}

impl UnitRun {
    /// Runs the unit, with retries as the policy allows.
    pub(super) async fn run(mut self, unit: Unit) -> UnitOutcome {
        let name = unit.name();
        let mut outcome = UnitOutcome {
            unit,
            attempts: Vec::new(),
            skipped: self.reason_to_skip(),
        };
        if let Some(reason) = outcome.skipped.clone() {
            self.say(Progress::Skipped { unit: name, reason });
            return outcome;
        }
        for number in 1..=self.setting.policy.retries.saturating_add(1) {
            self.say(Progress::AttemptStarted {
                unit: name.clone(),
                attempt: number,
            });
            let artifacts = attempt_folder(&self.setting.artifacts, &outcome.unit, number);
            let attempt = self.attempt(&outcome.unit, number, artifacts).await;
            (self.on_attempt)(&attempt);
            let again = attempt.may_be_retried();
            outcome.attempts.push(attempt);
            if !again || *self.stop.borrow() {
                break;
            }
        }
        let failed = |last: &AttemptOutcome| last.may_be_retried();
        if self.setting.policy.fail_fast && outcome.attempts.last().is_some_and(failed) {
            self.shared.failed().get_or_insert(name);
        }
        outcome
    }

    /// Returns the reason to skip this unit, if any.
    fn reason_to_skip(&self) -> Option<String> {
        self.shared
            .failed()
            .as_ref()
            .map(|other| format!("skipped after the failure of {other} (--fail-fast)"))
    }

    /// True if the attempt's cell is kept; a failed one only if no retry follows.
    pub(super) fn keeps(&self, attempt: &AttemptOutcome) -> bool {
        let is_last = attempt.number > self.setting.policy.retries;
        match self.setting.policy.keep {
            Keep::Never => false,
            Keep::Failed => is_last && attempt.may_be_retried(),
            Keep::Always => !attempt.attempt.interrupted && (is_last || attempt.passed()),
        }
    }

    pub(super) fn say(&self, progress: Progress) {
        // The receiver is gone once reports are closed.
        let _ = self.progress.send(progress);
    }
}

/// Returns the folder of an attempt's artifacts.
fn attempt_folder(run: &Path, unit: &Unit, number: u32) -> PathBuf {
    run.join(unit.name()).join(format!("attempt-{number}"))
}
