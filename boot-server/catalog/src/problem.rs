//! Problems of a data directory: place, cause and remedy.

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan};

use self::excerpt::{Excerpt, Lines};
use boot_server_proto::json::{self, InvalidJson};

mod excerpt;

/// Severity of a [`Problem`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing, and no more.
    Info,
    /// Some machines are answered 404 because of it; `check` reports it.
    Warning,
    /// The directory cannot be served; the server refuses to start.
    Error,
}

/// Problem of a data directory.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Severity; an error keeps a directory from being served.
    pub severity: Severity,
    /// Path of the faulty file.
    pub path: PathBuf,
    /// Line, counted from 1, when it is about a place in the file.
    pub line: Option<usize>,
    /// Column in characters, counted from 1.
    pub column: Option<usize>,
    /// Problem in one sentence, without its place.
    pub message: String,
    /// Remedy, printed on a line of its own.
    pub help: String,
    /// Id of the broken rule; empty for lists without rules.
    pub rule: &'static str,
    text: Option<Arc<str>>,
}

impl Problem {
    /// Returns a problem of a file as a whole.
    pub fn of_file(
        severity: Severity,
        path: &Path,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Problem {
        Problem {
            severity,
            path: path.to_owned(),
            line: None,
            column: None,
            message: message.into(),
            help: help.into(),
            rule: "",
            text: None,
        }
    }

    /// Returns the same problem, as one of a rule.
    #[must_use]
    pub fn of_rule(mut self, rule: &'static str) -> Problem {
        self.rule = rule;
        self
    }

    /// JSON that is none, or of another shape than is wanted.
    pub(super) fn of_json(path: &Path, text: &str, error: &InvalidJson, help: &str) -> Problem {
        let rule = match error.is_syntax {
            true => "syntax",
            false => "wrong-type",
        };
        let problem = Problem::of_file(Severity::Error, path, error.to_string(), help);
        problem.of_rule(rule).at(text, error.line, error.column)
    }

    /// Returns the problem of an unknown key, with the known keys: most likely the key is misspelt.
    pub fn unknown_key(path: &Path, key: &str, known: &[&str]) -> Problem {
        let message = format!("unknown key `{key}` (ignored)");
        let nearest =
            nearest(key, known).map_or_else(String::new, |name| format!("did you mean `{name}`? "));
        let help = format!("{nearest}known keys are {}", known.join(", "));
        Problem::of_file(Severity::Warning, path, message, help).of_rule("unknown-key")
    }

    /// Returns the same problem as an error if the key was most likely meant as `wanted`, the group's selector:
    /// without it the group matches every machine.
    #[must_use]
    pub(super) fn or_matches_all(mut self, wanted: &str, group: &str) -> Problem {
        if self.help.starts_with(&format!("did you mean `{wanted}`?")) {
            self.severity = Severity::Error;
            self.message = format!(
                "{}, and so group `{group}` matches every machine",
                self.message
            );
        }
        self
    }

    /// Returns the same problem at a place in the file with this text. A line of 0 means no place.
    pub fn at(mut self, text: impl Into<Arc<str>>, line: usize, column: usize) -> Problem {
        if line > 0 {
            self.line = Some(line);
            self.column = Some(column.max(1));
            self.text = Some(text.into());
        }
        self
    }

    /// Returns the same problem at the first place where the text has `needle`.
    pub fn at_first(self, text: &str, needle: &str) -> Problem {
        match place_of(text, needle) {
            Some((line, column)) => self.at(text, line, column),
            None => self,
        }
    }

    /// Returns the same problem at a key of a JSON text, which Go reads in any letter case.
    pub(super) fn at_key(self, text: &str, name: &str) -> Problem {
        match json::place_of_key(text, name) {
            Some((line, column)) => self.at(text, line, column),
            None => self,
        }
    }

    /// Returns the text that line and column are counted in.
    pub fn text(&self) -> Option<&Arc<str>> {
        self.text.as_ref()
    }
}

/// Returns the line that each problem is about, without its end. Each text is gone through once.
pub fn line_texts<'a>(problems: impl Iterator<Item = &'a Problem>) -> Vec<Option<&'a str>> {
    let mut lines: HashMap<*const u8, Lines<'a>> = HashMap::new();
    problems
        .map(|problem| {
            let text = problem.text.as_ref()?;
            let lines = lines
                .entry(text.as_ptr())
                .or_insert_with(|| Lines::of(text));
            lines.line(problem.line?)
        })
        .collect()
}

