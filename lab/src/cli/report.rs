//! `lab report …`: reports made again from the folders of runs.

use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::conduct::{Refusal, new_run_id, refuse};
use super::exit;
use super::terminal::Look;
use crate::report::merge::{MergeError, check, load, merge};
use crate::report::{self, table};
use crate::untrusted::plain;

/// `lab report …`
#[derive(Debug, Subcommand)]
pub(super) enum ReportCommand {
    /// Join the runs of several machines (`lab run --shard`) into one; the exit code is that of the whole
    Merge {
        /// Folders of runs
        #[arg(value_name = "DIR", required = true)]
        runs: Vec<PathBuf>,
        /// Where the joined run's folder is made
        #[arg(long, value_name = "DIR", default_value = "runs")]
        artifacts: PathBuf,
    },
    /// Make a run's index.html again, from the files in its folder
    Html {
        /// Folder of a run
        #[arg(value_name = "DIR", default_value = "runs/latest")]
        run: PathBuf,
    },
}

/// Runs and returns the exit code.
pub(super) fn run(command: &ReportCommand) -> u8 {
    let done = match command {
        ReportCommand::Merge { runs, artifacts } => merged(runs, artifacts),
        ReportCommand::Html { run } => page(run),
    };
    match done {
        Ok(code) => code,
        Err(Refusal { code, message }) => {
            eprintln!("{}", plain(&message));
            code
        }
    }
}

/// Writes the page, prints where it is.
fn page(folder: &Path) -> Result<u8, Refusal> {
    let run = load(folder).map_err(|error| refuse(exit::INVALID_INPUT, error))?;
    let path = report::artifacts::write_page(&run)
        .map_err(|error| refuse(exit::INTERNAL, format!("{}: {error}", folder.display())))?;
    println!("{}", path.display());
    Ok(exit::OK)
}

fn merged(folders: &[PathBuf], artifacts: &Path) -> Result<u8, Refusal> {
    let invalid = |error: MergeError| {
        let code = match error {
            MergeError::Copy { .. } => exit::INTERNAL,
            _ => exit::INVALID_INPUT,
        };
        refuse(code, error)
    };
    let runs: Result<Vec<_>, _> = folders.iter().map(|folder| load(folder)).collect();
    let runs = runs.map_err(invalid)?;
    // Before anything is made, so that a refusal leaves nothing behind.
    check(&runs).map_err(invalid)?;
    let parts: Vec<PathBuf> = runs.iter().map(|run| run.folder.clone()).collect();
    let faults =
        report::faults::joined(&parts).map_err(|error| refuse(exit::INVALID_INPUT, error))?;
    let run_id = new_run_id();
    let folder = report::artifacts::create(artifacts, &jiff::Zoned::now(), &run_id)
        .map_err(|error| refuse(exit::INTERNAL, format!("{}: {error}", artifacts.display())))?;
    let run = merge(&run_id, runs, &folder).map_err(invalid)?;
    let failed = |error| refuse(exit::INTERNAL, format!("{}: {error}", folder.display()));
    report::artifacts::write_run(&run, Default::default(), &|_| None).map_err(failed)?;
    let colour = Look::choose(false, false).table;
    let code = match faults {
        Some(results) => {
            report::faults::write(&results, &folder).map_err(failed)?;
            print!("{}", report::faults::render(&results, colour));
            report::faults::exit_code(&results, run.exit_code())
        }
        None => {
            print!("{}", table::render(&run, colour));
            run.exit_code()
        }
    };
    println!("Artifacts: {}", folder.display());
    Ok(code)
}
