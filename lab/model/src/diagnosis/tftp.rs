//! Causes in TFTP: refused options, or a server that is gone.

use super::case::Case;
use super::{Cause, Finding, Proof};
use crate::evidence::packet::{Packet, PacketContent, Protocol, Transfer, TransferEnd};
use crate::timeline::{StageName, first_frame_in};

/// Time within which firmware retransmits.
const STILL_US: u64 = 5_000_000;

/// Number of retransmissions that a network saw and the machine's port did not; a server that sends them is alive.
const ALIVE: u64 = 2;

/// Error code for refused options (RFC 2347 §4).
const OPTIONS_REFUSED: u16 = 8;

/// Detects options that one side refused for good.
pub(super) fn options_refused(case: &Case) -> Option<Finding> {
    let packets: Vec<&Packet> = case.sent().chain(case.received()).collect();
    let refusals = packets.iter().filter_map(|packet| match &packet.what {
        PacketContent::TftpError {
            code: OPTIONS_REFUSED,
            message,
            file,
        } => Some((*packet, message, file.as_deref())),
        _ => None,
    });
    let (packet, message, file) = refusals.max_by_key(|(packet, ..)| packet.frame)?;
    let named = file.unwrap_or("a file");
    let is_whole = |transfer: &Transfer| {
        transfer.end == TransferEnd::Whole && file.is_none_or(|file| transfer.name == file)
    };
    // EDK2 reads the size, aborts with this code and requests the file again.
    let asked_again = packets.iter().find(|other| {
        let again = matches!(&other.what, PacketContent::TftpRequest { file: asked, .. } if file.is_none_or(|file| asked == file));
        again && other.frame > packet.frame
    });
    if case.transfers().any(is_whole) || asked_again.is_some() {
        return None;
    }
    let by_machine = packet.from.mac == case.mac;
    let mut evidence = vec![case.packet(packet, format!("error 8 on {named}: {message}"))];
    let shown = packets.iter().filter(|other| other.frame < packet.frame);
    evidence.extend(shown.filter_map(|other| match &other.what {
        PacketContent::TftpOptions { options } => Some(case.packet(
            other,
            format!("the server acknowledges {}", listed(options)),
        )),
        PacketContent::TftpRequest {
            file: asked,
            options,
            ..
        } if file.is_none_or(|file| asked == file) => Some(case.packet(
            other,
            format!("the machine requests {asked} with {}", listed(options)),
        )),
        _ => None,
    }));
    evidence.truncate(4);
    let (who, whose) = match by_machine {
        true => ("the machine", "the options acknowledged by the TFTP server"),
        false => ("the TFTP server", "the options requested by the machine"),
    };
    Some(Finding {
        cause: Cause::TftpOptionsRefused,
        sentence: format!("{who} rejected {whose} for {named} (error 8, `{message}`)"),
        evidence,
        remedy: "the TFTP server may acknowledge only requested options, with a block size no \
                 greater than requested and no greater than the link carries (1428 over PPPoE or \
                 VPNs); update an old server, which may reject unknown options instead of \
                 ignoring them"
            .into(),
        weight: 94,
    })
}

fn listed(options: &[(String, String)]) -> String {
    let pairs: Vec<String> = options
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    if pairs.is_empty() {
        "no options".into()
    } else {
        pairs.join(", ")
    }
}

