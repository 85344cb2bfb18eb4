//! Machine list from a file; the extension tells the format.

use std::path::Path;

use boot_server_catalog::problem::{Problem, Severity};

use super::check::check;
use super::source::{Document, Place};
use super::{Format, Inventory};

/// Machines, and their positions in the list.
#[derive(Debug)]
pub struct Listed {
    /// Machines of the list.
    pub inventory: Inventory,
    document: Document,
    places: Vec<Place>,
}

impl Listed {
    /// Returns a problem of the machine at this index, with its place in the list.
    #[must_use]
    pub fn problem(
        &self,
        index: usize,
        severity: Severity,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Problem {
        let at = self.places.get(index).copied().unwrap_or(Place::START);
        let mut problem = self.document.error(at, message, help);
        problem.severity = severity;
        problem
    }
}

/// Reads the machines of a `.toml`, `.yaml`, `.yml`, `.json` or `.csv` file.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(path: &Path) -> Result<Inventory, Vec<Problem>> {
    read_listed(path).map(|listed| listed.inventory)
}

/// Reads the machines of a file, and their positions.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read_listed(path: &Path) -> Result<Listed, Vec<Problem>> {
    let of_file =
        |message: String, help: &str| vec![Problem::of_file(Severity::Error, path, message, help)];
    let extension = path.extension().and_then(|extension| extension.to_str());
    let Some(format) = extension.and_then(Format::from_name) else {
        let message = "unknown format: no known file extension".to_owned();
        return Err(of_file(
            message,
            "name it *.toml, *.yaml, *.yml, *.json or *.csv",
        ));
    };
    let text = std::fs::read_to_string(path).map_err(|error| {
        let message = format!("cannot be read: {error}");
        of_file(message, "name a list of machines")
    })?;
    read_text(path, &text, format)
}

/// Reads the machines of a text that is, or would be, in this file.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read_text(path: &Path, text: &str, format: Format) -> Result<Listed, Vec<Problem>> {
    let document = Document::new(path, text);
    let root = document.read(format)?;
    let (inventory, places) = check(&document, &root)?;
    Ok(Listed {
        inventory,
        document,
        places,
    })
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
