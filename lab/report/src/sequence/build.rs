//! Conversion of a capture's packets into the rows of one machine's diagram.

use std::collections::HashSet;

use lab_model::evidence::packet::{Packet, PacketContent, Transfer, TransferEnd, Wire};

use super::answers::{PacketKey, key, unanswered};
use super::labels::{Label, label};
use super::lanes::{Lanes, Relay};
use super::{Diagram, Message, Row, Shown, Tone, TransferShown};
use crate::format::seconds_between;

/// Minimum length of a silence that is shown, in seconds.
const SILENCE_SECONDS: f64 = 3.0;

/// Number of rows kept at the beginning and the end of a long diagram.
const FIRST_ROWS: usize = 70;
const LAST_ROWS: usize = 40;

/// Event of the machine that is not a packet.
#[derive(Debug, Clone, PartialEq)]
pub struct Moment {
    /// Time in microseconds since the Unix epoch.
    pub at_us: u64,
    pub text: String,
    pub tone: Tone,
}

/// Builds the diagram of the machine with this MAC, whose requests reach servers through `relays`; `moments` are
/// inserted between its packets.
#[must_use]
pub fn build(wire: &Wire, mac: &str, relays: &[Relay], moments: &[Moment]) -> Diagram {
    let packets: Vec<&Packet> = wire
        .packets
        .iter()
        .filter(|packet| concerns(packet, mac))
        .collect();
    let transfers: Vec<&Transfer> = wire
        .transfers
        .iter()
        .filter(|transfer| transfer.to.mac == mac)
        .collect();
    let silent = unanswered(mac, &packets, &transfers);
    let packets: Vec<&Packet> = packets
        .into_iter()
        .filter(|packet| is_shown(packet, &silent))
        .collect();
    let lanes = Lanes::find(mac, &packets, &transfers, relays);
    let mut rows: Vec<Row> = moments.iter().map(note).collect();
    let mut heads = HashSet::new();
    let mut shown = Vec::new();
    for transfer in &transfers {
        let head = packets.iter().find(|packet| {
            packet.frame == transfer.frame
                && packet.network == transfer.network
                && concerns(packet, &transfer.to.mac)
                && matches!(packet.what, PacketContent::HttpResponse { .. })
        });
        if head.is_some_and(|head| says_it_all(head, transfer)) {
            continue;
        }
        heads.extend(head.map(|head| key(head)));
        shown.push(transfer_row(transfer, &lanes, head.copied()));
    }
    let apart = packets
        .iter()
        .filter(|packet| !heads.contains(&key(packet)));
    rows.extend(apart.map(|packet| message_row(packet, mac, &lanes, &silent)));
    rows.extend(shown);
    // Stable sort: a moment precedes a packet of the same microsecond.
    rows.sort_by_key(|row| row.at_us);
    Diagram {
        lanes: lanes.shown(),
        rows: with_silences(shortened(joined(rows))),
    }
}

/// True if the answer shows its whole body, so that its transfer need not be shown.
fn says_it_all(head: &Packet, transfer: &Transfer) -> bool {
    let whole = transfer.end == TransferEnd::Whole && !is_short(transfer);
    whole && matches!(head.what, PacketContent::HttpResponse { body: Some(_), .. })
}

fn is_short(transfer: &Transfer) -> bool {
    let announced = transfer.announced;
    announced.is_some_and(|announced| transfer.bytes < announced)
}

/// True if the machine sent or received the packet, or is mentioned in it.
fn concerns(packet: &Packet, mac: &str) -> bool {
    match &packet.what {
        PacketContent::Dhcp(said) => said.client == mac,
        _ => packet.from.mac == mac || packet.to.mac == mac,
    }
}

/// True unless the packet is link chatter without a problem.
fn is_shown(packet: &Packet, silent: &HashSet<PacketKey>) -> bool {
    match &packet.what {
        PacketContent::ArpRequest { .. } => silent.contains(&key(packet)),
        PacketContent::ArpReply { .. }
        | PacketContent::RouterSolicitation
        | PacketContent::RouterAdvertisement => false,
        _ => true,
    }
}

fn note(moment: &Moment) -> Row {
    Row {
        at_us: moment.at_us,
        frames: Vec::new(),
        what: Shown::Note {
            text: moment.text.clone(),
            tone: moment.tone,
        },
    }
}