/// Detects a server that does not answer requests for files that it does not have: shim asks for lists of revocations and
/// certificates first, and waits for each until its timeout.
pub(super) fn missing_file_unanswered(case: &Case) -> Option<Finding> {
    if case.is_through(StageName::Script) {
        return None;
    }
    let is_optional = |file: &str| {
        let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
        name.starts_with("revocations") || name.starts_with("shim_certificate")
    };
    let asked: Vec<(&Packet, &str)> = case
        .sent()
        .filter_map(|packet| match &packet.what {
            PacketContent::TftpRequest { file, .. } if is_optional(file) => {
                Some((packet, file.as_str()))
            }
            _ => None,
        })
        .collect();
    let is_answered = |name: &str| {
        let error = case.received().any(|packet| {
            matches!(&packet.what, PacketContent::TftpError { file: Some(file), .. } if file == name)
        });
        error || case.transfers().any(|one| one.name == name)
    };
    let is_repeated = |name: &str| asked.iter().filter(|(_, file)| *file == name).count() > 1;
    let (first, file) = asked
        .iter()
        .find(|(_, file)| is_repeated(file) && !is_answered(file))?;
    let whole = |one: &Transfer| one.protocol == Protocol::Tftp && one.end == TransferEnd::Whole;
    let loaded = case.transfers().find(|one| whole(one))?;
    let times = asked.iter().filter(|(_, other)| other == file).count();
    Some(Finding {
        cause: Cause::MissingFileUnanswered,
        sentence: format!(
            "the TFTP server is silent about files that it does not have: {file} was requested {times} times without an answer"
        ),
        evidence: vec![
            case.packet(first, format!("request for {file}, the first of {times}")),
            Proof::of(format!("the same server sent {} completely", loaded.name)),
        ],
        remedy: "let the TFTP server, or a firewall before it, answer `File not found` (error 1): shim asks for \
                 `revocations_*.efi` and `shim_certificate_*.efi`, and continues at once if they are missing"
            .into(),
        weight: 97,
    })
}

/// Detects a transfer that never ends, or a server that never begins.
pub(super) fn server_died(case: &Case) -> Option<Finding> {
    stopped_within(case).or_else(|| never_answers(case))
}

fn finding(sentence: String, evidence: Vec<Proof>, weight: u8) -> Option<Finding> {
    Some(Finding {
        cause: Cause::TftpServerDied,
        sentence,
        evidence,
        remedy:
            "check the TFTP server's log and whether it is still running; let a service manager \
             restart it, and check that a firewall allows answers from its transfer ports"
                .into(),
        weight,
    })
}

fn stopped_within(case: &Case) -> Option<Finding> {
    let tftp = || {
        case.transfers()
            .filter(|transfer| transfer.protocol == Protocol::Tftp)
    };
    let broken = tftp()
        .filter(|one| matches!(one.end, TransferEnd::Open | TransferEnd::BrokenBySender))
        .filter(|one| one.announced.is_none_or(|all| one.bytes < all))
        .filter(|one| {
            !tftp().any(|other| other.end == TransferEnd::Whole && other.name == one.name)
        })
        .last()?;
    if let Some(sent) = case.on_network(broken)
        && sent.retransmits >= broken.retransmits + ALIVE
    {
        return None;
    }
    // A slow transfer that was active until the lab stopped waiting is not dead.
    let until_us = case.gave_up_us().unwrap_or(u64::MAX);
    if until_us.saturating_sub(broken.end_us) < STILL_US {
        return None;
    }
    let Transfer { name, bytes, .. } = broken;
    let from = broken
        .from
        .address
        .map_or_else(|| broken.from.mac.clone(), |a| a.to_string());
    let of = broken
        .announced
        .map_or_else(String::new, |all| format!(" of {all}"));
    let last = Proof::at(
        broken.end_us,
        format!("the last packet of {name} from {from}, {bytes}{of} bytes"),
    );
    let mut evidence = vec![
        last,
        Proof {
            service: None,
            at_us: Some(broken.start_us),
            frame: first_frame_in(case.wire(), broken),
            text: format!(
                "its first packet, {} packets retransmitted meanwhile",
                broken.retransmits
            ),
        },
    ];
    let gone = unreachable(case, broken.start_us);
    evidence.extend(gone.map(|(packet, why)| case.packet(packet, format!("{from}: {why}"))));
    let sentence = format!(
        "the TFTP server {from} stopped in the middle of {name}: {bytes}{of} bytes arrived, the \
         last at {}",
        case.time(broken.end_us)
    );
    finding(sentence, evidence, 92)
}

