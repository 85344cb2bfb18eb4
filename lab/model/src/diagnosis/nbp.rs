//! Causes about the network boot program: missing, or for another machine.

use std::collections::BTreeSet;

use boot_server_events::BootEvent;

use super::case::{Case, proof};
use super::{Cause, Finding, Proof};
use crate::evidence::packet::PacketContent;
use crate::timeline::signatures::Clue;
use crate::timeline::{Outcome, StageEvent, StageName};

/// Returns a refusal by the server in a stage.
pub(super) fn refusal<'a>(case: &Case<'a>, stage: StageName) -> Option<&'a StageEvent> {
    case.stage_events(stage)
        .iter()
        .find(|one| one.outcome == Outcome::Failed && one.fact.is_not_there())
}

/// Detects a boot program that the server does not have.
pub(super) fn not_found(case: &Case) -> Option<Finding> {
    if case.is_through(StageName::Nbp) {
        return None;
    }
    let refused = refusal(case, StageName::Nbp)?;
    let file = refused.subject.as_deref().unwrap_or("the boot program");
    let mut evidence = vec![proof(refused)];
    evidence.extend(case.in_firmware(case.answers()).find_map(|(packet, said)| {
        let named = said.boot_file.as_deref()?;
        let server = said.next_server.as_deref().unwrap_or("itself");
        Some(case.packet(
            packet,
            format!("{} names {named} on {server}", said.message),
        ))
    }));
    Some(Finding {
        cause: Cause::NbpNotFound,
        sentence: format!("the boot program {file} is not on the server that DHCP names"),
        evidence,
        remedy: format!(
            "put {file} into the TFTP (or HTTP) server's folder, or name an existing file; check \
             upper and lower case, a leading `/` and the server's root folder"
        ),
        weight: 95,
    })
}

/// Target of a boot program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Platform {
    Bios,
    Ia32,
    X64,
    Arm32,
    Arm64,
    RiscV64,
}

impl Platform {
    fn name(self) -> &'static str {
        match self {
            Platform::Bios => "BIOS",
            Platform::Ia32 => "32-bit x86 UEFI",
            Platform::X64 => "x86-64 UEFI",
            Platform::Arm32 => "32-bit ARM UEFI",
            Platform::Arm64 => "64-bit ARM UEFI",
            Platform::RiscV64 => "64-bit RISC-V UEFI",
        }
    }

    /// Returns the architecture for option 93 (RFC 4578 §2.1 and IANA's registry; 7 and 9 are both x86-64 in
    /// practice).
    fn of_arch(arch: u16) -> Option<Platform> {
        Some(match arch {
            0 => Platform::Bios,
            6 | 15 => Platform::Ia32,
            7 | 9 | 16 | 17 => Platform::X64,
            10 | 18 => Platform::Arm32,
            11 | 19 => Platform::Arm64,
            27 | 28 => Platform::RiscV64,
            _ => return None,
        })
    }

    /// Returns the architecture from a boot program's file name; `None` if the name is inconclusive.
    fn of_file(file: &str) -> Option<Platform> {
        let name = file
            .rsplit(['/', '\\'])
            .next()
            .unwrap_or(file)
            .to_lowercase();
        let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
        let has = |parts: &[&str]| parts.iter().any(|part| file.to_lowercase().contains(part));
        if ends(&[".kpxe", ".pxe", ".kkpxe", ".0", ".kkkpxe"]) {
            return Some(Platform::Bios);
        }
        if !ends(&[".efi"]) {
            return None;
        }
        Some(if has(&["arm64", "aa64", "aarch64"]) {
            Platform::Arm64
        } else if has(&["arm32", "bootarm.efi"]) {
            Platform::Arm32
        } else if has(&["riscv"]) {
            Platform::RiscV64
        } else if has(&["i386", "ia32", "efi32", "32.efi"]) {
            Platform::Ia32
        } else {
            Platform::X64
        })
    }
}

/// Detects a boot program for another architecture.
pub(super) fn wrong_architecture(case: &Case) -> Option<Finding> {
    if case.is_through(StageName::Script) || case.is_through(StageName::Kernel) {
        return None;
    }
    let of_wire = case
        .in_firmware(case.dhcp())
        .flat_map(|(_, said)| said.arch.clone());
    let of_events = case.events().flat_map(|(_, event)| match event {
        BootEvent::DhcpRequest { arch, .. } => arch.clone(),
        _ => Vec::new(),
    });
    let arches: BTreeSet<u16> = of_wire.chain(of_events).collect();
    let machine = arches
        .iter()
        .find_map(|arch| Some((*arch, Platform::of_arch(*arch)?)));
    let loaded = || {
        let done = case.stage_events(StageName::Nbp).iter();
        done.filter(|stage_event| stage_event.outcome == Outcome::Done)
    };
    let complaint = case.line(Clue::WrongProgram);
    let said = complaint
        .map(|(at_us, line)| Proof::at(at_us, format!("the console says `{}`", line.trim())));
    let finding = |sentence: String, mut evidence: Vec<Proof>, weight| {
        evidence.extend(said.clone());
        Some(Finding {
            cause: Cause::WrongArchitectureNbp,
            sentence,
            evidence,
            remedy:
                "choose the boot program by the client's architecture (option 93): `undionly.kpxe` \
                     or `pxelinux.0` for 0, an x86-64 `ipxe.efi` for 7 and 9, an arm64 one for 11"
                    .into(),
            weight,
        })
    };
    for stage_event in loaded() {
        let file = stage_event.subject.as_deref().unwrap_or_default();
        let (Some((arch, machine)), Some(program)) = (machine, Platform::of_file(file)) else {
            continue;
        };
        if machine != program {
            let sentence = format!(
                "{file} is a boot program for {}, but the machine is {} (architecture {arch})",
                program.name(),
                machine.name()
            );
            let mut evidence = vec![proof(stage_event)];
            evidence.extend(asked_arch(case, arch));
            return finding(sentence, evidence, 96);
        }
    }
    let (_, line) = complaint?;
    let last = loaded().next_back()?;
    // Secure Boot and outdated keys have their own messages.
    if super::firmware::denied(case).is_some() {
        return None;
    }
    // It ran, and loaded a script: that is what the firmware complains about.
    let mut scripts = case.stage_events(StageName::Script).iter();
    let is_script = |one: &StageEvent| {
        one.impostor.is_none() && one.outcome != Outcome::Failed && one.at_us > last.at_us
    };
    if scripts.any(is_script) {
        return None;
    }
    let file = last.subject.as_deref().unwrap_or("the boot program");
    // By its name it is for this machine, so that its content is in doubt first.
    let weight = match (machine, Platform::of_file(file)) {
        (Some((_, machine)), Some(program)) if machine == program => 86,
        _ => 88,
    };
    let machine = machine.map_or_else(String::new, |(arch, platform)| {
        format!(", which is {} (architecture {arch})", platform.name())
    });
    let sentence = format!(
        "{file} was loaded completely, but the machine{machine}, cannot run it: `{}`",
        line.trim()
    );
    finding(sentence, vec![proof(last)], weight)
}

fn asked_arch(case: &Case, arch: u16) -> Option<Proof> {
    case.wire()
        .packets
        .iter()
        .find_map(|packet| match &packet.what {
            PacketContent::Dhcp(said) if said.client == case.mac && said.arch.contains(&arch) => {
                Some(case.packet(
                    packet,
                    format!("{} reports architecture {arch}", said.message),
                ))
            }
            _ => None,
        })
}
