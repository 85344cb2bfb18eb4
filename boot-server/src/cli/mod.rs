//! The command line: `boot-server [SETTINGS]` serves, `boot-server check` checks,
//! `boot-server leases` lists, `boot-server client` calls another server by gRPC, and `boot-server pixiecore …` is Pixiecore.

mod arguments;
mod client;
mod collapse;
mod config_file;
mod event_file;
mod event_log;
mod exit_code;
mod leases;
mod logging;
pub mod narrate;
mod pixiecore;
mod privileges;
mod reload;
mod secrets;
mod serve;
mod settings;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{ArgAction, CommandFactory, Parser, Subcommand};

pub use self::exit_code::ExitCode;

use self::arguments::{Arguments, Flag, Known};
use self::client::Client;
use self::pixiecore::Pixiecore;
use self::settings::Settings;
use crate::catalog::data_dir::{Layout, Source};
use crate::catalog::problem::{Problem, Severity, render_problems};
use crate::catalog::{check, load};
use crate::config::Config;

const AFTER_HELP: &str = "\
Each flag can be set by an environment variable: BOOT_SERVER_ and the flag's name in capitals, e.g.
BOOT_SERVER_DATA_PATH. Flags override variables, and variables override the configuration file.

The flags and variables of bootcfg and matchbox (BOOTCFG_…, MATCHBOX_…) are accepted, with one dash or
two. When invoked as bootcfg or matchbox, the program uses that program's defaults.

Examples:
  boot-server --config /etc/boot-server.toml
  boot-server --interface br0 --dhcp-range 172.17.0.43-172.17.0.99/24 --data-path /var/lib/boot-server
  boot-server -address=0.0.0.0:8080 -data-path=/var/lib/matchbox -assets-path=/var/lib/matchbox/assets
  boot-server pixiecore api http://172.17.0.2:8080/pixiecore";

/// Serves network boot: DHCP, proxyDHCP, TFTP and an HTTP boot config service.
#[derive(Debug, Parser)]
#[command(
    name = "boot-server",
    version,
    args_conflicts_with_subcommands = true,
    args_override_self = true,
    after_help = AFTER_HELP
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Checks a configuration and its data directory, and reports all problems at once.
    /// Exits with 2 if the server would not start.
    Check {
        /// The configuration file (TOML).
        #[arg(long, value_name = "FILE", env = "BOOT_SERVER_CONFIG")]
        config: Option<PathBuf>,
        /// A data directory (bootcfg or matchbox layout) or a configuration file.
        #[arg(
            value_name = "PATH",
            conflicts_with = "config",
            required_unless_present = "config"
        )]
        path: Option<PathBuf>,
        /// The folder of assets, which must hold the kernels and initrds of the data directory.
        #[arg(long, value_name = "DIR", requires = "path")]
        assets: Option<PathBuf>,
    },
    /// Boots machines like Pixiecore, with Pixiecore's commands and flags.
    #[command(subcommand)]
    Pixiecore(Box<Pixiecore>),
    /// Reads and changes the data directory of a server by gRPC, as matchbox's bootcmd does.
    Client(Box<Client>),
    /// Lists the leases in the lease file of [dhcp]; works while the server runs.
    Leases {
        /// The configuration file (TOML).
        #[arg(long, value_name = "FILE", env = "BOOT_SERVER_CONFIG")]
        config: PathBuf,
        /// Print one JSON object per line instead of a table.
        #[arg(long)]
        json: bool,
    },
    #[command(flatten)]
    Manual(Manual),
}

