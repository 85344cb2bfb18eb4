//! JUnit report: one suite per scenario and firmware, one case per node.
//!
//! The report follows Jenkins' schema, which includes Maven Surefire's elements for retries; GitLab, GitHub
//! Actions and Jenkins read it.

#[cfg(test)]
mod tests;

use std::time::Duration;

use lab_model::verdict::NodeVerdict;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestRerun, TestSuite};

use super::excerpts::{console_tail, explanation};
use super::{AttemptSummary, NodeSummary, RunSummary, UnitSummary};

/// Nodes whose console is quoted in the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Consoles {
    /// Consoles of nodes that did not pass: those of 42 passes make 700 kB.
    #[default]
    Failures,
    /// Consoles of all nodes.
    All,
}

/// Renders the report as XML.
///
/// # Errors
/// Fails if the XML cannot be written, which the lab's own text never causes.
pub fn render(run: &RunSummary, consoles: Consoles) -> Result<String, quick_junit::SerializeError> {
    let mut report = Report::new("lab");
    report.set_time(Duration::from_secs_f64(run.seconds));
    for unit in &run.units {
        report.add_test_suite(suite(run, unit, consoles));
    }
    report.to_string()
}

fn suite(run: &RunSummary, unit: &UnitSummary, consoles: Consoles) -> TestSuite {
    let mut suite = TestSuite::new(unit.name());
    let firmware = unit.firmware.name();
    let properties = [
        ("run", run.run_id.as_str()),
        ("accelerator", &run.accelerator),
        ("scenario", &unit.scenario),
        ("firmware", firmware),
        ("image", &unit.image),
    ];
    suite.add_properties(properties);
    if let Some(rehearsal) = &run.rehearsal {
        let data = rehearsal.data.display().to_string();
        suite.add_property(("rehearsal", data.as_str()));
        suite.add_property(("network", rehearsal.network.as_str()));
    }
    let longest = unit.nodes.iter().filter_map(|node| node.seconds);
    // Machines run concurrently, so the sum of their times would be misleading.
    suite.set_time(Duration::from_secs_f64(longest.fold(0.0, f64::max)));
    for node in &unit.nodes {
        let mut case = TestCase::new(node.name.clone(), status(run, unit, node));
        case.set_classname(unit.name());
        if let Some(seconds) = node.seconds {
            case.set_time(Duration::from_secs_f64(seconds));
        }
        let is_quoted = consoles == Consoles::All || node.verdict != NodeVerdict::Pass;
        if let Some(last) = unit.last().filter(|_| is_quoted) {
            let console = console_tail(run, last, &node.name);
            if !console.is_empty() {
                case.set_system_out(console);
            }
        }
        suite.add_test_case(case);
    }
    suite
}

fn status(run: &RunSummary, unit: &UnitSummary, node: &NodeSummary) -> TestCaseStatus {
    let of = |kind, ty: &str, message: &str| {
        let mut status = TestCaseStatus::non_success(kind);
        status.set_type(ty).set_message(message);
        status
    };
    let mut status = match &node.verdict {
        NodeVerdict::Pass | NodeVerdict::Flaky { .. } => TestCaseStatus::success(),
        NodeVerdict::Fail { stage, why, .. } => {
            let mut status = of(NonSuccessKind::Failure, stage.name(), first_line(why));
            if let Some(last) = unit.last() {
                status.set_description(explanation(run, last, node));
            }
            status
        }
        NodeVerdict::Leaked { what } => of(NonSuccessKind::Error, "leaked", what),
        NodeVerdict::Infra { why } => {
            let mut status = of(NonSuccessKind::Error, "infra", first_line(why));
            status.set_description(why.clone());
            status
        }
        NodeVerdict::Skipped { .. } | NodeVerdict::Interrupted => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(node.verdict.sentence());
            return status;
        }
    };
    let earlier = unit
        .attempts
        .split_last()
        .map_or(&[][..], |(_, earlier)| earlier);
    status.add_reruns(
        earlier
            .iter()
            .filter_map(|attempt| rerun(run, attempt, &node.name)),
    );
    status
}

/// Returns the rerun element of an earlier attempt in which the node did not pass.
fn rerun(run: &RunSummary, attempt: &AttemptSummary, node: &str) -> Option<TestRerun> {
    let node = attempt.nodes.iter().find(|one| one.name == node)?;
    let (kind, ty, why) = match &node.verdict {
        NodeVerdict::Fail { stage, why, .. } => (NonSuccessKind::Failure, stage.name(), why),
        NodeVerdict::Infra { why } => (NonSuccessKind::Error, "infra", why),
        _ => return None,
    };
    let mut rerun = TestRerun::new(kind);
    rerun.set_type(ty).set_message(first_line(why));
    // Viewers look here for the reason of a run that did not count.
    rerun.set_stack_trace(explanation(run, attempt, node));
    rerun.set_system_out(console_tail(run, attempt, &node.name));
    // The schema has no place for its duration.
    Some(rerun)
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
