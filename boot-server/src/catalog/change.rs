//! Changes that the server makes to its data directory: checked before they are written, and in force when the call
//! returns.
//!
//! Changes that come while others are being made are made together, with one look at the directory for all of them.

use std::io;
use std::sync::{Arc, PoisonError, mpsc};

use boot_server_catalog::changes::Changes;
use boot_server_catalog::check;
use boot_server_catalog::files::Root;
use boot_server_catalog::problem::{Problem, Severity};
use boot_server_catalog::snapshot::Snapshot;
use boot_server_events::ReloadOutcome;

use super::data_dir::DataDir;
use super::write;

/// File to write or to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Path in the data directory. The caller sees to it that it is one.
    pub file: Arc<str>,
    /// New content; `None` removes the file.
    pub content: Option<Arc<[u8]>>,
}

/// Reasons that a change is not made.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ChangeError {
    /// The directory would not be served with it.
    #[error("{}", listed(problems))]
    Refused {
        /// Errors that the directory would have.
        problems: Vec<Problem>,
        /// True if one of them is in the changed file.
        is_own: bool,
    },
    /// The file to remove is not there.
    #[error("file not found: `{0}`")]
    Missing(Arc<str>),
    /// The file cannot be written or removed.
    #[error("cannot write `{file}`: {source}")]
    Write {
        /// Path in the data directory.
        file: Arc<str>,
        /// The kernel's reason.
        source: Arc<io::Error>,
    },
}

fn listed(problems: &[Problem]) -> String {
    let told = problems
        .iter()
        .map(|problem| match problem.help.is_empty() {
            true => problem.to_string(),
            false => format!("{problem} ({})", problem.help),
        });
    told.collect::<Vec<_>>().join("; ")
}

type Answer = Result<(), ChangeError>;

/// Change whose caller waits.
#[derive(Debug)]
pub(super) struct Pending {
    change: Change,
    answer: mpsc::Sender<Answer>,
}

impl DataDir {
    /// Makes a change; it is in force when this returns.
    ///
    /// A change is refused if the directory would then have an error, unless the error was there before and the change
    /// removes another one: a directory with several broken files is repaired file by file, and its last valid state
    /// stays in force until then.
    ///
    /// # Errors
    /// [`ChangeError`]; the directory is as it was.
    pub fn change(&self, change: Change) -> Result<(), ChangeError> {
        let file = Arc::clone(&change.file);
        let (answer, answered) = mpsc::channel();
        let waiting = || self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        waiting().push(Pending { change, answer });
        {
            let _one_at_a_time = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
            // Empty if whoever was here before has made this change, too.
            let batch = std::mem::take(&mut *waiting());
            self.make(batch);
        }
        answered.recv().unwrap_or_else(|_| {
            let source = Arc::new(io::Error::other("the change was given up"));
            Err(ChangeError::Write { file, source })
        })
    }

    fn make(&self, batch: Vec<Pending>) {
        let all: Vec<&Change> = batch.iter().map(|pending| &pending.change).collect();
        let answers = match batch.len() {
            0 => return,
            1 => None,
            // One that is refused must not keep the others from being made.
            _ => self.make_all(&all).ok(),
        };
        for (number, pending) in batch.iter().enumerate() {
            let answer = match answers.as_ref().and_then(|answers| answers.get(number)) {
                Some(answer) => answer.clone(),
                None => self.make_one(&pending.change),
            };
            // The caller waits for it.
            let _ = pending.answer.send(answer);
        }
    }

    fn make_one(&self, change: &Change) -> Answer {
        let problems = match self.make_all(&[change]) {
            Ok(answers) => return answers.into_iter().collect(),
            Err(problems) => problems,
        };
        let (_, before) = Snapshot::load(self.source());
        let before = errors(before);
        let is_old = |problem: &Problem| {
            before
                .iter()
                .any(|old| old.to_string() == problem.to_string())
        };
        if problems.len() < before.len() && problems.iter().all(is_old) {
            tracing::warn!(
                file = &*change.file,
                "changed, but not in force: other files have errors"
            );
            return self.write(change);
        }
        let own = self.root().join(&*change.file);
        Err(ChangeError::Refused {
            is_own: problems.iter().any(|problem| problem.path == own),
            problems,
        })
    }

    /// Makes changes together, or none of them if the directory would then have errors, which are returned. Removals
    /// of files that are not there, and files that cannot be written, are answered alone.
    fn make_all(&self, list: &[&Change]) -> Result<Vec<Answer>, Vec<Problem>> {
        let mut changes = Changes::default();
        let mut answers = Vec::with_capacity(list.len());
        for change in list {
            let is_there = || {
                let root = Root::open(self.root());
                root.is_ok_and(|root| root.with_changes(&changes).has(&change.file))
            };
            answers.push(match &change.content {
                None if !is_there() => Err(ChangeError::Missing(Arc::clone(&change.file))),
                content => {
                    changes.set(Arc::clone(&change.file), content.clone());
                    Ok(())
                }
            });
        }
        if changes.iter().next().is_none() {
            return Ok(answers);
        }
        let (snapshot, mut problems) = Snapshot::load_changed(self.source(), &changes);
        if errors(problems.clone()).is_empty() {
            problems.extend(check::over_budget(self.source(), &snapshot));
        }
        let errors = errors(problems);
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut is_all_written = true;
        for (change, answer) in list.iter().zip(&mut answers) {
            if answer.is_ok() {
                *answer = self.write(change);
                is_all_written &= answer.is_ok();
            }
        }
        // What cannot be written is not to be in force.
        let snapshot = match is_all_written {
            true => snapshot,
            false => Snapshot::load_changed(self.source(), &Changes::default()).0,
        };
        let text = self.told(&snapshot);
        self.put_in_force(snapshot);
        self.tell(ReloadOutcome::InForce(text));
        Ok(answers)
    }

    fn write(&self, change: &Change) -> Answer {
        let root = Root::open(self.root());
        let written = root.and_then(|root| match &change.content {
            Some(content) => write::replace(root.folder(), &change.file, content),
            None => write::remove(root.folder(), &change.file),
        });
        written.map_err(|source| ChangeError::Write {
            file: Arc::clone(&change.file),
            source: Arc::new(source),
        })
    }
}

fn errors(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.retain(|problem| problem.severity == Severity::Error);
    problems
}
