//! Output of a run for GitHub Actions.

use std::io::Write;
use std::path::{Path, PathBuf};

use lab_report::{RunSummary, github};

/// Writes annotations to standard output and the job summary, on GitHub Actions only
/// (<https://docs.github.com/actions/reference/workflow-commands-for-github-actions>).
pub(super) fn tell(run: &RunSummary, scenarios: &Path) {
    if std::env::var_os("GITHUB_ACTIONS").is_none_or(|value| value != "true") {
        return;
    }
    print!("{}", github::annotations(run, &scenarios.to_string_lossy()));
    if let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY") {
        let path = PathBuf::from(path);
        let appended = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(github::summary(run).as_bytes()));
        // An unwritable summary does not change the verdicts.
        if let Err(error) = appended {
            eprintln!(
                "lab: cannot write the job summary: {}: {error}",
                path.display()
            );
        }
    }
}
