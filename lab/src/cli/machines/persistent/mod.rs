//! Commands for persistent labs. One file per subcommand; subcommands of a few lines are here.

mod add_node;
mod attach;
mod capture;
mod console;
mod events;
mod exec;
mod fault;
mod follow;
mod gc;
mod login;
mod logs;
mod power;
mod reboot;
mod screenshot;
mod ssh;
mod status;
mod up;

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;

use clap::{Args, Subcommand};
use lab_report::exit_code::ExitCode;

use super::remote;
use crate::cell::control::{ControlRequest, ControlResponse};
use crate::cell::on_host;
use crate::cli::Folders;
use crate::cli::error::{CliError, refuse};
use crate::persistent::{PersistentLab, PersistentNode, Registry};

pub(super) use capture::capture_inside;
pub(super) use up::UpArguments;

/// Commands for labs that are up.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum PersistentCommand {
    /// List the labs that are up, and their machines
    Ps,
    /// Stop a lab and remove everything in it
    Down(DownArguments),
    /// Show the boot stage of each machine
    Status(status::StatusArguments),
    /// Show the consoles of machines and the logs of services
    Logs(logs::LogsArguments),
    /// Show all recorded events except packets, as JSON lines
    Events(events::EventsArguments),
    /// Show the packets on a lab's network, or write them to a file for Wireshark
    Capture(capture::CaptureArguments),
    /// Connect this terminal to a machine's serial console
    Console(NodeArguments),
    /// Run a command in a machine, over its serial console
    Exec(exec::ExecArguments),
    /// Log in to a machine by SSH
    Ssh(ssh::SshArguments),
    /// Save a screenshot of a machine's display
    Screenshot(screenshot::ScreenshotArguments),
    /// Reset a machine, so that it boots over the network again
    Reboot(reboot::RebootArguments),
    /// Switch a machine on or off
    #[command(subcommand)]
    Power(power::PowerCommand),
    /// Add a machine to a lab's network
    AddNode(add_node::AddNodeArguments),
    /// Inject faults into a lab's network, and clear them
    Fault(fault::FaultArguments),
    /// Remove leftovers of killed runs from the host's libvirt (see --connect of `lab run`)
    Gc(gc::GcArguments),
    /// Run a program in a lab's network, with access to its libvirt [default: a shell]
    Shell(ShellArguments),
}

/// Arguments of `lab down`.
#[derive(Debug, Args)]
pub(in crate::cli) struct DownArguments {
    /// Run id or scenario of the lab; optional if only one lab is up
    #[arg(value_name = "LAB")]
    lab: Option<String>,
    /// Stop all labs
    #[arg(long, conflicts_with = "lab")]
    all: bool,
    /// Forget a lab on a remote host that no longer exists, without connecting to it
    #[arg(long)]
    forget: bool,
}

/// Arguments of `lab shell`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ShellArguments {
    /// Run id or scenario of the lab; optional if only one lab is up
    #[arg(long, value_name = "LAB")]
    lab: Option<String>,
    /// Program and its arguments
    #[arg(last = true, value_name = "PROGRAM")]
    program: Vec<String>,
}

/// Machine of a lab.
#[derive(Debug, Args)]
pub(in crate::cli) struct NodeArguments {
    /// Name of the machine
    #[arg(value_name = "NODE")]
    pub(super) node: String,
    /// Run id or scenario of the lab; required if several labs have a machine of this name
    #[arg(long, value_name = "LAB")]
    pub(super) lab: Option<String>,
}

impl NodeArguments {
    fn find(&self, registry: &Registry) -> Result<(PersistentLab, PersistentNode), CliError> {
        registry
            .node(self.lab.as_deref(), &self.node)
            .map_err(unknown)
    }
}

/// Runs the command and returns the exit code.
pub(super) async fn run(folders: Folders, command: PersistentCommand) -> ExitCode {
    let done = match registry(&folders) {
        Ok(registry) => with(&folders, &registry, command).await,
        Err(refusal) => Err(refusal),
    };
    done.unwrap_or_else(CliError::tell)
}

/// Runs `lab up` and returns the exit code.
pub(super) async fn bring_up(folders: Folders, arguments: UpArguments) -> ExitCode {
    let done = match up::locate(folders, arguments) {
        Ok((folders, arguments)) => up::run(&folders, &arguments).await,
        Err(refusal) => Err(refusal),
    };
    done.unwrap_or_else(CliError::tell)
}

async fn with(
    folders: &Folders,
    registry: &Registry,
    command: PersistentCommand,
) -> Result<ExitCode, CliError> {
    if !matches!(
        command,
        PersistentCommand::Ps | PersistentCommand::Down(_) | PersistentCommand::Gc(_)
    ) && let Some(done) = remote::forward(registry)
    {
        return done;
    }
    match command {
        PersistentCommand::Ps => Ok(ps(registry)),
        PersistentCommand::Down(arguments) => down(registry, &arguments).await,
        PersistentCommand::Gc(arguments) => gc::run(folders, &arguments).await,
        PersistentCommand::Status(arguments) => status::run(registry, &arguments),
        PersistentCommand::Logs(arguments) => logs::run(registry, &arguments),
        PersistentCommand::Events(arguments) => events::run(registry, &arguments),
        PersistentCommand::Capture(arguments) => capture::run(registry, &arguments),
        PersistentCommand::Console(arguments) => console::run(registry, &arguments).await,
        PersistentCommand::Exec(arguments) => exec::run(registry, &arguments).await,
        PersistentCommand::Ssh(arguments) => ssh::run(registry, &arguments).await,
        PersistentCommand::Screenshot(arguments) => screenshot::run(registry, &arguments),
        PersistentCommand::Reboot(arguments) => reboot::run(registry, &arguments).await,
        PersistentCommand::Power(command) => power::run(registry, &command).await,
        PersistentCommand::AddNode(arguments) => add_node::run(registry, &arguments).await,
        PersistentCommand::Fault(arguments) => fault::run(registry, &arguments),
        PersistentCommand::Shell(arguments) => shell(registry, &arguments),
    }
}

