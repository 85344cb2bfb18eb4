//! The command line: parse, call, map the result to an exit code. One file a subcommand.

mod alive;
mod conduct;
mod doctor;
mod explain;
mod faults;
mod folders;
mod images;
mod intro;
mod inventory;
mod list;
mod manual;
mod new;
mod plan;
mod rehearse;
mod remote;
mod report;
mod run;
mod select;
mod terminal;
mod validate;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::cell;
use crate::remote::Visit;

/// Open files that the lab asks for, for itself and its cells.
const OPEN_FILES: u64 = 4096;

/// Exit codes that scripts may rely on.
pub mod exit {
    /// All is well.
    pub const OK: u8 = 0;
    /// An error of our own.
    pub const INTERNAL: u8 = 1;
    /// Wrong usage or invalid input.
    pub const INVALID_INPUT: u8 = 2;
    /// Nothing was selected.
    pub const NOTHING_SELECTED: u8 = 4;
    /// This host can't do it.
    pub const HOST_UNSUPPORTED: u8 = 69;
    /// Only what comes before was in the way: the lab's own set-up, or a network.
    pub const SET_UP_FAILED: u8 = 75;
    /// Something that was looked at is not as it has to be.
    pub const FAILED: u8 = 100;
    /// Interrupted by Ctrl-C or SIGTERM.
    pub const INTERRUPTED: u8 = 130;
}

/// Boots virtual machines over the network as bare metal would, and proves what each came up as.
#[derive(Debug, Parser)]
#[command(name = "lab", version, max_term_width = 100)]
struct Arguments {
    #[command(flatten)]
    places: Folders,
    #[command(subcommand)]
    command: Command,
}

/// Where things are.
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
    /// Cache of images [default: $XDG_CACHE_HOME/bootlab]
    #[arg(long, global = true, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Images of one's own, beside those of the catalog [default: $XDG_CONFIG_HOME/bootlab/images.toml]
    #[arg(long, global = true, value_name = "FILE")]
    catalog: Option<PathBuf>,
    /// What the `lab` of another host has to know of the run that it came here for.
    #[arg(long, global = true, value_name = "FILE", hide = true, value_parser = visit)]
    visit: Option<Visit>,
}

fn visit(path: &str) -> Result<Visit, String> {
    Visit::read(path.as_ref()).map_err(|error| error.to_string())
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say what this host can do and what is missing, with the commands that bring it
    Doctor(doctor::DoctorArguments),
    /// Make a scenario: a small one that boots, to be changed
    New(new::NewArguments),
    /// Run scenarios and print a table of verdicts
    Run(run::RunArguments),
    /// Say why a machine did not boot, from a run's artifacts or from a capture
    Explain(explain::ExplainArguments),
    /// Bring a scenario's network, servers and machines up, and leave them so
    Up(alive::UpArguments),
    #[command(flatten)]
    Alive(alive::AliveCommand),
    /// List the scenarios
    // Before those that need a name from it.
    #[command(display_order = 4)]
    List,
    /// Tell everything that is wrong with a boot-config data directory
    Validate(validate::ValidateArguments),
    /// Show what each machine would get from a data directory, and what changes
    Plan(plan::PlanArguments),
    /// Boot the twin of each machine of a site, and prove what each one gets
    Rehearse(rehearse::RehearseArguments),
    /// Read lists of machines, and import them from what there is
    #[command(subcommand)]
    Inventory(inventory::InventoryCommand),
    /// List, fetch, verify, build, find and clear images
    #[command(subcommand)]
    Images(images::ImagesCommand),
    /// Make reports again from the folders of runs
    #[command(subcommand)]
    Report(report::ReportCommand),
    /// Print a script that lets a shell complete commands and options
    Completions(manual::CompletionsArguments),
    /// Write manual pages, one a command
    Man(manual::ManArguments),
    /// First process of a cell
    #[command(name = cell::INIT_COMMAND, hide = true)]
    CellInit,
    /// Worker of a cell
    #[command(name = cell::WORKER_COMMAND, hide = true)]
    CellWorker,
    /// Captures packets, inside a cell
    #[command(name = cell::CAPTURE_COMMAND, hide = true)]
    CellCapture,
    /// Another host on a cell's network
    #[command(name = cell::STATION_COMMAND, hide = true)]
    CellStation,
}

