//! `lab run --faults`: faults by name, each as a unit of its broken scenario, and what came of each.

use std::path::Path;
use std::sync::Arc;

use clap::Args;
use tempfile::TempDir;

use super::conduct::{Refusal, refuse};
use super::run::RunArguments;
use super::{Folders, exit};
use crate::diagnosis::{Cause, JudgedNode};
use crate::fault::{self, Expectation, Fault, Found, Injections, OverlayError, Treatment};
use crate::hypervisor::accel::{Accelerator, Chosen};
use crate::report::faults::FaultResult;
use crate::runner::{Unit, UnitOutcome};
use crate::scenario::{Node, Scenario};

/// Folder of the faults, among the scenarios.
const FOLDER: &str = "faults";

/// What concerns faults.
#[derive(Debug, Args)]
pub(super) struct FaultArguments {
    /// Run faults instead of scenarios: each breaks a scenario in one place, and has to come out as it says
    #[arg(
        long = "faults",
        conflicts_with_all = ["retries", "flaky_result", "fail_fast", "repeat", "unchecked_data"]
    )]
    asked: bool,
    /// Run them with nothing broken or injected: each has to pass then
    #[arg(long, requires = "asked")]
    without_injection: bool,
    /// Only faults whose machines are simulated, or only those that need virtual ones
    #[arg(long, value_enum, value_name = "KIND", requires = "asked")]
    machines: Option<MachinesArgument>,
}

/// `--machines`
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum MachinesArgument {
    /// Simulated machines.
    Simulated,
    /// Virtual machines.
    Virtual,
}

/// The faults of a run.
#[derive(Debug)]
pub(super) struct Faults {
    list: Vec<(Fault, Arc<Scenario>, Injections)>,
    treatment: Treatment,
    /// The broken scenarios; gone with the run.
    _folder: TempDir,
}

/// The faults asked for, made of their scenarios; none when scenarios were asked for.
pub(super) fn select(
    folders: &Folders,
    arguments: &RunArguments,
) -> Result<Option<Faults>, Refusal> {
    let wanted = &arguments.faults;
    if !wanted.asked {
        return Ok(None);
    }
    let scenarios = folders.scenarios();
    let all = fault::load_all(&scenarios.join(FOLDER)).map_err(|error| Refusal {
        code: exit::INVALID_INPUT,
        message: format!("{:?}", miette::Report::new(error)),
    })?;
    let selected =
        fault::select(all, &arguments.names).map_err(|why| refuse(exit::NOTHING_SELECTED, why))?;
    let treatment = match wanted.without_injection {
        true => Treatment::Control,
        false => Treatment::Broken,
    };
    let folder = tempfile::tempdir().map_err(|error| refuse(exit::INTERNAL, error))?;
    let mut list = Vec::new();
    for fault in selected {
        if !wanted.wants(&fault, arguments) {
            continue;
        }
        let own = folder.path().join(&fault.name);
        let made = fault::materialise(&fault, &scenarios, &own, treatment);
        let (scenario, injections) = made.map_err(unfit)?;
        list.push((fault, Arc::new(scenario), injections));
    }
    if list.is_empty() {
        let why = "no fault is left by --firmware and --machines";
        return Err(refuse(exit::NOTHING_SELECTED, why));
    }
    Ok(Some(Faults {
        list,
        treatment,
        _folder: folder,
    }))
}

fn unfit(error: OverlayError) -> Refusal {
    let told = error.to_string();
    match error {
        OverlayError::Invalid { source, .. } => Refusal {
            code: exit::INVALID_INPUT,
            message: format!("lab: {told}\n{:?}", miette::Report::new(source)),
        },
        _ => refuse(exit::INVALID_INPUT, told),
    }
}

impl FaultArguments {
    fn wants(&self, fault: &Fault, arguments: &RunArguments) -> bool {
        let firmware = &arguments.firmware;
        let kind = self
            .machines
            .is_none_or(|kind| fault.machines.is_virtual() == (kind == MachinesArgument::Virtual));
        kind && (firmware.is_empty() || firmware.contains(&fault.firmware))
    }
}

/// In the place of an accelerator, where all machines are simulated or there is none.
pub(super) fn nothing_is_executed(units: &[Unit]) -> Chosen {
    let why = match units.is_empty() {
        true => "no machine",
        false => "all machines are simulated",
    };
    Chosen {
        accelerator: Accelerator::Tcg,
        reason: format!("none ({why})"),
    }
}

impl Faults {
    /// A unit for each, of all shards.
    pub(super) fn units(&self) -> Vec<Unit> {
        let unit = |(fault, scenario, injections): &(Fault, Arc<Scenario>, Injections)| Unit {
            scenario: Arc::clone(scenario),
            firmware: fault.firmware,
            repetition: None,
            injections: injections.clone(),
        };
        self.list.iter().map(unit).collect()
    }

    /// What came of each, in the order of the outcomes.
    pub(super) fn results(&self, outcomes: &[UnitOutcome], folder: &Path) -> Vec<FaultResult> {
        outcomes
            .iter()
            .filter_map(|outcome| {
                let name = &outcome.unit.scenario.name;
                let mut faults = self.list.iter();
                let (fault, ..) = faults.find(|(_, scenario, _)| scenario.name == *name)?;
                Some(self.result(fault, outcome, folder))
            })
            .collect()
    }

    fn result(&self, fault: &Fault, outcome: &UnitOutcome, folder: &Path) -> FaultResult {
        let last = outcome.attempts.last();
        let nodes: Vec<NodeFound> = last.map_or_else(Vec::new, |last| {
            let nodes = last.attempt.scenario.nodes.iter();
            let found = |(JudgedNode { result, findings }, node): (&JudgedNode, &Node)| {
                let causes: Vec<Cause> = findings.iter().map(|finding| finding.cause).collect();
                NodeFound {
                    expected: match self.treatment {
                        Treatment::Broken => fault.expectation(&node.name),
                        Treatment::Control => Expectation::Pass,
                    },
                    found: fault::found(&result.verdict, &causes),
                    causes,
                    seconds: result.seconds.unwrap_or(0.0),
                }
            };
            last.nodes.iter().zip(nodes).map(found).collect()
        });
        // Every node has to come out as expected; the first that does not is told, else the one that fails.
        let wrong = nodes.iter().find(|node| !node.found.is(&node.expected));
        let broken = nodes.iter().find(|node| node.expected == fault.expect);
        let told = wrong.or(broken).or(nodes.first());
        let artifacts = last.map(|last| {
            let artifacts = last.artifacts.strip_prefix(folder);
            artifacts.unwrap_or(&last.artifacts).to_owned()
        });
        let nothing = || Found::Nothing {
            why: "it was not run".into(),
        };
        FaultResult {
            name: fault.name.clone(),
            summary: fault.summary.clone(),
            machines: fault.machines,
            expected: told.map_or(fault.expect, |told| told.expected),
            found: told.map_or_else(nothing, |told| told.found.clone()),
            ok: wrong.is_none() && !nodes.is_empty(),
            causes: told.map_or_else(Vec::new, |told| told.causes.clone()),
            seconds: nodes.iter().map(|node| node.seconds).fold(0.0, f64::max),
            artifacts,
        }
    }
}

/// What came of one node of a fault.
struct NodeFound {
    expected: Expectation,
    found: Found,
    causes: Vec<Cause>,
    seconds: f64,
}
