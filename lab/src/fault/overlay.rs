//! The broken copy of a scenario: its folder copied, the fault's files laid over it, its changes made, and
//! only the fault's nodes and firmware left.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::model::{Edit, Fault, Injections};
use crate::scenario::{self, DataCheck, InvalidScenario, Scenario};
use crate::untrusted::tree::{Limits, Tree};

/// Whether a fault is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// As it is written.
    Broken,
    /// Nothing is changed or injected: the control that shows that the fault alone is to blame.
    Control,
}

/// Why a fault can't be made of its scenario.
#[derive(Debug, Error)]
pub enum OverlayError {
    /// A file could not be read or written.
    #[error("fault `{fault}`: {path}: {source}")]
    File {
        /// The fault.
        fault: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The scenario is not there.
    #[error("fault `{fault}` breaks a scenario that is not there: {path}")]
    NoScenario {
        /// The fault.
        fault: String,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The text to be replaced is not in the file, so the fault would break nothing.
    #[error("fault `{fault}` replaces text that is not in {file} of `{scenario}`:\n{text}")]
    NotThere {
        /// The fault.
        fault: String,
        /// Its scenario.
        scenario: String,
        /// The file.
        file: String,
        /// The text.
        text: String,
    },
    /// A node that the scenario does not have, or that is not kept of it.
    #[error(
        "fault `{fault}` names node `{node}`, which is not in `{scenario}` or not among its `nodes`"
    )]
    NoNode {
        /// The fault.
        fault: String,
        /// Its scenario.
        scenario: String,
        /// The node.
        node: String,
    },
    /// What comes out is no scenario.
    #[error("fault `{fault}` leaves no valid scenario")]
    Invalid {
        /// The fault.
        fault: String,
        /// What is wrong with it.
        source: InvalidScenario,
    },
}

/// Makes the scenario of `fault` in `folder`, which is created; returns it with what is to be injected.
///
/// # Errors
/// [`OverlayError`] when the fault does not fit its scenario.
pub fn materialise(
    fault: &Fault,
    scenarios: &Path,
    folder: &Path,
    treatment: Treatment,
) -> Result<(Scenario, Injections), OverlayError> {
    let base = scenarios.join(&fault.scenario);
    if !base.join(scenario::FILE_NAME).is_file() {
        return Err(OverlayError::NoScenario {
            fault: fault.name.clone(),
            path: base,
        });
    }
    let at = |path: &Path, source| OverlayError::File {
        fault: fault.name.clone(),
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
                            fault: fault.name.clone(),
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
            fault: fault.name.clone(),
            source,
        })?;
    narrow(fault, &mut scenario)?;
    let path = folder.join(scenario::FILE_NAME);
    let text = scenario
        .to_toml()
        .map_err(|error| at(&path, io::Error::other(error)))?;
    fs::write(&path, text).map_err(|error| at(&path, error))?;
    // Once more, because what is written now has to be a scenario for whoever reads it.
    let mut scenario =
        Scenario::load_with(folder, DataCheck::Skip).map_err(|source| OverlayError::Invalid {
            fault: fault.name.clone(),
            source,
        })?;
    scenario.name = format!("fault/{}", fault.name);
    let injections = match treatment {
        Treatment::Broken => fault.injections.clone(),
        Treatment::Control => Injections::default(),
    };
    Ok((scenario, injections))
}

/// Leaves only the fault's nodes and its firmware.
fn narrow(fault: &Fault, scenario: &mut Scenario) -> Result<(), OverlayError> {
    let named = [&fault.victim, &fault.injections.machine.node];
    let named = named.into_iter().flatten();
    let absent = |name: &&String| scenario.node(name).is_none();
    let not_kept = |name: &&String| !fault.nodes.contains(*name);
    let unknown = fault.nodes.iter().find(absent);
    if let Some(unknown) = unknown.or({ named }.find(not_kept)) {
        return Err(OverlayError::NoNode {
            fault: fault.name.clone(),
            scenario: fault.scenario.clone(),
            node: unknown.clone(),
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

/// Copies a folder into another, over what is there; but for `data` in it, which may be a link to that of another
/// scenario.
fn copy_over(from: &Path, to: &Path) -> io::Result<()> {
    let tree = Tree::survey(from, Limits::DATA, |path| path == Path::new("data"))?;
    Ok(tree.copy_to(to)?)
}
