//! `lab exec`: a command in a machine, over the autologin shell on its serial console.

use std::time::Duration;

use clap::Args;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{NodeArguments, unknown};
use crate::alive::Registry;
use crate::cli::conduct::{Refusal, refuse};
use crate::cli::exit;
use crate::node::console::Console;
use crate::node::shell::Shell;

/// `lab exec`
#[derive(Debug, Args)]
pub(in crate::cli) struct ExecArguments {
    #[command(flatten)]
    node: NodeArguments,
    /// How long the command may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
    /// The command, for the machine's shell
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Prints what the command says; the exit code is the command's.
pub(super) async fn run(registry: &Registry, arguments: &ExecArguments) -> Result<u8, Refusal> {
    let NodeArguments { node, lab } = &arguments.node;
    let (lab, node) = registry.node(lab.as_deref(), node).map_err(unknown)?;
    let failed = |error: &dyn std::fmt::Display| {
        refuse(
            exit::INTERNAL,
            format!("the console of {}: {error}", node.name),
        )
    };
    let (lines, _) = mpsc::unbounded_channel();
    // What it says is our answer; nobody reads it again.
    let mut console = Console::connect(&lab.console(&node), "/dev/null".as_ref(), lines)
        .await
        .map_err(|error| failed(&error))?;
    let deadline = Instant::now() + Duration::from_secs(arguments.timeout);
    let mut shell = Shell::resume(&mut console, deadline)
        .await
        .map_err(|error| failed(&error))?;
    let answer = shell.run(&arguments.command.join(" "), deadline).await;
    let answer = answer.map_err(|error| failed(&error))?;
    if !answer.output.is_empty() {
        println!("{}", answer.output);
    }
    Ok(u8::try_from(answer.status).unwrap_or(exit::INTERNAL))
}
