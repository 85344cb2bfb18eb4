//! Derivation of the verdict from requirements and timeline.

use super::checks::checks;
use super::proof::{Unmet, proves};
use super::require::{By, Requirement, requirements};
use super::{NodeVerdict, content, matching, order, whole};
use crate::evidence::GaveUp;
use crate::scenario::{DhcpService, Firmware, Node, Part, Scenario, Service};
use crate::timeline::{Origin, Outcome, Stage, StageEvent, StageName, Timeline, Vantage};

/// Maximum number of loads of a boot program; more is a loop. A chainload needs one, firmware that starts over
/// after an error a second.
const BOOT_PROGRAM_LOADS_MAX: usize = 3;

/// Services that are not under test: if one ends, the node is not to blame.
const INFRASTRUCTURE: &[&str] = &["libvirtd", "virtlogd", "virtqemud", "dnsmasq", "capture"];

/// Returns the verdict on `node`, from all its evidence.
pub fn judge(
    scenario: &Scenario,
    node: &Node,
    firmware: Firmware,
    timeline: &Timeline,
) -> NodeVerdict {
    let interrupted = timeline.gave_up == Some(GaveUp::Interrupted);
    if timeline.stage(StageName::PowerOn).is_none() {
        return if interrupted {
            NodeVerdict::Interrupted
        } else {
            NodeVerdict::Infra {
                why: "the machine was never powered on".into(),
            }
        };
    }
    let mut required = requirements(scenario, node, firmware, timeline.vantage);
    required.retain(|requirement| is_judged(requirement, timeline.vantage));
    let mut unmet: Vec<Unmet> = required
        .iter()
        .filter_map(|requirement| unmet(requirement, timeline))
        .collect();
    unmet.extend(no_address(scenario, node, timeline));
    unmet.extend(boot_program_loop(timeline));
    unmet.extend(unfinished_boot_program(scenario, node, timeline));
    unmet.extend(content::changed(timeline));
    unmet.extend(content::foreign_script(timeline));
    unmet.extend(order::disorder(&required, timeline));
    unmet.extend(whole::restarted(node, timeline));
    if scenario.machines.is_virtual() {
        unmet.extend(whole::config_failed(node, timeline));
        unmet.extend(failed_checks(node, timeline));
    } else {
        unmet.extend(no_end(node, timeline));
        unmet.extend(other_options(node, timeline));
    }
    let decisive = unmet.iter().min_by_key(|unmet| unmet.order());
    let Some(decisive) = decisive else {
        return NodeVerdict::Pass;
    };
    if interrupted {
        return NodeVerdict::Interrupted;
    }
    let ended = timeline.services_ended.iter();
    for ended in ended {
        let mut custom = scenario.custom_services.iter();
        let custom = custom.find(|service| service.name == ended.service);
        if custom.is_some() || INFRASTRUCTURE.contains(&ended.service.as_str()) {
            let title = custom.map_or_else(|| ended.service.clone(), Service::title);
            let why = format!("{title} ended by itself: {}", ended.detail);
            return NodeVerdict::Infra { why };
        }
    }
    NodeVerdict::Fail {
        stage: stage_of(decisive, timeline),
        waited_for: decisive.waited_for.clone(),
        why: why(decisive, timeline),
        missing: decisive.missing.clone(),
    }
}

/// Returns the failed stage: without any evidence of it, the one before it that the machine began and did not
/// complete.
fn stage_of(decisive: &Unmet, timeline: &Timeline) -> StageName {
    let is_begun = |name| timeline.stage(name).is_some_and(Stage::is_begun);
    if decisive.went_wrong || is_begun(decisive.stage) {
        return decisive.stage;
    }
    let last = timeline.last_begun();
    let open = last.filter(|stage| stage.name < decisive.stage && stage.end_us.is_none());
    open.map_or(decisive.stage, |stage| stage.name)
}

/// Returns the reason, with further knowledge if only silence was observed.
fn why(decisive: &Unmet, timeline: &Timeline) -> String {
    let mut why = decisive.why.clone();
    for ended in &timeline.services_ended {
        why.push_str(&format!(
            "; {} ended by itself: {}",
            ended.service, ended.detail
        ));
    }
    if !decisive.went_wrong {
        if let Some(reason) = &timeline.gave_up {
            why.push_str(&format!("; the lab stopped waiting: {reason}"));
        }
        if let Some(line) = timeline.trouble.last() {
            why.push_str(&format!("; the console says `{line}`"));
        }
        if let Some(reason) = &timeline.powered_off {
            why.push_str(&format!("; the machine stopped by itself ({reason})"));
        }
    }
    why
}

/// False for a requirement on services of the user without a capture of the machine's own port: nothing else shows their
/// answers. A pass then lists the requirement as not proven.
pub(super) fn is_judged(requirement: &Requirement, vantage: Vantage) -> bool {
    requirement.by != By::MachineOfService || vantage == Vantage::OwnPort
}

