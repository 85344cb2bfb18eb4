//! Causes about the config: its server, its content, its owner.

use boot_server_catalog::Labels;
use boot_server_catalog::nocloud::SeedRequest;
use boot_server_events::BootEvent;

use super::case::{Case, proof};
use super::script::why_no_group;
use super::{Cause, Finding, Proof};
use crate::timeline::signatures::{Clue, has_clue};
use crate::timeline::{self, Outcome, StageEvent, StageName};

const STAGES: [StageName; 3] = [
    StageName::Ignition,
    StageName::Generic,
    StageName::CloudConfig,
];

/// Requests for configs in both stages.
pub(super) fn requests<'a>(case: &Case<'a>) -> impl Iterator<Item = &'a StageEvent> + use<'a> {
    let of = STAGES.map(|stage| case.stage_events(stage));
    of.into_iter().flatten()
}

/// True if the last message about this config was a success.
fn came(case: &Case, failed: &StageEvent) -> bool {
    requests(case).any(|other| {
        other.subject == failed.subject
            && other.outcome == Outcome::Done
            && other.at_us >= failed.at_us
    })
}

fn refused<'a>(case: &Case<'a>, is: impl Fn(u16) -> bool) -> Option<(&'a StageEvent, u16)> {
    requests(case).find_map(|stage_event| {
        let status = stage_event.fact.status()?;
        (is(status) && !came(case, stage_event)).then_some((stage_event, status))
    })
}

/// Detects 404 and other 4xx answers, which are final for every client.
pub(super) fn not_found(case: &Case) -> Option<Finding> {
    let (stage_event, status) = refused(case, |status| (400..500).contains(&status))?;
    let path = stage_event.subject.as_deref().unwrap_or("the config");
    let mut evidence = vec![proof(stage_event)];
    let asked = case.events().find_map(|(_, event)| match event {
        BootEvent::HttpRequest {
            path: asked,
            query,
            status: 400..500,
            detail,
            ..
        } if asked.trim_start_matches('/') == path => Some((query, detail)),
        _ => None,
    });
    let mut reason = String::new();
    if let Some((query, detail)) = asked {
        reason = format!(": {detail}");
        // cloud-init's labels are in the path.
        let seed = SeedRequest::parse(&format!("/{path}"), query);
        let query = seed.map_or_else(|_| query.clone(), |asked| asked.query);
        evidence.extend(why_no_group(case, &Labels::from_query(&query), &query).map(Proof::of));
    }
    evidence.extend(said(case));
    Some(Finding {
        cause: Cause::ConfigNotFound,
        sentence: format!("the config service answered /{path} with {status}{reason}"),
        evidence,
        remedy: "put the file that the profile names into the service's folder (`cloud/`, \
                 `ignition/`, `generic/`), or correct its name; check that the labels in the config URL \
                 select the machine's group; the guest does not retry after a 4xx status"
            .into(),
        weight: 95,
    })
}

/// Detects 5xx answers, errors of the service itself.
pub(super) fn server_error(case: &Case) -> Option<Finding> {
    let (stage_event, status) = refused(case, |status| status >= 500)?;
    let path = stage_event.subject.as_deref().unwrap_or("the config");
    let times = requests(case)
        .filter(|one| one.subject == stage_event.subject)
        .count();
    let mut evidence = vec![proof(stage_event)];
    evidence.extend(said(case));
    Some(Finding {
        cause: Cause::ConfigServerError,
        sentence: format!("the config service answered /{path} with {status}, {times} times"),
        evidence,
        remedy:
            "read the config service's log: a 5xx status is an error of the service itself (an \
                 unavailable backend, a signature that cannot be made), and the guest retries \
                 until it gives up"
                .into(),
        weight: 95,
    })
}

fn complaint<'a>(case: &Case<'a>) -> Option<(u64, &'a str)> {
    // Firmware and boot programs read no configs; lines of a capture's console have no times.
    let kernel = case.timeline.stage(StageName::KernelUp);
    let since_us = kernel.map_or(0, |stage| stage.start_us);
    case.console()
        .find(|(at_us, line)| *at_us >= since_us && has_clue(line, Clue::ConfigComplaint))
}

fn said(case: &Case) -> Option<Proof> {
    let (at_us, line) = complaint(case)?;
    Some(Proof::at(
        at_us,
        format!("the console says `{}`", line.trim()),
    ))
}

/// Detects a config that arrived and was rejected.
pub(super) fn refused_by_guest(case: &Case) -> Option<Finding> {
    let (at_us, line) = complaint(case)?;
    let served = requests(case)
        .filter(|one| one.outcome == Outcome::Done && one.at_us <= at_us)
        .last();
    let about_fetch = has_clue(line, Clue::ConfigWay);
    let served = served?;
    // Ignition reports the mistake before its wrapper reports the failure.
    let mistakes: Vec<(u64, &str)> = case
        .console()
        .filter(|(other_us, other)| {
            *other_us <= at_us
                && *other_us >= served.at_us
                && has_clue(other, Clue::Applier)
                && has_clue(other, Clue::ConfigMistake)
        })
        .collect();
    if about_fetch && mistakes.is_empty() {
        return None;
    }
    let (told_us, told) = mistakes.last().copied().unwrap_or((at_us, line));
    let mut evidence = vec![Proof::at(
        told_us,
        format!("the console says `{}`", told.trim()),
    )];
    if told_us != at_us {
        evidence.push(Proof::at(
            at_us,
            format!("the console says `{}`", line.trim()),
        ));
    }
    evidence.push(proof(served));
    let file = served
        .served
        .as_deref()
        .or(served.subject.as_deref())
        .unwrap_or("its config");
    Some(Finding {
        cause: Cause::ConfigRefused,
        sentence: format!(
            "the guest received {file} and rejected it: `{}`",
            told.trim()
        ),
        evidence,
        remedy: "correct the config: its first line must be `#cloud-config`, or its Ignition \
                 version must be one that the image supports; `boot-server check DIR` and \
                 `ignition-validate` name the line"
            .into(),
        weight: 93,
    })
}

