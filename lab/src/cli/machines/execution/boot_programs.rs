//! Boot programs of other Debian releases that scenarios name: fetched before the machines start, because cells have no way
//! to the internet.

use std::collections::BTreeMap;
use std::path::PathBuf;

use images::{Progress, packages};
use lab_model::results::Unit;
use lab_model::scenario::ProgramSource;
use lab_report::exit_code::ExitCode;

use crate::cli::Folders;
use crate::cli::error::{CliError, refuse};

/// Returns the files of the programs, by their names; fetches those that are not in the cache.
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
        let cache = folders
            .cache()
            .map_err(|why| refuse(ExitCode::Internal, why))?;
        let mut tell = |progress: Progress<'_>| match progress {
            Progress::Waiting => eprintln!("Waiting: another process fetches boot programs."),
            Progress::Step(step) => eprintln!("Boot program {name}: {step}"),
            Progress::Line(line) => tracing::info!("{line}"),
        };
        let file = packages::acquire(&cache, name, &mut tell).map_err(|error| {
            refuse(
                ExitCode::SetUpFailed,
                format!("boot program {name}: {error}"),
            )
        })?;
        files.insert(text, file);
    }
    Ok(files)
}
