//! `lab validate DIR`: everything that is wrong with a data directory, before rollout.

use std::io::{self, Write};
use std::path::PathBuf;

use boot_server::catalog::problem::render_problems;
use clap::{Args, ValueEnum};
use rollout::inventory::read::read_listed;
use rollout::validate::{Level, Network, Report, Request, report, validate};

use super::exit;

/// What is validated, and how it is told.
#[derive(Debug, Args)]
pub(super) struct ValidateArguments {
    /// The data directory, of bootcfg's or matchbox's layout
    #[arg(value_name = "DIR")]
    root: PathBuf,
    /// The machines that it is meant for: a .toml, .yaml, .json or .csv file
    #[arg(long, value_name = "FILE")]
    machines: Option<PathBuf>,
    /// The folder of the assets: kernels and initrds must be there, and of the right kind
    #[arg(long, value_name = "DIR")]
    assets: Option<PathBuf>,
    /// Warnings count as errors
    #[arg(long)]
    strict: bool,
    /// How it is told
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Which servers the machines boot from
    #[arg(long, value_enum, value_name = "NETWORK", default_value = "ipxe")]
    network: NetworkArgument,
    /// Where the page docs/rules.md is published, for links in SARIF
    #[arg(long, value_name = "URL", env = "LAB_DOCS_URL")]
    docs_url: Option<String>,
}

/// `--format`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// As JSON (docs/rules.md).
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// Annotations of GitHub Actions.
    Github,
}

/// `--network`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum NetworkArgument {
    /// They chainload iPXE.
    Ipxe,
    /// Pixiecore, which asks for a machine by its MAC alone.
    Pixiecore,
}

/// Validates, and tells what it finds on standard output.
pub(super) fn run(arguments: &ValidateArguments) -> u8 {
    let machines = match arguments.machines.as_deref().map(read_listed).transpose() {
        Ok(machines) => machines,
        Err(problems) => {
            eprint!("{}", render_problems(&problems));
            return exit::INVALID_INPUT;
        }
    };
    if let Some(folder) = arguments.assets.as_ref().filter(|folder| !folder.is_dir()) {
        eprintln!(
            "lab: --assets {}: there is no such folder",
            folder.display()
        );
        return exit::INVALID_INPUT;
    }
    let path = std::env::var_os("PATH");
    let found = validate(&Request {
        root: arguments.root.clone(),
        machines: machines.as_ref(),
        assets: arguments.assets.clone(),
        network: match arguments.network {
            NetworkArgument::Ipxe => Network::Ipxe,
            NetworkArgument::Pixiecore => Network::Pixiecore,
        },
        program_path: path.as_deref(),
    });
    match told(arguments, &found) {
        // Whoever reads it may have read enough.
        Ok(text) => drop(io::stdout().write_all(text.as_bytes())),
        Err(error) => {
            eprintln!("lab: {error}");
            return exit::INTERNAL;
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
    if bad { exit::INVALID_INPUT } else { exit::OK }
}

fn told(arguments: &ValidateArguments, found: &Report) -> serde_json::Result<String> {
    match arguments.format {
        Format::Text => Ok(report::text(found)),
        Format::Json => report::json(found),
        Format::Sarif => report::sarif(found, arguments.docs_url.as_deref()),
        Format::Github => Ok(report::github(found)),
    }
}