/// Commands that describe the command line to shells and `man`.
#[derive(Debug, Subcommand)]
enum Manual {
    /// Prints a shell completion script.
    Completions {
        /// The shell to complete in.
        #[arg(value_enum, value_name = "SHELL")]
        shell: clap_complete::Shell,
    },
    /// Writes one manual page per command.
    Man {
        /// The folder to write to; created if missing.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

impl Manual {
    fn make(&self) -> anyhow::Result<()> {
        match self {
            Manual::Completions { shell } => {
                let mut out = std::io::stdout();
                clap_complete::generate(*shell, &mut Cli::command(), "boot-server", &mut out);
            }
            Manual::Man { folder } => {
                std::fs::create_dir_all(folder)
                    .and_then(|()| clap_mangen::generate_to(Cli::command(), folder))
                    .with_context(|| folder.display().to_string())?;
            }
        }
        Ok(())
    }
}

/// Does what the command line asks for; problems of the input are printed to standard error.
///
/// # Errors
/// Whatever kept the server from running, or ended it.
pub fn run(typed: &[OsString]) -> anyhow::Result<ExitCode> {
    let cli = match parse(typed) {
        Ok(cli) => cli,
        Err(code) => return Ok(code),
    };
    let settings = match cli.command {
        Some(Command::Check {
            config,
            path,
            assets,
        }) => {
            let problems = match path.or(config) {
                Some(path) if path.is_dir() => check::check(&Source::of(path), assets.as_deref()),
                Some(path) => problems(&path),
                None => anyhow::bail!("name a data directory or a configuration file"),
            };
            return Ok(report(&problems));
        }
        Some(Command::Leases { config, json }) => {
            return match config_file::read(&config) {
                Ok(config) => leases::list(&config, json),
                Err(problems) => Ok(report(&problems)),
            };
        }
        Some(Command::Manual(manual)) => {
            manual.make()?;
            return Ok(ExitCode::Ok);
        }
        Some(Command::Client(client)) => return Ok(client.run()?),
        Some(Command::Pixiecore(command)) => {
            return match command
                .config()
                .map_err(|error| vec![of_command_line(&error)])
            {
                Ok(config) => serve::serve(config, None),
                Err(problems) => Ok(report(&problems)),
            };
        }
        None => cli.settings,
    };
    let file = settings.config_file().map(Path::to_owned);
    match config_file::load(settings) {
        Ok(config) => serve::serve(config, file),
        Err(problems) => Ok(report(&problems)),
    }
}

/// Renders an error and its causes in one line, without repetitions.
pub fn told(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if told.is_empty() {
            told = cause;
        } else if !told.contains(&cause) {
            told.push_str(": ");
            told.push_str(&cause);
        }
    }
    told
}

/// Reads the command line and the environment; says itself what is wrong with them.
fn parse(typed: &[OsString]) -> Result<Cli, ExitCode> {
    let command = Cli::command();
    let flags: Vec<Flag> = command
        .get_arguments()
        .filter(|argument| !matches!(argument.get_action(), ArgAction::Help | ArgAction::Version))
        .filter_map(|argument| {
            Some(Flag {
                name: argument.get_long()?.to_owned(),
                is_switch: matches!(argument.get_action(), ArgAction::SetTrue),
            })
        })
        .collect();
    let subcommands = command.get_subcommands();
    let known = Known {
        flags,
        subcommands: subcommands
            .map(|known| known.get_name().to_owned())
            .collect(),
    };
    let collected = arguments::collect(typed, &known, |name| std::env::var_os(name));
    let Arguments {
        list,
        from_environment,
        unread,
    } = collected.map_err(|error| report(&[of_command_line(&error)]))?;
    if !unread.is_empty() {
        let words: Vec<_> = unread.iter().map(|word| word.to_string_lossy()).collect();
        report(&[Problem::of_file(
            Severity::Warning,
            Path::new("command line"),
            format!("ignored arguments: `{}`", words.join(" ")),
            "bootcfg and matchbox read no flags behind a word that is not a flag: write `--flag=value`",
        )]);
    }
    Cli::try_parse_from(&list).map_err(|error| {
        // If standard error cannot be written to, the message is lost.
        let _ = error.print();
        let text = error.to_string();
        for (flag, variable) in from_environment {
            if text.contains(&format!("--{flag}")) {
                eprintln!("--{flag} is set by the environment variable {variable}");
            }
        }
        // clap returns the text of `--help` and `--version` as an error, too.
        match error.use_stderr() {
            true => ExitCode::InvalidInput,
            false => ExitCode::Ok,
        }
    })
}

/// Returns a problem of the command line, which belongs to no file.
fn of_command_line(error: &dyn std::error::Error) -> Problem {
    let help = "`boot-server --help` lists all settings";
    let message = error.to_string();
    Problem::of_file(Severity::Error, Path::new("command line"), message, help)
}

fn problems(path: &Path) -> Vec<Problem> {
    let config: Config = match config_file::read(path) {
        Ok(config) => config,
        Err(problems) => return problems,
    };
    let secrets = secrets::problems(&config);
    let has_rpc = config.rpc.is_some();
    let data = config.http.map_or_else(Vec::new, |http| {
        let folders = check::Folders {
            assets: http.assets.as_deref(),
            images: http.images.as_deref(),
        };
        let source = http.source();
        let is_bootcfg = has_rpc && load::layout_of(&source) == Some(Layout::Bootcfg);
        let mut problems = check::check_served(&source, folders);
        problems.extend(is_bootcfg.then(|| serve::grpc_with_bootcfg(&http.data)));
        problems
    });
    data.into_iter().chain(secrets).collect()
}

fn report(problems: &[Problem]) -> ExitCode {
    eprint!("{}", render_problems(problems));
    let errors = problems
        .iter()
        .any(|problem| problem.severity == Severity::Error);
    match errors {
        true => ExitCode::InvalidInput,
        false => ExitCode::Ok,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::NetError;

    #[test]
    fn an_error_tells_each_cause_once() {
        let source = std::io::Error::from_raw_os_error(98);
        let bind = NetError::Bind {
            service: "dhcp",
            port: 67,
            source,
        };
        let error: anyhow::Error = Err::<(), _>(bind).context("starting").unwrap_err();
        let told = told(&error);
        assert!(
            told.starts_with("starting: dhcp on port 67: Address"),
            "{told}"
        );
        assert_eq!(told.matches("Address already in use").count(), 1, "{told}");
    }
}
