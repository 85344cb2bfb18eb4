//! Machines with Secure Boot, and the EFI programs that they would refuse.
//!
//! Which boot program DHCP names is not known here. So a machine needs one of the programs in the folders that its firmware
//! accepts, and, if that is a shim, a GRUB that the shim accepts. A kernel may be accepted by the firmware or by such a shim.

use std::collections::BTreeMap;
use std::path::Path;

use boot_server_catalog::check::asset_of;
use boot_server_catalog::problem::Severity;
use efi_program::{Kind, Program, Refusal, Trust};
use uefi_variables::KeySet;

use super::boot::kernel_at;
use super::context::{Context, Subject, named};
use super::finding::Findings;
use super::programs::Programs;

/// Keys and architecture of machines.
type Firmware = (&'static str, &'static str);

/// Reports the programs that machines of the inventory would refuse.
pub(super) fn check(context: &Context<'_>, programs: &Programs, findings: &mut Findings) {
    let mut machines: BTreeMap<Firmware, (KeySet, Vec<&Subject<'_>>)> = BTreeMap::new();
    for subject in &context.subjects {
        let Some((_, machine)) = subject.machine else {
            continue;
        };
        if let Some(keys) = machine.secure_boot {
            let firmware = (keys.name(), architecture(subject));
            let same = machines.entry(firmware).or_insert((keys, Vec::new()));
            same.1.push(subject);
        }
    }
    for ((_, architecture), (keys, subjects)) in &machines {
        let chains = Chains::of(*keys, architecture, programs);
        boot_programs(context, *keys, &chains, subjects, findings);
        kernels(context, *keys, &chains, programs, subjects, findings);
    }
}

/// Returns the architecture of a machine's firmware: Secure Boot without a label `arch` is that of a PC.
fn architecture(subject: &Subject<'_>) -> &'static str {
    match subject.labels.0.get("arch").map(String::as_str) {
        Some("arm64" | "aarch64") => "arm64",
        _ => "x86_64",
    }
}

/// Programs that firmware with some keys starts, and what these start.
struct Chains<'p> {
    firmware: Trust,
    /// Keys of each shim that the firmware starts.
    shims: Vec<Trust>,
    /// True if another program than shim is accepted.
    has_other: bool,
    /// Programs that the firmware refuses, but would have to start.
    refused: Vec<(&'p Path, Refusal)>,
    /// GRUBs that no shim starts, unless one is started.
    refused_grubs: Vec<(&'p Path, Refusal)>,
}

impl<'p> Chains<'p> {
    fn of(keys: KeySet, architecture: &str, programs: &'p Programs) -> Chains<'p> {
        let mut chains = Chains {
            firmware: Trust {
                accepted: keys.db(),
                ..Trust::default()
            },
            shims: Vec::new(),
            has_other: false,
            refused: Vec::new(),
            refused_grubs: Vec::new(),
        };
        let same = |(_, program): &(&Path, &Program)| program.architecture.name() == architecture;
        let all: Vec<(&Path, &Program)> = programs.sound().filter(same).collect();
        for (file, program) in &all {
            match (program.kind, chains.firmware.check(program)) {
                (Kind::Grub | Kind::ShimHelper | Kind::Kernel, _) => {}
                (Kind::Shim, Ok(_)) => chains.shims.push(chains.firmware.of_shim(program)),
                (_, Ok(_)) => chains.has_other = true,
                (_, Err(refusal)) => chains.refused.push((file, refusal)),
            }
        }
        let mut has_grub = false;
        for (file, grub) in all.iter().filter(|(_, program)| program.kind == Kind::Grub) {
            match accepted(&chains.shims, grub) {
                Some(Ok(_)) => has_grub = true,
                Some(Err(refusal)) => chains.refused_grubs.push((file, refusal)),
                None => {}
            }
        }
        if has_grub {
            chains.refused_grubs.clear();
        }
        chains
    }

    /// Returns the refused programs if none is left that could boot.
    fn problems(&self) -> &[(&'p Path, Refusal)] {
        match self.shims.is_empty() {
            _ if self.has_other => &[],
            true => &self.refused,
            false => &self.refused_grubs,
        }
    }
}

/// Decides about a program by the first that accepts it; `None` without anybody to decide.
fn accepted(all: &[Trust], program: &Program) -> Option<Result<String, Refusal>> {
    let answers: Vec<_> = all.iter().map(|trust| trust.check(program)).collect();
    let position = answers.iter().position(Result::is_ok).unwrap_or(0);
    answers.into_iter().nth(position)
}

fn boot_programs(
    context: &Context<'_>,
    keys: KeySet,
    chains: &Chains<'_>,
    subjects: &[&Subject<'_>],
    findings: &mut Findings,
) {
    let problems = chains.problems();
    let (Some(listed), Some((index, _)), false) = (
        context.machines,
        subjects.first().and_then(|subject| subject.machine),
        problems.is_empty(),
    ) else {
        return;
    };
    let reasons = problems.iter().map(|(file, refusal)| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        format!("{name}: {refusal}")
    });
    let reasons: Vec<String> = reasons.collect();
    let message = format!(
        "Secure Boot with keys `{}` refuses every boot program for {}: {}",
        keys.name(),
        names(subjects),
        reasons.join("; ")
    );
    let help = "serve a shim that is signed with a certificate of these keys (Debian's shim-signed 16.1 has a signature of \
                2011 and one of 2023), and a GRUB of the same vendor";
    let problem = listed.problem(index, Severity::Warning, message, help);
    findings.add(problem.of_rule("nbp-refused"));
}

fn kernels(
    context: &Context<'_>,
    keys: KeySet,
    chains: &Chains<'_>,
    programs: &Programs,
    subjects: &[&Subject<'_>],
    findings: &mut Findings,
) {
    let mut profiles: BTreeMap<&str, Vec<&Subject<'_>>> = BTreeMap::new();
    for subject in subjects {
        let profile = subject.group.profile_id.as_ref();
        profiles.entry(profile).or_default().push(subject);
    }
    for (id, subjects) in profiles {
        let boot = subjects
            .first()
            .and_then(|subject| subject.profile?.boot.as_ref());
        let Some(written) = boot.map(|boot| boot.kernel.as_str()) else {
            continue;
        };
        let file = context.assets.zip(asset_of(written));
        let Some(file) = file
            .map(|(assets, below)| assets.join(below))
            .filter(|file| file.is_file())
        else {
            continue;
        };
        let Some(why) = refusal(chains, programs, &file) else {
            continue;
        };
        let message = format!(
            "Secure Boot with keys `{}` refuses kernel `{written}` of {}: {why}",
            keys.name(),
            names(&subjects)
        );
        let help = "name a kernel that is signed with a key which shim or the firmware knows, as Debian's linux-image packages \
                    are for Debian's shim";
        if let Some((source, at)) = kernel_at(context, id) {
            findings.add(source.problem("kernel-refused", at, message, help));
        }
    }
}

/// Returns the reason that a kernel is refused. Without a shim in the folders, a shim elsewhere may know its signer.
fn refusal(chains: &Chains<'_>, programs: &Programs, file: &Path) -> Option<String> {
    let program = match programs.get(file) {
        Some(Ok(program)) => program,
        Some(Err(error)) => return Some(error.to_string()),
        None => return Some("not an EFI program".into()),
    };
    let by_firmware = chains.firmware.check(program);
    match (by_firmware, accepted(&chains.shims, program)) {
        (Ok(_), _) | (_, Some(Ok(_))) => None,
        (Err(Refusal::UnknownSigner(_)), None) => None,
        (Err(refusal), None) | (_, Some(Err(refusal))) => Some(refusal.to_string()),
    }
}

fn names(subjects: &[&Subject<'_>]) -> String {
    let names: Vec<&str> = subjects.iter().map(|one| one.name.as_str()).collect();
    named(&names)
}
