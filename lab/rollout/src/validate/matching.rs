//! Groups and machines: who can be matched by what, and who is.

use std::collections::{HashMap, HashSet};

use boot_server_catalog::check;
use boot_server_catalog::problem::{Problem, Severity};
use boot_server_catalog::snapshot::{Folder, Layout};

use super::context::{Context, SENT_LABELS, Subject, named};
use super::finding::{Findings, Source};
use super::tree::{Entry, Node, json};
use crate::inventory::{Expected, Machine};

/// Looks at groups, and at the machines of an inventory. `groups` is the tree of `config.yaml`.
pub(super) fn check(
    context: &Context<'_>,
    groups: Option<(&Source, &Node)>,
    findings: &mut Findings,
) {
    selectors(context, groups, findings);
    unsent(context, findings);
    no_default(context, findings);
    let Some(machines) = context.machines else {
        return;
    };
    for (index, why) in &context.unmatched {
        let name = machines
            .inventory
            .machines
            .get(*index)
            .map_or("", |m| &m.name);
        let message = format!("machine `{name}` gets nothing: {why}");
        let help = "add a group for it, or a default group without requirements".to_owned();
        let problem = machines.problem(*index, Severity::Error, message, help);
        findings.add(problem.of_rule("machine-unmatched"));
    }
    for subject in &context.subjects {
        if let Some((index, machine)) = subject.machine
            && let Some((rule, message, help)) = unexpected(context, subject, machine)
        {
            let problem = machines.problem(index, Severity::Error, message, help);
            findings.add(problem.of_rule(rule));
        }
    }
    never_chosen(context, &machines.inventory.machines, findings);
}

/// Reports selectors in a form that no machine sends.
fn selectors(context: &Context<'_>, groups: Option<(&Source, &Node)>, findings: &mut Findings) {
    if let Some((source, root)) = groups {
        for group in root.child("groups").map_or(&[][..], Node::items) {
            for entry in group.child("require").map_or(&[][..], Node::entries) {
                selector(source, entry, findings);
            }
        }
    }
    if context.snapshot.layout == Layout::Matchbox {
        for name in context.root.names("groups").unwrap_or_default() {
            let source = context.source(&format!("groups/{name}"));
            let Some(source) = source.filter(|_| name.ends_with(".json")) else {
                continue;
            };
            if let Ok(root) = json::parse(&source.text).map(|root| root.as_go(&["selector"])) {
                for entry in root.child("selector").map_or(&[][..], Node::entries) {
                    selector(&source, entry, findings);
                }
            }
        }
    }
}

/// Reports required labels that no script, config URL or machine of the inventory sends.
fn unsent(context: &Context<'_>, findings: &mut Findings) {
    for (group, label) in check::unsent_labels(context.root, context.snapshot) {
        let mut machines = context
            .machines
            .iter()
            .flat_map(|list| &list.inventory.machines);
        let Some(place) = context.places.get(group.number) else {
            continue;
        };
        if machines.any(|machine| machine.labels.contains_key(&label)) {
            continue;
        }
        let message = format!(
            "unreachable group: `{}` requires the label `{label}`, which no boot script or config URL sends",
            group.name
        );
        let help = check::unsent_help(&label);
        let problem = Problem::of_file(Severity::Warning, &place.path, message, help);
        let problem = problem.of_rule("unsent-label");
        findings.add(problem.at(place.text.clone(), place.line, place.column));
    }
}

fn selector(source: &Source, entry: &Entry, findings: &mut Findings) {
    let value = entry.value.scalar().unwrap_or_default();
    let lower = entry.key.to_ascii_lowercase();
    if lower != entry.key && SENT_LABELS.contains(&lower.as_str()) {
        let message = format!("no machine sends a label `{}`", entry.key);
        let help = format!("write it as it is sent: {lower}");
        findings.add(source.problem("unmatchable-selector", entry.at, message, help));
    } else if value.trim() != value {
        let message = format!("surrounding white space in `{value}`, which no machine sends");
        let help = format!("write {}: {}", entry.key, value.trim());
        findings.add(source.problem("unmatchable-selector", entry.value.at, message, help));
    } else if lower == "uuid" && !value.is_empty() && !is_uuid(value) {
        let normal = value.to_ascii_lowercase();
        let help = match is_uuid(&normal) {
            true => format!("write it as iPXE sends it: {normal}"),
            false => "write 8, 4, 4, 4 and 12 hexadecimal digits in lower case".to_owned(),
        };
        let message = format!("no machine sends the UUID `{value}`");
        findings.add(source.problem("unmatchable-uuid", entry.value.at, message, help));
    }
}

