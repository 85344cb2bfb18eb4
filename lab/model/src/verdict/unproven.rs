//! Claims about a node that a pass does not prove.

use std::fmt;

use super::judge::{is_implied, is_judged};
use super::proof::proves;
use super::require::{Requirement, requirements};
use crate::scenario::{CheckConsole, Firmware, Node, Scenario};
use crate::timeline::{Outcome, StageEvent, StageName, Timeline, Vantage};

/// Claim that a pass does not prove.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unproven {
    /// Requests are assigned to the machine by address, MAC and UUID only.
    WhoAsked,
    /// The machine was simulated.
    Simulated,
    /// No config is expected.
    NoConfig,
    /// Nothing inside the machine reported that its config was applied.
    ConfigApplied,
    /// The machine was not asked whether units of its config failed after the boot.
    Units,
    /// These units of the config were still starting when the last check was done.
    StillStarting(Vec<String>),
    /// The stand-in lacks the programs of these units of the config.
    WithoutProgram(Vec<String>),
    /// The machine ran an installer, which was stopped before it touched a disk.
    Installation,
    /// The group that answered in this stage is unknown: the service does not tell.
    Group(StageName),
    /// No message of this stage was captured at the machine's port; later stages show that it took place.
    NotSeen(StageName),
    /// The labels by which this stage's group matched are unknown.
    MatchedBy(StageName),
    /// The bytes of this stage's file were not captured completely at the machine's port.
    NotSeenWhole(StageName),
    /// The bytes of this stage's file crossed the machine's port encrypted.
    Encrypted(StageName),
    /// The bytes of this stage's file arrived, but the expected hash is unknown.
    NotCompared(StageName),
}

impl fmt::Display for Unproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unproven::WhoAsked => f.write_str(
                "who asked: there is no capture of the machine's own port, and another host can use its address, MAC or UUID",
            ),
            Unproven::Simulated => {
                f.write_str("the kernel and everything after it: the machine is simulated")
            }
            Unproven::NoConfig => f.write_str(
                "a config: none is expected, and all checks may hold on an image without one",
            ),
            Unproven::ConfigApplied => f.write_str(
                "that the config was applied completely: nothing on the console says so",
            ),
            Unproven::Units => f.write_str(
                "that no unit of the config failed: systemd was not asked, or its answer was disturbed",
            ),
            Unproven::StillStarting(units) => write!(
                f,
                "that {} started: it was still starting after the last check",
                units.join(", ")
            ),
            Unproven::WithoutProgram(units) => write!(
                f,
                "that {} works: the stand-in lacks its program",
                units.join(", ")
            ),
            Unproven::Installation => f.write_str(
                "an installation: the installer ran its config and was stopped before it touched a disk",
            ),
            Unproven::Group(stage) => write!(
                f,
                "which group answered at {stage}: the service does not tell, and the scenario states no hash"
            ),
            Unproven::NotSeen(stage) => write!(
                f,
                "{stage}: no message of it was captured at the machine's port, only what followed"
            ),
            Unproven::MatchedBy(stage) => write!(
                f,
                "matched_by at {stage}: the server did not tell which labels its group requires"
            ),
            Unproven::NotSeenWhole(stage) => write!(
                f,
                "the bytes of {stage}: they were not captured completely at the machine's port"
            ),
            Unproven::Encrypted(stage) => write!(
                f,
                "the bytes of {stage}: they were encrypted (TLS) at the machine's port"
            ),
            Unproven::NotCompared(stage) => write!(
                f,
                "the bytes of {stage}: the expected bytes are unknown"
            ),
        }
    }
}

impl Unproven {
    /// Returns a phrase for a table.
    #[must_use]
    pub fn short(&self) -> String {
        match self {
            Unproven::WhoAsked => "who asked".into(),
            Unproven::Simulated => "the system".into(),
            Unproven::NoConfig => "a config".into(),
            Unproven::ConfigApplied => "config applied".into(),
            Unproven::Units | Unproven::StillStarting(_) | Unproven::WithoutProgram(_) => {
                "units".into()
            }
            Unproven::Installation => "an installation".into(),
            Unproven::Group(_) => "group".into(),
            Unproven::NotSeen(stage) => stage.to_string(),
            Unproven::MatchedBy(_) => "matched_by".into(),
            Unproven::NotSeenWhole(stage)
            | Unproven::Encrypted(stage)
            | Unproven::NotCompared(stage) => format!("bytes of {stage}"),
        }
    }
}

