//! Verdicts on all nodes of an attempt.

use super::{NodeVerdict, Unproven, judge, unproven};
use crate::evidence::saved::Attempt;
use crate::evidence::{Observation, Record};
use crate::scenario::Node;
use crate::timeline::{self, StageName, Timeline};

/// Result of one node in an attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeResult {
    pub node: String,
    pub verdict: NodeVerdict,
    /// Stages of the node's boot.
    pub timeline: Timeline,
    /// Claims that a pass does not prove; empty for a node that did not pass.
    pub not_proven: Vec<Unproven>,
    /// Time from start to stop in seconds; `None` if the node never started.
    pub seconds: Option<f64>,
}

/// Judges one node by all evidence.
#[must_use]
pub fn judge_node(attempt: &Attempt, node: &Node) -> NodeResult {
    let scenario = &attempt.scenario;
    let port = attempt.ports.get(&node.name);
    let timeline = timeline::build(scenario, node, &attempt.records, &attempt.wire, port);
    let seconds = attempt.node_seconds.get(&node.name).copied();
    let never_on = timeline.stage(StageName::PowerOn).is_none();
    // A node that finished before the problem keeps its own verdict. Interrupting a cell during its set-up
    // breaks it as well.
    let verdict = match (&attempt.broken, attempt.interrupted, seconds) {
        (_, true, _) if never_on => NodeVerdict::Interrupted,
        (_, true, None) => NodeVerdict::Interrupted,
        (Some(why), _, None) => NodeVerdict::Infra { why: why.clone() },
        _ => judge(scenario, node, attempt.firmware, &timeline),
    };
    let not_proven = match verdict {
        NodeVerdict::Pass => unproven(scenario, node, attempt.firmware, &timeline),
        _ => Vec::new(),
    };
    let verdict = match (verdict, left_behind(&attempt.records)) {
        (NodeVerdict::Pass, Some(what)) => NodeVerdict::Leaked { what },
        (verdict, _) => verdict,
    };
    NodeResult {
        node: node.name.clone(),
        verdict,
        timeline,
        not_proven,
        seconds,
    }
}

/// Returns everything that services of the user left behind when they were stopped.
fn left_behind(records: &[Record]) -> Option<String> {
    let left = records.iter().filter_map(|record| match &record.seen {
        Observation::ServiceLeft { service, what } => Some(format!("{service}: {what}")),
        _ => None,
    });
    let left: Vec<String> = left.collect();
    (!left.is_empty()).then(|| left.join("; "))
}
