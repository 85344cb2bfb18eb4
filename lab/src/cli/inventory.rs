//! `lab inventory`: checks and imports lists of machines.

use std::io::{IsTerminal, Read, Write, stdin, stdout};
use std::path::{Path, PathBuf};

use boot_server_catalog::problem::{Problem, render_problems};
use clap::{Args, Subcommand};
use lab_report::exit_code::ExitCode;
use rollout::inventory::import::{self, Kind, Source};
use rollout::inventory::{Format, Inventory, read, write};

#[derive(Debug, Subcommand)]
pub(super) enum InventoryCommand {
    /// Convert existing machine data into a list of machines
    ///
    /// KIND is dmidecode (output of dmidecode, one file per machine), dnsmasq (`dhcp-host` lines), dhcpd (`host`
    /// declarations of ISC dhcpd), kea (reservations) or groups (a data directory: each group that selects a
    /// UUID or MAC becomes a machine). Without KIND, the kind is detected from each file. Without FILE, standard
    /// input is read. Data that a list cannot hold is left out and reported on standard error.
    Import(ImportArguments),
    /// Check a list of machines and report all mistakes
    Check(CheckArguments),
}

#[derive(Debug, Args)]
pub(super) struct ImportArguments {
    /// Kind of the files, and the files
    #[arg(value_name = "[KIND] FILE")]
    what: Vec<String>,
    /// Format of the list to print
    #[arg(long, value_name = "toml|yaml|json|csv", default_value = "toml", value_parser = format)]
    format: Format,
}

#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// List of machines: *.toml, *.yaml, *.yml, *.json or *.csv
    #[arg(value_name = "FILE")]
    list: PathBuf,
}

/// Text that names no format of lists.
#[derive(Debug, thiserror::Error)]
#[error("unknown format: `{0}` (use toml, yaml, json or csv)")]
struct UnknownFormat(String);

fn format(name: &str) -> Result<Format, UnknownFormat> {
    Format::from_name(name).ok_or_else(|| UnknownFormat(name.to_owned()))
}

/// Runs a subcommand and returns its exit code.
pub(super) fn run(command: &InventoryCommand) -> ExitCode {
    match command {
        InventoryCommand::Import(arguments) => import(arguments),
        InventoryCommand::Check(arguments) => match read_or_tell(&arguments.list) {
            Ok(inventory) => {
                let machines = match inventory.machines.len() {
                    1 => "1 machine".to_owned(),
                    count => format!("{count} machines"),
                };
                print(&format!("{}: {machines}\n", arguments.list.display()))
            }
            Err(code) => code,
        },
    }
}

fn import(arguments: &ImportArguments) -> ExitCode {
    let (kind, files) = match arguments.what.split_first() {
        Some((first, rest)) if !Path::new(first).exists() => match Kind::from_name(first) {
            Some(kind) => (Some(kind), rest),
            None => (None, arguments.what.as_slice()),
        },
        _ => (None, arguments.what.as_slice()),
    };
    let sources = match files {
        [] => vec![standard_input()],
        files => files
            .iter()
            .map(|file| match file.as_str() {
                "-" => standard_input(),
                file => Source::open(Path::new(file)),
            })
            .collect(),
    };
    let mut problems = Vec::new();
    let sources: Vec<Source> = sources
        .into_iter()
        .filter_map(|source| source.map_err(|problem| problems.push(*problem)).ok())
        .collect();
    if !problems.is_empty() {
        return tell(&problems);
    }
    let imported = match import::import(kind, &sources) {
        Ok(imported) => imported,
        Err(problems) => return tell(&problems),
    };
    for left_out in &imported.left_out {
        eprintln!("left out: {left_out}");
    }
    match write::write(&imported.inventory, arguments.format) {
        Ok(text) => print(&text),
        Err(error) => {
            eprintln!("lab: {error}");
            ExitCode::Internal
        }
    }
}

fn standard_input() -> Result<Source, Box<Problem>> {
    if stdin().is_terminal() {
        eprintln!("Reading standard input; Ctrl-D ends it.");
    }
    let mut text = String::new();
    let read = stdin().read_to_string(&mut text);
    let path = PathBuf::from("-");
    match read {
        Ok(_) => Ok(Source {
            path,
            text: Some(text),
        }),
        Err(error) => {
            use boot_server_catalog::problem::Severity;
            let message = format!("cannot read standard input: {error}");
            let help = "pass UTF-8 text on standard input";
            Err(Box::new(Problem::of_file(
                Severity::Error,
                &path,
                message,
                help,
            )))
        }
    }
}

/// Reads a list and reports all its mistakes. The error is the exit code.
pub(super) fn read_or_tell(list: &Path) -> Result<Inventory, ExitCode> {
    read::read(list).map_err(|problems| tell(&problems))
}

/// Reports problems and returns the exit code.
pub(super) fn tell(problems: &[Problem]) -> ExitCode {
    eprint!("{}", render_problems(problems));
    ExitCode::InvalidInput
}

/// Prints a result; a closed pipe is not an error.
pub(super) fn print(text: &str) -> ExitCode {
    let mut output = stdout().lock();
    match output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
    {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            eprintln!("lab: cannot write the result: {error}");
            ExitCode::Internal
        }
        _ => ExitCode::Ok,
    }
}
