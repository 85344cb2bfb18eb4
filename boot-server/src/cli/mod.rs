//! The command line: `boot-server --config FILE` serves, `boot-server check --config FILE` checks.

mod config_file;
mod event_log;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::catalog::check;
use crate::catalog::problem::{Problem, Severity, render_problems};
use crate::config::Config;

/// DHCP, proxyDHCP, TFTP and HTTP boot config service for machines that boot over the network.
#[derive(Debug, Parser)]
#[command(name = "boot-server", version, subcommand_negates_reqs = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// The configuration file (TOML).
    #[arg(long, value_name = "FILE", required = true, env = "BOOT_SERVER_CONFIG")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Reports everything that is wrong in the configuration and its boot-config directory.
    Check {
        /// The configuration file (TOML).
        #[arg(long, value_name = "FILE", env = "BOOT_SERVER_CONFIG")]
        config: PathBuf,
    },
}

/// Exit code for invalid input.
const INVALID_INPUT: u8 = 2;

/// Does what the command line asks for; problems of the input are printed to standard error.
///
/// # Errors
/// Whatever kept the server from running, or ended it.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match (cli.command, cli.config) {
        (Some(Command::Check { config }), _) => Ok(report(&problems(&config))),
        (None, Some(config)) => match config_file::load(&config) {
            Ok(config) => serve::serve(config),
            Err(problems) => Ok(report(&problems)),
        },
        (None, None) => anyhow::bail!("--config FILE is missing"),
    }
}

fn problems(path: &std::path::Path) -> Vec<Problem> {
    let config: Config = match config_file::load(path) {
        Ok(config) => config,
        Err(problems) => return problems,
    };
    config.http.map_or_else(Vec::new, |http| {
        check::check(&http.source(), http.assets.as_deref())
    })
}

fn report(problems: &[Problem]) -> ExitCode {
    eprint!("{}", render_problems(problems));
    let errors = problems
        .iter()
        .any(|problem| problem.severity == Severity::Error);
    ExitCode::from(if errors { INVALID_INPUT } else { 0 })
}
