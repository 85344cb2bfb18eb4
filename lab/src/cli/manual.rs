//! `lab completions` and `lab man`: what shells and `man` are told of the command line, made from the command line
//! itself.

use std::io;
use std::path::PathBuf;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Arguments, exit};

/// `lab completions`
#[derive(Debug, Args)]
pub(super) struct CompletionsArguments {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

/// `lab man`
#[derive(Debug, Args)]
pub(super) struct ManArguments {
    /// The folder, which is made where it is not there
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Prints a script for a shell.
pub(super) fn completions(arguments: &CompletionsArguments) -> u8 {
    let mut command = Arguments::command();
    clap_complete::generate(arguments.shell, &mut command, "lab", &mut io::stdout());
    exit::OK
}

/// Writes a page for each command.
pub(super) fn man(arguments: &ManArguments) -> u8 {
    let folder = &arguments.folder;
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Arguments::command(), folder));
    match written {
        Ok(()) => exit::OK,
        Err(error) => {
            eprintln!("lab: {}: {error}", folder.display());
            exit::INTERNAL
        }
    }
}
