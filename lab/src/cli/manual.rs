//! `lab completions` and `lab man`: shell completions and manual pages, generated from the command line
//! definition.

use std::io;
use std::path::PathBuf;

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use lab_report::exit_code::ExitCode;

use super::Arguments;

/// Arguments of `lab completions`.
#[derive(Debug, Args)]
pub(super) struct CompletionsArguments {
    /// Shell to write the script for
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

/// Arguments of `lab man`.
#[derive(Debug, Args)]
pub(super) struct ManArguments {
    /// Output folder; created if missing
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Prints the completion script of a shell.
pub(super) fn completions(arguments: &CompletionsArguments) -> ExitCode {
    let mut command = Arguments::command();
    clap_complete::generate(arguments.shell, &mut command, "lab", &mut io::stdout());
    ExitCode::Ok
}

/// Writes one page for each command.
pub(super) fn man(arguments: &ManArguments) -> ExitCode {
    let folder = &arguments.folder;
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Arguments::command(), folder));
    match written {
        Ok(()) => ExitCode::Ok,
        Err(error) => {
            eprintln!("lab: {}: {error}", folder.display());
            ExitCode::Internal
        }
    }
}
