//! What GitHub Actions shows of a run.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::report::{RunSummary, github};

/// On GitHub Actions: annotations on standard output, and the job's summary
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
        // The verdicts stand; a summary that can't be written does not change them.
        if let Err(error) = appended {
            eprintln!("lab: the summary {}: {error}", path.display());
        }
    }
}
