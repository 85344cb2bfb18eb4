//! Evidence from the worker itself: results of the captures, and events of libvirt and the services.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

use boot_server_events::Event;
use lab_model::evidence::clock::now_us;
use lab_model::evidence::saved::{NODES_FOLDER, PORT_FILE};
use lab_model::evidence::{Observation, Record};
use lab_model::scenario::{Node, Scenario};
use tokio::sync::mpsc;

use super::error::AttemptError;
use super::message::Job;
use super::plan;
use super::services::ServiceEvent;
use crate::capture::ports::{self, Ports};
use crate::capture::{Capture, CaptureFault};
use crate::hypervisor::events::{DomainChange, DomainEvent};
use crate::node::life::domain_name;

/// Completes the capture and returns its result.
///
/// # Errors
/// [`CaptureFault`] if the capture was aborted.
pub(super) async fn captured(network: String, capture: Capture) -> Result<Record, CaptureFault> {
    let counts = capture.stop().await?;
    Ok(Record {
        at_us: now_us(),
        node: None,
        seen: Observation::Captured {
            network,
            frames: counts.frames,
            dropped: counts.dropped,
        },
    })
}

/// Saves the traffic at each machine's own port, and returns its statistics.
///
/// # Errors
/// [`AttemptError::Port`] if a file cannot be written.
pub(super) async fn keep_ports(
    ports: Ports,
    artifacts: &Path,
) -> Result<Vec<Record>, AttemptError> {
    let stopped = tokio::task::spawn_blocking(move || ports.stop()).await;
    let mut records = Vec::new();
    for (node, wire) in stopped.map_err(io::Error::other)? {
        let folder = artifacts.join(NODES_FOLDER).join(&node);
        let file = folder.join(PORT_FILE);
        fs::create_dir_all(&folder)
            .and_then(|()| ports::save(&file, &wire))
            .map_err(|source| AttemptError::Port { path: file, source })?;
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

/// Converts a service's output into a record of the node concerned.
pub(super) fn record_of(told: ServiceEvent, nodes: &[Node]) -> Option<Record> {
    Some(match told {
        // The capture of the machine's port has the request itself.
        ServiceEvent::Requested { .. } => return None,
        ServiceEvent::Killed { service, detail } => {
            of_service(Observation::ServiceKilled { service, detail })
        }
        ServiceEvent::Event { service, event } => Record {
            at_us: event.at_us,
            node: node_of(&event, nodes),
            seen: Observation::Server {
                service,
                entry: event,
            },
        },
        ServiceEvent::Ended { service, detail } => {
            of_service(Observation::ServiceEnded { service, detail })
        }
        ServiceEvent::Restarted { service, detail } => {
            let detail = format!("{detail} (started again)");
            of_service(Observation::ServiceEnded { service, detail })
        }
        ServiceEvent::Refused(frame) => {
            let mut nodes = nodes.iter();
            let sender = nodes.find(|node| node.mac == frame.source);
            Record {
                node: sender.map(|node| node.name.clone()),
                ..of_service(Observation::FrameRefused(frame))
            }
        }
        ServiceEvent::Line {
            service,
            stream,
            line,
        } => of_service(Observation::ServiceLine {
            service,
            stream,
            line,
        }),
        ServiceEvent::LeftBehind { service, what } => {
            of_service(Observation::ServiceLeft { service, what })
        }
    })
}

/// Builds a record of a service that concerns no single node.
fn of_service(seen: Observation) -> Record {
    Record {
        at_us: now_us(),
        node: None,
        seen,
    }
}

/// Returns the node of an event: by MAC, which is unambiguous on this bridge, else by UUID.
fn node_of(event: &Event, nodes: &[Node]) -> Option<String> {
    let who = event.what.who()?;
    let by_mac = |node: &&Node| who.mac == Some(node.mac.into());
    let by_uuid = |node: &&Node| who.uuid == Some(node.uuid.into());
    nodes
        .iter()
        .find(by_mac)
        .or_else(|| nodes.iter().find(by_uuid))
        .map(|node| node.name.clone())
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
