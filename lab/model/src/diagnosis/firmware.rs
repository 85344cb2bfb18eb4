//! Causes in the firmware: it rejects a boot program, has no random numbers, or has outdated variables.

use boot_server_proto::dhcp::MessageType;

use super::case::{Case, proof};
use super::{Cause, Finding, Proof};
use crate::timeline::StageName;
use crate::timeline::signatures::Clue;

/// Returns the line in which a program is rejected for its signature.
pub(super) fn denied<'a>(case: &Case<'a>) -> Option<(u64, &'a str)> {
    case.line(Clue::SignatureRefused)
}

/// True if the machine is meant to have Secure Boot; `None` if unknown.
fn enforces(case: &Case) -> Option<bool> {
    match case.node.secure_boot {
        Some(_) => Some(true),
        // Without the machine's definition, the scenario may not be its own.
        None => case.domain().map(|_| false),
    }
}

/// Detects a boot program that is not signed for Secure Boot.
pub(super) fn secure_boot(case: &Case) -> Option<Finding> {
    let (at_us, line) = denied(case)?;
    // If Secure Boot is known to be off, outdated keys reject the program.
    let weight = match enforces(case) {
        Some(true) => 97,
        None => 90,
        Some(false) => 62,
    };
    let mut evidence = vec![Proof::at(
        at_us,
        format!("the console says `{}`", line.trim()),
    )];
    evidence.extend(last_program(case));
    if enforces(case) == Some(true) {
        evidence.push(Proof::of(
            "the scenario defines the machine with Secure Boot",
        ));
    }
    Some(Finding {
        cause: Cause::SecureBootRefusal,
        sentence: format!("Secure Boot refused the boot program: `{}`", line.trim()),
        evidence,
        remedy:
            "boot a signed chain (shim, then a signed GRUB or iPXE), enroll the key that signed \
             the boot program, or turn Secure Boot off"
                .into(),
        weight,
    })
}

fn last_program(case: &Case) -> Option<Proof> {
    case.stage_events(StageName::Nbp).last().map(proof)
}

/// Detects outdated keys, or boot entries of another network card, in the firmware's variables.
pub(super) fn stale_nvram(case: &Case) -> Option<Finding> {
    let finding = |sentence: String, evidence: Vec<Proof>, weight| {
        Some(Finding {
            cause: Cause::StaleNvram,
            sentence,
            evidence,
            remedy: "give the machine fresh firmware variables: remove its NVRAM file (libvirt: \
                     `virsh undefine --nvram`, or `<nvram>` of its own for each machine); on hardware, \
                     reset the firmware's settings"
                .into(),
            weight,
        })
    };
    if let (Some((at_us, line)), Some(false)) = (denied(case), enforces(case)) {
        let evidence = vec![
            Proof::at(at_us, format!("the console says `{}`", line.trim())),
            Proof::of("the scenario defines the machine without Secure Boot"),
        ];
        let sentence = format!(
            "the firmware rejects the boot program's signature (`{}`), although the machine is \
             defined without Secure Boot: its variables still contain keys",
            line.trim()
        );
        return finding(sentence, evidence, 95);
    }
    let own = case.mac.replace(':', "").to_uppercase();
    let (at_us, line, mac) = case.console().find_map(|(at_us, line)| {
        let mac = card_in(line)?;
        (mac != own && line.contains("Boot0")).then_some((at_us, line, mac))
    })?;
    let evidence = vec![
        Proof::at(at_us, format!("the console says `{}`", line.trim())),
        Proof::of(format!("this machine's network card is {}", case.mac)),
    ];
    let sentence = format!(
        "the firmware boots from an entry for another network card ({mac}), which is left over in \
         its variables"
    );
    finding(sentence, evidence, 94)
}

/// Returns the MAC in an EFI device path: `MAC(525400123456,0x1)`.
fn card_in(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("MAC(")?;
    let digits: String = rest
        .chars()
        .take_while(char::is_ascii_hexdigit)
        .take(12)
        .collect();
    (digits.len() == 12).then(|| digits.to_uppercase())
}

/// Detects UEFI firmware without random numbers, which has no network.
pub(super) fn no_rng(case: &Case) -> Option<Finding> {
    if !case.attempt.firmware.is_uefi() || case.asked(MessageType::Discover).next().is_some() {
        return None;
    }
    let asked = case.events().next().is_some() || case.sent().next().is_some();
    let lacks = case.domain().map(|domain| !domain.has_rng);
    if asked || lacks == Some(false) || (lacks.is_none() && !case.has_capture()) {
        return None;
    }
    let mut evidence = vec![Proof::of(format!(
        "no packet of {} among {} captured frames",
        case.mac,
        case.wire().frames
    ))];
    if lacks == Some(true) {
        evidence.insert(0, Proof::of("the machine's definition has no `<rng>`"));
    }
    let nothing = case.line(Clue::NothingToBoot);
    evidence.extend(
        nothing
            .map(|(at_us, line)| Proof::at(at_us, format!("the console says `{}`", line.trim()))),
    );
    Some(Finding {
        cause: Cause::NoRng,
        sentence: format!(
            "the UEFI firmware of {} never used its network card: EDK2 does not start its network \
             stack without a random number generator",
            case.node.name
        ),
        evidence,
        remedy: "add a virtio random number generator (`<rng model='virtio'><backend \
                 model='random'>/dev/urandom</backend></rng>`), or use a processor model with \
                 RDRAND"
            .into(),
        weight: if lacks == Some(true) { 96 } else { 60 },
    })
}
