//! `lab exec`: runs a command in a machine, through the autologin shell on its serial console.

use std::time::Duration;

use clap::Args;
use lab_report::exit_code::ExitCode;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::NodeArguments;
use crate::cli::error::{CliError, refuse};
use crate::node::console::Console;
use crate::node::shell::{Answer, Shell};
use crate::persistent::{PersistentLab, PersistentNode, Registry};

/// Arguments of `lab exec`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ExecArguments {
    #[command(flatten)]
    node: NodeArguments,
    /// Time limit of the command, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
    /// Command line for the machine's shell
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Prints the output of the command and returns its exit code.
pub(super) async fn run(
    registry: &Registry,
    arguments: &ExecArguments,
) -> Result<ExitCode, CliError> {
    let (lab, node) = arguments.node.find(registry)?;
    let command = arguments.command.join(" ");
    let answer = in_shell(&lab, &node, &command, arguments.timeout).await?;
    if !answer.output.is_empty() {
        println!("{}", answer.output);
    }
    Ok(ExitCode::of_program(Some(answer.status)))
}

/// Runs a script in the shell on a machine's console and returns its answer.
pub(super) async fn in_shell(
    lab: &PersistentLab,
    node: &PersistentNode,
    command: &str,
    seconds: u64,
) -> Result<Answer, CliError> {
    let failed = |error: &dyn std::fmt::Display| {
        refuse(
            ExitCode::Internal,
            format!("the console of {}: {error}", node.name),
        )
    };
    let (lines, _) = mpsc::unbounded_channel();
    let mut console = Console::connect(&lab.shell(node), None, lines)
        .await
        .map_err(|error| failed(&error))?;
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let mut shell = Shell::resume(&mut console, deadline)
        .await
        .map_err(|error| failed(&error))?;
    let answer = shell.run(command, deadline).await;
    shell.leave().await;
    let answer = answer.map_err(|error| failed(&error))?;
    // QEMU serves one console client at a time; the next one may be waiting.
    console.disconnect();
    Ok(answer)
}
