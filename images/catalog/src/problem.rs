//! Problem of a catalog file with all that a fix needs: file, line, column, the line itself, and the remedy.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use miette::{Diagnostic, NamedSource, SourceSpan};
use thiserror::Error;

/// The first thing that is wrong with a catalog file.
#[derive(Debug, Error, Diagnostic)]
#[error("{name}{place}: {what}", place = place.map(|(line, column)| format!(":{line}:{column}")).unwrap_or_default())]
#[diagnostic(code(images::invalid_catalog))]
pub struct Problem {
    name: String,
    what: String,
    place: Option<(usize, usize)>,
    #[help]
    help: String,
    #[source_code]
    source_code: Option<NamedSource<Arc<str>>>,
    #[label("here")]
    at: Option<SourceSpan>,
}

impl Problem {
    /// Returns line and column, from 1, where the place in the file is known.
    #[must_use]
    pub fn place(&self) -> Option<(usize, usize)> {
        self.place
    }

    /// Returns the remedy.
    #[must_use]
    pub fn help(&self) -> &str {
        &self.help
    }
}

/// A catalog file being read.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    name: String,
    text: Arc<str>,
}

impl Text {
    pub(crate) fn new(name: impl Into<String>, text: &str) -> Text {
        Text {
            name: name.into(),
            text: text.into(),
        }
    }

    /// Returns a problem at a place of the text.
    pub(crate) fn wrong(
        &self,
        at: Range<usize>,
        what: impl Into<String>,
        help: impl Into<String>,
    ) -> Box<Problem> {
        let before = self.text.get(..at.start).unwrap_or(&self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
        Box::new(Problem {
            name: self.name.clone(),
            what: what.into(),
            place: Some((line, column)),
            help: help.into(),
            source_code: Some(NamedSource::new(&self.name, Arc::clone(&self.text))),
            at: Some((at.start, at.len()).into()),
        })
    }

    /// Returns a problem that the TOML reader found.
    pub(crate) fn unreadable(&self, error: &toml::de::Error) -> Box<Problem> {
        let at = error.span().unwrap_or(0..0);
        let help = "the keys of an image and their meaning are in docs/images.md";
        self.wrong(at, error.message().trim(), help)
    }
}

/// Returns the problem of a file that cannot be read at all.
pub(crate) fn unreadable_file(path: &Path, error: &std::io::Error) -> Box<Problem> {
    Box::new(Problem {
        name: path.display().to_string(),
        what: error.to_string(),
        place: None,
        help: "name a readable file: `--catalog FILE`, or $XDG_CONFIG_HOME/bootlab/images.toml"
            .into(),
        source_code: None,
        at: None,
    })
}

/// Returns the known word most like `word`, when one is like it.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `a`, `b` or `c`, and which of them was probably meant.
pub(crate) fn one_of<'k>(word: &str, known: impl IntoIterator<Item = &'k str> + Clone) -> String {
    let quoted: Vec<String> = known
        .clone()
        .into_iter()
        .map(|k| format!("`{k}`"))
        .collect();
    let list = match quoted.split_last() {
        None => return "there is none".into(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    };
    match nearest(word, known) {
        Some(meant) if quoted.len() > 1 => format!("{list}; did you mean `{meant}`?"),
        _ => list,
    }
}
