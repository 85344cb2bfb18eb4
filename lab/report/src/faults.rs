//! Results of faults and adversarial cases: table, `faults.json` or `adversarial.json`, JUnit and exit code.

use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lab_model::diagnosis::Cause;
use lab_model::fault::{Collection, Expectation, Found};
use lab_model::scenario::Machines;
use lab_model::untrusted::{Folder, replace};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use serde::{Deserialize, Serialize};

use super::table::Colour;
use crate::exit_code::ExitCode;

/// Maximum size of a results file; the bundled faults take 30 KiB.
const FILE_LIMIT_BYTES: u64 = 64 << 20;

/// Result of one fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultResult {
    pub name: String,
    /// Summary in one sentence.
    pub summary: String,
    pub machines: Machines,
    /// Outcome that the fault must have.
    pub expected: Expectation,
    /// Outcome of the run.
    pub found: Found,
    /// True if both agree, and the evidence shows what it must.
    pub ok: bool,
    /// Texts that the evidence must show and does not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_shown: Vec<String>,
    /// All causes found, best first.
    pub causes: Vec<Cause>,
    /// Duration, in seconds.
    pub seconds: f64,
    /// Folder of the artifacts, relative to the run's.
    pub artifacts: Option<PathBuf>,
}

/// Results of a run of one collection.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultResults {
    /// Collection that the faults belong to.
    pub collection: Collection,
    /// One result for each case.
    pub list: Vec<FaultResult>,
}

/// Renders the table: case, expected, found, result.
#[must_use]
pub fn render(results: &FaultResults, colour: Colour) -> String {
    let FaultResults {
        collection,
        list: results,
    } = results;
    let title = match collection {
        Collection::Faults => "fault",
        Collection::Adversarial => "case",
    };
    let width = |title: &str, text: fn(&FaultResult) -> String| {
        let lengths = results.iter().map(|result| text(result).chars().count());
        lengths.chain([title.len()]).max().unwrap_or_default()
    };
    let names = width(title, |result| result.name.clone());
    let expectations = width("expected", |result| result.expected.to_string());
    let findings = width("found", |result| result.found.to_string());
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{:names$}  {:9}  {:expectations$}  {:findings$}  {:5}  {:>7}",
        title, "machines", "expected", "found", "", "time"
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
        let (prefix, name) = (collection.prefix(), &result.name);
        let _ = writeln!(text, "\n{prefix}/{name}: {}", result.sentence());
    }
    let wrong = results.iter().filter(|result| !result.ok).count();
    let is_simulated = |result: &FaultResult| !result.machines.is_virtual();
    let simulated = match results.iter().any(is_simulated) {
        true => " Simulated machines send the requests of firmware and execute nothing.",
        false => "",
    };
    let _ = writeln!(
        text,
        "\n{} {}s, {} as expected, {wrong} wrong.{simulated}",
        results.len(),
        collection.noun(),
        results.len() - wrong
    );
    text
}

