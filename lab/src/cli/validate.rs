//! `lab validate DIR`: reports everything wrong with a data directory before a rollout.

use std::io::{self, Write};
use std::path::PathBuf;

use boot_server_catalog::problem::render_problems;
use clap::{Args, ValueEnum};
use lab_report::exit_code::ExitCode;
use rollout::inventory::read::read_listed;
use rollout::validate::{Level, Network, Report, Request, report, validate};

use super::ignition_mode::IgnitionName;

/// Arguments of `lab validate`.
#[derive(Debug, Args)]
pub(super) struct ValidateArguments {
    /// Data directory in bootcfg or matchbox layout
    #[arg(value_name = "DIR")]
    root: PathBuf,
    /// List of machines that the directory is meant for: a .toml, .yaml, .json or .csv file
    #[arg(long, value_name = "FILE")]
    machines: Option<PathBuf>,
    /// Folder of the kernels and initrds, to check that they exist and are of the right kind
    #[arg(long, value_name = "DIR")]
    assets: Option<PathBuf>,
    /// Translation of Butane and Container Linux Configs, as `[http] ignition` of the server [default: by language]
    #[arg(long, value_name = "MODE")]
    ignition: Option<IgnitionName>,
    /// Treat warnings as errors
    #[arg(long)]
    strict: bool,
    /// Format of the findings
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Boot method of the machines
    #[arg(long, value_enum, value_name = "NETWORK", default_value = "ipxe")]
    network: NetworkArgument,
    /// URL where docs/rules.md is published, for links in SARIF
    #[arg(long, value_name = "URL", env = "LAB_DOCS_URL")]
    docs_url: Option<String>,
}

/// Values of `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Text for people
    Text,
    /// JSON (see docs/rules.md)
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// GitHub Actions annotations
    Github,
}

/// Values of `--network`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum NetworkArgument {
    /// Machines chainload iPXE
    Ipxe,
    /// Machines boot through Pixiecore, which asks for a machine by MAC only
    Pixiecore,
}

/// Validates the directory and prints the findings on standard output.
pub(super) fn run(arguments: &ValidateArguments) -> ExitCode {
    let machines = match arguments.machines.as_deref().map(read_listed).transpose() {
        Ok(machines) => machines,
        Err(problems) => {
            eprint!("{}", render_problems(&problems));
            return ExitCode::InvalidInput;
        }
    };
    if let Some(folder) = arguments.assets.as_ref().filter(|folder| !folder.is_dir()) {
        eprintln!("lab: folder not found: --assets {}", folder.display());
        return ExitCode::InvalidInput;
    }
    let path = std::env::var_os("PATH");
    let found = validate(&Request {
        root: arguments.root.clone(),
        ignition: arguments.ignition.map(Into::into),
        machines: machines.as_ref(),
        assets: arguments.assets.clone(),
        network: match arguments.network {
            NetworkArgument::Ipxe => Network::Ipxe,
            NetworkArgument::Pixiecore => Network::Pixiecore,
        },
        program_path: path.as_deref(),
    });
    match told(arguments, &found) {
        // A closed pipe is not an error.
        Ok(text) => drop(io::stdout().write_all(text.as_bytes())),
        Err(error) => {
            eprintln!("lab: {error}");
            return ExitCode::Internal;
        }
    }
    let counts = match arguments.strict {
        true => Level::Warning,
        false => Level::Error,
    };
    let bad = found
        .findings
        .iter()
        .any(|finding| finding.level() >= counts);
    if bad {
        ExitCode::InvalidInput
    } else {
        ExitCode::Ok
    }
}

fn told(arguments: &ValidateArguments, found: &Report) -> serde_json::Result<String> {
    match arguments.format {
        Format::Text => Ok(report::text(found)),
        Format::Json => report::json(found),
        Format::Sarif => report::sarif(found, arguments.docs_url.as_deref()),
        Format::Github => Ok(report::github(found)),
    }
}