fn unmet(requirement: &Requirement, timeline: &Timeline) -> Option<Unmet> {
    let stage_events: &[StageEvent] = timeline
        .stage(requirement.stage)
        .map_or(&[], |stage| &stage.events);
    let of_subject = || {
        let own = requirement.own(stage_events);
        own.filter(|stage_event| requirement.subject.is_of(stage_event))
    };
    let fail = |why: String, went_wrong| {
        Some(Unmet {
            stage: requirement.stage,
            waited_for: requirement.waited_for.clone(),
            why,
            missing: vec![requirement.waited_for.clone()],
            went_wrong,
        })
    };
    let proofs = || of_subject().filter(|stage_event| proves(requirement, stage_event));
    if let Some(done) = proofs().next_back() {
        let wrong = content::wrong(requirement, proofs())
            .or_else(|| content::unsent(requirement, timeline, proofs(), stage_events))
            .or_else(|| wrong_answer(requirement, done));
        return wrong.and_then(|why| fail(why, true));
    }
    if is_implied(requirement, timeline) {
        return None;
    }
    let failed = of_subject()
        .chain(stage_events)
        .find(|stage_event| {
            stage_event.outcome == Outcome::Failed && stage_event.impostor.is_none()
        })
        .map(|stage_event| stage_event.text.clone());
    let other = stage_events
        .iter()
        .rfind(|stage_event| stage_event.outcome == Outcome::Done)
        .map(|stage_event| format!("instead: {}", stage_event.text));
    let wrong: Vec<String> = failed.into_iter().chain(other).collect();
    if !wrong.is_empty() {
        return fail(wrong.join("; "), true);
    }
    match stage_events.last() {
        Some(last) => fail(format!("the last observation was: {}", last.text), false),
        None => fail("nothing of this stage was observed".into(), false),
    }
}

/// True if a later stage shows that a service of the user did its part, and the capture shows nothing of it: the wire is
/// then the only evidence, and a capture of a fast transfer may have gaps.
pub(super) fn is_implied(requirement: &Requirement, timeline: &Timeline) -> bool {
    use StageName::{Dhcp, Initrd, Kernel, Nbp, Proxy, Script};
    let loading = [Dhcp, Proxy, Nbp, Script, Kernel, Initrd];
    let is_silent = timeline.stage(requirement.stage).is_none_or(|stage| {
        let mut events = stage.events.iter();
        !events.any(|one| [Outcome::Done, Outcome::Failed].contains(&one.outcome))
    });
    if requirement.by != By::MachineOfService
        || !loading.contains(&requirement.stage)
        || !requirement.sha256.is_empty()
        || !is_silent
    {
        return false;
    }
    if let Some(report) = &timeline.would_start {
        let is_it = |name: &str| {
            let path = name.split_once("://").map_or(name, |(_, rest)| rest);
            requirement.subject.is_path(path)
        };
        return match requirement.stage {
            Kernel => is_it(&report.kernel.name),
            Initrd => report.initrds.iter().any(|initrd| is_it(&initrd.name)),
            _ => true,
        };
    }
    let kernel = timeline.stage(StageName::KernelUp);
    kernel.is_some_and(|stage| stage.end_us.is_some())
}

/// Returns the defect of a received answer.
fn wrong_answer(requirement: &Requirement, answer: &StageEvent) -> Option<String> {
    if let Some(group) = &requirement.group
        && answer.group.as_ref() != Some(group)
    {
        return Some(match &answer.group {
            Some(other) => format!("group {other} answered instead of {group}: {}", answer.text),
            None => format!(
                "the answering group is unknown, expected {group}: {}",
                answer.text
            ),
        });
    }
    if let (Some(wanted), Some(selectors)) = (requirement.matched_by, &answer.selectors)
        && !matching::is_by(wanted, selectors)
    {
        return Some(format!(
            "the group matched by {}, but {} is expected: {}",
            matching::shown(selectors),
            matching::expected(wanted),
            answer.text
        ));
    }
    if let Some(file) = &requirement.file
        && !answer.is_file(file)
    {
        let served = answer.served.as_deref().unwrap_or_default();
        return Some(format!(
            "{served} was served instead of {file}: {}",
            answer.text
        ));
    }
    None
}

/// If the lab has no DHCP server, the first request over the network proves that another one exists.
fn no_address(scenario: &Scenario, node: &Node, timeline: &Timeline) -> Option<Unmet> {
    use StageName::{CloudConfig, Generic, Ignition, Initrd, Kernel, Nbp, Script};
    let asked = [Nbp, Script, Kernel, Initrd, Ignition, Generic, CloudConfig]
        .into_iter()
        .any(|stage| timeline.stage(stage).is_some());
    if scenario.services.dhcp != DhcpService::None || asked {
        return None;
    }
    let waited_for = format!("a DHCP server that gives {} an address", node.mac);
    Some(Unmet {
        stage: StageName::Dhcp,
        missing: vec![waited_for.clone()],
        waited_for,
        why: match scenario.custom_service(Part::Dhcp) {
            Some(service) => format!(
                "the machine sent no request over the network after its DHCP exchange with {}",
                service.title()
            ),
            None => "the lab started no DHCP server (`dhcp = \"none\"`), and the machine sent no request \
                     over the network"
                .into(),
        },
        went_wrong: false,
    })
}

