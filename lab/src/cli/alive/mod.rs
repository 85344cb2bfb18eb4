//! Labs that stay: `lab up`, `ps`, `down`, `shell`, `console`, `exec`, `reboot`. One file a subcommand, but for
//! those of a few lines, which are here.

mod console;
mod exec;
mod reboot;
mod up;

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;

use clap::{Args, Subcommand};

use super::conduct::{Refusal, refuse};
use super::{Folders, exit};
use crate::alive::{Alive, Registry};

pub(super) use reboot::reset_inside;
pub(super) use up::UpArguments;

/// What can be done with labs that are up.
#[derive(Debug, Subcommand)]
pub(super) enum AliveCommand {
    /// Bring a scenario's network, servers and machines up, and leave them so
    Up(UpArguments),
    /// List the labs that are up, and their machines
    Ps,
    /// End a lab, with everything in it
    Down(DownArguments),
    /// Run a program inside a lab: in its network, with its libvirt; a shell when none is named
    Shell(ShellArguments),
    /// Connect this terminal with a machine's serial console
    Console(NodeArguments),
    /// Run a command in a machine, over its serial console
    Exec(exec::ExecArguments),
    /// Reset a machine: it boots over the network again, with what is served now
    Reboot(reboot::RebootArguments),
}

/// `lab down`
#[derive(Debug, Args)]
pub(super) struct DownArguments {
    /// Which lab: run id or scenario; not needed when only one is up
    #[arg(value_name = "LAB")]
    lab: Option<String>,
    /// All of them
    #[arg(long, conflicts_with = "lab")]
    all: bool,
}

/// `lab shell`
#[derive(Debug, Args)]
pub(super) struct ShellArguments {
    /// Which lab: run id or scenario; not needed when only one is up
    #[arg(long, value_name = "LAB")]
    lab: Option<String>,
    /// The program and its arguments
    #[arg(last = true, value_name = "PROGRAM")]
    program: Vec<String>,
}

/// A machine of a lab.
#[derive(Debug, Args)]
pub(super) struct NodeArguments {
    /// The machine
    #[arg(value_name = "NODE")]
    pub(super) node: String,
    /// Which lab: run id or scenario; needed when several have a machine of that name
    #[arg(long, value_name = "LAB")]
    pub(super) lab: Option<String>,
}

/// Runs and returns the exit code.
pub(super) async fn run(folders: Folders, command: AliveCommand) -> u8 {
    let done = match command {
        AliveCommand::Up(arguments) => up::run(&folders, &arguments).await,
        AliveCommand::Ps => registry(&folders).map(|registry| ps(&registry)),
        AliveCommand::Down(arguments) => {
            registry(&folders).and_then(|registry| down(&registry, &arguments))
        }
        AliveCommand::Shell(arguments) => {
            registry(&folders).and_then(|registry| shell(&registry, &arguments))
        }
        AliveCommand::Console(arguments) => match registry(&folders) {
            Ok(registry) => console::run(&registry, &arguments).await,
            Err(refusal) => Err(refusal),
        },
        AliveCommand::Exec(arguments) => match registry(&folders) {
            Ok(registry) => exec::run(&registry, &arguments).await,
            Err(refusal) => Err(refusal),
        },
        AliveCommand::Reboot(arguments) => match registry(&folders) {
            Ok(registry) => reboot::run(&registry, &arguments).await,
            Err(refusal) => Err(refusal),
        },
    };
    done.unwrap_or_else(Refusal::tell)
}

fn registry(folders: &Folders) -> Result<Registry, Refusal> {
    let cache = folders.cache().map_err(|why| refuse(exit::INTERNAL, why))?;
    Ok(Registry::new(&cache))
}

/// What is not there was not rightly named.
fn unknown(error: impl std::fmt::Display) -> Refusal {
    refuse(exit::INVALID_INPUT, error)
}

fn ps(registry: &Registry) -> u8 {
    let labs = registry.all();
    if labs.is_empty() {
        println!("No lab is up.");
    }
    for lab in labs {
        print!("{}", shown(&lab));
    }
    exit::OK
}

/// A lab and its machines, a line each.
fn shown(lab: &Alive) -> String {
    let mut text = format!(
        "{}  {}  since {}  http://{}:{}\n",
        lab.run_id, lab.unit, lab.since, lab.host, lab.http_port
    );
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

fn down(registry: &Registry, arguments: &DownArguments) -> Result<u8, Refusal> {
    let labs = match arguments.all {
        true => registry.all(),
        false => vec![registry.find(arguments.lab.as_deref()).map_err(unknown)?],
    };
    for lab in labs {
        let ended = lab.end();
        ended.map_err(|error| refuse(exit::INTERNAL, format!("{}: {error}", lab.unit)))?;
        registry.remove(&lab);
        println!("{} {} is down.", lab.run_id, lab.unit);
    }
    Ok(exit::OK)
}

/// Becomes the program.
fn shell(registry: &Registry, arguments: &ShellArguments) -> Result<u8, Refusal> {
    let lab = registry.find(arguments.lab.as_deref()).map_err(unknown)?;
    let usual = [std::env::var("SHELL").unwrap_or_else(|_| "/bin/sh".into())];
    let words = match arguments.program.as_slice() {
        [] => {
            eprintln!(
                "Inside {} {}: its network, and its libvirt at LIBVIRT_DEFAULT_URI=qemu:///system. `exit` leaves it.",
                lab.run_id, lab.unit
            );
            &usual[..]
        }
        words => words,
    };
    let [program, rest @ ..] = words else {
        return Ok(exit::OK);
    };
    // What is still in our buffer would be lost.
    let _ = std::io::stdout().flush();
    let error = lab.command(Path::new(program)).args(rest).exec();
    Err(refuse(exit::INTERNAL, format!("nsenter: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alive::tests::alive;

    #[test]
    fn a_lab_is_shown_with_its_machines() {
        insta::assert_snapshot!(shown(&alive("4f2a11", &["node1", "worker-10"])), @r"
        4f2a11  ipxe-chainload@bios  since 2026-01-02T03:04:05Z  http://192.168.92.1:8080
          node1      52:54:00:00:00:01    -                pass
          worker-10  52:54:00:00:00:01    -                pass
        ");
    }
}
