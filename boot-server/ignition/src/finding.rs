//! Findings: what is wrong with a config, or questionable in it.

use std::fmt;

use crate::path::Path;
pub use crate::reason::Reason;
use crate::yaml::{Node, Place};

/// Severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The config is refused.
    Error,
    /// The config is translated.
    Warning,
}

/// A problem of a config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Severity, which decides whether the config is refused.
    pub severity: Severity,
    /// Problem in one sentence.
    pub reason: Reason,
    /// Value in the config that has the problem.
    pub path: Path,
    /// Place of that value, or of the nearest value around it that the text contains.
    pub place: Option<Place>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        })?;
        write!(f, " at {}", self.path)?;
        if let Some(place) = self.place {
            write!(f, ", line {} col {}", place.line, place.column)?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// Findings in the order in which they are made.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) findings: Vec<Finding>,
}

impl Report {
    pub(crate) fn error(&mut self, path: Path, reason: Reason) {
        self.add(Severity::Error, path, reason);
    }

    pub(crate) fn warn(&mut self, path: Path, reason: Reason) {
        self.add(Severity::Warning, path, reason);
    }

    /// Adds an error if a check failed.
    pub(crate) fn check(&mut self, path: Path, result: Result<(), Reason>) {
        if let Err(reason) = result {
            self.error(path, reason);
        }
    }

    pub(crate) fn append(&mut self, mut other: Report) {
        self.findings.append(&mut other.findings);
    }

    pub(crate) fn is_fatal(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.severity == Severity::Error)
    }

    fn add(&mut self, severity: Severity, path: Path, reason: Reason) {
        self.findings.push(Finding {
            severity,
            reason,
            path,
            place: None,
        });
    }

    /// Sets the places of findings that have none.
    pub(crate) fn locate(&mut self, root: &Node) {
        for finding in &mut self.findings {
            let is_key = matches!(
                finding.reason,
                Reason::UnusedKey(_) | Reason::UnrecognizedKey(_)
            );
            finding
                .place
                .get_or_insert_with(|| deepest(root, &finding.path, is_key));
        }
    }
}

/// Returns the place of a value, or of the deepest value on the way to it.
fn deepest(root: &Node, path: &Path, is_key: bool) -> Place {
    use crate::path::Step;
    use crate::yaml::Content;
    let mut node = root;
    let mut steps = path.steps().iter().peekable();
    while let Some(step) = steps.next() {
        let is_last = steps.peek().is_none();
        let next = match (step, &node.content) {
            (Step::Key(key), Content::Map(_)) => match node.entry(key) {
                Some((key, _)) if is_last && is_key => return key.at,
                Some((_, value)) => value,
                None => break,
            },
            (Step::Index(index), Content::List(items)) => match items.get(*index) {
                Some(item) => item,
                None => break,
            },
            _ => break,
        };
        node = next;
    }
    node.at
}