/// Returns a request without any later packet.
fn never_answers(case: &Case) -> Option<Finding> {
    let asked: Vec<(&Packet, &str)> = case
        .sent()
        .filter_map(|packet| match &packet.what {
            PacketContent::TftpRequest {
                file, write: false, ..
            } => Some((packet, file.as_str())),
            _ => None,
        })
        .collect();
    let (first, file) = asked.first()?;
    let server = first.to.address;
    let answered = case.received().any(|packet| {
        matches!(
            packet.what,
            PacketContent::TftpOptions { .. } | PacketContent::TftpError { .. }
        ) && packet.from.address == server
    });
    let transferred = case
        .transfers()
        .any(|one| one.protocol == Protocol::Tftp && one.from.address == server);
    if answered || transferred {
        return late(case, first, file);
    }
    if let Some(finding) = answered_by_another(case, first, file) {
        return Some(finding);
    }
    let shown = server.map_or_else(|| first.to.mac.clone(), |address| address.to_string());
    let mut evidence: Vec<Proof> = asked
        .iter()
        .take(3)
        .map(|(packet, file)| case.packet(packet, format!("request for {file} to {shown}")))
        .collect();
    evidence.push(Proof::of(format!(
        "no TFTP answer from {shown} in the capture"
    )));
    let gone = unreachable(case, first.at_us);
    evidence.extend(gone.map(|(packet, why)| case.packet(packet, format!("{shown}: {why}"))));
    let weight = if gone.is_some() { 91 } else { 86 };
    let sentence = format!(
        "the TFTP server {shown} never answered: {file} was requested {} times, first {}",
        asked.len(),
        case.when(first)
    );
    finding(sentence, evidence, weight)
}

/// Detects TFTP answers from another address than the requested one. A client accepts packets of a transfer from
/// one host only (RFC 1350 §4).
fn answered_by_another(case: &Case, first: &Packet, file: &str) -> Option<Finding> {
    let asked = first.to.address?;
    let answer = case.received().find(|packet| {
        let is_tftp = matches!(
            packet.what,
            PacketContent::TftpOptions { .. } | PacketContent::TftpError { .. }
        );
        is_tftp && packet.from.address != Some(asked) && packet.at_us >= first.at_us
    });
    let (by, proof) = match answer {
        Some(packet) => {
            let by = packet.from.address?;
            (
                by,
                case.packet(
                    packet,
                    format!("{by} answers, although the request went elsewhere"),
                ),
            )
        }
        None => {
            let one = case
                .transfers()
                .find(|one| one.protocol == Protocol::Tftp && one.from.address != Some(asked))?;
            let by = one.from.address?;
            (
                by,
                Proof::at(
                    one.start_us,
                    format!(
                        "{by} sends {}, although the request went elsewhere",
                        one.name
                    ),
                ),
            )
        }
    };
    let evidence = vec![
        case.packet(first, format!("request for {file} to {asked}")),
        proof,
    ];
    let sentence = format!(
        "{file} was requested from {asked}, but {by} answered: a machine drops TFTP packets from \
         any other address than the one it asked"
    );
    finding(sentence, evidence, 93)
}

/// Time within which a first answer is harmless.
const PROMPT_US: u64 = 2_000_000;

/// Detects first answers that arrive after the machine has repeated its request.
fn late(case: &Case, first: &Packet, file: &str) -> Option<Finding> {
    let is_loaded = case.transfers().any(|one| {
        one.protocol == Protocol::Tftp && one.end == TransferEnd::Whole && one.name == file
    });
    if is_loaded {
        return None;
    }
    let server = first.to.address;
    let answer = case.received().find(|packet| {
        matches!(packet.what, PacketContent::TftpOptions { .. })
            && packet.from.address == server
            && packet.to.port == first.from.port
            && packet.at_us >= first.at_us
    })?;
    let delay_us = answer.at_us - first.at_us;
    if delay_us < PROMPT_US {
        return None;
    }
    let seconds = delay_us as f64 / 1e6;
    let shown = server.map_or_else(|| first.to.mac.clone(), |address| address.to_string());
    let evidence = vec![
        case.packet(first, format!("request for {file} to {shown}")),
        case.packet(answer, format!("its first answer, {seconds:.1} s later")),
    ];
    let sentence = format!(
        "the TFTP server {shown} answered the request for {file} only after {seconds:.1} s, when \
         the machine no longer waited"
    );
    finding(sentence, evidence, 93)
}

fn unreachable<'a>(case: &Case<'a>, since_us: u64) -> Option<(&'a Packet, &'a str)> {
    case.received().find_map(|packet| match &packet.what {
        PacketContent::Unreachable { why, .. } if packet.at_us >= since_us => {
            Some((packet, why.as_str()))
        }
        _ => None,
    })
}
