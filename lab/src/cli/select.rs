//! Which units a run is made of: scenarios by name, firmware, repetitions, shard.

use std::sync::Arc;

use super::conduct::{Refusal, refuse};
use super::run::RunArguments;
use super::{Folders, exit};
use crate::fault::Injections;
use crate::runner::shard::Shard;
use crate::runner::{Unit, unit_name};
use crate::scenario::{self, DataCheck, SelectError};

/// The units asked for, of all shards, in the order of their names.
pub(super) fn select(folders: &Folders, arguments: &RunArguments) -> Result<Vec<Unit>, Refusal> {
    let data = if arguments.unchecked_data {
        DataCheck::Skip
    } else {
        DataCheck::Strict
    };
    let selected =
        scenario::load_named(&folders.scenarios(), data, &arguments.names).map_err(|error| {
            Refusal {
                code: match error {
                    SelectError::Invalid(_) => exit::INVALID_INPUT,
                    SelectError::Unknown(_) => exit::NOTHING_SELECTED,
                },
                message: format!("{:?}", miette::Report::new(error)),
            }
        })?;
    let offered: Vec<String> = selected
        .iter()
        .map(|scenario| {
            let names: Vec<&str> = scenario.firmware.iter().map(|f| f.name()).collect();
            format!("{} ({})", scenario.name, names.join(", "))
        })
        .collect();
    let units: Vec<Unit> = selected
        .into_iter()
        .map(Arc::new)
        .flat_map(|scenario| {
            scenario
                .firmware
                .clone()
                .into_iter()
                .map(move |firmware| Unit {
                    scenario: Arc::clone(&scenario),
                    firmware,
                    repetition: None,
                    injections: Injections::default(),
                })
        })
        .filter(|unit| arguments.firmware.is_empty() || arguments.firmware.contains(&unit.firmware))
        .collect();
    if units.is_empty() {
        return Err(refuse(
            exit::NOTHING_SELECTED,
            if offered.is_empty() {
                format!("there is no scenario in {}", folders.scenarios().display())
            } else {
                format!(
                    "no scenario is run on that firmware; selected were {}",
                    offered.join(", ")
                )
            },
        ));
    }
    Ok(units
        .into_iter()
        .flat_map(|unit| repeated(&unit, arguments.repeat.get()))
        .collect())
}

/// Those of the units that are in the shard: by their names without the number of a repetition.
pub(super) fn of_shard(units: &[Unit], shard: Option<Shard>) -> Vec<Unit> {
    let name = |unit: &Unit| unit_name(&unit.scenario.name, unit.firmware, None);
    let is_in = |unit: &&Unit| shard.is_none_or(|shard| shard.has(&name(unit)));
    units.iter().filter(is_in).cloned().collect()
}

/// The unit as often as asked for, numbered when it is more than once.
fn repeated(unit: &Unit, times: u32) -> Vec<Unit> {
    let one = |number| Unit {
        repetition: (times > 1).then_some(number),
        ..unit.clone()
    };
    (1..=times).map(one).collect()
}
