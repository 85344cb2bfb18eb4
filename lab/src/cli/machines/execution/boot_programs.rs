//! Boot programs and firmware of other Debian releases that scenarios name: fetched before the machines start, because cells have no way
//! to the internet.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use images::catalog::{FirmwarePackage, IpxePackage};
use images::{ImageError, Progress, packages};
use lab_model::results::Unit;
use lab_model::scenario::{ProgramSource, Replacements};
use lab_report::exit_code::ExitCode;

use crate::cli::Folders;
use crate::cli::error::{CliError, refuse};

/// Flags for firmware and boot programs in place of the host's own.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(in crate::cli::machines) struct ReplacementArguments {
    /// UEFI firmware of a Debian release instead of the host's: `ovmf:12` or `ovmf:13`
    #[arg(long, value_name = "PACKAGE")]
    firmware_package: Option<FirmwarePackage>,
    /// iPXE of a Debian release instead of the host's: `ipxe:12` or `ipxe:13`
    #[arg(long, value_name = "PACKAGE")]
    nbp: Option<IpxePackage>,
}

impl From<ReplacementArguments> for Replacements {
    fn from(arguments: ReplacementArguments) -> Replacements {
        Replacements {
            firmware_package: arguments.firmware_package,
            nbp: arguments.nbp,
        }
    }
}

/// Returns the units with replacements.
pub(super) fn replaced(units: Vec<Unit>, replacements: Replacements) -> Vec<Unit> {
    let apply = |unit: Unit| Unit {
        scenario: Arc::new(replacements.apply(&unit.scenario, unit.firmware)),
        ..unit
    };
    match replacements.is_none() {
        true => units,
        false => units.into_iter().map(apply).collect(),
    }
}

/// Returns the files of the programs, and the roots of firmware packages, by their names; fetches those that are not in the cache.
pub(super) fn fetch(
    folders: &Folders,
    units: &[Unit],
) -> Result<BTreeMap<String, PathBuf>, CliError> {
    let mut files = BTreeMap::new();
    let all = units.iter().flat_map(|unit| &unit.scenario.programs);
    let names = all.filter_map(|program| match &program.from {
        ProgramSource::Package(name) => Some(name),
        ProgramSource::Kernel | ProgramSource::File(_) => None,
    });
    for name in names {
        let text = name.to_string();
        if files.contains_key(&text) {
            continue;
        }
        let file = acquire(folders, &text, |cache, tell| {
            packages::acquire(cache, name, tell)
        })?;
        files.insert(text, file);
    }
    let packages = units
        .iter()
        .filter_map(|unit| unit.scenario.firmware_package);
    for package in packages {
        let text = package.to_string();
        if files.contains_key(&text) {
            continue;
        }
        let root = acquire(folders, &text, |cache, tell| {
            packages::acquire_firmware(cache, package, tell)
        })?;
        files.insert(text, root);
    }
    Ok(files)
}

/// Fetches a package and shows its progress.
fn acquire(
    folders: &Folders,
    name: &str,
    from: impl FnOnce(&Path, &mut dyn FnMut(Progress<'_>)) -> Result<PathBuf, ImageError>,
) -> Result<PathBuf, CliError> {
    let cache = folders
        .cache()
        .map_err(|why| refuse(ExitCode::Internal, why))?;
    let mut tell = |progress: Progress<'_>| match progress {
        Progress::Waiting => eprintln!("Waiting: another process fetches boot programs."),
        Progress::Step(step) => eprintln!("{name}: {step}"),
        Progress::Line(line) => tracing::info!("{line}"),
    };
    from(&cache, &mut tell)
        .map_err(|error| refuse(ExitCode::SetUpFailed, format!("{name}: {error}")))
}
