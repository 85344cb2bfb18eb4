//! Selection of units for a run: scenarios by name, firmware, repetitions, shard.

use std::num::NonZeroU32;
use std::sync::Arc;

use lab_model::fault::Injections;
use lab_model::results::shard::Shard;
use lab_model::results::{Unit, unit_name};
use lab_model::scenario::{self, DataCheck, Firmware, Scenario, SelectError};
use lab_report::exit_code::ExitCode;

use crate::cli::Folders;
use crate::cli::error::{CliError, refuse};

/// Choice of scenarios, firmware types and repetitions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Selection<'a> {
    /// Names of scenarios; empty for all.
    pub(super) names: &'a [String],
    /// Firmware types; empty for all.
    pub(super) firmware: &'a [Firmware],
    /// True for the first machine of each scenario only, on the first firmware.
    pub(super) is_quick: bool,
    pub(super) repeat: NonZeroU32,
    /// True if the data directories are not validated.
    pub(super) is_data_unchecked: bool,
}

/// Returns the selected units of all shards: first those of scenarios with `runs_first`, each part in the order of names.
pub(super) fn select(folders: &Folders, selection: &Selection<'_>) -> Result<Vec<Unit>, CliError> {
    let data = if selection.is_data_unchecked {
        DataCheck::Skip
    } else {
        DataCheck::Strict
    };
    let mut selected =
        scenario::load_named(&folders.scenarios(), data, selection.names).map_err(|error| {
            CliError {
                code: match error {
                    SelectError::Invalid(_) => ExitCode::InvalidInput,
                    SelectError::Unknown(_) => ExitCode::NothingSelected,
                },
                message: format!("{:?}", miette::Report::new(error)),
            }
        })?;
    selected.sort_by_key(|scenario| !scenario.runs_first);
    let offered: Vec<String> = selected
        .iter()
        .map(|scenario| {
            let names: Vec<&str> = scenario.firmware.iter().map(|f| f.name()).collect();
            format!("{} ({})", scenario.name, names.join(", "))
        })
        .collect();
    let units: Vec<Unit> = selected
        .into_iter()
        .map(|scenario| match selection.is_quick {
            true => first_machine(scenario, selection.firmware),
            false => scenario,
        })
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
        .filter(|unit| selection.firmware.is_empty() || selection.firmware.contains(&unit.firmware))
        .collect();
    if units.is_empty() {
        return Err(refuse(
            ExitCode::NothingSelected,
            if offered.is_empty() {
                format!("no scenarios found in {}", folders.scenarios().display())
            } else {
                format!(
                    "no selected scenario runs on this firmware (selected: {})",
                    offered.join(", ")
                )
            },
        ));
    }
    Ok(units
        .into_iter()
        .flat_map(|unit| repeated(&unit, selection.repeat.get()))
        .collect())
}

/// Returns the scenario with its first machine only, on the first of its firmwares that is among `wanted` (or the first
/// of all when none is wanted).
fn first_machine(mut scenario: Scenario, wanted: &[Firmware]) -> Scenario {
    scenario
        .firmware
        .retain(|one| wanted.is_empty() || wanted.contains(one));
    scenario.firmware.truncate(1);
    scenario.nodes.truncate(1);
    scenario
}

/// Returns the units of a shard; repetitions of a unit stay together.
pub(super) fn of_shard(units: &[Unit], shard: Option<Shard>) -> Vec<Unit> {
    let name = |unit: &Unit| unit_name(&unit.scenario.name, unit.firmware, None);
    let is_in = |unit: &&Unit| shard.is_none_or(|shard| shard.has(&name(unit)));
    units.iter().filter(is_in).cloned().collect()
}

/// Repeats a unit, with numbered names if it runs more than once.
fn repeated(unit: &Unit, times: u32) -> Vec<Unit> {
    let one = |number| Unit {
        repetition: (times > 1).then_some(number),
        ..unit.clone()
    };
    (1..=times).map(one).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;

    use super::super::MachineCommand;
    use super::*;
    use crate::cli::{Arguments, Command};

    #[test]
    fn scenarios_that_run_first_are_the_four_environments_and_come_before_the_others() {
        let scenarios = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios");
        let given = Arguments::parse_from(["lab", "--scenarios", scenarios, "run"]);
        let Command::Machines(command) = given.command else {
            panic!("another command");
        };
        let MachineCommand::Run(arguments) = *command else {
            panic!("another command");
        };
        let units = select(&given.places, &arguments.selection()).ok().unwrap();
        let mut names: Vec<&str> = units
            .iter()
            .map(|unit| unit.scenario.name.as_str())
            .collect();
        names.dedup();
        let (first, others) = names.split_at(4);
        assert_eq!(
            first,
            ["ipxe-chainload", "pixiecore", "proxy-dhcp", "pxe-dhcp"]
        );
        assert!(
            others.is_sorted() && others.contains(&"cloud-config-full"),
            "{others:?}"
        );
    }

    fn ipxe_chainload() -> Scenario {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
        let names = ["ipxe-chainload".to_owned()];
        let mut found = scenario::load_named(&folder, DataCheck::Skip, &names).unwrap();
        found.remove(0)
    }

    #[test]
    fn first_machine_of_a_scenario_is_on_its_first_firmware() {
        let scenario = ipxe_chainload();
        assert!(scenario.nodes.len() > 1 && scenario.firmware.len() > 1);
        let quick = first_machine(scenario.clone(), &[]);
        assert_eq!(quick.nodes, scenario.nodes[..1]);
        assert_eq!(quick.firmware, scenario.firmware[..1]);
    }

    #[test]
    fn first_machine_is_on_the_firmware_that_is_asked_for() {
        let asked = [Firmware::UefiHttp, Firmware::Uefi];
        let quick = first_machine(ipxe_chainload(), &asked);
        // In the order of the scenario.
        assert_eq!(quick.firmware, [Firmware::Uefi]);
    }
}
