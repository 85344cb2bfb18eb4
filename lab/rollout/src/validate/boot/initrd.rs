//! Names and order of initrds: on UEFI the kernel is told them by `initrd=` options, on BIOS it gets them
//! all in the order of the list.

use super::Booted;
use crate::validate::finding::Findings;
use crate::validate::tree::At;

/// An initrd as it is written.
struct Written<'a> {
    name: &'a str,
    file: &'a str,
    at: At,
}

pub(super) fn check(booted: &Booted<'_>, findings: &mut Findings) {
    let initrds: Vec<Written<'_>> = booted
        .initrds()
        .iter()
        .filter_map(|node| {
            let text = node.scalar()?;
            let file = text.split_whitespace().last()?;
            Some(Written {
                name: own_name(text).unwrap_or_else(|| base_name(file)),
                file,
                at: node.at,
            })
        })
        .collect();
    let options = booted
        .options
        .iter()
        .filter(|option| option.key == "initrd");
    let named: Vec<(&str, At)> = options
        .flat_map(|option| {
            let names = option.value.as_deref().unwrap_or_default().split(',');
            names.map(|name| (name, option.at))
        })
        .filter(|(name, _)| !name.is_empty())
        .collect();
    for (name, at) in &named {
        if !initrds.iter().any(|initrd| initrd.name == *name) {
            let names: Vec<&str> = initrds.iter().map(|initrd| initrd.name).collect();
            let message = format!("unknown initrd name: `initrd={name}`");
            let help = match names.is_empty() {
                true => "add it to the list `initrd`".to_owned(),
                false => format!(
                    "name it `--name {name} /assets/…` in the list `initrd`, or write initrd={}",
                    names.join(" initrd=")
                ),
            };
            booted.tell(findings, "initrd-name", *at, message, help);
            // A mistake is reported once.
            return;
        }
    }
    if !named.is_empty() {
        for initrd in &initrds {
            if !named.iter().any(|(name, _)| *name == initrd.name) {
                let message = format!(
                    "no `initrd=` option names `{}`: UEFI machines boot without it",
                    initrd.name
                );
                let help = format!("add initrd={}", initrd.name);
                booted.tell(findings, "initrd-name", initrd.at, message, help);
                return;
            }
        }
        let listed = initrds.iter().map(|initrd| initrd.name);
        if !named.iter().map(|(name, _)| *name).eq(listed) {
            let at = named.first().map(|(_, at)| *at).unwrap_or_default();
            let message = "the `initrd=` options and the list `initrd` differ in order";
            let help = "use the same order in both: UEFI machines follow the options, BIOS machines the list";
            booted.tell(findings, "initrd-order", at, message, help);
            return;
        }
    }
    microcode(booted, &initrds, findings);
}

/// Microcode is looked for at the beginning of the first initrd alone.
fn microcode(booted: &Booted<'_>, initrds: &[Written<'_>], findings: &mut Findings) {
    for initrd in initrds.iter().skip(1) {
        let file = base_name(initrd.file).to_ascii_lowercase();
        if file.contains("microcode") || file.contains("ucode") {
            let message = "microcode is not the first initrd: the kernel does not find it";
            let help = "move it before the others";
            booted.tell(findings, "initrd-order", initrd.at, message, help);
        }
    }
}

/// Returns the name given to an initrd by `--name`.
fn own_name(written: &str) -> Option<&str> {
    let mut words = written.split_whitespace();
    words.find(|word| matches!(*word, "--name" | "-n"))?;
    words.next()
}

/// Returns the name that iPXE gives an image.
fn base_name(file: &str) -> &str {
    let path = file.split(['?', '#']).next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default()
}
