//! Evidence from the worker itself: results of the captures and libvirt's events.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use lab_model::evidence::clock::now_us;
use lab_model::evidence::saved::{NODES_FOLDER, PORT_FILE};
use lab_model::evidence::{Observation, Record};
use lab_model::scenario::{Node, Scenario};
use tokio::sync::mpsc;

use super::message::Job;
use super::plan;
use crate::capture::Capture;
use crate::capture::ports::{self, Ports};
use crate::hypervisor::events::{DomainChange, DomainEvent};
use crate::node::life::domain_name;

/// Completes the capture and returns its result.
///
/// # Errors
/// A sentence if the capture was aborted.
pub(super) async fn captured(capture: Capture) -> Result<Record, String> {
    let counts = capture.stop().await.map_err(|error| error.to_string())?;
    Ok(Record {
        at_us: now_us(),
        node: None,
        seen: Observation::Captured {
            network: plan::NETWORK.to_owned(),
            frames: counts.frames,
            dropped: counts.dropped,
        },
    })
}

/// Saves the traffic at each machine's own port, and returns its statistics.
///
/// # Errors
/// A sentence if a file cannot be written.
pub(super) async fn keep_ports(ports: Ports, artifacts: &Path) -> Result<Vec<Record>, String> {
    let stopped = tokio::task::spawn_blocking(move || ports.stop()).await;
    let mut records = Vec::new();
    for (node, wire) in stopped.map_err(|error| error.to_string())? {
        let folder = artifacts.join(NODES_FOLDER).join(&node);
        let file = folder.join(PORT_FILE);
        fs::create_dir_all(&folder)
            .and_then(|()| ports::save(&file, &wire))
            .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
        records.push(Record {
            at_us: now_us(),
            node: Some(node),
            seen: Observation::Captured {
                network: plan::NETWORK.to_owned(),
                frames: wire.frames,
                dropped: wire.dropped,
            },
        });
    }
    Ok(records)
}

/// Maps domain names to node names.
pub(super) fn domain_names(job: &Job, scenario: &Scenario) -> HashMap<String, String> {
    let name = |node: &Node| (domain_name(&job.run_id, node), node.name.clone());
    scenario.nodes.iter().map(name).collect()
}

/// Forwards libvirt's events of the scenario's domains.
pub(super) async fn pass_on(
    mut events: mpsc::UnboundedReceiver<DomainEvent>,
    names: HashMap<String, String>,
    records: mpsc::UnboundedSender<Record>,
) {
    while let Some(heard) = events.recv().await {
        let record = Record {
            at_us: heard.at_us,
            node: names.get(&heard.domain).cloned(),
            seen: match heard.change {
                DomainChange::Lifecycle { event, detail } => Observation::Lifecycle {
                    event: event.to_owned(),
                    detail: detail.to_owned(),
                },
                DomainChange::Reset => Observation::Reset,
            },
        };
        if records.send(record).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pass_on_reset_of_a_node_becomes_its_record() {
        let (sender, events) = mpsc::unbounded_channel();
        let (records, mut seen) = mpsc::unbounded_channel();
        let names = HashMap::from([("lab-1-node1".to_owned(), "node1".to_owned())]);
        sender
            .send(DomainEvent {
                at_us: 7,
                domain: "lab-1-node1".into(),
                change: DomainChange::Reset,
            })
            .unwrap();
        drop(sender);
        pass_on(events, names, records).await;
        let reset = Record {
            at_us: 7,
            node: Some("node1".into()),
            seen: Observation::Reset,
        };
        assert_eq!(seen.recv().await, Some(reset));
    }
}
