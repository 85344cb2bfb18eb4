//! `lab reboot`: resets a machine, as its reset button would, so that it boots over the network again.

use clap::Args;
use lab_report::exit_code::ExitCode;

use super::login::Wait;
use super::{NodeArguments, ask};
use crate::cell::control::ControlRequest;
use crate::cli::error::CliError;
use crate::persistent::Registry;

/// Arguments of `lab reboot`.
#[derive(Debug, Args)]
pub(in crate::cli) struct RebootArguments {
    #[command(flatten)]
    node: NodeArguments,
    #[command(flatten)]
    wait: Wait,
}

/// Resets the machine and waits for its login.
pub(super) async fn run(
    registry: &Registry,
    arguments: &RebootArguments,
) -> Result<ExitCode, CliError> {
    let (lab, node) = arguments.node.find(registry)?;
    let request = ControlRequest::Reset {
        node: node.name.clone(),
    };
    let reset = || ask(&lab, &request).map(drop);
    arguments.wait.after(&lab, &node, "was reset", reset).await
}
