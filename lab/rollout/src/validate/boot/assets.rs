//! Kernels and initrds in the folder of assets: of the right kind, and for their machines.

use std::collections::HashMap;
use std::path::PathBuf;

use boot_server_catalog::check::asset_of;
use boot_server_proto::firmware::Firmware;

use super::Booted;
use super::image::{Arch, Image, of_file};
use crate::validate::context::{Subject, named};
use crate::validate::finding::Findings;

/// Cache of classified files: many profiles boot the same.
#[derive(Debug, Default)]
pub(super) struct Assets(HashMap<PathBuf, Option<Image>>);

impl Assets {
    /// Classifies an asset; none when it is missing, which another rule reports.
    fn look(&mut self, booted: &Booted<'_>, written: &str) -> Option<Image> {
        let file = booted.context.assets?.join(asset_of(written)?);
        let image = self
            .0
            .entry(file)
            .or_insert_with_key(|file| (file.is_file()).then(|| of_file(file).ok()).flatten());
        *image
    }

    /// Looks at kernel and initrds of a spec or profile.
    pub(super) fn check(&mut self, booted: &Booted<'_>, findings: &mut Findings) {
        let kernel = booted.boot().and_then(|boot| boot.child("kernel"));
        if let Some((node, written)) = kernel.and_then(|node| Some((node, node.scalar()?))) {
            let help = "name a bzImage (vmlinuz), an ARM64 Image or an EFI program";
            let mut wrong = |what: &str| {
                let message = format!("wrong file kind: kernel `{written}` is {what}");
                booted.tell(findings, "kernel-kind", node.at, message, help);
            };
            match self.look(booted, written) {
                Some(Image::Other(what)) => wrong(what),
                Some(Image::Initrd) => wrong("an initrd, or compressed"),
                Some(Image::Kernel(Some(arch))) => {
                    architecture(booted, written, arch, findings);
                }
                Some(Image::Kernel(None)) | None => {}
            }
        }
        for node in booted.initrds() {
            let Some(written) = node.scalar() else {
                continue;
            };
            let what = match self.look(booted, written) {
                Some(Image::Other(what)) => what,
                Some(Image::Kernel(_)) => "a kernel",
                Some(Image::Initrd) | None => continue,
            };
            let message = format!("wrong file kind: initrd `{written}` is {what}");
            let help = "name a cpio archive, compressed or not, or a squashfs";
            booted.tell(findings, "initrd-kind", node.at, message, help);
        }
    }
}

fn architecture(booted: &Booted<'_>, written: &str, kernel: Arch, findings: &mut Findings) {
    let cannot: Vec<(&str, Arch)> = booted
        .subjects
        .iter()
        .filter_map(|subject| Some((subject.name.as_str(), of_subject(subject)?)))
        .filter(|(_, arch)| !arch.runs(kernel))
        .collect();
    let Some((_, arch)) = cannot.first() else {
        return;
    };
    let names: Vec<&str> = cannot.iter().map(|(name, _)| *name).collect();
    let message = format!(
        "kernel `{written}` is of {}, {} of {}",
        kernel.name(),
        named(&names),
        arch.name()
    );
    let help = "name a kernel for their architecture, or add a group that selects them by `arch`";
    let at = booted.boot().and_then(|boot| boot.child("kernel"));
    let at = at.map(|node| node.at).unwrap_or_default();
    booted.tell(findings, "kernel-architecture", at, message, help);
}

/// Returns the architecture of a machine, if known: by its label, and BIOS means x86.
fn of_subject(subject: &Subject<'_>) -> Option<Arch> {
    let label = subject
        .labels
        .0
        .get("arch")
        .or_else(|| subject.labels.0.get("buildarch"));
    if let Some(arch) = label.and_then(|label| Arch::of_label(label)) {
        return Some(arch);
    }
    let (_, machine) = subject.machine?;
    (machine.firmware == Firmware::Bios).then_some(Arch::X86_64)
}
