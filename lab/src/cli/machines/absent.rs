//! Commands that need machines, in a build without the feature `cells`: each says that it is missing.

use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, Subcommand};
use lab_report::exit_code::ExitCode;

use crate::cli::Folders;

/// Names of the missing commands.
pub(in crate::cli) const NAMES: [&str; 22] = [
    "doctor",
    "run",
    "up",
    "ps",
    "down",
    "status",
    "logs",
    "events",
    "capture",
    "console",
    "exec",
    "ssh",
    "screenshot",
    "reboot",
    "power",
    "add-node",
    "fault",
    "gc",
    "shell",
    "rehearse",
    "matrix",
    "images",
];

/// Missing command, with its name.
#[derive(Debug)]
pub(in crate::cli) struct MachineCommand(String);

/// Options that only builds with machines have: none here.
#[derive(Debug, Args)]
pub(in crate::cli) struct Visit {}

/// Says that this build does not have the command.
pub(in crate::cli) fn run(_: Folders, MachineCommand(name): MachineCommand) -> ExitCode {
    eprintln!("lab: {}", told(&name));
    ExitCode::HostUnsupported
}

fn told(name: &str) -> String {
    format!(
        "unsupported command: `lab {name}` needs machines, which this build of lab does not have; install the package \
         `netboot-lab`, or build lab with its default features"
    )
}

impl Subcommand for MachineCommand {
    fn augment_subcommands(command: Command) -> Command {
        // Accepts whatever the real command would.
        let rest = Arg::new("rest")
            .num_args(0..)
            .trailing_var_arg(true)
            .allow_hyphen_values(true);
        let missing = |name| {
            let missing = Command::new(name).hide(true).disable_help_flag(true);
            missing.arg(rest.clone())
        };
        command.subcommands(NAMES.map(missing))
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        MachineCommand::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        NAMES.contains(&name)
    }
}

impl FromArgMatches for MachineCommand {
    fn from_arg_matches(matches: &ArgMatches) -> Result<MachineCommand, clap::Error> {
        let name = matches.subcommand_name();
        name.map(|name| MachineCommand(name.to_owned()))
            .ok_or_else(|| clap::Error::new(ErrorKind::MissingSubcommand))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = MachineCommand::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        visit: Visit,
        #[command(subcommand)]
        command: MachineCommand,
    }

    #[test]
    fn missing_command_with_any_arguments_is_unsupported() {
        for said in [
            "lab run --firmware bios --help pxe-dhcp",
            "lab exec node1 -- ls -l",
            "lab images",
        ] {
            let line = Line::try_parse_from(said.split(' ')).unwrap();
            let folders = crate::cli::Arguments::parse_from(["lab", "list"]).places;
            assert_eq!(run(folders, line.command), ExitCode::HostUnsupported);
            let Visit {} = line.visit;
        }
    }

    #[test]
    fn missing_command_is_named_with_the_way_to_get_it() {
        insta::assert_snapshot!(told("run"), @"unsupported command: `lab run` needs machines, which this build of lab does not have; install the package `netboot-lab`, or build lab with its default features");
    }

    #[test]
    fn command_of_no_build_is_refused_by_the_parser() {
        let refused = Line::try_parse_from(["lab", "rum"]).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidSubcommand);
    }
}
