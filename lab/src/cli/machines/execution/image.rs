//! Choice of the image that units boot, and fitting of their scenarios to it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use images::catalog::{Architecture, ImageName};
use lab_model::results::Unit;
use lab_model::scenario::{Fit, Image, Scenario};
use lab_report::exit_code::ExitCode;

use crate::cli::Folders;
use crate::cli::error::{CliError, refuse};
use crate::cli::machines::images::{Chosen, choose};

/// Returns the image of all units: the requested one, else the one that the scenarios name.
pub(in crate::cli) fn image_of(
    folders: &Folders,
    asked: Option<&ImageName>,
    units: &[Unit],
) -> Result<Chosen, CliError> {
    let name = name_of(asked, units)?;
    let chosen = choose(folders, &name).map_err(|failure| CliError {
        code: failure.code,
        message: failure.message,
    })?;
    // A mismatch is refused before anything is created.
    let trial = tempfile::tempdir().map_err(|error| refuse(ExitCode::Internal, error))?;
    fitted(units.to_owned(), &chosen.fit, trial.path())?;
    if chosen.architecture != Architecture::Amd64 {
        let message = format!(
            "unsupported architecture: `{name}` is for {}, the machines are amd64",
            chosen.architecture.name()
        );
        return Err(refuse(ExitCode::HostUnsupported, message));
    }
    Ok(chosen)
}

/// Returns the image of a part that has none of the run's units: that of the others, because parts of one run are
/// joined. The stand-in is not built for it.
pub(in crate::cli) fn image_of_empty_part(
    folders: &Folders,
    asked: Option<&ImageName>,
    all: &[Unit],
) -> Result<Chosen, CliError> {
    match folders.visit().is_none() && name_of(asked, all)? == stand_in()? {
        true => Ok(Chosen::unbuilt_stand_in()),
        false => image_of(folders, asked, all),
    }
}

fn name_of(asked: Option<&ImageName>, units: &[Unit]) -> Result<ImageName, CliError> {
    let names: BTreeSet<&str> = units
        .iter()
        .map(|unit| unit.scenario.image.name.as_str())
        .collect();
    Ok(match (asked, Vec::from_iter(names).as_slice()) {
        (Some(name), _) => name.clone(),
        (None, []) => stand_in()?,
        (None, [one]) => one
            .parse()
            .map_err(|bad| refuse(ExitCode::InvalidInput, bad))?,
        (None, several) => {
            let several = several.join(", ");
            let message = format!(
                "several images in one run: {several}; run the scenarios one image at a time, or choose one with --image"
            );
            return Err(refuse(ExitCode::InvalidInput, message));
        }
    })
}

fn stand_in() -> Result<ImageName, CliError> {
    Image::STAND_IN
        .parse()
        .map_err(|bad| refuse(ExitCode::Internal, bad))
}

/// Returns the units with their scenarios fitted to the image, each written once in `folder`; unchanged if the
/// scenarios name the image themselves and need no change.
pub(super) fn fitted(units: Vec<Unit>, fit: &Fit, folder: &Path) -> Result<Vec<Unit>, CliError> {
    let mut done: BTreeMap<String, Arc<Scenario>> = BTreeMap::new();
    let mut fitted = Vec::new();
    for unit in units {
        if unit.scenario.image.name == fit.image {
            fitted.push(unit);
            continue;
        }
        let name = unit.scenario.name.clone();
        let scenario = match done.get(&name) {
            Some(scenario) => Arc::clone(scenario),
            None => {
                let own = std::path::absolute(folder.join(&name))
                    .map_err(|error| refuse(ExitCode::Internal, error))?;
                let scenario = fit
                    .apply(&unit.scenario, &own)
                    .map_err(|error| refuse(ExitCode::InvalidInput, error))?;
                let scenario = Arc::new(scenario);
                done.insert(name, Arc::clone(&scenario));
                scenario
            }
        };
        fitted.push(Unit { scenario, ..unit });
    }
    Ok(fitted)
}
