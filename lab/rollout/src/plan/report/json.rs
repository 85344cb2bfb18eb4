//! A plan as JSON, for programs. Keys stay; new ones may be added. `version` is 1.

use std::collections::BTreeMap;

use boot_server_catalog::ignition::ConfigLanguage;
use boot_server_catalog::snapshot::{Folder, Refusal};
use serde::Serialize;

use crate::plan::change::{Change, Changes, Fate};
use crate::plan::{Asked, Document, MachinePlan, Plan, PlannedSeed, sha256};

#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    layout: &'static str,
    machines: Vec<Machine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<Against<'a>>,
}

#[derive(Serialize)]
struct Machine<'a> {
    name: &'a str,
    request: &'a str,
    group: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kernel: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    initrd: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    command_line: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    script: Option<Served<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cloud_config: Option<Served<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ignition: Option<Served<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generic: Option<Served<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<Seed<'a>>,
    problems: Vec<String>,
}

/// NoCloud seed of cloud-init.
#[derive(Serialize)]
struct Seed<'a> {
    option: &'a str,
    url: &'a str,
    /// Files of the seed, by the names that cloud-init appends to the URL.
    files: BTreeMap<&'static str, Served<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Served<'a> {
    Document {
        request: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        file: Option<&'a str>,
        bytes: usize,
        sha256: String,
        asked_for: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        translated_from: Option<TranslatedFrom<'a>>,
    },
    Refused {
        error: &'a str,
        asked_for: bool,
    },
}

/// Config that a document is translated from.
#[derive(Serialize)]
struct TranslatedFrom<'a> {
    language: &'static str,
    sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
}

#[derive(Serialize)]
struct Against<'a> {
    what: &'a str,
    stopping: Vec<&'a str>,
    breaking: Vec<&'a str>,
    starting: Vec<&'a str>,
    changing: Vec<&'a str>,
    renamed: Vec<&'a str>,
    unchanged: usize,
    changes: Vec<ChangeOf<'a>>,
}

#[derive(Serialize)]
struct ChangeOf<'a> {
    machines: &'a [String],
    fate: &'static str,
    loses_config: bool,
    facts: &'a [String],
    diffs: Vec<DiffOf<'a>>,
}

#[derive(Serialize)]
struct DiffOf<'a> {
    what: &'static str,
    unified: &'a str,
}

/// Inclusion of the bytes themselves, beside their hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Texts {
    /// Texts are included: for one machine that is shown in full.
    Included,
    /// Only hashes are included.
    Hashed,
}

/// Renders a plan, and what changes in it.
///
/// # Errors
/// serde_json's, which has none for these types.
pub fn render(plan: &Plan, changes: Option<(&Changes, &str)>) -> serde_json::Result<String> {
    let machines: Vec<&MachinePlan> = plan.machines.iter().collect();
    report(plan, &machines, changes, Texts::Hashed)
}

/// Renders one machine of a plan with its texts.
///
/// # Errors
/// serde_json's, which has none for these types.
pub fn render_one(plan: &Plan, machine: &MachinePlan) -> serde_json::Result<String> {
    report(plan, &[machine], None, Texts::Included)
}

fn report(
    plan: &Plan,
    machines: &[&MachinePlan],
    changes: Option<(&Changes, &str)>,
    texts: Texts,
) -> serde_json::Result<String> {
    let report = Report {
        version: 1,
        layout: match plan.layout.profile_word() {
            "spec" => "bootcfg",
            _ => "matchbox",
        },
        machines: machines.iter().map(|one| machine(one, texts)).collect(),
        against: changes.map(|(changes, what)| against(changes, what)),
    };
    Ok(serde_json::to_string_pretty(&report)? + "\n")
}

fn machine(machine: &MachinePlan, texts: Texts) -> Machine<'_> {
    let booted = machine.outcome.as_ref().ok();
    let config = |folder: Folder| {
        let config = booted?.config(folder)?;
        let asked_for = config.asked == Asked::ByKernelOption;
        Some(match &config.served {
            Ok(document) => served(document, config.source.as_ref(), asked_for, texts),
            Err(Refusal { reason, .. }) => Served::Refused {
                error: reason,
                asked_for,
            },
        })
    };
    Machine {
        name: &machine.name,
        request: &machine.request,
        group: match &machine.outcome {
            Ok(booted) => Some(booted.group.as_str()),
            Err(refused) => refused.group.as_deref(),
        },
        by: booted.map(|booted| booted.by.as_str()),
        why: booted.map(|booted| booted.why.as_str()),
        profile: booted.map(|booted| booted.profile.as_str()),
        kernel: booted.map(|booted| booted.kernel.as_str()),
        initrd: booted.map_or(&[], |booted| &booted.initrd),
        command_line: booted.map(|booted| booted.command_line.as_str()),
        script: booted.map(|booted| served(&booted.script, None, true, texts)),
        cloud_config: config(Folder::Cloud),
        ignition: config(Folder::Ignition),
        generic: config(Folder::Generic),
        seed: booted
            .and_then(|booted| booted.seed.as_ref())
            .map(|planned| seed(planned, texts)),
        problems: machine.problems(),
    }
}

fn seed(seed: &PlannedSeed, texts: Texts) -> Seed<'_> {
    let files = seed.files.iter().map(|planned| {
        let served = match &planned.served {
            Ok(document) => served(document, None, true, texts),
            Err(Refusal { reason, .. }) => Served::Refused {
                error: reason,
                asked_for: true,
            },
        };
        (planned.file.name(), served)
    });
    Seed {
        option: &seed.option,
        url: &seed.url,
        files: files.collect(),
    }
}

fn served<'a>(
    document: &'a Document,
    source: Option<&'a crate::plan::TranslatedFrom>,
    asked_for: bool,
    texts: Texts,
) -> Served<'a> {
    let is_included = texts == Texts::Included;
    Served::Document {
        request: &document.request,
        file: document.file.as_deref(),
        bytes: document.text.len(),
        sha256: document.sha256(),
        asked_for,
        text: is_included.then_some(&*document.text),
        translated_from: source.map(|source| TranslatedFrom {
            language: match source.language {
                ConfigLanguage::Butane => "butane",
                ConfigLanguage::ContainerLinux => "container-linux-config",
            },
            sha256: sha256(&source.text),
            text: is_included.then_some(&*source.text),
        }),
    }
}

fn against<'a>(changes: &'a Changes, what: &'a str) -> Against<'a> {
    let of = |fate: Fate| {
        let sets = changes
            .sets
            .iter()
            .filter(move |set| set.change.fate == fate);
        sets.flat_map(|set| &set.machines)
            .map(String::as_str)
            .collect()
    };
    Against {
        what,
        stopping: of(Fate::Stops),
        breaking: of(Fate::Breaks),
        starting: of(Fate::Starts),
        changing: of(Fate::Changes),
        renamed: of(Fate::Renamed),
        unchanged: changes.same,
        changes: changes
            .sets
            .iter()
            .map(|set| change(&set.change, &set.machines))
            .collect(),
    }
}

fn change<'a>(change: &'a Change, machines: &'a [String]) -> ChangeOf<'a> {
    ChangeOf {
        machines,
        fate: match change.fate {
            Fate::Stops => "stops",
            Fate::Breaks => "breaks",
            Fate::Starts => "starts",
            Fate::Changes => "changes",
            Fate::Renamed => "renamed",
            Fate::Same => "same",
        },
        loses_config: change.loses_config,
        facts: &change.facts,
        diffs: change
            .diffs
            .iter()
            .map(|diff| DiffOf {
                what: diff.what,
                unified: &diff.text,
            })
            .collect(),
    }
}
