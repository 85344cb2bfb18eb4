//! Causes in the transfer of kernel and initrd: missing, truncated, stalled.

use boot_server_events::BootEvent;

use super::case::{Case, proof};
use super::nbp::refusal;
use super::{Cause, Finding, Proof};
use crate::evidence::Observation;
use crate::evidence::packet::{Packet, PacketContent, Protocol, Transfer, TransferEnd, Wire};
use crate::timeline::signatures::Clue;
use crate::timeline::{StageName, bare, first_frame_in};

/// Time without packets after which a transfer counts as stalled.
const STILL_US: u64 = 15_000_000;

/// Time without packets after which an abort by the receiver counts as a reaction to a stall.
const PATIENCE_US: u64 = 5_000_000;

/// Detects a missing kernel.
pub(super) fn kernel_not_found(case: &Case) -> Option<Finding> {
    not_found(case, StageName::Kernel, Cause::KernelNotFound)
}

/// Detects a missing initrd.
pub(super) fn initrd_not_found(case: &Case) -> Option<Finding> {
    not_found(case, StageName::Initrd, Cause::InitrdNotFound)
}

fn not_found(case: &Case, stage: StageName, cause: Cause) -> Option<Finding> {
    let refused = refusal(case, stage)?;
    if case.is_through(stage) || case.is_through(StageName::KernelUp) {
        return None;
    }
    let file = refused.subject.as_deref().unwrap_or("it");
    let name = file.rsplit('/').next().unwrap_or(file);
    let mut evidence = vec![proof(refused)];
    let script = case.stage_events(StageName::Script).last();
    evidence.extend(script.map(proof));
    let on_console = case.line(Clue::FileMissing);
    evidence.extend(
        on_console
            .map(|(at_us, line)| Proof::at(at_us, format!("the console says `{}`", line.trim()))),
    );
    Some(Finding {
        cause,
        sentence: format!(
            "the {stage} {name} is not on the server: the request for /{file} was refused"
        ),
        evidence,
        remedy: format!(
            "put {name} at the path in the profile (below the assets folder), or correct the path \
             in the profile of this machine's group"
        ),
        weight: 95,
    })
}

/// Detects a truncated file.
pub(super) fn truncated(case: &Case) -> Option<Finding> {
    let finding = |sentence: String, evidence: Vec<Proof>, weight| {
        Some(Finding {
            cause: Cause::TruncatedTransfer,
            sentence,
            evidence,
            remedy:
                "compare the file's size on the server with that of its source, and look for a \
                     proxy or firewall that closes connections; replace the file if it is \
                     incomplete"
                    .into(),
            weight,
        })
    };
    let http = || {
        case.transfers()
            .filter(|one| one.protocol == Protocol::Http)
    };
    let short = http()
        .filter(|one| one.end == TransferEnd::BrokenBySender)
        .filter(|one| one.announced.is_some_and(|all| one.bytes < all))
        .filter(|one| !became_whole(case, one))
        .last();
    if let Some(short) = short {
        let all = short.announced.unwrap_or_default();
        let from = short
            .from
            .address
            .map_or_else(|| short.from.mac.clone(), |a| a.to_string());
        let sentence = format!(
            "{from} ended {} after {} of {all} bytes",
            short.name, short.bytes
        );
        return finding(sentence, vec![transfer_proof(case.wire(), short)], 94);
    }
    let event = case.events().find_map(|(at_us, event)| match event {
        BootEvent::HttpRequest {
            method,
            path,
            status: 200,
            bytes,
            length: Some(length),
            ..
        } if method == "GET" && bytes < length && short_in(case, path) => {
            Some((at_us, path, bytes, length))
        }
        _ => None,
    });
    if let Some((at_us, path, bytes, length)) = event {
        let text = format!("the boot server sent {bytes} of {length} bytes of {path}");
        let sentence =
            format!("the transfer of {path} was aborted after {bytes} of {length} bytes");
        return finding(sentence, vec![Proof::at(at_us, text)], 82);
    }
    let (at_us, line) = case.line(Clue::CutShort)?;
    let mut evidence = vec![Proof::at(
        at_us,
        format!("the console says `{}`", line.trim()),
    )];
    let initrd = case.stage_events(StageName::Initrd).last();
    evidence.extend(initrd.map(proof));
    if let Some((short, all)) = shorter_than_stored(case) {
        evidence.insert(1, transfer_proof(case.wire(), short));
        let sentence = format!(
            "{} arrived with {} bytes, but the file of that name has {all}: `{}`",
            short.name,
            short.bytes,
            line.trim()
        );
        return finding(sentence, evidence, 96);
    }
    let sentence = format!(
        "the received initrd or kernel is damaged or truncated: `{}`",
        line.trim()
    );
    // A system that lacks a part of its initrd ends in a panic, or without its root.
    let consequences = [Clue::Panic, Clue::AnotherKernel];
    let is_followed = consequences
        .into_iter()
        .any(|clue| case.line(clue).is_some_and(|(then_us, _)| then_us >= at_us));
    finding(sentence, evidence, if is_followed { 95 } else { 84 })
}

/// Returns a kernel or initrd of which the machine received fewer bytes than the services' file of that name has, and
/// the size of that file.
fn shorter_than_stored<'a>(case: &Case<'a>) -> Option<(&'a Transfer, u64)> {
    let is_of_system = |name: &str| {
        let stages = [StageName::Kernel, StageName::Initrd].into_iter();
        let mut loads = stages.flat_map(|stage| case.stage_events(stage));
        loads.any(|one| one.subject.as_deref().map(bare) == Some(bare(name)))
    };
    let stored = |name: &str| {
        let mut records = case.attempt.records.iter();
        records.find_map(|record| match &record.seen {
            Observation::Manifest { file, bytes, .. } if bare(file) == bare(name) => *bytes,
            _ => None,
        })
    };
    case.transfers().find_map(|one| {
        let all = stored(&one.name).filter(|_| is_of_system(&one.name))?;
        // A file may come in several parts.
        let parts = case.transfers().filter(|part| part.name == one.name);
        (parts.map(|part| part.bytes).sum::<u64>() < all).then_some((one, all))
    })
}

