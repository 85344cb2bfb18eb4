//! `lab power`: switches a machine on or off.

use clap::{Args, Subcommand};
use lab_report::exit_code::ExitCode;

use super::login::Wait;
use super::{NodeArguments, ask};
use crate::cell::control::ControlRequest;
use crate::cli::error::CliError;
use crate::persistent::Registry;

/// Subcommands of `lab power`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum PowerCommand {
    /// Switch a machine on; it boots over the network
    On(OnArguments),
    /// Switch a machine off without a shutdown, as if the power failed
    Off(NodeArguments),
}

/// Arguments of `lab power on`.
#[derive(Debug, Args)]
pub(in crate::cli) struct OnArguments {
    #[command(flatten)]
    node: NodeArguments,
    #[command(flatten)]
    wait: Wait,
}

/// Switches the machine.
pub(super) async fn run(registry: &Registry, command: &PowerCommand) -> Result<ExitCode, CliError> {
    match command {
        PowerCommand::On(arguments) => {
            let (lab, node) = arguments.node.find(registry)?;
            let request = ControlRequest::PowerOn {
                node: node.name.clone(),
            };
            let switch = || ask(&lab, &request).map(drop);
            arguments.wait.after(&lab, &node, "is on", switch).await
        }
        PowerCommand::Off(arguments) => {
            let (lab, node) = arguments.find(registry)?;
            ask(
                &lab,
                &ControlRequest::PowerOff {
                    node: node.name.clone(),
                },
            )?;
            println!("{} is off.", node.name);
            Ok(ExitCode::Ok)
        }
    }
}