/// Sends a control request to a lab.
fn ask(lab: &PersistentLab, request: &ControlRequest) -> Result<ControlResponse, CliError> {
    lab.ask(request)
        .map_err(|error| refuse(ExitCode::Internal, error))
}

fn registry(folders: &Folders) -> Result<Registry, CliError> {
    let cache = folders
        .cache()
        .map_err(|why| refuse(ExitCode::Internal, why))?;
    Ok(Registry::new(&cache))
}

/// Builds the error for a lab or machine that was not found.
fn unknown(error: impl std::fmt::Display) -> CliError {
    refuse(ExitCode::InvalidInput, error)
}

fn ps(registry: &Registry) -> ExitCode {
    let labs = registry.all();
    if labs.is_empty() {
        println!("No lab is up.");
    }
    for lab in labs {
        print!("{}", shown(&lab));
    }
    ExitCode::Ok
}

/// Formats a lab and its machines, one line each.
fn shown(lab: &PersistentLab) -> String {
    let mut text = format!(
        "{}  {}  since {}  http://{}:{}",
        lab.run_id, lab.unit, lab.since, lab.host, lab.http_port
    );
    if let Some(remote) = &lab.remote {
        text += &format!("  on {}", remote.host.destination());
    }
    text += "\n";
    let width = lab.nodes.iter().map(|node| node.name.len()).max();
    let width = width.unwrap_or_default();
    for node in &lab.nodes {
        let address = node
            .address
            .map_or_else(|| "-".into(), |address| address.to_string());
        text += &format!(
            "  {:width$}  {}  {}  {:15}  {}\n",
            node.name, node.mac, node.uuid, address, node.verdict
        );
    }
    text
}

async fn down(registry: &Registry, arguments: &DownArguments) -> Result<ExitCode, CliError> {
    let labs = match arguments.all {
        true => registry.all(),
        false => vec![registry.find(arguments.lab.as_deref()).map_err(unknown)?],
    };
    for lab in labs {
        let what = match &lab.remote {
            Some(_) if arguments.forget => {
                registry.remove(&lab);
                "forgotten"
            }
            Some(there) => {
                remote::down(registry, &lab, there)?;
                "down"
            }
            None => {
                end(registry, &lab).await?;
                "down"
            }
        };
        println!("{} {} is {what}.", lab.run_id, lab.unit);
    }
    Ok(ExitCode::Ok)
}

/// Stops a lab and removes everything in it, also on the host's libvirt.
async fn end(registry: &Registry, lab: &PersistentLab) -> Result<(), CliError> {
    let failed = |error: &dyn std::fmt::Display| {
        refuse(ExitCode::Internal, format!("{}: {error}", lab.unit))
    };
    attach::give_back(lab);
    lab.end().map_err(|error| failed(&error))?;
    if let Some(uri) = &lab.connect {
        on_host::remove(uri, &lab.run_id)
            .await
            .map_err(|error| failed(&error))?;
        on_host::remove_folder(&lab.run_id).map_err(|error| failed(&error))?;
    }
    registry.remove(lab);
    Ok(())
}

/// Replaces this process by the program.
fn shell(registry: &Registry, arguments: &ShellArguments) -> Result<ExitCode, CliError> {
    let lab = registry.find(arguments.lab.as_deref()).map_err(unknown)?;
    let usual = [std::env::var("SHELL").unwrap_or_else(|_| "/bin/sh".into())];
    let words = match arguments.program.as_slice() {
        [] => {
            eprintln!(
                "In the network of {} {}; its libvirt is LIBVIRT_DEFAULT_URI=qemu:///system. `exit` leaves.",
                lab.run_id, lab.unit
            );
            &usual[..]
        }
        words => words,
    };
    let [program, rest @ ..] = words else {
        return Ok(ExitCode::Ok);
    };
    // Buffered output would be lost by exec.
    let _ = std::io::stdout().flush();
    let error = lab.command(Path::new(program)).args(rest).exec();
    Err(refuse(ExitCode::Internal, format!("nsenter: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persistent::tests::alive;

    #[test]
    fn a_lab_is_shown_with_its_machines() {
        insta::assert_snapshot!(shown(&alive("4f2a11", &["node1", "worker-10"])), @r"
        4f2a11  ipxe-chainload@bios  since 2026-01-02T03:04:05Z  http://192.168.92.1:8080
          node1      52:54:00:00:00:01    -                pass
          worker-10  52:54:00:00:00:01    -                pass
        ");
    }
}