/// Returns all claims that a pass of `node` does not prove, in the order of a boot.
#[must_use]
pub fn unproven(
    scenario: &Scenario,
    node: &Node,
    firmware: Firmware,
    timeline: &Timeline,
) -> Vec<Unproven> {
    let mut list = Vec::new();
    if timeline.vantage != Vantage::OwnPort {
        list.push(Unproven::WhoAsked);
    }
    for requirement in requirements(scenario, node, firmware, timeline.vantage) {
        list.extend(of_requirement(&requirement, scenario, timeline));
    }
    if scenario.machines.is_virtual() {
        list.extend(of_config(node, timeline));
    } else {
        list.push(Unproven::Simulated);
        list.extend(is_without_config(node).then_some(Unproven::NoConfig));
    }
    let mut seen = Vec::new();
    list.retain(|one| {
        let is_new = !seen.contains(one);
        seen.push(one.clone());
        is_new
    });
    list
}

fn of_requirement(
    requirement: &Requirement,
    scenario: &Scenario,
    timeline: &Timeline,
) -> Vec<Unproven> {
    let stage_events: &[StageEvent] = timeline
        .stage(requirement.stage)
        .map_or(&[], |stage| &stage.events);
    let mut own = requirement.own(stage_events);
    let proof = own.rfind(|one| requirement.subject.is_of(one) && proves(requirement, one));
    let stage = requirement.stage;
    let mut list = Vec::new();
    if requirement.is_group_untold && requirement.sha256.is_empty() {
        list.push(Unproven::Group(stage));
    }
    let is_unseen = !is_judged(requirement, timeline.vantage) || is_implied(requirement, timeline);
    let Some(proof) = proof.filter(|_| is_judged(requirement, timeline.vantage)) else {
        let unseen = match requirement.is_of_a_file() {
            true => Unproven::NotSeenWhole(stage),
            false => Unproven::NotSeen(stage),
        };
        list.extend(is_unseen.then_some(unseen));
        return list;
    };
    if requirement.matched_by.is_some() && proof.selectors.is_none() {
        list.push(Unproven::MatchedBy(stage));
    }
    // Without the port, the sender is unproven in the first place.
    if timeline.vantage == Vantage::OwnPort && requirement.is_of_a_file() {
        let content = proof.content.clone().unwrap_or_default();
        if content.arrived.is_none() {
            let is_encrypted = scenario.services.https.is_some();
            list.push(match is_encrypted {
                true => Unproven::Encrypted(stage),
                false => Unproven::NotSeenWhole(stage),
            });
        } else if !content.is_compared() && requirement.sha256.is_empty() {
            list.push(Unproven::NotCompared(stage));
        }
    }
    list
}

fn is_without_config(node: &Node) -> bool {
    let expect = &node.expect;
    expect.cloud_config.is_none() && expect.ignition.is_none() && expect.generic_config.is_none()
}

fn of_config(node: &Node, timeline: &Timeline) -> Vec<Unproven> {
    if node.check_console == CheckConsole::SecondPort {
        // The config opened the shell that answered: it was applied as far as that.
        let without = is_without_config(node).then_some(Unproven::NoConfig);
        return without
            .into_iter()
            .chain([Unproven::Installation])
            .collect();
    }
    if is_without_config(node) {
        return vec![Unproven::NoConfig];
    }
    let applied = timeline.stage(StageName::ConfigApplied);
    let is_told = applied.is_some_and(|stage| {
        let mut good = stage.events.iter();
        good.any(|one| one.outcome == Outcome::Done)
    });
    let applied = (!is_told).then_some(Unproven::ConfigApplied);
    let units = match &timeline.units {
        None => vec![Unproven::Units],
        Some(seen) => {
            let known = [
                (Unproven::StillStarting as fn(_) -> _, &seen.starting),
                (Unproven::WithoutProgram, &seen.without_program),
            ];
            let known = known.into_iter().filter(|(_, units)| !units.is_empty());
            known.map(|(claim, units)| claim(units.clone())).collect()
        }
    };
    applied.into_iter().chain(units).collect()
}
