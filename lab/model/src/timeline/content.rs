//! Bytes of an answer: as they arrived at the machine's own port, as a service reports them, and as they are on
//! disk.

use std::collections::HashMap;
use std::net::IpAddr;

use boot_server_policy::BootConfig;
use boot_server_policy::Policy;
use serde::{Deserialize, Serialize};

use super::named::Named;
use super::{Entry, Fact, Key, Origin, Outcome, StageEvent, port, wire};
use crate::evidence::packet::{Endpoint, Protocol, TransferEnd, Wire};
use crate::evidence::{Observation, Record};
use crate::scenario::{Image, Network, Node, PixiecoreService, Scenario};
use crate::timeline::StageName;

/// Maximum time between an answer and its arrival.
const SAME_WITHIN_US: u64 = 3_000_000;

/// SHA-256 hashes of one answer in hexadecimal, by source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentSeen {
    /// Hash of the content that arrived at the machine's own port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrived: Option<String>,
    /// Hash of the content that the service reports as sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<String>,
    /// Hash of the service's file on disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_disk: Option<String>,
    /// Sender of the received bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// True if the sender has the address of a service of the scenario.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_of_host: bool,
}

/// Difference between received and expected bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// The service sent other bytes.
    FromSent,
    /// The service's file has other bytes.
    FromDisk,
}

impl ContentSeen {
    pub(super) fn sent(sha256: Option<&str>) -> Option<ContentSeen> {
        let sent = Some(sha256?.to_owned());
        Some(ContentSeen {
            sent,
            ..ContentSeen::default()
        })
    }

    /// Returns the difference between received and expected bytes, if both are known.
    #[must_use]
    pub fn difference(&self) -> Option<Difference> {
        let arrived = self.arrived.as_deref()?;
        let differs = |known: &Option<String>| {
            known
                .as_deref()
                .is_some_and(|known| !known.eq_ignore_ascii_case(arrived))
        };
        if differs(&self.sent) {
            Some(Difference::FromSent)
        } else if differs(&self.on_disk) {
            Some(Difference::FromDisk)
        } else {
            None
        }
    }

    /// True if the received bytes were compared with a reference.
    #[must_use]
    pub fn is_compared(&self) -> bool {
        self.arrived.is_some() && (self.sent.is_some() || self.on_disk.is_some())
    }
}

/// Complete arrival at the machine's port.
struct Arrival<'r> {
    protocol: Protocol,
    name: &'r str,
    from: &'r Endpoint,
    /// The machine's end, where the capture of its port tells it.
    to: Option<&'r Endpoint>,
    start_us: u64,
    sha256: &'r str,
    text: Option<&'r str>,
}

/// Returns all complete arrivals at the port of `node`.
fn arrivals<'r>(node: &Node, records: &'r [Record], port: Option<&'r Wire>) -> Vec<Arrival<'r>> {
    let own = records
        .iter()
        .filter(|record| record.node.as_deref() == Some(&node.name));
    let mut all: Vec<Arrival> = own
        .filter_map(|record| match &record.seen {
            Observation::Arrived {
                protocol,
                name,
                from,
                start_us,
                content,
                ..
            } => Some(Arrival {
                protocol: *protocol,
                name,
                from,
                to: None,
                start_us: *start_us,
                sha256: &content.sha256,
                text: content.text.as_deref(),
            }),
            _ => None,
        })
        .collect();
    let transfers = port.into_iter().flat_map(|wire| &wire.transfers);
    for transfer in transfers {
        // A machine that starts its kernel may never acknowledge the last segment of the initrd (iPXE 1.21 on UEFI):
        // the transfer has no end then, and every byte of it crossed the port all the same.
        let has_crossed = [TransferEnd::Whole, TransferEnd::Open].contains(&transfer.end);
        let Some(content) = transfer.content.as_ref().filter(|_| has_crossed) else {
            continue;
        };
        let known = all
            .iter_mut()
            .find(|one| one.name == transfer.name && one.start_us == transfer.start_us);
        if let Some(known) = known {
            known.to = Some(&transfer.to);
        } else {
            all.push(Arrival {
                protocol: transfer.protocol,
                name: &transfer.name,
                from: &transfer.from,
                to: Some(&transfer.to),
                start_us: transfer.start_us,
                sha256: &content.sha256,
                text: content.text.as_deref(),
            });
        }
    }
    all.sort_by_key(|arrival| arrival.start_us);
    all
}

