//! Intended differences from each version of bootcfg and matchbox, recognized in a pair of answers. Pure.
//!
//! `docs/differences-bootcfg.md` and `docs/differences-matchbox.md` have the reasons. Only differences that need
//! nothing of the user are here: a template that 0.3 served with `<no value>` and boot-server refuses is not.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Answer, Version, endpoint};
use crate::plan::is_initrd_name;

/// Most bytes of a compressed content that are compared.
const MOST_UNPACKED: u64 = 64 << 20;

/// A kind of intended difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Documented {
    /// The first script sends the label `arch`, and the MAC of the interface that booted.
    FirstScript,
    /// An initrd has a line of its own, and no initrd has none.
    InitrdLines,
    /// Initrds have names, which the kernel line lists, for iPXE on UEFI.
    InitrdNames,
    /// GRUB's menu has no `initrd` line without a file.
    GrubInitrd,
    /// Values of the metadata that are not strings are written without `%!s(…)`.
    MetadataValues,
    /// A profile's `args` are in `cmdline` too, which Pixiecore reads.
    PixiecoreCmdline,
    /// A profile that boots nothing is a 404 for Pixiecore.
    PixiecoreNothing,
    /// The config has another version of Ignition and is equal otherwise.
    IgnitionVersion,
    /// A config that the old server refuses or replaces by an empty one is served.
    IgnitionServed,
    /// A file that is not an Ignition config is refused; the old server replaces it by an empty config.
    IgnitionRefused,
    /// Contents are compressed to other bytes, which unpack to the same.
    Compression,
}

impl Documented {
    /// Returns the difference in a few words.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Documented::FirstScript => "the first script sends other labels",
            Documented::InitrdLines => "a line for each initrd here, all on one there",
            Documented::InitrdNames => "initrds have names here, for iPXE on UEFI",
            Documented::GrubInitrd => "no initrd line without a file here",
            Documented::MetadataValues => "numbers are written without `%!s(…)` here",
            Documented::PixiecoreCmdline => "the kernel command line is in `cmdline` too here",
            Documented::PixiecoreNothing => "a profile without kernel is a 404 here, `null` there",
            Documented::IgnitionVersion => "another version of Ignition, with equal content",
            Documented::IgnitionServed => "served here; refused, or an empty config, there",
            Documented::IgnitionRefused => {
                "not an Ignition config: a 404 here, an empty config there"
            }
            Documented::Compression => "compressed to other bytes, with equal content",
        }
    }
}

/// Returns the intended difference that explains two different answers to a request.
pub(super) fn documented(
    version: Version,
    request: &str,
    there: &Answer,
    here: &Answer,
) -> Option<Documented> {
    let statuses = (there.status, here.status);
    match endpoint(request) {
        "/boot.ipxe" if statuses == (200, 200) => first_script(version, there, here),
        "/ipxe" if statuses == (200, 200) => ipxe_script(version, request, there, here),
        "/grub" if statuses == (200, 200) => {
            let is_same = without_empty_initrd(&there.body) == here.body;
            is_same.then_some(Documented::GrubInitrd)
        }
        "/metadata" if version == Version::Bootcfg02 => {
            let is_same = sorted(&without_bad_verbs(&there.body)) == sorted(&here.body);
            is_same.then_some(Documented::MetadataValues)
        }
        "/pixiecore/v1/boot" if (Version::Bootcfg03..=Version::Matchbox06).contains(&version) => {
            pixiecore(there, here)
        }
        "/ignition" => ignition(version, there, here),
        _ => None,
    }
}

fn first_script(version: Version, there: &Answer, here: &Answer) -> Option<Documented> {
    let mut script = there.body.clone();
    if (Version::Bootcfg03..Version::Matchbox011).contains(&version) {
        script = script.replace(
            "&serial=${serial}",
            "&serial=${serial}&arch=${buildarch:uristring}",
        );
    }
    if (Version::Bootcfg03..=Version::Matchbox06).contains(&version) {
        script = script.replace("${net0/mac:hexhyp}", "${mac:hexhyp}");
    }
    (script == here.body).then_some(Documented::FirstScript)
}

fn ipxe_script(
    version: Version,
    request: &str,
    there: &Answer,
    here: &Answer,
) -> Option<Documented> {
    // 0.9 writes a line each; of 0.7 and 0.8 nothing is recorded.
    let there = match version < Version::Matchbox09 {
        true => one_initrd_a_line(&there.body),
        false => there.body.clone(),
    };
    if there == one_initrd_a_line(&here.body) {
        return Some(Documented::InitrdLines);
    }
    let is_efi = request.contains("platform=efi");
    let is_same = is_efi && there == one_initrd_a_line(&without_names(&here.body));
    is_same.then_some(Documented::InitrdNames)
}

/// Returns a script with a line for each initrd, none for no initrd, and no space at the end of such a line.
fn one_initrd_a_line(script: &str) -> String {
    let mut lines = String::new();
    for line in script.lines() {
        let Some(files) = line.strip_prefix("initrd") else {
            lines.extend([line, "\n"]);
            continue;
        };
        // An option of iPXE belongs to the file behind it.
        let mut options = String::new();
        let mut words = files.split_whitespace();
        while let Some(word) = words.next() {
            if word.starts_with("--") {
                options.extend([word, " ", words.next().unwrap_or_default(), " "]);
                continue;
            }
            lines.extend(["initrd ", options.as_str(), word, "\n"]);
            options.clear();
        }
    }
    lines
}

