//! The image that units boot, and their scenarios fitted to it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use images::catalog::{Architecture, ImageName};

use super::{Refusal, refuse};
use crate::cli::images::{Chosen, choose};
use crate::cli::{Folders, exit};
use crate::runner::Unit;
use crate::scenario::{Fit, Image, Scenario};

/// The image of all units: the one asked for, else the one that they name.
pub(in crate::cli) fn image_of(
    folders: &Folders,
    asked: Option<&ImageName>,
    units: &[Unit],
) -> Result<Chosen, Refusal> {
    let names: BTreeSet<&str> = units
        .iter()
        .map(|unit| unit.scenario.image.name.as_str())
        .collect();
    let name = match (asked, Vec::from_iter(names).as_slice()) {
        (Some(name), _) => name.clone(),
        (None, []) => stand_in()?,
        (None, [one]) => one
            .parse()
            .map_err(|bad| refuse(exit::INVALID_INPUT, bad))?,
        (None, several) => {
            let several = several.join(", ");
            let message = format!(
                "the scenarios name several images ({several}): run them one image at a time, or name one with --image"
            );
            return Err(refuse(exit::INVALID_INPUT, message));
        }
    };
    let chosen = choose(folders, &name).map_err(|failure| Refusal {
        code: failure.code,
        message: failure.message,
    })?;
    // What does not fit is refused before anything is made.
    let trial = tempfile::tempdir().map_err(|error| refuse(exit::INTERNAL, error))?;
    fitted(units.to_owned(), &chosen.fit, trial.path())?;
    if chosen.architecture != Architecture::Amd64 {
        let message = format!(
            "`{name}` is for {}, and the machines are amd64",
            chosen.architecture.name()
        );
        return Err(refuse(exit::HOST_UNSUPPORTED, message));
    }
    Ok(chosen)
}

fn stand_in() -> Result<ImageName, Refusal> {
    Image::STAND_IN
        .parse()
        .map_err(|bad| refuse(exit::INTERNAL, bad))
}

/// The units with their scenarios fitted to the image, each once, in `folder`; as they are where they name
/// it themselves and nothing has to be changed.
pub(super) fn fitted(units: Vec<Unit>, fit: &Fit, folder: &Path) -> Result<Vec<Unit>, Refusal> {
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
                    .map_err(|error| refuse(exit::INTERNAL, error))?;
                let scenario = fit
                    .apply(&unit.scenario, &own)
                    .map_err(|error| refuse(exit::INVALID_INPUT, error))?;
                let scenario = Arc::new(scenario);
                done.insert(name, Arc::clone(&scenario));
                scenario
            }
        };
        fitted.push(Unit { scenario, ..unit });
    }
    Ok(fitted)
}
