//! The command line: parses arguments, calls the command and maps its result to an exit code. One file per
//! subcommand.

mod butane;
mod compare;
mod error;
mod explain;
mod folders;
mod http_get;
mod ignition_mode;
mod intro;
mod inventory;
mod list;
#[cfg(feature = "cells")]
mod machines;
#[cfg(not(feature = "cells"))]
#[path = "machines/absent.rs"]
mod machines;
mod manual;
mod new;
mod plan;
mod report;
mod run_id;
mod schema;
mod terminal;
mod validate;

use std::path::PathBuf;
use std::process;

use clap::{Parser, Subcommand};

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
    #[command(flatten)]
    visit: machines::Visit,
}

/// Commands. Those of [`machines`] stand between the others in the help, thus the explicit order.
#[derive(Debug, Subcommand)]
enum Command {
    /// List the scenarios
    #[command(display_order = 1)]
    List,
    /// Create a small bootable scenario to start from
    #[command(display_order = 2)]
    New(new::NewArguments),
    /// Explain why a machine did not boot, from a run's artifacts or from a capture
    #[command(display_order = 4)]
    Explain(explain::ExplainArguments),
    /// Report all mistakes in a boot-config data directory
    #[command(display_order = 100)]
    Validate(validate::ValidateArguments),
    /// Show what each machine would be served from a data directory, and what changes
    #[command(display_order = 101)]
    Plan(plan::PlanArguments),
    /// Print the Ignition config that a Butane or Container Linux Config is translated to
    #[command(display_order = 102)]
    Butane(butane::ButaneArguments),
    /// Compare the answers of a running boot config service with boot-server's, for each machine
    #[command(display_order = 102)]
    Compare(compare::CompareArguments),
    /// Check and import lists of machines
    #[command(subcommand, display_order = 103)]
    Inventory(inventory::InventoryCommand),
    /// Rebuild reports from the folders of runs
    #[command(subcommand, display_order = 105)]
    Report(report::ReportCommand),
    /// Print a shell completion script
    #[command(display_order = 106)]
    Completions(manual::CompletionsArguments),
    /// Write manual pages
    #[command(display_order = 107)]
    Man(manual::ManArguments),
    /// Print the JSON schema of a file that the lab or the boot server reads or writes
    #[command(display_order = 108)]
    Schema(schema::SchemaArguments),
    #[command(flatten)]
    Machines(Box<machines::MachineCommand>),
}

/// Runs the program and returns its exit code.
#[must_use]
pub fn main() -> process::ExitCode {
    if intro::is_wanted() {
        return intro::run().into();
    }
    let Arguments { places, command } = Arguments::parse();
    let code = match command {
        Command::Machines(command) => machines::run(places, *command),
        Command::Explain(what) => explain::run(&what),
        Command::New(what) => new::run(&places, &what),
        Command::Completions(what) => manual::completions(&what),
        Command::Man(what) => manual::man(&what),
        Command::Schema(what) => schema::run(&what),
        Command::List => list::run(&places),
        Command::Butane(what) => butane::run(&what),
        Command::Compare(what) => compare::run(&what),
        Command::Plan(what) => plan::run(&what),
        Command::Inventory(command) => inventory::run(&command),
        Command::Report(command) => report::run(&command),
        Command::Validate(what) => validate::run(&what),
    };
    code.into()
}

impl Folders {
    /// Returns the absolute path of the scenarios' folder: cells and services have other working directories.
    fn scenarios(&self) -> PathBuf {
        folders::absolute(&self.scenarios)
    }
}
