//! Stages as shown by packets, including those of foreign servers.
//!
//! An observation that is also an event of the lab's servers is listed once: the event, with the packet's
//! number.

use std::fmt::Write;

use boot_server_proto::dhcp::MessageType;

use sha2::{Digest, Sha256};

use super::classify::{expected_file, http_stage, leads_on, nbp_file, tftp_stage};
use super::identity::Identities;
use super::named::Named;
use super::port::{self, View};
use super::{Entry, Fact, Key, Origin, Outcome, StageEvent, StageName};
use crate::evidence::DhcpKind;
use crate::evidence::packet::{
    DhcpSaid, Direction, Endpoint, Packet, PacketContent, Protocol, Transfer, TransferEnd,
};
use crate::scenario::Scenario;

/// Maximum time between an event and its packet: a server reports an HTTP answer or a transfer at its end, the
/// capture at its start.
const SAME_WITHIN_US: u64 = 3_000_000;

/// Returns everything that packets show of the machine, in order.
pub(super) fn entries(view: &View) -> Vec<Entry> {
    let packets = view.wire.packets.iter();
    let transfers = view.wire.transfers.iter();
    let mut entries: Vec<Entry> = packets
        .filter_map(|packet| of_packet(packet, view))
        .chain(
            transfers
                .filter(|transfer| view.got(transfer))
                .filter_map(|transfer| of_transfer(transfer, view)),
        )
        .collect();
    entries.sort_by_key(|entry| entry.stage_event.at_us);
    entries
}

/// Returns the copies of the machine's DHCP messages that relays sent in the servers' network, and the answers to
/// them. Packets that crossed the machine's own port are not among them.
pub(super) fn relayed(view: &View, mac: &str) -> Vec<Entry> {
    let first_us = view
        .wire
        .packets
        .iter()
        .find_map(|packet| match &packet.what {
            PacketContent::Dhcp(said) if view.is_own_dhcp(packet, said) => Some(packet.at_us),
            _ => None,
        });
    let Some(first_us) = first_us.filter(|_| view.has_port()) else {
        return Vec::new();
    };
    let packets = view.segment.packets.iter();
    let copies = packets.filter_map(|packet| match &packet.what {
        PacketContent::Dhcp(said) if said.client == mac && packet.from.mac != mac => {
            let is_relayed = match said.from_server {
                true => said.relay.is_some() && packet.to.port == Some(SERVER_PORT),
                false => said.relay.is_some() || packet.to.mac != EVERYBODY,
            };
            (is_relayed && packet.at_us >= first_us).then_some((packet, said))
        }
        _ => None,
    });
    copies.map(|(packet, said)| across(packet, said)).collect()
}

/// Port of DHCP servers and relays (RFC 2131 §4.1).
const SERVER_PORT: u16 = 67;

/// MAC of broadcasts.
const EVERYBODY: &str = "ff:ff:ff:ff:ff:ff";

fn across(packet: &Packet, said: &DhcpSaid) -> Entry {
    let named = |end: &Endpoint| match end.address {
        Some(address) => address.to_string(),
        None => end.mac.clone(),
    };
    let (message, relay) = (said.message, said.relay);
    let fact = match said.from_server {
        true => Fact::DhcpToRelay {
            message,
            given: said.given,
            by: named(&packet.from),
            relay,
        },
        false => Fact::DhcpRelayed {
            message,
            by: named(&packet.from),
            to: named(&packet.to),
            relay,
            link: said.link,
        },
    };
    Entry {
        stage: StageName::Dhcp,
        stage_event: StageEvent {
            frame: Some(packet.into()),
            ..StageEvent::new(packet.at_us, Origin::Wire, Outcome::Noted, fact)
        },
        took_us: 0,
        key: None,
        peer: None,
        on_the_wire: String::new(),
    }
}

/// Adds observations from packets to those from servers, without duplicates.
pub(super) fn merge(told: &mut Vec<Entry>, seen: Vec<Entry>) {
    let mut taken = vec![false; told.len()];
    for entry in seen {
        let same = told.iter().zip(&taken).position(|(other, taken)| {
            !taken
                && entry.key.is_some()
                && other.key == entry.key
                && port::is_same_peer(other.peer, entry.peer)
                && apart_us(other, &entry) <= SAME_WITHIN_US
        });
        match same {
            Some(index) => {
                if let Some(taken) = taken.get_mut(index) {
                    *taken = true;
                }
                if let Some(other) = told.get_mut(index) {
                    other.stage_event.frame = entry.stage_event.frame.clone();
                    other.stage_event.text.push_str(&entry.on_the_wire);
                }
            }
            None => {
                taken.push(true);
                told.push(entry);
            }
        }
    }
}

