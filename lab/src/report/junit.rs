//! The JUnit report: a suite for each scenario and firmware, a case for each node.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestRerun, TestSuite};

use super::{NodeSummary, RunSummary};
use crate::verdict::NodeVerdict;

/// Renders the report as XML.
///
/// # Errors
/// When the XML can't be written, which text of ours does not cause.
pub fn render(run: &RunSummary) -> Result<String, quick_junit::SerializeError> {
    let mut report = Report::new("lab");
    report.set_time(Duration::from_secs_f64(run.seconds));
    for unit in &run.units {
        let mut suite = TestSuite::new(unit.name());
        for node in &unit.nodes {
            let mut case = TestCase::new(node.name.clone(), status(node));
            case.set_classname(unit.name());
            if let Some(seconds) = node.seconds {
                case.set_time(Duration::from_secs_f64(seconds));
            }
            suite.add_test_case(case);
        }
        report.add_test_suite(suite);
    }
    report.to_string()
}

fn status(node: &NodeSummary) -> TestCaseStatus {
    match &node.verdict {
        NodeVerdict::Pass => TestCaseStatus::success(),
        NodeVerdict::Flaky { attempts, first } => {
            let mut status = TestCaseStatus::success();
            let mut rerun = TestRerun::new(NonSuccessKind::Failure);
            rerun.set_type("flaky").set_message(first.clone());
            rerun.set_description(format!("passed in attempt {attempts}"));
            status.add_rerun(rerun);
            status
        }
        NodeVerdict::Skipped { reason } => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(reason.clone());
            status
        }
        NodeVerdict::Leaked { what } => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_type("leaked").set_message(what.clone());
            status
        }
        NodeVerdict::Fail { stage, why, .. } => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status
                .set_type(stage.to_string())
                .set_message(why.lines().next().unwrap_or_default())
                .set_description(why.clone());
            status
        }
        NodeVerdict::Infra { why } => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_type("infra").set_message(why.clone());
            status
        }
        NodeVerdict::Interrupted => {
            let mut status = TestCaseStatus::skipped();
            status.set_message("interrupted");
            status
        }
    }
}
