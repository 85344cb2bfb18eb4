//! `lab run --faults` and `lab run --adversarial`: selects cases by name, runs each as a unit of its broken scenario and
//! judges the results.

use std::path::Path;
use std::sync::Arc;

use lab_model::diagnosis::{Cause, JudgedNode};
use lab_model::fault::{
    self, Collection, Expectation, Fault, Found, Injections, OverlayError, Treatment,
};
use lab_model::results::{Unit, UnitOutcome};
use lab_model::scenario::{Node, Scenario};
use lab_model::verdict::NodeResult;
use lab_report::exit_code::ExitCode;
use lab_report::faults::{FaultResult, FaultResults};
use tempfile::TempDir;

use super::arguments::RunArguments;
use crate::cli::Folders;
use crate::cli::error::{CliError, refuse};

/// Cases selected for a run.
#[derive(Debug)]
pub(super) struct Faults {
    collection: Collection,
    list: Vec<(Fault, Arc<Scenario>, Injections)>,
    treatment: Treatment,
    /// Temporary folder of the broken scenarios; removed at the end of the run.
    _folder: TempDir,
}

/// Selects the named cases and builds their scenarios; returns `None` if scenarios were requested instead.
pub(super) fn select(
    folders: &Folders,
    arguments: &RunArguments,
) -> Result<Option<Faults>, CliError> {
    let wanted = &arguments.faults;
    let Some(collection) = wanted.collection() else {
        return Ok(None);
    };
    let scenarios = folders.scenarios();
    let all = fault::load_all(collection, &scenarios.join(collection.name()));
    let all = all.map_err(|error| CliError {
        code: ExitCode::InvalidInput,
        message: format!("{:?}", miette::Report::new(error)),
    })?;
    let selected = fault::select(collection, all, &arguments.names)
        .map_err(|why| refuse(ExitCode::NothingSelected, why))?;
    let treatment = match wanted.without_injection {
        true => Treatment::Control,
        false => Treatment::Broken,
    };
    let folder = tempfile::tempdir().map_err(|error| refuse(ExitCode::Internal, error))?;
    let mut list = Vec::new();
    for fault in selected {
        if !wanted.wants(&fault, &arguments.firmware) {
            continue;
        }
        let own = folder.path().join(&fault.name);
        let made = fault::materialise(&fault, &scenarios, &own, treatment);
        let (scenario, injections) = made.map_err(unfit)?;
        list.push((fault, Arc::new(scenario), injections));
    }
    if list.is_empty() {
        let why = format!("no {} matches --firmware and --machines", collection.noun());
        return Err(refuse(ExitCode::NothingSelected, why));
    }
    Ok(Some(Faults {
        collection,
        list,
        treatment,
        _folder: folder,
    }))
}

fn unfit(error: OverlayError) -> CliError {
    let told = error.to_string();
    match error {
        OverlayError::Invalid { source, .. } => CliError {
            code: ExitCode::InvalidInput,
            message: format!("lab: {told}\n{:?}", miette::Report::new(source)),
        },
        _ => refuse(ExitCode::InvalidInput, told),
    }
}

impl Faults {
    /// Returns the collection of the cases.
    pub(super) fn collection(&self) -> Collection {
        self.collection
    }

    /// Returns one unit for each case, of all shards.
    pub(super) fn units(&self) -> Vec<Unit> {
        let unit = |(fault, scenario, injections): &(Fault, Arc<Scenario>, Injections)| Unit {
            scenario: Arc::clone(scenario),
            firmware: fault.firmware,
            repetition: None,
            injections: injections.clone(),
        };
        self.list.iter().map(unit).collect()
    }

    /// Judges each case, in the order of the outcomes.
    pub(super) fn results(&self, outcomes: &[UnitOutcome], folder: &Path) -> FaultResults {
        let list = outcomes
            .iter()
            .filter_map(|outcome| {
                let name = &outcome.unit.scenario.name;
                let mut faults = self.list.iter();
                let (fault, ..) = faults.find(|(_, scenario, _)| scenario.name == *name)?;
                Some(self.result(fault, outcome, folder))
            })
            .collect();
        FaultResults {
            collection: self.collection,
            list,
        }
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
        // Every node must fail as expected; the first one that does not is reported, else the failed one.
        let wrong = nodes.iter().find(|node| !node.found.is(&node.expected));
        let broken = nodes.iter().find(|node| node.expected == fault.expect);
        let told = wrong.or(broken).or(nodes.first());
        let not_shown = match (self.treatment, last) {
            (Treatment::Broken, Some(last)) => {
                let records = &last.attempt.records;
                let results: Vec<&NodeResult> =
                    last.nodes.iter().map(|node| &node.result).collect();
                let is_missing = |text: &&String| !fault::is_shown(text, records, &results);
                fault.shown.iter().filter(is_missing).cloned().collect()
            }
            _ => Vec::new(),
        };
        let artifacts = last.map(|last| {
            let artifacts = last.artifacts.strip_prefix(folder);
            artifacts.unwrap_or(&last.artifacts).to_owned()
        });
        let nothing = || Found::Nothing {
            why: "not run".into(),
        };
        FaultResult {
            name: fault.name.clone(),
            summary: fault.summary.clone(),
            machines: fault.machines,
            expected: told.map_or(fault.expect, |told| told.expected),
            found: told.map_or_else(nothing, |told| told.found.clone()),
            ok: wrong.is_none() && !nodes.is_empty() && not_shown.is_empty(),
            not_shown,
            causes: told.map_or_else(Vec::new, |told| told.causes.clone()),
            seconds: nodes.iter().map(|node| node.seconds).fold(0.0, f64::max),
            artifacts,
        }
    }
}

/// Result of one node of a fault.
struct NodeFound {
    expected: Expectation,
    found: Found,
    causes: Vec<Cause>,
    seconds: f64,
}
