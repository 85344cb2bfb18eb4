//! What is wrong in a data directory: where, why, and what would be right.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource};

/// How bad a [`Problem`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Some machines are answered 404 because of it; `check` reports it.
    Warning,
    /// The directory cannot be served; the server refuses to start.
    Error,
}

/// One thing that is wrong in a data directory.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The file.
    pub path: PathBuf,
    /// Line, counted from 1, when it is about a place in the file.
    pub line: Option<usize>,
    /// Column in characters, counted from 1.
    pub column: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: String,
    text: Option<Arc<str>>,
}

impl Problem {
    /// A problem of a file as a whole.
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
            text: None,
        }
    }

    /// A key that means nothing, with those that would: a misspelt one, most likely.
    pub(super) fn unknown_key(path: &Path, key: &str, known: &[&str]) -> Problem {
        let message = format!("key `{key}` means nothing here and is ignored");
        let nearest =
            nearest(key, known).map_or_else(String::new, |name| format!("did you mean `{name}`? "));
        let help = format!("{nearest}known keys are {}", known.join(", "));
        Problem::of_file(Severity::Warning, path, message, help)
    }

    /// The same problem at a place in the file whose text this is. A line of 0 is no place.
    pub fn at(mut self, text: impl Into<Arc<str>>, line: usize, column: usize) -> Problem {
        if line > 0 {
            self.line = Some(line);
            self.column = Some(column.max(1));
            self.text = Some(text.into());
        }
        self
    }

    /// The same problem at the first place where the text has `needle`.
    pub fn at_first(self, text: &str, needle: &str) -> Problem {
        match place_of(text, needle) {
            Some((line, column)) => self.at(text, line, column),
            None => self,
        }
    }

    fn offset(&self) -> Option<usize> {
        let text = self.text.as_ref()?;
        let line_start: usize = text
            .split_inclusive('\n')
            .take(self.line?.saturating_sub(1))
            .map(str::len)
            .sum();
        let line = text.get(line_start..)?;
        let in_line: usize = line
            .chars()
            .take(self.column?.saturating_sub(1))
            .map(char::len_utf8)
            .sum();
        Some((line_start + in_line).min(text.len()))
    }
}

/// The known word that a misspelt one was to be, most likely.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let distance = |name: &&&str| strsim::damerau_levenshtein(name, word);
    let near = |name: &&&str| {
        distance(name) <= word.len().max(3) / 3
            || (!word.is_empty() && name.starts_with(word))
            || word.starts_with(**name)
    };
    known.iter().filter(near).min_by_key(distance).copied()
}

/// Line and column, counted from 1, of the first place where the text has `needle`.
pub fn place_of(text: &str, needle: &str) -> Option<(usize, usize)> {
    Some(place_after(text.get(..text.find(needle)?)?))
}

/// Line and column, counted from 1, of what follows this text.
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
struct Drawn<'a>(&'a Problem, Option<NamedSource<String>>);

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
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.0.severity {
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
        let offset = self.0.offset()?;
        let span = LabeledSpan::at_offset(offset, "here");
        Some(Box::new(std::iter::once(span)))
    }
}

/// Renders problems for a person, without colours: message, place with the line itself, help.
pub fn render_problems(problems: &[Problem]) -> String {
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor());
    let mut text = String::new();
    for problem in problems {
        let source = problem
            .text
            .as_ref()
            .map(|text| NamedSource::new(problem.path.display().to_string(), text.to_string()));
        if handler
            .render_report(&mut text, &Drawn(problem, source))
            .is_err()
        {
            text.push_str(&format!("{problem}\n  help: {}\n", problem.help));
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
}