/// Requests of the machine itself, not those that a config brought in.
fn own_of<'c>(case: &'c Case, stage: StageName) -> impl DoubleEndedIterator<Item = &'c StageEvent> {
    let path = match stage {
        StageName::Ignition => Some("ignition"),
        StageName::Generic => Some("generic"),
        StageName::CloudConfig => Some("cloud"),
        _ => None,
    };
    let query = path.and_then(|path| case.node.config_query(path));
    timeline::own(case.stage_events(stage), query)
}

/// Detects another machine's config that was served or applied.
pub(super) fn wrong_served(case: &Case) -> Option<Finding> {
    let finding = |sentence: String, evidence: Vec<Proof>, weight| {
        Some(Finding {
            cause: Cause::WrongConfigServed,
            sentence,
            evidence,
            remedy:
                "find out which group the machine matches (`/explain?uuid=…&mac=…` of the boot \
                     server): check the group's requirements, the file that its profile names, \
                     and that this file is the right machine's"
                    .into(),
            weight,
        })
    };
    let expect = &case.node.expect;
    // A machine without one of the configs may still load such a text, as a file of the other config.
    let wanted = [
        (StageName::Script, expect.boot_group(), true),
        (
            StageName::Ignition,
            &expect.group,
            expect.ignition.is_some(),
        ),
        (
            StageName::Generic,
            &expect.group,
            expect.generic_config.is_some(),
        ),
        (
            StageName::CloudConfig,
            &expect.group,
            expect.cloud_config.is_some(),
        ),
    ];
    for (stage, group, _) in wanted.into_iter().filter(|(.., counts)| *counts) {
        let other = own_of(case, stage).find(|one| {
            one.outcome == Outcome::Done && one.group.as_deref().is_some_and(|found| found != group)
        });
        if let Some(stage_event) = other {
            let found = stage_event.group.as_deref().unwrap_or_default();
            let mut evidence = vec![proof(stage_event)];
            let query = stage_event.fact.query().unwrap_or_default();
            evidence.extend(why_no_group(case, &Labels::from_query(query), query).map(Proof::of));
            let sentence = format!("group `{found}` matched this machine instead of `{group}`");
            return finding(sentence, evidence, 94);
        }
    }
    let wanted = [
        (StageName::Ignition, expect.ignition.as_deref()),
        (StageName::Generic, expect.generic_config.as_deref()),
        (StageName::CloudConfig, expect.cloud_config.as_deref()),
    ];
    for (stage, wanted) in wanted {
        let Some(wanted) = wanted else { continue };
        let done = |one: &&StageEvent| one.outcome == Outcome::Done && one.served.is_some();
        let Some(last) = own_of(case, stage).rfind(done) else {
            continue;
        };
        if !last.is_file(wanted) {
            let served = last.served.as_deref().unwrap_or_default();
            let sentence = format!(
                "{} received {served} instead of {wanted}: the profile of group `{}` names another \
                 file",
                case.node.name, expect.group
            );
            return finding(sentence, vec![proof(last)], 93);
        }
    }
    if let Some((sentence, evidence)) = other_options(case) {
        return finding(sentence, evidence, 92);
    }
    // The differences are those of another machine's config.
    for check in case.timeline.checks.iter().filter(|check| !check.holds) {
        let others = case
            .attempt
            .scenario
            .nodes
            .iter()
            .filter(|node| node.name != case.node.name);
        let owner = others.into_iter().find(|other| {
            crate::verdict::checks::checks(other).iter().any(|theirs| {
                theirs.name == check.check
                    && theirs.expected == check.found
                    && theirs.expected != check.expected
            })
        });
        if let Some(owner) = owner {
            let served = requests(case)
                .filter(|one| one.outcome == Outcome::Done)
                .last();
            let mut evidence = vec![Proof::of(super::guest::told(check))];
            evidence.extend(served.map(proof));
            let sentence = format!(
                "{} booted with the config of {}: its {} is that of {}",
                case.node.name, owner.name, check.check, owner.name
            );
            return finding(sentence, evidence, 93);
        }
    }
    None
}

/// A simulated machine that would start its kernel with other options than expected, perhaps those of another node.
fn other_options(case: &Case) -> Option<(String, Vec<Proof>)> {
    let options = case.timeline.would_start.as_ref()?.options.as_ref()?;
    let name = &case.node.name;
    let own = &case.node.expect.kernel_options;
    let absent = own.iter().find(|option| !options.contains(option))?;
    let told = format!("the kernel would get the options `{}`", options.join(" "));
    let mut evidence = vec![Proof::of(told)];
    let script = case.stage_events(StageName::Script).iter();
    let last = script.rev().find(|one| one.outcome == Outcome::Done);
    evidence.extend(last.map(proof));
    let others = case.attempt.scenario.nodes.iter();
    let foreign = others.filter(|node| node.name != *name).find_map(|node| {
        let mut theirs = node.expect.kernel_options.iter();
        let option = theirs.find(|option| options.contains(option) && !own.contains(option))?;
        Some((node, option))
    });
    let sentence = match foreign {
        Some((node, option)) => format!(
            "the boot script of {name} is that of {}: its kernel would get `{option}`, not `{absent}`",
            node.name
        ),
        None => format!("the boot script of {name} does not have the kernel option `{absent}`"),
    };
    Some((sentence, evidence))
}