impl FaultResult {
    /// Describes a wrong outcome.
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
        for missing in &self.not_shown {
            let _ = write!(text, "\n  the evidence does not show `{missing}`");
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

/// Joins the results of a run in shards, ordered by name; `None` if the folders are runs of scenarios.
///
/// # Errors
/// Fails if results are unreadable, or if only some of the folders have results.
pub fn joined(folders: &[PathBuf]) -> io::Result<Option<FaultResults>> {
    for collection in Collection::ALL {
        if let Some(list) = joined_of(collection, folders)? {
            return Ok(Some(FaultResults { collection, list }));
        }
    }
    Ok(None)
}

fn joined_of(collection: Collection, folders: &[PathBuf]) -> io::Result<Option<Vec<FaultResult>>> {
    let file = file_of(collection);
    let mut all: Vec<FaultResult> = Vec::new();
    let (mut with, mut without) = (None, None);
    for folder in folders {
        let path = folder.join(&file);
        let about = |error: io::Error| io::Error::other(format!("{}: {error}", path.display()));
        let read = Folder::open(folder)
            .and_then(|open| open.read_text(Path::new(&file), FILE_LIMIT_BYTES));
        let text = match read {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                without = Some(folder);
                continue;
            }
            Err(error) => return Err(about(error)),
        };
        with = Some(folder);
        let results: Vec<FaultResult> =
            serde_json::from_str(&text).map_err(|error| about(error.into()))?;
        all.extend(results);
    }
    if let (Some(with), Some(without)) = (with, without) {
        return Err(io::Error::other(format!(
            "cannot join runs of {}s and others: {} ran them, {} did not",
            collection.noun(),
            with.display(),
            without.display()
        )));
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(with.map(|_| all))
}

/// Name of the file with the results.
fn file_of(collection: Collection) -> String {
    format!("{}.json", collection.name())
}

/// Writes `faults.json` or `adversarial.json`, and `junit.xml`; returns the latter.
///
/// # Errors
/// Fails if a file cannot be written.
pub fn write(results: &FaultResults, folder: &Path) -> io::Result<String> {
    let json = serde_json::to_string_pretty(&results.list)?;
    replace(&folder.join(file_of(results.collection)), json + "\n")?;
    let xml = junit(results).map_err(io::Error::other)?;
    replace(&folder.join("junit.xml"), &xml)?;
    Ok(xml)
}

fn junit(results: &FaultResults) -> Result<String, quick_junit::SerializeError> {
    let prefix = results.collection.prefix();
    let mut suite = TestSuite::new(results.collection.name());
    for result in &results.list {
        let status = if result.ok {
            TestCaseStatus::success()
        } else {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status
                .set_type(prefix)
                .set_message(format!(
                    "expected {}, found {}",
                    result.expected, result.found
                ))
                .set_description(result.sentence());
            status
        };
        let mut case = TestCase::new(result.name.clone(), status);
        case.set_classname(prefix);
        case.set_time(Duration::from_secs_f64(result.seconds));
        suite.add_test_case(case);
    }
    let mut report = Report::new("lab");
    report.add_test_suite(suite);
    report.to_string()
}

/// Returns success if every fault had its expected outcome. The run's own code counts only if a fault has no result,
/// such as after an interruption, because faults make machines fail on purpose.
#[must_use]
pub fn exit_code(results: &FaultResults, of_run: ExitCode) -> ExitCode {
    let results = &results.list;
    let unknown = |result: &FaultResult| matches!(result.found, Found::Nothing { .. });
    if results.iter().any(|result| !result.ok && !unknown(result)) {
        return ExitCode::Failed;
    }
    match results.iter().any(unknown) {
        true => of_run,
        false => ExitCode::Ok,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use lab_model::timeline::StageName;

    use super::*;

    fn result(name: &str, ok: bool) -> FaultResult {
        let expected = Expectation::Fail {
            stage: StageName::Dhcp,
            cause: Cause::NoDhcpServer,
        };
        FaultResult {
            name: name.into(),
            summary: "nobody answers".into(),
            machines: Machines::Simulated,
            expected,
            found: match ok {
                true => Found::Fail {
                    stage: StageName::Dhcp,
                    cause: Some(Cause::NoDhcpServer),
                    why: "silence".into(),
                },
                false => Found::Pass,
            },
            ok,
            not_shown: Vec::new(),
            causes: vec![Cause::NoDhcpServer],
            seconds: 1.0,
            artifacts: None,
        }
    }

    fn written(parent: &Path, name: &str, results: &[FaultResult]) -> PathBuf {
        let folder = parent.join(name);
        fs::create_dir(&folder).unwrap();
        let results = FaultResults {
            collection: Collection::Faults,
            list: results.to_vec(),
        };
        write(&results, &folder).unwrap();
        folder
    }

    #[test]
    fn write_link_in_the_folder_is_replaced_and_not_followed() {
        let parent = tempfile::tempdir().unwrap();
        let victim = parent.path().join("victim");
        fs::write(&victim, "theirs").unwrap();
        let folder = parent.path().join("run");
        fs::create_dir(&folder).unwrap();
        for name in ["faults.json", "junit.xml"] {
            std::os::unix::fs::symlink(&victim, folder.join(name)).unwrap();
        }
        let results = FaultResults {
            collection: Collection::Faults,
            list: vec![result("a", true)],
        };
        write(&results, &folder).unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "theirs");
        assert_eq!(joined(&[folder]).unwrap().unwrap().list.len(), 1);
    }

    /// V15: two parts in which every fault came out as expected.
    #[test]
    fn joined_shards_are_faults_again_and_count_by_their_expectations() {
        let parent = tempfile::tempdir().unwrap();
        let good = written(parent.path(), "1", &[result("b", true), result("a", true)]);
        let empty = written(parent.path(), "2", &[]);
        let all = joined(&[good.clone(), empty]).unwrap().unwrap();
        assert_eq!(all.collection, Collection::Faults);
        let names: Vec<&str> = all.list.iter().map(|result| result.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        // The machines failed (100), as they had to.
        assert_eq!(exit_code(&all, ExitCode::Failed), ExitCode::Ok);
        let bad = written(parent.path(), "3", &[result("c", false)]);
        let all = joined(&[good, bad]).unwrap().unwrap();
        assert_eq!(exit_code(&all, ExitCode::Failed), ExitCode::Failed);
    }

    #[test]
    fn joined_adversarial_cases_stay_adversarial_cases() {
        let parent = tempfile::tempdir().unwrap();
        let results = FaultResults {
            collection: Collection::Adversarial,
            list: vec![result("a", true)],
        };
        write(&results, parent.path()).unwrap();
        assert!(parent.path().join("adversarial.json").is_file());
        let folders = [parent.path().to_owned()];
        assert_eq!(joined(&folders).unwrap(), Some(results));
    }

    #[test]
    fn render_text_that_is_not_shown_is_told() {
        let mut wrong = result("a", false);
        wrong.not_shown = vec!["asked by 192.168.92.200".into()];
        let told = render(
            &FaultResults {
                collection: Collection::Adversarial,
                list: vec![wrong],
            },
            Colour::Off,
        );
        insta::assert_snapshot!(told);
    }

    #[test]
    fn joined_faults_and_scenarios_are_refused() {
        let parent = tempfile::tempdir().unwrap();
        let faults = written(parent.path(), "1", &[result("a", true)]);
        let scenarios = parent.path().join("2");
        fs::create_dir(&scenarios).unwrap();
        assert_eq!(joined(std::slice::from_ref(&scenarios)).unwrap(), None);
        let told = joined(&[faults.clone(), scenarios.clone()]).unwrap_err();
        let (with, without) = (faults.display(), scenarios.display());
        assert_eq!(
            told.to_string(),
            format!("cannot join runs of faults and others: {with} ran them, {without} did not")
        );
        fs::write(faults.join("faults.json"), "[{}]").unwrap();
        let told = joined(&[faults]).unwrap_err().to_string();
        assert!(told.contains("faults.json"), "{told}");
    }
}
