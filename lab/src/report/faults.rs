//! What came of faults: a table, `faults.json`, JUnit, and the exit code.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use serde::Serialize;

use super::table::Colour;
use crate::diagnosis::Cause;
use crate::fault::{Expectation, Found};
use crate::scenario::Machines;

/// Exit code when a fault came out wrongly.
const FAILED: u8 = 100;

/// What came of one fault.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FaultResult {
    /// Its name.
    pub name: String,
    /// It in a sentence.
    pub summary: String,
    /// Whether machines were virtual or simulated.
    pub machines: Machines,
    /// What had to come of it.
    pub expected: Expectation,
    /// What did.
    pub found: Found,
    /// Whether they agree.
    pub ok: bool,
    /// All causes that were found, best first.
    pub causes: Vec<Cause>,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Folder of its artifacts, relative to the run's.
    pub artifacts: Option<PathBuf>,
}

/// The table: fault, expected, found, and whether that is right.
#[must_use]
pub fn render(results: &[FaultResult], colour: Colour) -> String {
    let width = |title: &str, text: fn(&FaultResult) -> String| {
        let lengths = results.iter().map(|result| text(result).chars().count());
        lengths.chain([title.len()]).max().unwrap_or_default()
    };
    let names = width("fault", |result| result.name.clone());
    let expectations = width("expected", |result| result.expected.to_string());
    let findings = width("found", |result| result.found.to_string());
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "{:names$}  {:9}  {:expectations$}  {:findings$}  {:5}  {:>7}",
        "fault", "machines", "expected", "found", "", "time"
    );
    for result in results {
        let (word, code) = match result.ok {
            true => ("ok   ", "32"),
            false => ("WRONG", "31"),
        };
        let word = match colour {
            Colour::On => format!("\x1b[{code}m{word}\x1b[0m"),
            Colour::Off => word.to_owned(),
        };
        let _ = writeln!(
            text,
            "{:names$}  {:9}  {:expectations$}  {:findings$}  {word}  {:>5.1} s",
            result.name,
            result.machines.name(),
            result.expected,
            result.found,
            result.seconds
        );
    }
    for result in results.iter().filter(|result| !result.ok) {
        let _ = writeln!(text, "\nfault/{}: {}", result.name, result.sentence());
    }
    let wrong = results.iter().filter(|result| !result.ok).count();
    let is_simulated = |result: &FaultResult| !result.machines.is_virtual();
    let simulated = match results.iter().any(is_simulated) {
        true => " Simulated machines ask as firmware does and execute nothing.",
        false => "",
    };
    let _ = writeln!(
        text,
        "\n{} faults, {} as expected, {wrong} wrong.{simulated}",
        results.len(),
        results.len() - wrong
    );
    text
}

impl FaultResult {
    /// What is wrong, with what is known of it.
    fn sentence(&self) -> String {
        let mut text = format!(
            "expected {}, found {} ({})",
            self.expected, self.found, self.summary
        );
        match &self.found {
            Found::Pass => {}
            Found::Fail { why, .. } | Found::Nothing { why } => {
                let _ = write!(text, "\n  {why}");
            }
        }
        if !self.causes.is_empty() {
            let names: Vec<&str> = self.causes.iter().map(|cause| cause.name()).collect();
            let _ = write!(text, "\n  causes found, best first: {}", names.join(", "));
        }
        if let Some(artifacts) = &self.artifacts {
            let _ = write!(text, "\n  see {}", artifacts.display());
        }
        text
    }
}

/// Writes `faults.json` and `junit.xml`; returns the latter.
///
/// # Errors
/// When a file can't be written.
pub fn write(results: &[FaultResult], folder: &Path) -> io::Result<String> {
    let json = serde_json::to_string_pretty(results)?;
    fs::write(folder.join("faults.json"), json + "\n")?;
    let xml = junit(results).map_err(io::Error::other)?;
    fs::write(folder.join("junit.xml"), &xml)?;
    Ok(xml)
}

fn junit(results: &[FaultResult]) -> Result<String, quick_junit::SerializeError> {
    let mut suite = TestSuite::new("faults");
    for result in results {
        let status = if result.ok {
            TestCaseStatus::success()
        } else {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status
                .set_type("fault")
                .set_message(format!(
                    "expected {}, found {}",
                    result.expected, result.found
                ))
                .set_description(result.sentence());
            status
        };
        let mut case = TestCase::new(result.name.clone(), status);
        case.set_classname("fault");
        case.set_time(Duration::from_secs_f64(result.seconds));
        suite.add_test_case(case);
    }
    let mut report = Report::new("lab");
    report.add_test_suite(suite);
    report.to_string()
}

/// 0 when every fault came out as it had to. The run's own code counts only where nothing is known of a
/// fault, as when it was interrupted: that machines fail is what faults are for.
#[must_use]
pub fn exit_code(results: &[FaultResult], of_run: u8) -> u8 {
    let unknown = |result: &FaultResult| matches!(result.found, Found::Nothing { .. });
    if results.iter().any(|result| !result.ok && !unknown(result)) {
        return FAILED;
    }
    match results.iter().any(unknown) {
        true => of_run,
        false => 0,
    }
}