/// Returns the texts that arrived at the port of `node`: its configs and scripts.
pub(super) fn texts<'r>(
    node: &Node,
    records: &'r [Record],
    port: Option<&'r Wire>,
) -> Vec<&'r str> {
    let arrived = arrivals(node, records, port);
    arrived.iter().filter_map(|arrival| arrival.text).collect()
}

/// Adds received and expected hashes to the answers in `entries`.
pub(super) fn compare(
    entries: &mut Vec<Entry>,
    scenario: &Scenario,
    node: &Node,
    records: &[Record],
    port: Option<&Wire>,
) {
    let mut taken = vec![false; entries.len()];
    for arrival in arrivals(node, records, port) {
        let free = entries.iter().zip(&taken).enumerate();
        let fitting = free.filter(|(_, (entry, taken))| !**taken && arrival.is_of(entry));
        // UEFI firmware asks for the size first: by TFTP it breaks that transfer off, by HTTP it sends HEAD.
        let best = fitting.min_by_key(|(_, (entry, _))| {
            let stage_event = &entry.stage_event;
            (
                stage_event.origin != Origin::Server,
                stage_event.outcome != Outcome::Done,
            )
        });
        let index = best.map(|(index, _)| index).or_else(|| {
            entries.push(arrival.entry(scenario)?);
            taken.push(false);
            Some(entries.len() - 1)
        });
        let Some(index) = index else { continue };
        if let (Some(entry), Some(taken)) = (entries.get_mut(index), taken.get_mut(index)) {
            *taken = true;
            let content = entry.stage_event.content.get_or_insert_default();
            content.arrived = Some(arrival.sha256.to_owned());
            content.from = Some(sender(arrival.from));
            content.is_of_host = match arrival.from.address {
                Some(IpAddr::V4(address)) => scenario.is_service_address(address),
                _ => false,
            };
            // A part by itself has no content: all parts of the file arrived.
            let is_noted = entry.stage_event.outcome == Outcome::Noted;
            let fact = &entry.stage_event.fact;
            if is_noted && (fact.is_part() || is_whole_without_end(fact)) {
                entry.stage_event.outcome = Outcome::Done;
            }
        }
    }
    let manifest = Manifest::read(records);
    for entry in entries {
        // A file of the same name from another server is a different file.
        let content = entry.stage_event.content.as_ref();
        let is_of_ours = entry.stage_event.origin == Origin::Server
            || scenario.has_own_boot_options() && content.is_some_and(|content| content.is_of_host);
        let hash = manifest.hash_of(entry.stage, &entry.stage_event, scenario, node);
        if let Some(hash) = hash.filter(|_| is_of_ours) {
            entry.stage_event.content.get_or_insert_default().on_disk = Some(hash.to_owned());
        }
    }
}

/// True for a transfer without an end of which every byte arrived: the machine started its kernel before it
/// acknowledged the last segment.
fn is_whole_without_end(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::Transferred { end: TransferEnd::Open, bytes, announced: Some(announced), .. }
            if bytes == announced
    )
}

fn sender(from: &Endpoint) -> String {
    from.address
        .map_or_else(|| from.mac.clone(), |address| address.to_string())
}

