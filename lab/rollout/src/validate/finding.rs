//! Findings: each with its rule, position, problem and remedy.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use boot_server_catalog::problem::{Problem, Severity};

use super::rule::{self, Level, Rule};
use super::tree::At;

/// Problem found by a rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The rule that is broken.
    pub rule: &'static Rule,
    /// File, place, what is wrong, what would be right; its severity is the rule's level.
    pub problem: Problem,
}

impl Finding {
    /// Returns the level of the finding's rule.
    #[must_use]
    pub fn level(&self) -> Level {
        self.rule.level
    }
}

fn severity(level: Level) -> Severity {
    match level {
        Level::Info => Severity::Info,
        Level::Warning => Severity::Warning,
        Level::Error => Severity::Error,
    }
}

/// Identity of a finding: rule, file, line, column, message.
type Key = (&'static str, PathBuf, Option<usize>, Option<usize>, String);

/// Collector of findings.
#[derive(Debug, Default)]
pub(super) struct Findings {
    list: Vec<Finding>,
    seen: HashSet<Key>,
}

impl Findings {
    /// Adds a problem, unless it was added before.
    pub(super) fn add(&mut self, mut problem: Problem) {
        let Some(rule) = rule::of_id(problem.rule) else {
            debug_assert!(false, "no rule `{}`: {problem}", problem.rule);
            return;
        };
        problem.severity = severity(rule.level);
        let key = (
            rule.id,
            problem.path.clone(),
            problem.line,
            problem.column,
            problem.message.clone(),
        );
        if self.seen.insert(key) {
            self.list.push(Finding { rule, problem });
        }
    }

    /// True if a rule is broken.
    pub(super) fn has(&self, rule: &str) -> bool {
        self.list.iter().any(|finding| finding.rule.id == rule)
    }

    /// Takes away what only follows from something else that is told: what is named by a file that can't be
    /// read, or was to be named by a name that is misspelt, looks as if nothing named it.
    pub(super) fn without_consequences(mut self) -> Findings {
        let told = |rules: &[&str], folders: &[&str]| {
            self.list.iter().any(|finding| {
                let mut parts = finding.problem.path.iter();
                let there = parts.any(|part| folders.iter().any(|folder| part == *folder));
                rules.contains(&finding.rule.id) && there
            })
        };
        const BROKEN: &[&str] = &["syntax", "wrong-type", "missing-key", "unreadable"];
        let groups = told(BROKEN, &["config.yaml", "groups"]);
        let profiles = told(BROKEN, &["specs", "profiles"]);
        let nobody = self.has("no-group");
        let (names, files) = (self.has("missing-profile"), self.has("missing-config"));
        self.list.retain(|finding| match finding.rule.id {
            "unused-profile" => !groups && !names && !nobody,
            "no-default-group" | "no-group" => !groups,
            "unused-config" => !profiles && !names && !files,
            _ => true,
        });
        self
    }

    /// Returns all findings, by file and line.
    pub(super) fn sorted(mut self) -> Vec<Finding> {
        self.list.sort_by(|a, b| {
            let key = |f: &Finding| (f.problem.line.unwrap_or(0), f.problem.column.unwrap_or(0));
            let (pa, pb) = (&a.problem, &b.problem);
            pa.path.cmp(&pb.path).then_with(|| key(a).cmp(&key(b)))
        });
        self.list
    }
}

/// A file that rules look at.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: Arc<str>,
}

impl Source {
    pub(super) fn new(path: &Path, text: impl Into<Arc<str>>) -> Source {
        Source {
            path: path.to_owned(),
            text: text.into(),
        }
    }

    /// Returns a problem at a place in the file; a line of 0 means no place.
    pub(super) fn problem(
        &self,
        rule: &'static str,
        at: At,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Problem {
        Problem::of_file(Severity::Error, &self.path, message, help)
            .of_rule(rule)
            .at(Arc::clone(&self.text), at.line, at.column)
    }
}
