//! Excerpts of a machine's files for reports, limited in size.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use lab_model::untrusted::{Folder, plain};
use lab_model::verdict::NodeVerdict;

use super::{AttemptSummary, NodeSummary, RunSummary};

/// Maximum excerpt of a console in bytes: CI services keep reports in memory.
const CONSOLE_BYTES: u64 = 16 * 1024;

/// Maximum size of a quoted explanation, in bytes.
const EXPLANATION_BYTES: u64 = 256 * 1024;

/// Returns the explanation of a failure, else the verdict as text.
pub(super) fn explanation(
    run: &RunSummary,
    attempt: &AttemptSummary,
    node: &NodeSummary,
) -> String {
    let told = match node.verdict {
        NodeVerdict::Infra { .. } => attempt.artifacts.clone(),
        _ => of_node(attempt, &node.name),
    };
    let text = Folder::open(&run.folder)
        .and_then(|run| run.read_text(&told.join("explain.txt"), EXPLANATION_BYTES));
    plain(&text.unwrap_or_else(|_| node.verdict.sentence()))
}

/// Returns the last lines of a machine's console; empty if there is none.
pub(super) fn console_tail(run: &RunSummary, attempt: &AttemptSummary, node: &str) -> String {
    let path = of_node(attempt, node).join("console.log");
    let Ok((bytes, cut)) = Folder::open(&run.folder).and_then(|run| tail(&run, &path)) else {
        return String::new();
    };
    let text = String::from_utf8_lossy(&bytes).replace('\r', "");
    let text = plain(&text);
    match text.split_once('\n') {
        // The first line of the excerpt is incomplete.
        Some((_, whole)) if cut => format!("… (the beginning is in console.log)\n{whole}"),
        _ => text,
    }
}

/// Returns the end of a file, and true if the excerpt does not begin at the start.
fn tail(run: &Folder, path: &Path) -> std::io::Result<(Vec<u8>, bool)> {
    let mut file = run.file(path, u64::MAX)?;
    let length = file.metadata()?.len();
    let start = length.saturating_sub(CONSOLE_BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(CONSOLE_BYTES).read_to_end(&mut bytes)?;
    Ok((bytes, start > 0))
}

/// Returns the folder of a machine, relative to the run's.
fn of_node(attempt: &AttemptSummary, node: &str) -> PathBuf {
    attempt.artifacts.join("nodes").join(node)
}