/// Returns the known word that a misspelt word most likely means.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let distance = |name: &&&str| strsim::damerau_levenshtein(name, word);
    let near = |name: &&&str| {
        distance(name) <= word.len().max(3) / 3
            || (!word.is_empty() && name.starts_with(word))
            || word.starts_with(**name)
    };
    known.iter().filter(near).min_by_key(distance).copied()
}

/// Returns line and column, counted from 1, of the first place where the text has `needle`.
pub fn place_of(text: &str, needle: &str) -> Option<(usize, usize)> {
    Some(place_after(text.get(..text.find(needle)?)?))
}

/// Returns line and column, counted from 1, of what follows this text.
pub fn place_after(before: &str) -> (usize, usize) {
    let last_line = before.rsplit('\n').next().unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    (line, last_line.chars().count() + 1)
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for Problem {}

/// A problem with its source, as miette wants it for drawing.
#[derive(Debug)]
struct Drawn<'a>(&'a Problem, Option<Excerpt<'a>>);

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(_) => f.write_str(&self.0.message),
            None => write!(f, "{}", self.0),
        }
    }
}

impl std::error::Error for Drawn<'_> {}

impl Diagnostic for Drawn<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        (!self.0.rule.is_empty()).then(|| Box::new(self.0.rule) as Box<dyn fmt::Display>)
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.0.severity {
            Severity::Info => miette::Severity::Advice,
            Severity::Warning => miette::Severity::Warning,
            Severity::Error => miette::Severity::Error,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        (!self.0.help.is_empty()).then(|| Box::new(&self.0.help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.1.as_ref().map(|source| source as _)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = LabeledSpan::at_offset(self.1.as_ref()?.offset(), "here");
        Some(Box::new(std::iter::once(span)))
    }
}

/// Renders problems for a person, without colours: message, place with the line itself, help.
///
/// Each text is gone through once, however many problems it has.
pub fn render_problems(problems: &[Problem]) -> String {
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor());
    let mut text = String::new();
    let mut lines: HashMap<*const u8, Lines<'_>> = HashMap::new();
    for problem in problems {
        let source = problem.text.as_ref().and_then(|text| {
            let lines = lines
                .entry(text.as_ptr())
                .or_insert_with(|| Lines::of(text));
            Excerpt::new(&problem.path, lines, problem.line?, problem.column?)
        });
        if handler
            .render_report(&mut text, &Drawn(problem, source))
            .is_err()
        {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{problem}\n  help: {}", problem.help);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_drawn_with_its_place_and_its_help() {
        let problem = Problem::of_file(
            Severity::Error,
            Path::new("data/config.yaml"),
            "group `a` names a spec that is not there",
            "create specs/b/spec.json",
        )
        .at_first("groups:\n  - spec: b\n", "b\n");
        assert_eq!((problem.line, problem.column), (Some(2), Some(11)));
        assert_eq!(
            problem.to_string(),
            "data/config.yaml:2:11: group `a` names a spec that is not there"
        );
        insta::assert_snapshot!(render_problems(&[problem]));
    }

    #[test]
    fn many_problems_of_one_large_text_are_drawn_in_linear_time() {
        let text: Arc<str> = "- name: a\n".repeat(50_000).into();
        let problems: Vec<Problem> = (1..=2_000)
            .map(|n| {
                Problem::of_file(Severity::Info, Path::new("a"), "m", "h")
                    .of_rule("r")
                    .at(Arc::clone(&text), n * 25, 3)
            })
            .collect();
        let started = std::time::Instant::now();
        let drawn = render_problems(&problems);
        assert_eq!(drawn.matches("[a:").count(), 2_000);
        assert!(
            drawn.contains("[a:50000:3]"),
            "{}",
            &drawn[drawn.len() - 400..]
        );
        // Going through the text for each of them takes minutes.
        assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    }

    #[test]
    fn a_place_behind_the_end_is_drawn_at_the_end() {
        let problem = Problem::of_file(Severity::Error, Path::new("a"), "m", "h");
        for (text, line, column) in [
            ("", 1, 1),
            ("x: [\n", 2, 1),
            ("x: [", 1, 99),
            ("é: ü\n", 1, 4),
        ] {
            let drawn = render_problems(&[problem.clone().at(text, line, column)]);
            assert!(
                drawn.contains("here") || text.is_empty(),
                "{text:?}: {drawn}"
            );
        }
    }
}
