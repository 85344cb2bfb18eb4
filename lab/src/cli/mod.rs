//! The command line: parses arguments, calls the command and maps its result to an exit code. One file per
//! subcommand.

mod doctor;
mod execution;
mod explain;
mod faults;
mod folders;
mod images;
mod intro;
mod inventory;
mod list;
mod manual;
mod new;
mod persistent;
mod plan;
mod rehearse;
mod remote;
mod report;
mod run;
mod schema;
mod select;
mod terminal;
mod validate;

use std::io;
use std::path::PathBuf;
use std::process;

use clap::{Parser, Subcommand};
use lab_report::exit_code::ExitCode;

use crate::remote::RemoteRun;
use crate::{cell, hosts};

/// Soft limit of open files that the lab requests for itself and its cells.
const OPEN_FILES: u64 = 4096;

/// Version for `--version`; `ci/package` adds the commit.
const VERSION: &str = match option_env!("LAB_VERSION") {
    Some(version) => version,
    None => env!("CARGO_PKG_VERSION"),
};

/// Boots virtual machines over the network and checks that each one comes up with its own config.
#[derive(Debug, Parser)]
#[command(name = "lab", version = VERSION, max_term_width = 100)]
struct Arguments {
    #[command(flatten)]
    places: Folders,
    #[command(subcommand)]
    command: Command,
}

/// Folders and files that all commands share.
#[derive(Debug, clap::Args)]
struct Folders {
    /// Folder of the scenarios
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "LAB_SCENARIOS",
        default_value = folders::DEFAULT
    )]
    scenarios: PathBuf,
    /// Folder of the image cache [default: $XDG_CACHE_HOME/bootlab]
    #[arg(long, global = true, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// File with your own image definitions, added to the built-in catalog [default:
    /// $XDG_CONFIG_HOME/bootlab/images.toml]
    #[arg(long, global = true, value_name = "FILE")]
    catalog: Option<PathBuf>,
    /// File that describes the run for which another host copied this `lab` here.
    #[arg(long, global = true, value_name = "FILE", hide = true, value_parser = visit)]
    visit: Option<RemoteRun>,
}

fn visit(path: &str) -> io::Result<RemoteRun> {
    RemoteRun::read(path.as_ref())
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check whether this host can run the lab, and print the commands that install what is missing
    Doctor(doctor::DoctorArguments),
    /// Create a small bootable scenario to start from
    New(new::NewArguments),
    /// Run scenarios and print a table of verdicts
    Run(run::RunArguments),
    /// Explain why a machine did not boot, from a run's artifacts or from a capture
    Explain(explain::ExplainArguments),
    /// Start a scenario's network, servers and machines, and keep them running
    Up(persistent::UpArguments),
    #[command(flatten)]
    Persistent(persistent::PersistentCommand),
    /// List the scenarios
    // Listed before the commands that take a scenario's name.
    #[command(display_order = 4)]
    List,
    /// Report all mistakes in a boot-config data directory
    Validate(validate::ValidateArguments),
    /// Show what each machine would be served from a data directory, and what changes
    Plan(plan::PlanArguments),
    /// Boot a virtual twin of each machine of a site, and check its config
    Rehearse(rehearse::RehearseArguments),
    /// Check and import lists of machines
    #[command(subcommand)]
    Inventory(inventory::InventoryCommand),
    /// List, fetch, verify, build, find and clear images
    #[command(subcommand)]
    Images(images::ImagesCommand),
    /// Rebuild reports from the folders of runs
    #[command(subcommand)]
    Report(report::ReportCommand),
    /// Print a shell completion script
    Completions(manual::CompletionsArguments),
    /// Write manual pages
    Man(manual::ManArguments),
    /// Print the JSON schema of a file that the lab or the boot server reads or writes
    Schema(schema::SchemaArguments),
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
}

/// Runs the program and returns its exit code.
#[must_use]
pub fn main() -> process::ExitCode {
    if intro::is_wanted() {
        return intro::run().into();
    }
    let arguments = Arguments::parse();
    raise_open_files();
    if let Some(Err(error)) = arguments.places.visit.as_ref().map(RemoteRun::begin) {
        eprintln!("lab: {error}");
        return ExitCode::Internal.into();
    }
    let code = match arguments.command {
        // Becomes PID 1 of a cell: no runtime, no threads.
        Command::CellInit => return cell::init::run().into(),
        // Executes another program, or uses its own threads.
        Command::CellStation => return crate::hosts::run().into(),
        Command::CellWorker => with_runtime(async {
            match cell::attempt::run().await {
                Ok(()) => ExitCode::Ok,
                Err(why) => {
                    tracing::error!("{why}");
                    ExitCode::Internal
                }
            }
        }),
        Command::Run(run) => with_runtime(run::run(arguments.places, run)),
        Command::Rehearse(what) => with_runtime(rehearse::run(arguments.places, what)),
        Command::Up(what) => with_runtime(persistent::bring_up(arguments.places, what)),
        Command::Persistent(command) => with_runtime(persistent::run(arguments.places, command)),
        Command::CellCapture => persistent::capture_inside(),
        Command::Explain(what) => explain::run(&what),
        Command::Doctor(what) => with_runtime(doctor::run(arguments.places, what)),
        Command::New(what) => new::run(&arguments.places, &what),
        Command::Completions(what) => manual::completions(&what),
        Command::Man(what) => manual::man(&what),
        Command::Schema(what) => schema::run(&what),
        Command::List => list::run(&arguments.places),
        Command::Plan(what) => plan::run(&what),
        Command::Inventory(command) => inventory::run(&command),
        Command::Report(command) => report::run(&command),
        Command::Validate(what) => validate::run(&what),
        Command::Images(command) => images::run(&arguments.places, &command),
    };
    code.into()
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

/// The image cache has no folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no cache folder: XDG_CACHE_HOME and HOME are not set; name one with --cache")]
struct NoCacheFolder;

impl Folders {
    /// Returns the absolute path of the scenarios' folder: cells and services have other working directories.
    fn scenarios(&self) -> PathBuf {
        folders::absolute(&self.scenarios)
    }

    /// Returns the cache folder: --cache, else the XDG cache directory.
    ///
    /// # Errors
    /// [`NoCacheFolder`].
    fn cache(&self) -> Result<PathBuf, NoCacheFolder> {
        if let Some(cache) = &self.cache {
            return Ok(cache.clone());
        }
        xdg("XDG_CACHE_HOME", ".cache")
            .map(|base| base.join("bootlab"))
            .ok_or(NoCacheFolder)
    }

    /// Returns the id of this run.
    fn run_id(&self) -> String {
        match &self.visit {
            Some(visit) => visit.run_id.clone(),
            None => execution::new_run_id(),
        }
    }

    /// Returns the user's image catalog: --catalog, else the file in the XDG configuration directory if it
    /// exists.
    fn catalog(&self) -> Option<PathBuf> {
        self.catalog.clone().or_else(|| {
            xdg("XDG_CONFIG_HOME", ".config")
                .map(|base| base.join("bootlab/images.toml"))
                .filter(|path| path.exists())
        })
    }
}

/// Returns the absolute folder in environment variable `name`, else `default` in the user's home.
fn xdg(name: &str, default: &str) -> Option<PathBuf> {
    let absolute = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute(name).or_else(|| absolute("HOME").map(|home| home.join(default)))
}
