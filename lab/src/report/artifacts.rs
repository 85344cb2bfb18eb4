//! The files of a run: its folder, what is written into it, and `runs/latest`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{RunSummary, UnitSummary, junit};
use crate::runner::UnitOutcome;
use crate::timeline::Timeline;
use crate::verdict::{NodeVerdict, explain};

/// Makes the run's folder `<time>-<id>` and points `latest` to it.
///
/// # Errors
/// When the folder can't be made.
pub fn create(parent: &Path, now: &jiff::Zoned, run_id: &str) -> io::Result<PathBuf> {
    let name = format!("{}-{run_id}", now.strftime("%Y%m%d-%H%M%S"));
    fs::create_dir_all(parent)?;
    // Cells see the same paths, from wherever they are.
    let parent = fs::canonicalize(parent)?;
    let folder = parent.join(&name);
    fs::create_dir(&folder)?;
    let latest = parent.join("latest");
    // Replaced in one step, so that two runs which end together leave one of their links.
    let fresh = parent.join(format!(".latest-{run_id}"));
    std::os::unix::fs::symlink(&name, &fresh)?;
    fs::rename(&fresh, &latest)?;
    Ok(folder)
}

/// Writes a unit's files: verdict, resolved scenario, and each node's timeline and explanation.
///
/// # Errors
/// When a file can't be written.
pub fn write_unit(
    outcome: &UnitOutcome,
    summary: &UnitSummary,
    timelines: &[Timeline],
) -> io::Result<()> {
    let folder = &outcome.artifacts;
    fs::create_dir_all(folder)?;
    let scenario = &outcome.unit.scenario;
    let resolved = scenario.to_toml().map_err(io::Error::other)?;
    fs::write(folder.join("scenario.resolved.toml"), resolved)?;
    write_json(&folder.join("verdict.json"), summary)?;
    if let Some(why) = &outcome.broken {
        fs::write(folder.join("explain.txt"), why)?;
    }
    let by_name: BTreeMap<&str, &Timeline> = timelines
        .iter()
        .map(|timeline| (timeline.node.as_str(), timeline))
        .collect();
    for ((node, judged), timeline) in scenario.nodes.iter().zip(&summary.nodes).zip(timelines) {
        if matches!(judged.verdict, NodeVerdict::Fail { .. }) {
            let firmware = outcome.unit.firmware;
            let text = explain(scenario, node, firmware, timeline, &judged.verdict, folder);
            let nodes = folder.join("nodes").join(&node.name);
            fs::create_dir_all(&nodes)?;
            fs::write(nodes.join("explain.txt"), text)?;
        }
    }
    write_json(&folder.join("timeline.json"), &by_name)
}

/// Writes `run.json` and `junit.xml`.
///
/// # Errors
/// When a file can't be written.
pub fn write_run(folder: &Path, run: &RunSummary) -> io::Result<String> {
    write_json(&folder.join("run.json"), run)?;
    let xml = junit::render(run).map_err(io::Error::other)?;
    fs::write(folder.join("junit.xml"), &xml)?;
    Ok(xml)
}

fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    fs::write(path, text)
}
