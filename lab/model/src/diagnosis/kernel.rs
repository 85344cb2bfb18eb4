//! Causes that end the kernel: too little memory, or a panic.

use super::case::Case;
use super::{Cause, Finding, Proof};
use crate::timeline::StageName;
use crate::timeline::signatures::{Clue, has_clue};

/// Memory in MiB below which a system in memory is suspicious.
const LITTLE_MIB: u32 = 768;

/// Detects too little memory for kernel, initrd and the unpacked system.
pub(super) fn too_little_memory(case: &Case) -> Option<Finding> {
    let memory_mib = case.memory_mib();
    let initrd = case
        .transfers()
        .filter(|one| one.name.contains("initr") || one.name.contains("cpio"));
    let initrd_mib = initrd
        .map(|one| one.announced.unwrap_or(one.bytes).max(one.bytes))
        .max();
    let initrd_mib = initrd_mib.map(|bytes| bytes / 1024 / 1024);
    let size = initrd_mib.map_or_else(String::new, |mib| format!(", the initrd {mib} MiB packed"));
    // A capture does not contain the machine's memory size.
    let is_known = memory_mib > 0;
    let (amount, has) = match is_known {
        true => (
            format!(" ({memory_mib} MiB{size})"),
            format!("it has {memory_mib} MiB; "),
        ),
        false => (String::new(), String::new()),
    };
    let finding = |sentence: String, evidence: Vec<Proof>, weight| {
        Some(Finding {
            cause: Cause::TooLittleMemory,
            sentence,
            evidence,
            remedy: format!(
                "give the machine more memory ({has}CoreOS in memory needs 1024 MiB or more; three \
                 times the unpacked initrd is safe), or boot a smaller initrd"
            ),
            weight,
        })
    };
    if let Some((at_us, line)) = case.line(Clue::NoMemory) {
        let sentence = format!(
            "the machine has too little memory{amount}: `{}`",
            line.trim()
        );
        let said = Proof::at(at_us, format!("the console says `{}`", line.trim()));
        let has = format!("the machine has {memory_mib} MiB of memory{size}");
        let has = is_known.then(|| Proof::of(has));
        return finding(sentence, [said].into_iter().chain(has).collect(), 95);
    }
    // A silent panic or reset, with an initrd that cannot fit when unpacked.
    let cramped = initrd_mib.is_some_and(|mib| mib * 4 > u64::from(memory_mib));
    let stuck = case.stage >= StageName::Initrd && case.stage <= StageName::UserlandUp;
    if is_known && stuck && memory_mib < LITTLE_MIB && cramped {
        let sentence =
            format!("the machine has little memory for this image: {memory_mib} MiB{size}");
        return finding(sentence.clone(), vec![Proof::of(sentence)], 55);
    }
    None
}

/// Detects a panic, or the kernel's last messages.
pub(super) fn panic(case: &Case) -> Option<Finding> {
    let (at_us, line) = case.line(Clue::Panic)?;
    let before: Vec<Proof> = case
        .console()
        .take_while(|(other_us, other)| *other_us <= at_us && *other != line)
        .filter(|(_, other)| has_clue(other, Clue::BeforePanic))
        .map(|(other_us, other)| Proof::at(other_us, other.trim()))
        .collect();
    let mut evidence = vec![Proof::at(at_us, line.trim())];
    evidence.extend(before.into_iter().rev().take(4));
    let panic = line
        .split_once("syncing: ")
        .map_or(line, |(_, reason)| reason)
        .trim();
    let no_root = panic.contains("Unable to mount root") || panic.contains("No working init");
    let remedy = if no_root {
        "check that the initrd is loaded and passed to the kernel (UEFI iPXE needs `initrd=NAME` \
         on the kernel line), that it is of this kernel's release, and that it is not damaged"
    } else {
        "read the lines before the panic; boot with `ignore_loglevel earlyprintk=ttyS0`, without \
         recently added options, or with the last kernel that worked"
    };
    Some(Finding {
        cause: Cause::KernelPanic,
        sentence: format!("the kernel panicked at {}: {panic}", case.time(at_us)),
        evidence,
        remedy: remedy.into(),
        weight: 90,
    })
}