impl Arrival<'_> {
    fn is_of(&self, entry: &Entry) -> bool {
        let is_named = match (&entry.key, self.protocol) {
            (Some(Key::TftpDone(named) | Key::TftpFailed(named)), Protocol::Tftp) => {
                *named == Named::of(self.name)
            }
            (Some(Key::Http(target)), Protocol::Http) => target == self.name,
            _ => false,
        };
        let stage_event = &entry.stage_event;
        let begin_us = stage_event
            .at_us
            .saturating_sub(entry.took_us + SAME_WITHIN_US);
        is_named
            && stage_event.impostor.is_none()
            && port::is_same_peer(entry.peer, self.to.and_then(port::socket))
            && (begin_us..=stage_event.at_us + SAME_WITHIN_US).contains(&self.start_us)
    }

    /// Builds an observation of an arrival that neither packet nor event shows.
    fn entry(&self, scenario: &Scenario) -> Option<Entry> {
        let (protocol, name, from) = (self.protocol, self.name, sender(self.from));
        let fact = Fact::Arrived {
            protocol,
            name: name.to_owned(),
            from,
        };
        let arrived = StageEvent::new(self.start_us, Origin::Wire, Outcome::Done, fact);
        match protocol {
            Protocol::Tftp => wire::tftp(name, arrived, Key::TftpDone(Named::of(name)), scenario),
            Protocol::Http => wire::http(name, None, self.text, arrived, scenario),
        }
    }
}

/// Hashes of the services' files on disk, by path below the assets or TFTP name.
struct Manifest<'r>(HashMap<&'r str, &'r str>);

impl<'r> Manifest<'r> {
    fn read(records: &'r [Record]) -> Manifest<'r> {
        let files = records.iter().filter_map(|record| match &record.seen {
            Observation::Manifest { file, sha256, .. } => Some((bare(file), sha256.as_str())),
            _ => None,
        });
        Manifest(files.collect())
    }

    fn hash_of(
        &self,
        stage: StageName,
        stage_event: &StageEvent,
        scenario: &Scenario,
        node: &Node,
    ) -> Option<&'r str> {
        let subject = stage_event.subject.as_deref()?;
        if stage_event.outcome == Outcome::Failed || stage_event.impostor.is_some() {
            return None;
        }
        if let Some(hash) = self.0.get(bare(subject)) {
            return Some(hash);
        }
        if stage == StageName::Nbp {
            let program = pixiecore_program(subject, scenario)?;
            return self.0.get(program.as_str()).copied();
        }
        // Pixiecore hides the file name; if there is only one file of a kind, it must be that one.
        let usual = |file: &str| format!("coreos/current/{file}");
        let expect = &node.expect;
        let file = match (stage, expect.initrd.as_slice()) {
            _ if subject != "_/file" => return None,
            (StageName::Kernel, _) => expect
                .kernel
                .clone()
                .unwrap_or_else(|| usual(Image::KERNEL)),
            (StageName::Initrd, []) => usual(Image::INITRD),
            (StageName::Initrd, [only]) => only.clone(),
            _ => return None,
        };
        self.0.get(file.as_str()).copied()
    }
}

/// Returns the file that the boot server in Pixiecore mode sends under the TFTP name `<mac>/<number>`; `None` if the user's
/// own configuration may name others.
fn pixiecore_program(name: &str, scenario: &Scenario) -> Option<String> {
    let services = &scenario.services;
    let is_usual =
        services.pixiecore == PixiecoreService::BootServer && services.boot_server_config.is_none();
    let boot = BootConfig {
        bios: scenario.boot.bios,
        ..BootConfig::default()
    };
    let host = scenario.network.host();
    let policy = Policy::pixiecore(host, boot, Network::HTTP_PORT);
    let file = policy.pixiecore_file(name).filter(|_| is_usual)?;
    Some(file.to_owned())
}

/// Removes the folder under which a service offers the file.
pub(crate) fn bare(path: &str) -> &str {
    let path = path.trim_start_matches(['/', '\\']);
    let below = path.strip_prefix("assets/");
    below.or_else(|| path.strip_prefix("nbp/")).unwrap_or(path)
}