/// Returns the distance between two intervals of time.
fn apart_us(one: &Entry, other: &Entry) -> u64 {
    let start = |entry: &Entry| entry.stage_event.at_us.saturating_sub(entry.took_us);
    let gap = |late: &Entry, early: &Entry| start(late).saturating_sub(early.stage_event.at_us);
    gap(one, other).max(gap(other, one))
}

/// Marks messages at the machine's own port that name another node as their sender: they are evidence against this
/// machine, as the same claims in a server's event are.
pub(super) fn mark_borrowed(entries: &mut [Entry], node: &str, view: &View, of: &Identities) {
    let mut messages: Vec<(u32, &str)> = Vec::new();
    for packet in view.wire.packets.iter().filter(|one| view.sent(one)) {
        if let PacketContent::Dhcp(said) = &packet.what {
            messages.extend(said.uuid.as_deref().map(|uuid| (said.xid, uuid)));
        }
    }
    for entry in entries {
        let claimed = match &entry.key {
            // An answer is to the identity in the request.
            Some(Key::Dhcp { xid, .. }) => {
                let said = messages.iter().filter(|(sent, _)| sent == xid);
                of.borrowed(node, said.map(|(_, uuid)| *uuid))
            }
            Some(Key::Http(target)) => of.borrowed(node, names_in_query(target)),
            Some(Key::TftpAsked(named) | Key::TftpDone(named) | Key::TftpFailed(named)) => {
                of.borrowed(node, named.machine())
            }
            None => None,
        };
        if let Some(other) = claimed {
            let stage_event = &mut entry.stage_event;
            stage_event.outcome = Outcome::Failed;
            stage_event.text = format!("asked in the name of {other}: {}", stage_event.text);
            stage_event.claimed = Some(other.to_owned());
        }
    }
}

/// Returns the values by which a request names its machine.
fn names_in_query(target: &str) -> impl Iterator<Item = &str> {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .filter(|(key, _)| ["uuid", "mac"].contains(key))
        .map(|(_, value)| value)
}

fn of_packet(packet: &Packet, view: &View) -> Option<Entry> {
    let (from_it, to_it) = (view.sent(packet), view.received(packet));
    let told = |outcome, fact| StageEvent {
        frame: view.frame(packet),
        ..StageEvent::new(packet.at_us, Origin::Wire, outcome, fact)
    };
    let peer = port::socket(if from_it { &packet.from } else { &packet.to });
    let mut entry = match &packet.what {
        PacketContent::Dhcp(said) if view.is_own_dhcp(packet, said) => {
            let is_bare = said.from_server && said.given.is_none();
            let informed = is_bare && answers_inform(said, view.wire);
            Some(dhcp(packet, said, informed, told))
        }
        PacketContent::TftpRequest {
            file, write: false, ..
        } if from_it => {
            let fact = Fact::TftpAsked { file: file.clone() };
            tftp(
                file,
                told(Outcome::Noted, fact),
                Key::TftpAsked(Named::of(file)),
                view.scenario,
            )
        }
        PacketContent::TftpError {
            code,
            message,
            file: Some(file),
        } if from_it || to_it => {
            // A receiver that aborts after reading the size will send another request.
            let outcome = if from_it {
                Outcome::Noted
            } else {
                Outcome::Failed
            };
            let fact = Fact::TftpError {
                file: file.clone(),
                by_machine: from_it,
                code: *code,
                message: message.clone(),
            };
            let key = Key::TftpFailed(Named::of(file));
            tftp(file, told(outcome, fact), key, view.scenario)
        }
        PacketContent::HttpResponse {
            status,
            target: Some(target),
            body,
            length,
        } if to_it => {
            let has_transfer = view.wire.transfers.iter().any(|transfer| {
                transfer.protocol == Protocol::Http
                    && view.got(transfer)
                    && transfer.name == *target
                    && transfer.end_us >= packet.at_us
                    && transfer.start_us.abs_diff(packet.at_us) < SAME_WITHIN_US
            });
            if has_transfer && *status < 300 {
                return None;
            }
            let outcome = match status {
                400.. => Outcome::Failed,
                200..300 => Outcome::Done,
                _ => Outcome::Noted,
            };
            let agent = agent_of(view, packet, target);
            let hash = hash(body.as_deref(), *length);
            let fact = Fact::HttpAnswer {
                target: target.clone(),
                status: *status,
                from: packet.from.address.map(|address| address.to_string()),
                hash: hash.clone(),
            };
            let told = told(outcome, fact);
            let mut entry = http(target, agent, body.as_deref(), told, view.scenario)?;
            entry.on_the_wire = hash;
            Some(entry)
        }
        _ => None,
    }?;
    if !matches!(packet.what, PacketContent::Dhcp(_)) {
        entry.peer = peer;
    }
    Some(entry)
}

