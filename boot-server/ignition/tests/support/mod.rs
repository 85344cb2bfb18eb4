//! Recorded results, one JSON object on a line, and the table of those that differ on purpose.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(name)
}

pub(crate) fn vectors(file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(folder(file)).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Compares every vector, and requires that exactly those in the table differ.
pub(crate) fn compare(
    file: &str,
    exceptions: &[(&str, &str)],
    differs: impl Fn(&Value) -> Result<(), String>,
) {
    let vectors = vectors(file);
    let mut differences = BTreeMap::new();
    for vector in &vectors {
        if let Err(difference) = differs(vector) {
            differences.insert(vector["id"].as_str().unwrap().to_owned(), difference);
        }
    }
    let equal = vectors.len() - differences.len();
    println!("{file}: {equal} of {} equal", vectors.len());
    let mut report = String::new();
    for (id, difference) in &differences {
        if !exceptions.iter().any(|(exception, _)| exception == id) {
            writeln!(report, "{id} differs: {difference}").unwrap();
        }
    }
    for (id, why) in exceptions {
        if !differences.contains_key(*id) {
            writeln!(
                report,
                "{id} is equal, and in the table of differences ({why})"
            )
            .unwrap();
        }
    }
    assert!(
        report.is_empty(),
        "{equal} of {} equal\n{report}",
        vectors.len()
    );
}
