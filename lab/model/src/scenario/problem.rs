//! Problems of a scenario, reported with file, line, column, the line itself and a remedy.

use std::cell::RefCell;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource};

/// One problem, with its location and remedy.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{what}")]
pub struct Problem {
    what: String,
    #[help]
    help: Option<String>,
    #[source_code]
    source_code: Option<NamedSource<Arc<str>>>,
    #[label(collection)]
    places: Vec<LabeledSpan>,
}

impl Problem {
    /// Builds a problem without a location in a file, such as an unreadable folder.
    pub(crate) fn nowhere(what: impl Into<String>, help: impl Into<String>) -> Problem {
        Problem {
            what: what.into(),
            help: Some(help.into()),
            source_code: None,
            places: Vec::new(),
        }
    }
}

/// All problems of the requested scenarios.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{} {} in {subject}", problems.len(), if problems.len() == 1 { "problem" } else { "problems" })]
#[diagnostic(code(lab::invalid_scenario))]
pub struct InvalidScenario {
    subject: String,
    /// Problems in the order of their files' lines.
    #[related]
    pub problems: Vec<Problem>,
}

impl InvalidScenario {
    /// Collects the problems of `subject`, e.g. ``scenario `pxe-dhcp` ``.
    pub(crate) fn new(subject: impl Into<String>, problems: Vec<Problem>) -> InvalidScenario {
        InvalidScenario {
            subject: subject.into(),
            problems,
        }
    }
}

/// Problem of a value, before its location is known.
#[derive(Debug)]
pub struct Wrong {
    pub what: String,
    pub help: String,
}

impl Wrong {
    pub(crate) fn new(what: impl Into<String>, help: impl Into<String>) -> Wrong {
        Wrong {
            what: what.into(),
            help: help.into(),
        }
    }
}

/// Value with its location.
#[derive(Debug, Clone)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    pub(crate) at: Range<usize>,
}

/// Text file being parsed, and the problems found so far.
#[derive(Debug)]
pub(crate) struct Source {
    name: String,
    text: Arc<str>,
    problems: RefCell<Vec<(usize, Problem)>>,
}

impl Source {
    pub(crate) fn new(path: &Path, text: String) -> Source {
        Source {
            name: path.display().to_string(),
            text: text.into(),
            problems: RefCell::default(),
        }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Adds a problem at one location.
    pub(crate) fn wrong(&self, at: Range<usize>, label: &str, wrong: Wrong) {
        self.note(vec![(at, label)], wrong);
    }

    /// Adds a conflict between two locations; `at` is the one to change.
    pub(crate) fn clash(
        &self,
        at: (Range<usize>, &str),
        other: (Range<usize>, &str),
        wrong: Wrong,
    ) {
        self.note(vec![at, other], wrong);
    }

    fn note(&self, places: Vec<(Range<usize>, &str)>, wrong: Wrong) {
        let first = places.first().map_or(0, |(at, _)| at.start);
        let mut primary = true;
        let places = places
            .into_iter()
            .map(|(at, label)| {
                let span = (at.start, at.len());
                let label = Some(label.to_owned());
                if std::mem::take(&mut primary) {
                    LabeledSpan::new_primary_with_span(label, span)
                } else {
                    LabeledSpan::new_with_span(label, span)
                }
            })
            .collect();
        let problem = Problem {
            what: wrong.what,
            help: Some(wrong.help),
            source_code: Some(NamedSource::new(&self.name, Arc::clone(&self.text))),
            places,
        };
        self.problems.borrow_mut().push((first, problem));
    }

    /// Returns the problems in the order of the lines.
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|(at, _)| *at);
        problems.into_iter().map(|(_, problem)| problem).collect()
    }

    /// True if no problems were found.
    pub(crate) fn is_sound(&self) -> bool {
        self.problems.borrow().is_empty()
    }
}

/// Returns the known word most similar to `word`, if any is similar enough.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Formats a list: `a`, `b` or `c`.
pub(crate) fn one_of<'k>(known: impl IntoIterator<Item = &'k str>) -> String {
    let mut quoted: Vec<String> = known.into_iter().map(|word| format!("`{word}`")).collect();
    match (quoted.pop(), quoted.is_empty()) {
        (None, _) => "nothing".into(),
        (Some(only), true) => only,
        (Some(last), false) => format!("{} or {last}", quoted.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_its_word_and_another_word_does_not() {
        let known = ["memory_mib", "mac", "name"];
        assert_eq!(nearest("memory_mb", known), Some("memory_mib"));
        assert_eq!(nearest("nmae", known), Some("name"));
        assert_eq!(nearest("disk_gib", known), None);
    }

    #[test]
    fn choices_are_read_out_as_a_sentence() {
        assert_eq!(one_of(["a"]), "`a`");
        assert_eq!(one_of(["a", "b", "c"]), "`a`, `b` or `c`");
    }
}