/// True for the answer to an INFORM, which has no address and does not come from a proxy (RFC 2131 §4.3.5).
fn answers_inform(answer: &DhcpSaid, wire: &crate::evidence::packet::Wire) -> bool {
    wire.packets.iter().any(|packet| match &packet.what {
        PacketContent::Dhcp(said) => {
            said.is(MessageType::Inform) && said.xid == answer.xid && said.client == answer.client
        }
        _ => false,
    })
}

fn dhcp(
    packet: &Packet,
    said: &DhcpSaid,
    informed: bool,
    told: impl Fn(Outcome, Fact) -> StageEvent,
) -> Entry {
    let on_4011 = [packet.from.port, packet.to.port].contains(&Some(4011));
    let message = said.message;
    let server = said.server.map(|server| server.to_string());
    let from = server
        .or_else(|| packet.from.address.map(|address| address.to_string()))
        .unwrap_or_else(|| packet.from.mac.clone());
    let (stage, stage_event) = match (said.from_server, said.given) {
        (false, _) => {
            let stage = if on_4011 {
                StageName::Proxy
            } else {
                StageName::Dhcp
            };
            let fact = Fact::DhcpAsked {
                message,
                wanted: said.wanted,
                port: if on_4011 { 4011 } else { 67 },
                arch: said.arch.clone(),
                user_class: said.user_class.clone(),
            };
            (stage, told(Outcome::Noted, fact))
        }
        (true, _) if informed => {
            let fact = Fact::DhcpInformed { message, from };
            (StageName::Dhcp, told(Outcome::Noted, fact))
        }
        (true, given) if said.is(MessageType::Nak) || (given.is_some() && !on_4011) => {
            let outcome = match said.message {
                DhcpKind::Dhcp(MessageType::Nak) => Outcome::Failed,
                DhcpKind::Dhcp(MessageType::Ack) | DhcpKind::Bootp => Outcome::Done,
                _ => Outcome::Noted,
            };
            let fact = Fact::DhcpAnswer {
                message,
                given,
                from,
                boot_file: said.boot_file.clone(),
            };
            (StageName::Dhcp, told(outcome, fact))
        }
        (true, _) => {
            let outcome = if said.boot_file.is_some() {
                Outcome::Done
            } else {
                Outcome::Noted
            };
            let fact = Fact::ProxyAnswer {
                message,
                from,
                on_4011,
                boot_file: said.boot_file.clone(),
            };
            (StageName::Proxy, told(outcome, fact))
        }
    };
    let mut stage_event = stage_event;
    stage_event.subject = said.boot_file.clone().filter(|_| said.from_server);
    let key = Key::Dhcp {
        message,
        xid: said.xid,
        given: said.given.filter(|_| said.from_server),
    };
    Entry {
        stage,
        stage_event,
        took_us: 0,
        key: Some(key),
        peer: None,
        on_the_wire: String::new(),
    }
}

pub(super) fn tftp(
    file: &str,
    stage_event: StageEvent,
    key: Key,
    scenario: &Scenario,
) -> Option<Entry> {
    let (stage, stage_event) = tftp_stage(file, stage_event, scenario);
    Some(Entry {
        stage,
        stage_event,
        took_us: 0,
        key: Some(key),
        peer: None,
        on_the_wire: String::new(),
    })
}

fn of_transfer(transfer: &Transfer, view: &View) -> Option<Entry> {
    let Transfer { name, bytes, .. } = transfer;
    let whole = transfer.end == TransferEnd::Whole;
    let outcome = match transfer.end {
        TransferEnd::Whole => Outcome::Done,
        TransferEnd::BrokenBySender => Outcome::Failed,
        TransferEnd::BrokenByReceiver | TransferEnd::Open => Outcome::Noted,
    };
    let took_us = transfer.end_us.saturating_sub(transfer.start_us);
    let from = transfer
        .from
        .address
        .map_or_else(|| transfer.from.mac.clone(), |a| a.to_string());
    let mut speed = String::new();
    // Writing to a `String` cannot fail.
    if took_us > 0 {
        let rate = *bytes as f64 / took_us as f64;
        let _ = write!(speed, ", {rate:.2} MB/s");
    }
    if transfer.retransmits > 0 {
        let _ = write!(speed, ", {} packets retransmitted", transfer.retransmits);
    }
    let fact = Fact::Transferred {
        protocol: transfer.protocol,
        name: name.clone(),
        bytes: *bytes,
        from,
        speed: speed.clone(),
        end: transfer.end,
        announced: transfer.announced,
    };
    let stage_event = StageEvent {
        frame: port::first_frame_in(view.segment, transfer),
        ..StageEvent::new(transfer.end_us, Origin::Wire, outcome, fact)
    };
    let mut entry = match transfer.protocol {
        Protocol::Tftp => {
            let named = Named::of(name);
            let key = if whole {
                Key::TftpDone(named)
            } else {
                Key::TftpFailed(named)
            };
            tftp(name, stage_event, key, view.scenario)?
        }
        Protocol::Http => {
            let answer = view.wire.packets.iter().find(|packet| {
                view.received(packet)
                    && packet.at_us.abs_diff(transfer.start_us) < SAME_WITHIN_US
                    && matches!(&packet.what, PacketContent::HttpResponse { target: Some(target), .. } if target == name)
            });
            let (body, length) = match answer.map(|packet| &packet.what) {
                Some(PacketContent::HttpResponse { body, length, .. }) => {
                    (body.as_deref(), *length)
                }
                _ => (None, None),
            };
            let hash = hash(body, length);
            speed.push_str(&hash);
            let agent = answer.and_then(|packet| agent_of(view, packet, name));
            let mut entry = http(name, agent, body, stage_event, view.scenario)?;
            entry.stage_event.text.push_str(&hash);
            entry
        }
    };
    entry.took_us = took_us;
    entry.peer = port::socket(&transfer.to);
    entry.on_the_wire = speed;
    Some(entry)
}