/// True if the stage of this path was never completed.
fn short_in(case: &Case, path: &str) -> bool {
    let stages = [StageName::Nbp, StageName::Kernel, StageName::Initrd];
    stages.into_iter().any(|stage| {
        let of_path = case.stage_events(stage).iter();
        let named =
            of_path.filter(|one| one.subject.as_deref() == Some(path.trim_start_matches('/')));
        named.count() > 0 && !case.is_through(stage)
    })
}

fn became_whole(case: &Case, broken: &Transfer) -> bool {
    case.transfers().any(|other| {
        other.name == broken.name
            && other.end == TransferEnd::Whole
            && other.end_us > broken.start_us
    })
}

fn transfer_proof(segment: &Wire, transfer: &Transfer) -> Proof {
    let of = transfer
        .announced
        .map_or_else(String::new, |all| format!(" of {all}"));
    Proof {
        service: None,
        at_us: Some(transfer.end_us),
        frame: first_frame_in(segment, transfer),
        text: format!(
            "{}: {}{of} bytes, {} packets retransmitted, longest gap {:.1} s",
            transfer.name,
            transfer.bytes,
            transfer.retransmits,
            transfer.longest_silence_us as f64 / 1e6
        ),
    }
}

/// Detects HTTP transfers that stall midway or never begin.
pub(super) fn stalled(case: &Case) -> Option<Finding> {
    let still = |one: &&Transfer| {
        let silence = match one.end {
            TransferEnd::Open => case
                .end_us()
                .saturating_sub(one.end_us)
                .max(one.longest_silence_us),
            // The receiver waited before its abort; the rest is silence.
            TransferEnd::BrokenByReceiver => {
                let waited = case.end_us().saturating_sub(one.end_us);
                return waited.max(one.longest_silence_us) >= PATIENCE_US;
            }
            TransferEnd::Whole | TransferEnd::BrokenBySender => one.longest_silence_us,
        };
        silence >= STILL_US
    };
    let stood = case
        .transfers()
        .filter(|one| one.protocol == Protocol::Http && one.end != TransferEnd::Whole)
        .filter(still)
        .filter(|one| !became_whole(case, one))
        .last();
    let finding = |sentence: String, evidence: Vec<Proof>, weight| {
        Some(Finding {
            cause: Cause::StalledTransfer,
            sentence,
            evidence,
            remedy:
                "look at the HTTP server (its disk, its limits per client, another server that it \
                 waits for) and at the path (a proxy, a link with a smaller MTU that drops large \
                 packets)"
                    .into(),
            weight,
        })
    };
    if let Some(one) = stood {
        let of = one
            .announced
            .map_or_else(String::new, |all| format!(" of {all}"));
        let from = one
            .from
            .address
            .map_or_else(|| one.from.mac.clone(), |a| a.to_string());
        let sentence = format!(
            "the transfer of {} stalled after {}{of} bytes: nothing more arrived from {from} after {}",
            one.name,
            one.bytes,
            case.time(one.end_us)
        );
        return finding(sentence, vec![transfer_proof(case.wire(), one)], 94);
    }
    let (packet, target) = unanswered(case)?;
    let server = packet
        .to
        .address
        .map_or_else(|| packet.to.mac.clone(), |a| a.to_string());
    let sentence = format!(
        "{server} accepted the request for {target} {} but never answered it",
        case.when(packet)
    );
    finding(
        sentence,
        vec![case.packet(packet, format!("GET {target}, no answer"))],
        86,
    )
}

/// Returns a request without an answer for a long time.
fn unanswered<'a>(case: &Case<'a>) -> Option<(&'a Packet, &'a str)> {
    let (packet, target) = case
        .sent()
        .filter_map(|packet| match &packet.what {
            PacketContent::HttpRequest { target, .. } => Some((packet, target.as_str())),
            _ => None,
        })
        .last()?;
    let answered = case.received().any(|other| {
        other.at_us >= packet.at_us
            && matches!(&other.what, PacketContent::HttpResponse { target: Some(of), .. } if of == target)
    }) || case.transfers().any(|one| one.name == target);
    (!answered && case.end_us().saturating_sub(packet.at_us) >= STILL_US)
        .then_some((packet, target))
}

/// Detects an initrd with modules of another kernel.
pub(super) fn mismatch(case: &Case) -> Option<Finding> {
    let (at_us, line) = case.line(Clue::AnotherKernel)?;
    let mut evidence = vec![Proof::at(
        at_us,
        format!("the console says `{}`", line.trim()),
    )];
    for stage in [StageName::Kernel, StageName::Initrd] {
        evidence.extend(case.stage_events(stage).last().map(proof));
    }
    // What an incomplete initrd lacks looks like the initrd of another kernel.
    let is_cut_before = case
        .line(Clue::CutShort)
        .is_some_and(|(before_us, _)| before_us <= at_us);
    Some(Finding {
        cause: Cause::KernelInitrdMismatch,
        sentence: format!(
            "kernel and initrd are of different releases: `{}`",
            line.trim()
        ),
        evidence,
        remedy: "serve a kernel and an initrd of the same release (`lab images list`), and update \
                 both together"
            .into(),
        weight: if is_cut_before { 70 } else { 94 },
    })
}
