//! Files of a run: its folder, its reports and the link `runs/latest`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use lab_model::diagnosis::{JudgedNode, explain_judged, judge_attempt};
use lab_model::evidence::saved;
use lab_model::results::AttemptOutcome;
use lab_model::scenario::Firmware;
use lab_model::timeline::Timeline;
use lab_model::untrusted::replace;
use lab_model::verdict::NodeVerdict;
use serde::Serialize;

use super::{AttemptSummary, RunSummary, html, junit};

/// Creates the run's folder `<time>-<id>` and points `latest` to it.
///
/// # Errors
/// Fails if the folder cannot be created.
pub fn create(parent: &Path, now: &jiff::Zoned, run_id: &str) -> io::Result<PathBuf> {
    let name = format!("{}-{run_id}", now.strftime("%Y%m%d-%H%M%S"));
    fs::create_dir_all(parent)?;
    // Cells use the same paths with other working directories.
    let parent = fs::canonicalize(parent)?;
    let folder = parent.join(&name);
    fs::create_dir(&folder)?;
    let latest = parent.join("latest");
    // Replaced atomically, so that of two runs that end at once, one link remains.
    let fresh = parent.join(format!(".latest-{run_id}"));
    std::os::unix::fs::symlink(&name, &fresh)?;
    fs::rename(&fresh, &latest)?;
    Ok(folder)
}

/// Writes the results of an attempt: verdict, timelines, explanations. The evidence was written before.
///
/// # Errors
/// Fails if a file cannot be written.
pub fn write_attempt(outcome: &AttemptOutcome, summary: &AttemptSummary) -> io::Result<()> {
    let folder = &outcome.artifacts;
    fs::create_dir_all(folder)?;
    let attempt = &outcome.attempt;
    let scenario = &attempt.scenario;
    write_json(
        &folder.join("verdict.json"),
        &AttemptVerdict {
            scenario: &scenario.name,
            firmware: attempt.firmware,
            image: &scenario.image.name,
            attempt: summary,
        },
    )?;
    if let Some(why) = &attempt.broken {
        replace(&folder.join("explain.txt"), why)?;
    }
    for (node, judged) in scenario.nodes.iter().zip(&outcome.nodes) {
        if matches!(judged.result.verdict, NodeVerdict::Fail { .. }) {
            let text = explain_judged(attempt, node, judged.clone()).text;
            let nodes = folder.join("nodes").join(&node.name);
            fs::create_dir_all(&nodes)?;
            replace(&nodes.join("explain.txt"), text)?;
        }
    }
    let timelines: BTreeMap<&str, &Timeline> = outcome
        .nodes
        .iter()
        .map(|judged| (judged.result.node.as_str(), &judged.result.timeline))
        .collect();
    write_json(&folder.join("timeline.json"), &timelines)
}

/// Content of an attempt's `verdict.json`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct AttemptVerdict<'a> {
    pub scenario: &'a str,
    pub firmware: Firmware,
    pub image: &'a str,
    #[serde(flatten)]
    pub attempt: &'a AttemptSummary,
}

/// Finds the nodes of an attempt that was judged already, by its artifacts folder in the run's.
pub type FindJudged<'j> = &'j dyn Fn(&Path) -> Option<&'j [JudgedNode]>;

/// Writes `run.json`, `junit.xml` and `index.html`; returns the JUnit report. Attempts that `judged` does not find are
/// judged by what lies in their folders.
///
/// # Errors
/// Fails if a file cannot be written.
pub fn write_run(
    run: &RunSummary,
    judged: FindJudged<'_>,
    consoles: junit::Consoles,
) -> io::Result<String> {
    let folder = &run.folder;
    write_json(&folder.join("run.json"), run)?;
    let xml = junit::render(run, consoles).map_err(io::Error::other)?;
    replace(&folder.join("junit.xml"), &xml)?;
    page(run, judged)?;
    Ok(xml)
}

/// Writes `index.html` from the run's folder; returns its path.
///
/// # Errors
/// Fails if the file cannot be written.
pub fn write_page(run: &RunSummary) -> io::Result<PathBuf> {
    page(run, &|_| None)
}

fn page(run: &RunSummary, judged: FindJudged<'_>) -> io::Result<PathBuf> {
    let path = run.folder.join("index.html");
    let page = html::gather::gather(run, |folder, name| {
        let attempt = saved::load(folder)?;
        let nodes = match judged(name) {
            Some(nodes) => nodes.to_vec(),
            None => judge_attempt(&attempt),
        };
        Ok::<_, saved::SavedError>((attempt, nodes))
    });
    replace(&path, html::render(&page))?;
    Ok(path)
}

fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    replace(path, text)
}