/// True if iPXE would write a UUID in this form.
fn is_uuid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    let hex = |c: char| c == '-' || c.is_ascii_digit() || ('a'..='f').contains(&c);
    lengths == [8, 4, 4, 4, 12] && text.chars().all(hex)
}

fn no_default(context: &Context<'_>, findings: &mut Findings) {
    let mut groups = context.snapshot.groups.iter();
    if context.snapshot.groups.is_empty() || groups.any(|group| group.require.is_empty()) {
        return;
    }
    let path = match context.snapshot.layout {
        Layout::Bootcfg => context.groups_path.clone(),
        Layout::Matchbox => context.path_of("groups"),
    };
    let message = "no default group: unknown machines are answered 404";
    let help = "ignore this if intended; else add a group without requirements";
    let problem = Problem::of_file(Severity::Info, &path, message, help);
    findings.add(problem.of_rule("no-default-group"));
}

/// Compares a machine's boot with the inventory: rule, message, help.
fn unexpected(
    context: &Context<'_>,
    subject: &Subject<'_>,
    machine: &Machine,
) -> Option<(&'static str, String, String)> {
    let group = subject.group;
    let word = context.snapshot.layout.profile_word();
    let config = |folder: Folder| {
        let file = subject.profile.and_then(|profile| folder.file(profile));
        file.map(|file| file.to_string())
    };
    let Expected {
        profile,
        cloud_config,
        ignition,
    } = &machine.expect;
    for (what, wanted, got) in [
        (word, profile, Some(group.profile_id.to_string())),
        ("cloud-config", cloud_config, config(Folder::Cloud)),
        ("Ignition config", ignition, config(Folder::Ignition)),
    ] {
        let Some(wanted) = wanted
            .as_ref()
            .filter(|wanted| got.as_ref() != Some(*wanted))
        else {
            continue;
        };
        let got = got.map_or_else(|| "none".to_owned(), |got| format!("`{got}`"));
        let message = format!(
            "machine `{}` gets {what} {got}, not `{wanted}`: group `{}` is chosen",
            machine.name, group.name
        );
        let help = "change what its group requires or names, or what the inventory expects";
        return Some(("machine-unexpected", message, help.to_owned()));
    }
    (group.require.is_empty() && profile.is_none()).then(|| {
        let message = format!(
            "machine `{}` gets the default group `{}`",
            machine.name, group.name
        );
        let help = format!(
            "add a group for it; if intended, add {word} = \"{}\" to the inventory",
            group.profile_id
        );
        ("machine-default-only", message, help)
    })
}

/// Groups meant for machines that all get another group.
fn never_chosen(context: &Context<'_>, machines: &[Machine], findings: &mut Findings) {
    const IDENTITIES: [&str; 4] = ["uuid", "mac", "serial", "hostname"];
    let snapshot = context.snapshot;
    let mut winners: HashSet<usize> = HashSet::new();
    let mut losers: HashMap<usize, Vec<(&str, &str)>> = HashMap::new();
    for machine in machines {
        let labels = machine.request_labels();
        let matching = snapshot.groups.all_matching(&labels);
        let Some((best, others)) = matching.split_first() else {
            continue;
        };
        winners.insert(best.number);
        for group in others {
            let lost = losers.entry(group.number).or_default();
            lost.push((&machine.name, &best.name));
        }
    }
    for group in snapshot.groups.iter() {
        let mut keys = group.require.iter().filter(|(_, value)| !value.is_empty());
        let is_identity = keys.any(|(key, _)| IDENTITIES.contains(&key));
        let Some(lost) = losers.get(&group.number).filter(|_| is_identity) else {
            continue;
        };
        let Some(place) = context
            .places
            .get(group.number)
            .filter(|_| !winners.contains(&group.number))
        else {
            continue;
        };
        let names: Vec<String> = lost.iter().map(|(name, _)| format!("`{name}`")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let winner = lost.first().map_or("", |(_, winner)| winner);
        let message = format!(
            "unreachable group `{}`: {} gets group `{winner}`",
            group.name,
            named(&names)
        );
        let help = "groups with more requirements come first, and with equally many the uuid comes before the mac: require more, or remove one group";
        let problem = Problem::of_file(Severity::Warning, &place.path, message, help);
        let problem = problem.of_rule("never-chosen");
        findings.add(problem.at(place.text.clone(), place.line, place.column));
    }
}
