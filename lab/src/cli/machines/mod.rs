//! Commands that need machines, and the hidden commands of cells; part of builds with the feature `cells`.
//!
//! In other builds, `absent.rs` is in the place of this module and says for each of these commands that it is missing.

#[cfg(test)]
mod absent;
mod arguments;
mod doctor;
mod execution;
mod faults;
mod folders;
mod images;
mod matrix;
mod named;
mod persistent;
mod programs;
mod rehearse;
mod remote;
mod run;
mod select;

use std::io;

use clap::{Args, Subcommand};
use lab_report::exit_code::ExitCode;

use super::Folders;
use crate::remote::RemoteRun;
use crate::{cell, hosts};

/// Soft limit of open files that the lab requests for itself and its cells.
const OPEN_FILES: u64 = 4096;

/// Commands of builds with the feature `cells`.
#[derive(Debug, Subcommand)]
pub(super) enum MachineCommand {
    /// Check whether this host can run the lab, and print the commands that install what is missing
    #[command(display_order = 0)]
    Doctor(doctor::DoctorArguments),
    /// Run scenarios and print a table of verdicts
    #[command(display_order = 3)]
    Run(arguments::RunArguments),
    /// Start a scenario's network, servers and machines, and keep them running
    #[command(display_order = 5)]
    Up(persistent::UpArguments),
    // Clap numbers these from 6 on, because options and the commands above count.
    #[command(flatten)]
    Persistent(persistent::PersistentCommand),
    /// Boot a virtual twin of each machine of a site, and check its config
    #[command(display_order = 102)]
    Rehearse(rehearse::RehearseArguments),
    /// Run scenarios on each combination of firmware and boot program, and print a grid
    #[command(display_order = 103)]
    Matrix(matrix::MatrixArguments),
    /// List, fetch, verify, build, find and clear images
    #[command(subcommand, display_order = 104)]
    Images(images::ImagesCommand),
    /// First process of a cell
    #[command(name = cell::INIT_COMMAND, hide = true)]
    CellInit,
    /// Worker of a cell
    #[command(name = cell::WORKER_COMMAND, hide = true)]
    CellWorker,
    /// Packet capture inside a cell
    #[command(name = cell::CAPTURE_COMMAND, hide = true)]
    CellCapture,
    /// Another host on a cell's network
    #[command(name = hosts::STATION_COMMAND, hide = true)]
    CellStation,
    /// Program of a service in a root file system of its own
    #[command(name = cell::custom::root::ROOT_COMMAND, hide = true)]
    CellRoot {
        /// Root to enter, as JSON
        job: String,
        /// Program and arguments
        #[arg(last = true)]
        command: Vec<String>,
    },
}

/// Hidden option of a `lab` that another host copied here.
#[derive(Debug, Args)]
pub(super) struct Visit {
    /// File that describes the run for which another host copied this `lab` here.
    #[arg(long, global = true, value_name = "FILE", hide = true, value_parser = remote_run)]
    visit: Option<RemoteRun>,
}

fn remote_run(path: &str) -> io::Result<RemoteRun> {
    RemoteRun::read(path.as_ref())
}

/// Runs the command and returns the exit code.
pub(super) fn run(folders: Folders, command: MachineCommand) -> ExitCode {
    raise_open_files();
    if let Some(Err(error)) = folders.visit().map(RemoteRun::begin) {
        eprintln!("lab: {error}");
        return ExitCode::Internal;
    }
    match command {
        // Becomes PID 1 of a cell: no runtime, no threads.
        MachineCommand::CellInit => cell::init::run(),
        // Executes another program, or uses its own threads.
        MachineCommand::CellStation => hosts::run(),
        MachineCommand::CellRoot { job, command } => cell::custom::root::enter(&job, &command),
        MachineCommand::CellWorker => with_runtime(async {
            match cell::attempt::run().await {
                Ok(()) => ExitCode::Ok,
                Err(why) => {
                    tracing::error!("{why}");
                    ExitCode::Internal
                }
            }
        }),
        MachineCommand::CellCapture => persistent::capture_inside(),
        MachineCommand::Run(run) => with_runtime(run::run(folders, run)),
        MachineCommand::Rehearse(what) => with_runtime(rehearse::run(folders, what)),
        MachineCommand::Matrix(what) => with_runtime(matrix::run(folders, what)),
        MachineCommand::Up(what) => with_runtime(persistent::bring_up(folders, what)),
        MachineCommand::Persistent(command) => with_runtime(persistent::run(folders, command)),
        MachineCommand::Doctor(what) => with_runtime(doctor::run(folders, what)),
        MachineCommand::Images(command) => images::run(&folders, &command),
    }
}

/// Raises the limit of open files: the usual soft limit is 1024, and concurrent machines need more.
fn raise_open_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = limit
        .maximum
        .map_or(OPEN_FILES, |most| most.min(OPEN_FILES));
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(wanted);
        // If the kernel refuses, the limit stays; a run reports it if it is too low.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

/// Runtime that is shut down without waiting, even on panic: a blocked read of standard input must not delay the
/// exit.
struct Background(Option<tokio::runtime::Runtime>);

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Runs a future to completion, without waiting for background tasks.
fn with_runtime(work: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => {
            let handle = runtime.handle().clone();
            let _background = Background(Some(runtime));
            handle.block_on(work)
        }
        Err(error) => {
            eprintln!("lab: cannot start the async runtime: {error}");
            ExitCode::Internal
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_without_machines_knows_the_names_of_all_their_commands() {
        let all = MachineCommand::augment_subcommands(clap::Command::new("lab"));
        let shown = all.get_subcommands().filter(|one| !one.is_hide_set());
        let names: Vec<&str> = shown.map(clap::Command::get_name).collect();
        assert_eq!(names, absent::NAMES);
    }
}
