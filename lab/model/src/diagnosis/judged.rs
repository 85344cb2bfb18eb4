//! The one value that reports take of an attempt: each node judged and diagnosed, once, when the attempt ends. Only what
//! reads an attempt back from its folder (`lab explain`, `lab report`) makes it again.

use super::{Finding, diagnose};
use crate::evidence::saved::Attempt;
use crate::scenario::Node;
use crate::verdict::{self, NodeResult};

/// One node of an attempt, judged and diagnosed.
#[derive(Debug, Clone, PartialEq)]
pub struct JudgedNode {
    /// Verdict and timeline.
    pub result: NodeResult,
    /// Causes of a failure, best first; empty for a node that did not fail.
    pub findings: Vec<Finding>,
}

/// Judges and diagnoses every node of an attempt, in the scenario's order.
#[must_use]
pub fn judge_attempt(attempt: &Attempt) -> Vec<JudgedNode> {
    let nodes = attempt.scenario.nodes.iter();
    nodes.map(|node| judge_node(attempt, node)).collect()
}

/// Judges and diagnoses one node of an attempt.
#[must_use]
pub fn judge_node(attempt: &Attempt, node: &Node) -> JudgedNode {
    let result = verdict::judge_node(attempt, node);
    let findings = diagnose(attempt, node, &result.timeline, &result.verdict);
    JudgedNode { result, findings }
}
