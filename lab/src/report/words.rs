//! What was written of a machine in an attempt, bounded, for reports that quote it.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::{AttemptSummary, NodeSummary, RunSummary};
use crate::verdict::NodeVerdict;

/// Most bytes of a console that are quoted: CI services keep reports in memory.
const CONSOLE_BYTES: u64 = 16 * 1024;

/// Why a machine failed in an attempt: its explanation, else the verdict in words.
pub(super) fn explanation(
    run: &RunSummary,
    attempt: &AttemptSummary,
    node: &NodeSummary,
) -> String {
    let folder = run.folder.join(&attempt.artifacts);
    let told = match node.verdict {
        NodeVerdict::Infra { .. } => folder,
        _ => of_node(run, attempt, &node.name),
    };
    fs::read_to_string(told.join("explain.txt")).unwrap_or_else(|_| node.verdict.sentence())
}

/// The last lines of a machine's console, as text; empty when there is none.
pub(super) fn console_tail(run: &RunSummary, attempt: &AttemptSummary, node: &str) -> String {
    let path = of_node(run, attempt, node).join("console.log");
    let Ok((bytes, cut)) = tail(&path) else {
        return String::new();
    };
    let text = strip_ansi_escapes::strip_str(String::from_utf8_lossy(&bytes));
    let text = text.replace('\r', "");
    match text.split_once('\n') {
        // The first line is half a line.
        Some((_, whole)) if cut => format!("… (the beginning is in console.log)\n{whole}"),
        _ => text,
    }
}

/// The end of a file, and whether something is missing before it.
fn tail(path: &Path) -> std::io::Result<(Vec<u8>, bool)> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let start = length.saturating_sub(CONSOLE_BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(CONSOLE_BYTES).read_to_end(&mut bytes)?;
    Ok((bytes, start > 0))
}

fn of_node(run: &RunSummary, attempt: &AttemptSummary, node: &str) -> PathBuf {
    run.folder.join(&attempt.artifacts).join("nodes").join(node)
}
