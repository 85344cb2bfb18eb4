//! `lab report …`: rebuilds reports from the folders of runs.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use lab_report::exit_code::ExitCode;
use lab_report::merge::{MergeError, check, load, merge};
use lab_report::table;

use super::error::{CliError, refuse};
use super::run_id::new_run_id;
use super::terminal::OutputStyle;

/// Subcommands of `lab report`.
#[derive(Debug, Subcommand)]
pub(super) enum ReportCommand {
    /// Merge the runs of several shards (`lab run --shard`) into one; the exit code is that of the merged run
    Merge {
        /// Folders of the runs
        #[arg(value_name = "DIR", required = true)]
        runs: Vec<PathBuf>,
        /// Folder in which the merged run is created
        #[arg(long, value_name = "DIR", default_value = "runs")]
        artifacts: PathBuf,
    },
    /// Rebuild a run's index.html from the files in its folder
    Html {
        /// Folder of the run
        #[arg(value_name = "DIR", default_value = "runs/latest")]
        run: PathBuf,
    },
}

/// Runs the subcommand and returns the exit code.
pub(super) fn run(command: &ReportCommand) -> ExitCode {
    let done = match command {
        ReportCommand::Merge { runs, artifacts } => merged(runs, artifacts),
        ReportCommand::Html { run } => page(run),
    };
    done.unwrap_or_else(CliError::tell)
}

/// Writes the page and prints its path.
fn page(folder: &Path) -> Result<ExitCode, CliError> {
    let run = load(folder).map_err(|error| refuse(ExitCode::InvalidInput, error))?;
    let path = lab_report::artifacts::write_page(&run)
        .map_err(|error| refuse(ExitCode::Internal, format!("{}: {error}", folder.display())))?;
    println!("{}", path.display());
    Ok(ExitCode::Ok)
}

fn merged(folders: &[PathBuf], artifacts: &Path) -> Result<ExitCode, CliError> {
    let invalid = |error: MergeError| {
        let code = match error {
            MergeError::Copy { .. } => ExitCode::Internal,
            _ => ExitCode::InvalidInput,
        };
        refuse(code, error)
    };
    let runs: Result<Vec<_>, _> = folders.iter().map(|folder| load(folder)).collect();
    let runs = runs.map_err(invalid)?;
    // Checked before anything is created, so that a refusal leaves nothing behind.
    check(&runs).map_err(invalid)?;
    let parts: Vec<PathBuf> = runs.iter().map(|run| run.folder.clone()).collect();
    let faults = lab_report::faults::joined(&parts)
        .map_err(|error| refuse(ExitCode::InvalidInput, error))?;
    let run_id = new_run_id();
    let folder = lab_report::artifacts::create(artifacts, &jiff::Zoned::now(), &run_id).map_err(
        |error| {
            refuse(
                ExitCode::Internal,
                format!("{}: {error}", artifacts.display()),
            )
        },
    )?;
    let run = merge(&run_id, runs, &folder).map_err(invalid)?;
    let failed = |error| refuse(ExitCode::Internal, format!("{}: {error}", folder.display()));
    lab_report::artifacts::write_run(&run, &|_| None, Default::default()).map_err(failed)?;
    let colour = OutputStyle::choose(false, false).table;
    let code = match faults {
        Some(results) => {
            lab_report::faults::write(&results, &folder).map_err(failed)?;
            print!("{}", lab_report::faults::render(&results, colour));
            lab_report::faults::exit_code(&results, run.exit_code())
        }
        None => {
            print!("{}", table::render(&run, colour));
            run.exit_code()
        }
    };
    println!("Artifacts: {}", folder.display());
    Ok(code)
}