/// Returns the stage that the machine begins or continues with this request at its own port.
#[must_use]
pub fn requested_stage(packet: &Packet, scenario: &Scenario) -> Option<StageName> {
    let is_own = packet.direction == Some(Direction::FromMachine);
    match &packet.what {
        _ if !is_own => None,
        PacketContent::Dhcp(said) if !said.from_server => Some(match packet.to.port {
            Some(4011) => StageName::Proxy,
            _ => StageName::Dhcp,
        }),
        PacketContent::TftpRequest {
            file, write: false, ..
        } => {
            let asked = Fact::TftpAsked { file: file.clone() };
            let asked = StageEvent::new(packet.at_us, Origin::Wire, Outcome::Noted, asked);
            Some(tftp_stage(file, asked, scenario).0)
        }
        PacketContent::HttpRequest {
            target, user_agent, ..
        } => {
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            let known = http_stage(path, query, "", scenario).map(|(stage, _)| stage);
            known.or_else(|| foreign_stage(path, user_agent.as_deref(), None, scenario))
        }
        _ => None,
    }
}

/// Returns the hash of a completely known body.
fn hash(body: Option<&str>, length: Option<u64>) -> String {
    let Some(body) = body.filter(|body| Some(body.len() as u64) == length) else {
        return String::new();
    };
    let digest = Sha256::digest(body.as_bytes());
    let start = digest.first_chunk::<8>().map(hex::encode);
    format!(", sha256 {}", start.unwrap_or_default())
}

/// Returns the `User-Agent` of the request that this packet answers.
fn agent_of<'w>(view: &View<'w>, answer: &Packet, wanted: &str) -> Option<&'w str> {
    let asked = view.wire.packets.iter().rfind(|packet| {
        packet.frame < answer.frame
            && view.sent(packet)
            && matches!(&packet.what, PacketContent::HttpRequest { target, .. } if target == wanted)
    })?;
    match &asked.what {
        PacketContent::HttpRequest { user_agent, .. } => user_agent.as_deref(),
        _ => None,
    }
}

pub(super) fn http(
    target: &str,
    agent: Option<&str>,
    body: Option<&str>,
    mut stage_event: StageEvent,
    scenario: &Scenario,
) -> Option<Entry> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let known = http_stage(path, query, "", scenario).map(|(stage, _)| stage);
    let stage = known.or_else(|| foreign_stage(path, agent, body, scenario))?;
    stage_event.subject = Some(path.trim_start_matches('/').to_owned());
    if leads_on(path, query) && stage_event.outcome == Outcome::Done {
        stage_event.outcome = Outcome::Noted;
    }
    Some(Entry {
        stage,
        stage_event,
        took_us: 0,
        key: Some(Key::Http(target.to_owned())),
        peer: None,
        on_the_wire: String::new(),
    })
}

/// Returns the stage of a request to a server with another layout than the lab's, by sender and content.
fn foreign_stage(
    path: &str,
    agent: Option<&str>,
    body: Option<&str>,
    scenario: &Scenario,
) -> Option<StageName> {
    let agent = agent.unwrap_or_default();
    let script = body.is_some_and(|body| body.starts_with("#!ipxe")) || path.ends_with(".ipxe");
    if script {
        return Some(StageName::Script);
    }
    if agent.starts_with("Ignition/") || path.ends_with(".ign") {
        return Some(StageName::Ignition);
    }
    if agent.starts_with("guest-agent/")
        || agent.contains("cloudinit")
        || agent.starts_with("Cloud-Init")
    {
        return Some(StageName::CloudConfig);
    }
    let file = expected_file(path, scenario).or_else(|| nbp_file(path));
    file.or_else(|| {
        // iPXE requests scripts, kernels and initrds; a file that is not one of the latter by name is a script.
        agent.starts_with("iPXE/").then_some(StageName::Script)
    })
}
