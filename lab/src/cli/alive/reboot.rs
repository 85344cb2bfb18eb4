//! `lab reboot`: a machine is reset, as by the button on its front, and boots over the network again.

use std::time::{Duration, Instant};

use clap::Args;
use tokio::sync::mpsc;

use super::{NodeArguments, unknown};
use crate::alive::Registry;
use crate::cell;
use crate::cli::conduct::{Refusal, refuse};
use crate::cli::exit;
use crate::hypervisor::Hypervisor;
use crate::node::console::Console;
use crate::node::shell::Shell;

/// How long the cell's libvirt may take to answer.
const LIBVIRT_DEADLINE: Duration = Duration::from_secs(10);

/// `lab reboot`
#[derive(Debug, Args)]
pub(in crate::cli) struct RebootArguments {
    #[command(flatten)]
    node: NodeArguments,
    /// How long it may take until somebody is logged in again, in seconds; 0 does not wait
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    timeout: u64,
}

/// Resets the machine and waits for its login.
pub(super) async fn run(registry: &Registry, arguments: &RebootArguments) -> Result<u8, Refusal> {
    let NodeArguments { node, lab } = &arguments.node;
    let (lab, node) = registry.node(lab.as_deref(), node).map_err(unknown)?;
    let failed =
        |error: &dyn std::fmt::Display| refuse(exit::INTERNAL, format!("{}: {error}", node.name));
    let (lines, _) = mpsc::unbounded_channel();
    // Before the reset, or its first lines would be missed.
    let mut console = Console::connect(&lab.console(&node), "/dev/null".as_ref(), lines)
        .await
        .map_err(|error| failed(&error))?;
    let own = std::env::current_exe().map_err(|error| failed(&error))?;
    let status = lab
        .command(&own)
        .args([cell::RESET_COMMAND, &node.domain])
        .status()
        .map_err(|error| failed(&error))?;
    if !status.success() {
        return Err(failed(&"it could not be reset"));
    }
    if arguments.timeout == 0 {
        println!("{} was reset.", node.name);
        return Ok(exit::OK);
    }
    eprintln!("{} was reset; waiting for its login.", node.name);
    let began = Instant::now();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(arguments.timeout);
    Shell::wait_for_login(&mut console, deadline)
        .await
        .map_err(|error| refuse(exit::FAILED, format!("{}: {error}", node.name)))?;
    println!(
        "{} is up again after {:.0} s.",
        node.name,
        began.elapsed().as_secs_f64()
    );
    Ok(exit::OK)
}

/// The part of it that is done inside the cell.
pub(in crate::cli) async fn reset_inside(domain: &str) -> u8 {
    let done = async {
        let hypervisor = Hypervisor::open("qemu:///system", LIBVIRT_DEADLINE).await?;
        hypervisor.reset_domain(domain).await
    };
    match done.await {
        Ok(()) => exit::OK,
        Err(error) => {
            eprintln!("lab: {error}");
            exit::INTERNAL
        }
    }
}
