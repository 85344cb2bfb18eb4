//! Causes in the chain of signed programs: shim, GRUB, its menu and its kernel.

use super::case::{Case, proof};
use super::nbp::refusal;
use super::{Cause, Finding, Proof};
use crate::timeline::signatures::Clue;
use crate::timeline::{Outcome, StageEvent, StageName};

/// Returns the first load of a file of this name, whole or not.
fn asked<'a>(case: &Case<'a>, is_it: impl Fn(&str) -> bool) -> Option<&'a StageEvent> {
    let is_named = |event: &&StageEvent| is_it(file_name(event));
    case.stage_events(StageName::Nbp).iter().find(is_named)
}

/// Returns the name of the file that an event is about, without its folder.
fn file_name(event: &StageEvent) -> &str {
    let file = event.subject.as_deref().unwrap_or_default();
    file.rsplit(['/', '\\']).next().unwrap_or(file)
}

/// True for the name of shim's second stage (`DEFAULT_LOADER` of shim, for each architecture).
fn is_second_stage(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("grub") && name.ends_with(".efi") && !name.starts_with("grubnet")
}

/// Returns the time and text of a console line.
fn console_line(case: &Case, clue: Clue) -> Option<(String, Proof)> {
    let (at_us, line) = case.line(clue)?;
    let line = line.trim().to_owned();
    let proof = Proof::at(at_us, format!("the console says `{line}`"));
    Some((line, proof))
}

/// True for the name of shim in packages, and on media.
fn is_shim(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("shim") || ["bootx64.efi", "bootaa64.efi"].contains(&name.as_str())
}

/// Returns the folder of a file, without a slash at its beginning.
fn folder(file: &str) -> &str {
    let file = file.trim_start_matches('/');
    file.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Detects that DHCP names shim in options only: shim takes server and folder of its second stage from the header. With an
/// empty `file` it asks for `grubx64.efi` in the root, with an empty `siaddr` it asks nobody.
pub(super) fn boot_file_in_options_only(case: &Case) -> Option<Finding> {
    if case.is_through(StageName::Script) {
        return None;
    }
    let shim = asked(case, is_shim).filter(|event| event.outcome != Outcome::Failed)?;
    let answers = case.in_firmware(case.answers());
    let named: Vec<_> = answers
        .filter(|(_, said)| said.boot_file.is_some())
        .collect();
    let (packet, said) = named.last()?;
    if !named.iter().all(|(_, said)| said.is_file_field_empty) {
        return None;
    }
    let file = said.boot_file.as_deref().unwrap_or_default();
    let second = asked(case, is_second_stage).and_then(|event| event.subject.as_deref());
    if second.is_some_and(|second| folder(second) == folder(file)) {
        return None;
    }
    let message = said.message;
    let named = format!("{message} names {file} in option 67, and its field `file` is empty");
    let mut evidence = vec![case.packet(packet, named), proof(shim)];
    evidence.extend(asked(case, is_second_stage).map(proof));
    evidence.extend(console_line(case, Clue::ShimFetchFailed).map(|(_, said)| said));
    let looked = match second {
        Some(second) => format!("looked for its second stage at {second}"),
        None => "asked for no second stage".into(),
    };
    Some(Finding {
        cause: Cause::BootFileInOptionsOnly,
        sentence: format!(
            "shim was loaded and {looked}: DHCP names {file} in option 67 only, which shim does not read"
        ),
        evidence,
        remedy: "let the DHCP server fill the header fields `siaddr` and `file` as well (ISC dhcpd and Kea: `next-server` and \
                 the boot file's own setting; dnsmasq: `dhcp-boot`, without `dhcp-no-override`)"
            .into(),
        weight: 99,
    })
}

/// Detects that shim did not find GRUB.
pub(super) fn second_stage_not_found(case: &Case) -> Option<Finding> {
    let wanted = refusal(case, StageName::Nbp).filter(|one| is_second_stage(file_name(one)))?;
    let file = wanted.subject.as_deref()?;
    Some(Finding {
        cause: Cause::SecondStageNotFound,
        sentence: format!("shim was loaded, but its second stage {file} is not on the server"),
        evidence: vec![proof(wanted)],
        remedy: format!(
            "put a signed GRUB for network boot at {file}: shim looks for it in its own folder (Debian: \
             grubnetx64.efi.signed of the package grub-efi-amd64-signed)"
        ),
        weight: 98,
    })
}

/// Detects that shim refused GRUB.
pub(super) fn second_stage_refused(case: &Case) -> Option<Finding> {
    if case.is_through(StageName::Script) {
        return None;
    }
    let loaded = asked(case, is_second_stage).filter(|event| event.outcome != Outcome::Failed)?;
    let (line, said) = console_line(case, Clue::SignatureRefused)?;
    let file = loaded.subject.as_deref().unwrap_or("GRUB");
    Some(Finding {
        cause: Cause::SecondStageRefused,
        sentence: format!("shim refused its second stage {file}: `{line}`"),
        evidence: vec![said, proof(loaded)],
        remedy: "use a GRUB that the vendor of this shim signed (Debian: grub-efi-amd64-signed), of a release that \
                 shim's SBAT level still accepts; or enroll the key of your own GRUB with MokManager"
            .into(),
        weight: 98,
    })
}

/// Detects that GRUB refused the kernel.
pub(super) fn kernel_refused(case: &Case) -> Option<Finding> {
    if !case.is_through(StageName::Script) || case.is_through(StageName::KernelUp) {
        return None;
    }
    let (line, said) = console_line(case, Clue::SignatureRefused)?;
    let mut evidence = vec![said];
    let kernel = case.stage_events(StageName::Kernel).last();
    evidence.extend(kernel.map(proof));
    Some(Finding {
        cause: Cause::KernelRefused,
        sentence: format!("Secure Boot refused the kernel: `{line}`"),
        evidence,
        remedy: "boot a kernel that is signed with a key which shim or the firmware knows (Debian's linux-image \
                 packages are), or enroll the key that signed it; `linux` of a signed GRUB starts nothing else"
            .into(),
        weight: 98,
    })
}

/// Detects that GRUB found no menu and waits at its prompt.
pub(super) fn grub_without_menu(case: &Case) -> Option<Finding> {
    if case.is_through(StageName::Script) || case.is_through(StageName::Kernel) {
        return None;
    }
    let (_, said) = console_line(case, Clue::GrubPrompt)?;
    let mut evidence = vec![said];
    let refused = refusal(case, StageName::Script);
    evidence.extend(refused.map(proof));
    let by_http = case.attempt.firmware == crate::scenario::Firmware::UefiHttp;
    let (sentence, remedy) = match refused.and_then(|refused| refused.subject.as_deref()) {
        Some(menu) => (
            format!("GRUB waits at its prompt: its menu {menu} is not on the server"),
            format!("put the menu at {menu}, or add a group for this machine to the boot config service"),
        ),
        None if by_http => (
            "GRUB waits at its prompt and asked for no menu: started by UEFI HTTP boot, it has no network".into(),
            "boot this machine by PXE: GRUB 2.06 of Debian 12 takes its address from the firmware's PXE client only; \
             or use GRUB 2.12 or later (Debian 13), which supports HTTP boot"
                .into(),
        ),
        None => (
            "GRUB waits at its prompt and asked the server for no menu".into(),
            "check the folder that was built into GRUB (its `prefix`): the signed GRUB of Debian loads \
             /grub/grub.cfg"
                .into(),
        ),
    };
    Some(Finding {
        cause: Cause::GrubWithoutMenu,
        sentence,
        evidence,
        remedy,
        weight: 96,
    })
}