/// A simulated machine must itself report that it would start the kernel, because servers and network could fake
/// such progress.
fn no_end(node: &Node, timeline: &Timeline) -> Option<Unmet> {
    if timeline.would_start.is_some() {
        return None;
    }
    let waited_for = format!(
        "the simulated machine {} to report the kernel that it would start",
        node.name
    );
    let why = match timeline.last_console.last() {
        Some(line) => format!("its console ends with `{line}`"),
        None => "its console says nothing".into(),
    };
    Some(Unmet {
        stage: StageName::Initrd,
        missing: vec![waited_for.clone()],
        waited_for,
        why,
        went_wrong: false,
    })
}

/// Detects a simulated machine that would start its kernel without an expected option: its boot script is another's. In a
/// virtual machine, the kernel's own command line is checked.
fn other_options(node: &Node, timeline: &Timeline) -> Option<Unmet> {
    let options = timeline.would_start.as_ref()?.options.as_ref()?;
    let expected = node.expect.kernel_options.iter();
    let absent: Vec<&str> = expected
        .filter(|option| !options.contains(option))
        .map(String::as_str)
        .collect();
    let first = absent.first()?;
    Some(Unmet {
        stage: StageName::Script,
        waited_for: format!("a boot script with the kernel options of {}", node.name),
        why: format!(
            "the kernel would start without `{first}`; its options are `{}`",
            options.join(" ")
        ),
        missing: absent
            .iter()
            .map(|option| format!("kernel option {option}"))
            .collect(),
        went_wrong: true,
    })
}

/// Detects a boot program that a service of the user names and that never arrived. BIOS machines need none, so it is not
/// required beforehand.
fn unfinished_boot_program(scenario: &Scenario, node: &Node, timeline: &Timeline) -> Option<Unmet> {
    let stage = timeline.stage(StageName::Nbp)?;
    let own = || stage.events.iter().filter(|one| one.impostor.is_none());
    if scenario.has_own_boot_options() || own().any(|one| one.outcome == Outcome::Done) {
        return None;
    }
    let failed = own().rfind(|one| one.outcome == Outcome::Failed);
    let last = failed.or(own().next_back())?;
    let waited_for = format!("a boot program loaded by {}", node.mac);
    Some(Unmet {
        stage: StageName::Nbp,
        missing: vec![waited_for.clone()],
        waited_for,
        why: last.text.clone(),
        went_wrong: failed.is_some(),
    })
}

fn boot_program_loop(timeline: &Timeline) -> Option<Unmet> {
    let stage = timeline.stage(StageName::Nbp)?;
    // The lab's servers report each load, and the capture shows each; loads seen by only one of them count too.
    let of = |seen: fn(&StageEvent) -> bool| -> Vec<&StageEvent> {
        let done = stage.events.iter();
        done.filter(|stage_event| stage_event.outcome == Outcome::Done && seen(stage_event))
            .collect()
    };
    let told = of(|stage_event| stage_event.origin != Origin::Wire);
    let shown = of(|stage_event| stage_event.frame.is_some());
    let loads = if told.len() >= shown.len() {
        told
    } else {
        shown
    };
    if loads.len() <= BOOT_PROGRAM_LOADS_MAX {
        return None;
    }
    let name = loads
        .last()
        .and_then(|load| load.subject.as_deref())
        .unwrap_or("a boot program");
    Some(Unmet {
        stage: StageName::Nbp,
        waited_for: "a boot program that boots a system".into(),
        why: format!(
            "{name} was loaded {} times: the boot chain is a loop",
            loads.len()
        ),
        missing: vec![format!(
            "at most {BOOT_PROGRAM_LOADS_MAX} loads of a boot program"
        )],
        went_wrong: true,
    })
}

fn failed_checks(node: &Node, timeline: &Timeline) -> Option<Unmet> {
    let mut wrong = Vec::new();
    let mut absent = Vec::new();
    for check in checks(node) {
        let Some(seen) = timeline.checks.iter().find(|seen| seen.check == check.name) else {
            absent.push(format!("{} was not checked", check.name));
            continue;
        };
        let (name, found, expected) = (&check.name, &seen.found, &check.expected);
        if seen.expected != *expected {
            wrong.push(format!(
                "{name} was compared with {:?}, not {expected:?}",
                seen.expected
            ));
        } else if !seen.holds {
            wrong.push(format!("{name} is {found:?}, expected {expected:?}"));
        }
    }
    let went_wrong = !wrong.is_empty();
    let missing: Vec<String> = wrong.into_iter().chain(absent).collect();
    let first = missing.first()?;
    let why = match missing.len() - 1 {
        0 => first.clone(),
        1 => format!("{first}, and one check more"),
        others => format!("{first}, and {others} checks more"),
    };
    Some(Unmet {
        stage: StageName::Checks,
        waited_for: format!("{} to be as expected inside the machine", node.name),
        why,
        missing,
        went_wrong,
    })
}