/// Returns a script without the names `initrd0`, `initrd1`, … of initrds.
fn without_names(script: &str) -> String {
    let mut lines = String::new();
    for line in script.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let mut kept: Vec<&str> = Vec::with_capacity(words.len());
        let mut words = words.into_iter().peekable();
        while let Some(word) = words.next() {
            if word == "--name" && words.peek().is_some_and(|name| is_initrd_name(name)) {
                words.next();
            } else if !word.strip_prefix("initrd=").is_some_and(is_initrd_name) {
                kept.push(word);
            }
        }
        lines.extend([kept.join(" ").as_str(), "\n"]);
    }
    lines
}

fn without_empty_initrd(menu: &str) -> String {
    menu.replace("echo \"Loading initrd\"\ninitrdefi \n", "")
        .replace("echo \"Loading initrd\"\ninitrd \n", "")
}

/// Returns a text in which each `%!s(TYPE=VALUE)` of Go is its value.
fn without_bad_verbs(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("%!s(") {
        plain.push_str(before);
        let value = after.split_once('=').and_then(|(kind, value)| {
            let is_kind = kind.bytes().all(|b| b.is_ascii_alphanumeric());
            value.split_once(')').filter(|_| is_kind)
        });
        match value {
            Some((value, behind)) => {
                plain.push_str(value);
                rest = behind;
            }
            None => {
                plain.push_str("%!s(");
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    plain
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

fn pixiecore(there: &Answer, here: &Answer) -> Option<Documented> {
    if (there.status, here.status) == (200, 404) && there.body.trim() == "null" {
        return Some(Documented::PixiecoreNothing);
    }
    let (there, mut here) = (json(there)?, json(here)?);
    let had = here.as_object_mut()?.remove("cmdline");
    (had.is_some() && there == here).then_some(Documented::PixiecoreCmdline)
}

fn ignition(version: Version, there: &Answer, here: &Answer) -> Option<Documented> {
    let has_butane = version >= Version::Matchbox010;
    let is_replaced = |answer: &Answer| {
        let config = json(answer).filter(|_| has_butane)?;
        (config.pointer("/ignition/version")? == "").then_some(())
    };
    match (there.status, here.status) {
        (404, 200) => {
            // 0.3 and before know Ignition 1 only. Container Linux Configs were dropped in 0.10.
            let is_served = match version <= Version::Bootcfg03 {
                true => json(here)?.pointer("/ignition/version").is_some(),
                false => has_butane,
            };
            is_served.then_some(Documented::IgnitionServed)
        }
        (200, 404) => is_replaced(there).map(|()| Documented::IgnitionRefused),
        (200, 200) if is_replaced(there).is_some() => Some(Documented::IgnitionServed),
        (200, 200) => {
            let (there, here) = (json(there)?, json(here)?);
            let (there, here) = (unpacked(there), unpacked(here));
            if there == here {
                return Some(Documented::Compression);
            }
            let major = match version {
                Version::Matchbox010 => "3.",
                _ if version < Version::Matchbox09 => "2.",
                _ => return None,
            };
            let ((there, of_there), (here, of_here)) = (versionless(there), versionless(here));
            let is_same =
                of_there.starts_with(major) && of_here.starts_with(major) && there == here;
            is_same.then_some(Documented::IgnitionVersion)
        }
        _ => None,
    }
}

fn json(answer: &Answer) -> Option<Value> {
    serde_json::from_str(&answer.body).ok()
}

/// Applies a change to each value of a tree, from its leaves on.
fn each(value: Value, change: &impl Fn(Value) -> Value) -> Value {
    let value = match value {
        Value::Array(items) => items.into_iter().map(|item| each(item, change)).collect(),
        Value::Object(object) => {
            let entries = object.into_iter();
            Value::Object(
                entries
                    .map(|(key, value)| (key, each(value, change)))
                    .collect(),
            )
        }
        other => other,
    };
    change(value)
}

/// Returns a config with the hash of what each compressed content unpacks to in its place.
fn unpacked(config: Value) -> Value {
    each(config, &|value| match value {
        Value::String(text) => Value::String(unpacked_text(&text).unwrap_or(text)),
        other => other,
    })
}

/// Returns the hash of what a data URL with gzip unpacks to.
fn unpacked_text(url: &str) -> Option<String> {
    let packed = STANDARD.decode(url.strip_prefix("data:;base64,")?).ok()?;
    let mut unpacking = flate2::read::GzDecoder::new(packed.as_slice()).take(MOST_UNPACKED);
    let mut hash = Sha256::new();
    let mut part = [0; 8 << 10];
    loop {
        match unpacking.read(&mut part).ok()? {
            0 => break,
            count => hash.update(part.get(..count)?),
        }
    }
    Some(format!("gzip of {}", hex::encode(hash.finalize())))
}

/// Returns a config without its version and without empty sections, and the version.
fn versionless(mut config: Value) -> (Value, String) {
    let version = config.pointer_mut("/ignition/version").map(Value::take);
    let version = version.and_then(|version| version.as_str().map(str::to_owned));
    let pruned = each(config, &|value| match value {
        Value::Object(object) => {
            let kept = object.into_iter().filter(|(_, value)| !is_empty(value));
            Value::Object(kept.collect())
        }
        other => other,
    });
    (pruned, version.unwrap_or_default())
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(object) => object.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
#[path = "documented_tests.rs"]
mod tests;