/// Runs the program; the result is its exit code.
#[must_use]
pub fn main() -> ExitCode {
    if intro::is_wanted() {
        return ExitCode::from(intro::run());
    }
    let arguments = Arguments::parse();
    raise_open_files();
    if let Some(Err(error)) = arguments.places.visit.as_ref().map(Visit::begin) {
        eprintln!("lab: {error}");
        return ExitCode::from(exit::INTERNAL);
    }
    let code = match arguments.command {
        // Becomes PID 1 of a cell: no runtime, no threads.
        Command::CellInit => return cell::init::run(),
        // Executes another program, or works in threads of its own.
        Command::CellStation => return crate::station::run(),
        Command::CellWorker => with_runtime(async {
            match cell::attempt::run().await {
                Ok(()) => exit::OK,
                Err(why) => {
                    tracing::error!("{why}");
                    exit::INTERNAL
                }
            }
        }),
        Command::Run(run) => with_runtime(run::run(arguments.places, run)),
        Command::Rehearse(what) => with_runtime(rehearse::run(arguments.places, what)),
        Command::Up(what) => with_runtime(alive::bring_up(arguments.places, what)),
        Command::Alive(command) => with_runtime(alive::run(arguments.places, command)),
        Command::CellCapture => alive::capture_inside(),
        Command::Explain(what) => explain::run(&what),
        Command::Doctor(what) => with_runtime(doctor::run(arguments.places, what)),
        Command::New(what) => new::run(&arguments.places, &what),
        Command::Completions(what) => manual::completions(&what),
        Command::Man(what) => manual::man(&what),
        Command::List => list::run(&arguments.places),
        Command::Plan(what) => plan::run(&what),
        Command::Inventory(command) => inventory::run(&command),
        Command::Report(command) => report::run(&command),
        Command::Validate(what) => validate::run(&what),
        Command::Images(command) => images::run(&arguments.places, &command),
    };
    ExitCode::from(code)
}

/// Raises the limit of open files as far as it may be: shells give 1024, and machines side by side take more.
fn raise_open_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = limit
        .maximum
        .map_or(OPEN_FILES, |most| most.min(OPEN_FILES));
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(wanted);
        // Where it is refused, the limit stays as it is, and a run tells when that is too low.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

/// A runtime that is left at once, by a panic as well: a read of standard input that never returns must not hold us.
struct Background(Option<tokio::runtime::Runtime>);

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Runs to the end and leaves at once.
fn with_runtime(work: impl Future<Output = u8>) -> u8 {
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => {
            let handle = runtime.handle().clone();
            let _background = Background(Some(runtime));
            handle.block_on(work)
        }
        Err(error) => {
            eprintln!("lab: no runtime: {error}");
            exit::INTERNAL
        }
    }
}

impl Folders {
    /// Returns the scenarios' folder as an absolute path.
    fn scenarios(&self) -> PathBuf {
        folders::absolute(&self.scenarios)
    }

    /// The cache: as given, else by the XDG base directory specification.
    fn cache(&self) -> Result<PathBuf, String> {
        if let Some(cache) = &self.cache {
            return Ok(cache.clone());
        }
        xdg("XDG_CACHE_HOME", ".cache")
            .map(|base| base.join("bootlab"))
            .ok_or_else(|| {
                "neither XDG_CACHE_HOME nor HOME is set; name a folder with --cache".into()
            })
    }

    /// Id of the run that is begun.
    fn run_id(&self) -> String {
        match &self.visit {
            Some(visit) => visit.run_id.clone(),
            None => conduct::new_run_id(),
        }
    }

    /// The user's catalog of images: as given, else by the XDG base directory specification, where it is
    /// there.
    fn catalog(&self) -> Option<PathBuf> {
        self.catalog.clone().or_else(|| {
            xdg("XDG_CONFIG_HOME", ".config")
                .map(|base| base.join("bootlab/images.toml"))
                .filter(|path| path.exists())
        })
    }
}

/// The folder that the variable `name` says, else `default` in the user's home.
fn xdg(name: &str, default: &str) -> Option<PathBuf> {
    let absolute = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute(name).or_else(|| absolute("HOME").map(|home| home.join(default)))
}
