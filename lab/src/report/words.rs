//! What was written of a machine in an attempt, bounded, for reports that quote it.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::{AttemptSummary, NodeSummary, RunSummary};
use crate::untrusted::{Folder, plain};
use crate::verdict::NodeVerdict;

/// Most bytes of a console that are quoted: CI services keep reports in memory.
const CONSOLE_BYTES: u64 = 16 * 1024;

/// Largest explanation that is quoted.
const EXPLANATION_BYTES: u64 = 256 * 1024;

/// Why a machine failed in an attempt: its explanation, else the verdict in words.
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

/// The last lines of a machine's console, as text; empty when there is none.
pub(super) fn console_tail(run: &RunSummary, attempt: &AttemptSummary, node: &str) -> String {
    let path = of_node(attempt, node).join("console.log");
    let Ok((bytes, cut)) = Folder::open(&run.folder).and_then(|run| tail(&run, &path)) else {
        return String::new();
    };
    let text = String::from_utf8_lossy(&bytes).replace('\r', "");
    let text = plain(&text);
    match text.split_once('\n') {
        // The first line is half a line.
        Some((_, whole)) if cut => format!("… (the beginning is in console.log)\n{whole}"),
        _ => text,
    }
}

/// The end of a file, and whether something is missing before it.
fn tail(run: &Folder, path: &Path) -> std::io::Result<(Vec<u8>, bool)> {
    let mut file = run.file(path, u64::MAX)?;
    let length = file.metadata()?.len();
    let start = length.saturating_sub(CONSOLE_BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(CONSOLE_BYTES).read_to_end(&mut bytes)?;
    Ok((bytes, start > 0))
}

/// Folder of a machine, below the run's.
fn of_node(attempt: &AttemptSummary, node: &str) -> PathBuf {
    attempt.artifacts.join("nodes").join(node)
}
