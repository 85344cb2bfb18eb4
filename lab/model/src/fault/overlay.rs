//! Broken copy of a scenario: its folder copied, the fault's files and changes applied, reduced to the fault's
//! nodes and firmware.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::model::{Edit, Fault, Injections, Kill};
use crate::scenario::{self, DataCheck, InvalidScenario, Scenario};
use crate::untrusted::tree::{Limits, Tree};

/// Choice between a fault and its control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// As it is written.
    Broken,
    /// Nothing is changed or injected: the control that shows that the fault alone is to blame.
    Control,
}

/// Reason why a fault cannot be applied to its scenario.
#[derive(Debug, Error)]
pub enum OverlayError {
    /// A file cannot be read or written.
    #[error("{fault}: {path}: {source}")]
    File {
        fault: String,
        path: PathBuf,
        source: io::Error,
    },
    /// The scenario does not exist.
    #[error("scenario not found: {path} (of {fault})")]
    NoScenario {
        fault: String,
        /// Path that was tried.
        path: PathBuf,
    },
    /// The text to replace is not in the file, so that the case would have no effect.
    #[error("text to replace not found in {file} of `{scenario}` ({fault}):\n{text}")]
    NotThere {
        fault: String,
        scenario: String,
        file: String,
        text: String,
    },
    /// The scenario or the case's `nodes` lack a node.
    #[error("unknown node `{node}` in {fault}: not in `{scenario}`, or not in the case's `nodes`")]
    NoNode {
        fault: String,
        scenario: String,
        node: String,
    },
    /// The scenario has no service that the case kills.
    #[error("unknown service `{service}` in {fault}: not in `{scenario}`")]
    NoService {
        fault: String,
        scenario: String,
        service: String,
    },
    /// The broken scenario is invalid.
    #[error("the broken scenario of {fault} is invalid")]
    Invalid {
        fault: String,
        source: InvalidScenario,
    },
}

/// Creates the fault's scenario in `folder` and returns it with its injections.
///
/// # Errors
/// [`OverlayError`] if the fault does not fit its scenario.
pub fn materialise(
    fault: &Fault,
    scenarios: &Path,
    folder: &Path,
    treatment: Treatment,
) -> Result<(Scenario, Injections), OverlayError> {
    let base = scenarios.join(&fault.scenario);
    if !base.join(scenario::FILE_NAME).is_file() {
        return Err(OverlayError::NoScenario {
            fault: fault.full_name(),
            path: base,
        });
    }
    let at = |path: &Path, source| OverlayError::File {
        fault: fault.full_name(),
        path: path.to_owned(),
        source,
    };
    copy_over(&base, folder).map_err(|error| at(&base, error))?;
    let data = base.join("data");
    if data.is_dir() {
        copy_over(&data, &folder.join("data")).map_err(|error| at(&data, error))?;
    }
    if treatment == Treatment::Broken {
        let own = fault.dir.join("data");
        if own.is_dir() {
            copy_over(&own, &folder.join("data")).map_err(|error| at(&own, error))?;
        }
        for change in &fault.changes {
            let path = folder.join(&change.file);
            match &change.edit {
                Edit::Remove => fs::remove_file(&path).map_err(|error| at(&path, error))?,
                Edit::Replace { from, to } => {
                    let text = fs::read_to_string(&path).map_err(|error| at(&path, error))?;
                    if !text.contains(from) {
                        return Err(OverlayError::NotThere {
                            fault: fault.full_name(),
                            scenario: fault.scenario.clone(),
                            file: change.file.clone(),
                            text: from.clone(),
                        });
                    }
                    fs::write(&path, text.replace(from, to)).map_err(|error| at(&path, error))?;
                }
            }
        }
    }
    let mut scenario =
        Scenario::load_with(folder, DataCheck::Skip).map_err(|source| OverlayError::Invalid {
            fault: fault.full_name(),
            source,
        })?;
    narrow(fault, &mut scenario)?;
    let path = folder.join(scenario::FILE_NAME);
    let text = scenario
        .to_toml()
        .map_err(|error| at(&path, io::Error::other(error)))?;
    fs::write(&path, text).map_err(|error| at(&path, error))?;
    // Loaded again, because the files must be a valid scenario for every reader.
    let mut scenario =
        Scenario::load_with(folder, DataCheck::Skip).map_err(|source| OverlayError::Invalid {
            fault: fault.full_name(),
            source,
        })?;
    scenario.name = fault.full_name();
    let injections = match treatment {
        Treatment::Broken => fault.injections.clone(),
        Treatment::Control => Injections::default(),
    };
    Ok((scenario, injections))
}

/// Reduces the scenario to the fault's nodes and firmware.
fn narrow(fault: &Fault, scenario: &mut Scenario) -> Result<(), OverlayError> {
    let named = [&fault.victim, &fault.injections.machine.node];
    let named = named.into_iter().flatten();
    let absent = |name: &&String| scenario.node(name).is_none();
    let not_kept = |name: &&String| !fault.nodes.contains(*name);
    let unknown = fault.nodes.iter().find(absent);
    if let Some(unknown) = unknown.or({ named }.find(not_kept)) {
        return Err(OverlayError::NoNode {
            fault: fault.full_name(),
            scenario: fault.scenario.clone(),
            node: unknown.clone(),
        });
    }
    let killed = fault.injections.kill.as_ref().and_then(Kill::service);
    let is_known = |name: &str| scenario.custom_services.iter().any(|one| one.name == name);
    if let Some(service) = killed.filter(|name| !is_known(name)) {
        return Err(OverlayError::NoService {
            fault: fault.full_name(),
            scenario: fault.scenario.clone(),
            service: service.to_owned(),
        });
    }
    scenario
        .nodes
        .retain(|node| fault.nodes.contains(&node.name));
    scenario.firmware = vec![fault.firmware];
    scenario.machines = fault.machines;
    scenario.deadline.boot = std::time::Duration::from_secs(fault.boot_seconds.into());
    scenario.summary.clone_from(&fault.summary);
    Ok(())
}

/// Copies a folder over another one, except `data`, which may be a link to another scenario's.
fn copy_over(from: &Path, to: &Path) -> io::Result<()> {
    let tree = Tree::survey(from, Limits::DATA, |path| path == Path::new("data"))?;
    Ok(tree.copy_to(to)?)
}