fn message_row(packet: &Packet, mac: &str, lanes: &Lanes, silent: &HashSet<PacketKey>) -> Row {
    let from_machine = match &packet.what {
        PacketContent::Dhcp(said) => !said.from_server,
        _ => packet.from.mac == mac,
    };
    let Label {
        title,
        details,
        tone,
    } = label(&packet.what, from_machine);
    let (from, to) = match (lanes.relayed(packet), from_machine) {
        (Some((relay, server)), true) => (relay, server),
        (Some((relay, server)), false) => (server, relay),
        (None, true) => (0, lanes.other_side(mac, packet)),
        (None, false) => (lanes.other_side(mac, packet), 0),
    };
    let tone = if silent.contains(&key(packet)) {
        Tone::Unanswered
    } else {
        tone
    };
    Row {
        at_us: packet.at_us,
        frames: vec![packet.into()],
        what: Shown::Message(Message {
            from,
            to,
            title,
            details,
            tone,
            times: 1,
        }),
    }
}

/// Builds the row of a transfer, including the head of the HTTP answer that began it.
fn transfer_row(transfer: &Transfer, lanes: &Lanes, head: Option<&Packet>) -> Row {
    let (ending, tone) = match transfer.end {
        TransferEnd::Whole if is_short(transfer) => (Some("shorter than announced"), Tone::Bad),
        TransferEnd::Whole => (None, Tone::Good),
        TransferEnd::BrokenByReceiver => (Some("aborted by the machine"), Tone::Plain),
        TransferEnd::BrokenBySender => (Some("aborted by the server"), Tone::Bad),
        TransferEnd::Open => (Some("never finished"), Tone::Bad),
    };
    let status = head.and_then(|packet| match packet.what {
        PacketContent::HttpResponse { status, .. } => Some(status),
        _ => None,
    });
    let refused = status.is_some_and(|status| status >= 400);
    let path = transfer.name.split(['?', '#']).next().unwrap_or_default();
    let file = path.rsplit(['/', '\\']).next().unwrap_or(path);
    Row {
        at_us: transfer.start_us,
        frames: vec![transfer.into()],
        what: Shown::Transfer(TransferShown {
            from: lanes.sender(transfer),
            to: 0,
            file: if file.is_empty() { path } else { file }.to_owned(),
            status,
            bytes: transfer.bytes,
            announced: transfer.announced,
            seconds: seconds_between(transfer.start_us, transfer.end_us),
            retransmits: transfer.retransmits,
            longest_silence: transfer.longest_silence_us as f64 / 1e6,
            ending,
            tone: if refused { Tone::Bad } else { tone },
        }),
    }
}

/// Joins repeated messages into one row.
fn joined(rows: Vec<Row>) -> Vec<Row> {
    let mut list: Vec<Row> = Vec::new();
    for row in rows {
        if let Some(last) = list.last_mut()
            && let (Shown::Message(before), Shown::Message(now)) = (&mut last.what, &row.what)
            && (before.from, before.to, before.tone) == (now.from, now.to, now.tone)
            && (&before.title, &before.details) == (&now.title, &now.details)
        {
            before.times += 1;
            last.frames.extend(row.frames);
            continue;
        }
        list.push(row);
    }
    list
}

/// Keeps the beginning and the end of an overlong diagram.
fn shortened(mut rows: Vec<Row>) -> Vec<Row> {
    let hidden = rows.len().saturating_sub(FIRST_ROWS + LAST_ROWS);
    if hidden > 1 {
        let from = FIRST_ROWS..FIRST_ROWS + hidden;
        let gone: Vec<Row> = rows.drain(from).collect();
        let at_us = gone.first().map_or(0, |row| row.at_us);
        let left_out = Row {
            at_us,
            frames: Vec::new(),
            what: Shown::LeftOut(hidden),
        };
        rows.insert(FIRST_ROWS, left_out);
    }
    rows
}

/// Inserts a row for each long silence.
fn with_silences(rows: Vec<Row>) -> Vec<Row> {
    let mut list: Vec<Row> = Vec::new();
    let mut quiet_since = None;
    for row in rows {
        if let Some(since_us) = quiet_since {
            let silence = seconds_between(since_us, row.at_us);
            if silence >= SILENCE_SECONDS {
                list.push(Row {
                    at_us: since_us,
                    frames: Vec::new(),
                    what: Shown::Silence(silence),
                });
            }
        }
        let end_us = match &row.what {
            Shown::Transfer(transfer) => row.at_us + (transfer.seconds.max(0.0) * 1e6) as u64,
            _ => row.at_us,
        };
        quiet_since = match row.what {
            // Omitted rows do not count as silence.
            Shown::LeftOut(_) => None,
            _ => quiet_since.max(Some(end_us)),
        };
        list.push(row);
    }
    list
}
