//! `lab events`: prints all recorded events of a lab except packets, as JSON lines.

use clap::Args;
use lab_model::evidence::saved::{AFTERWARDS_FILE, RECORDS_FILE};
use lab_model::evidence::tail::Tail;
use lab_model::untrusted::plain_json;
use lab_report::exit_code::ExitCode;

use super::{follow, unknown};
use crate::cli::error::CliError;
use crate::persistent::Registry;

/// Arguments of `lab events`.
#[derive(Debug, Args)]
pub(in crate::cli) struct EventsArguments {
    /// Run id or scenario of the lab; optional if only one lab is up
    #[arg(value_name = "LAB")]
    lab: Option<String>,
    /// Follow new events until the lab is down
    #[arg(long, short)]
    follow: bool,
}

/// Prints the events.
pub(super) fn run(registry: &Registry, arguments: &EventsArguments) -> Result<ExitCode, CliError> {
    let lab = registry.find(arguments.lab.as_deref()).map_err(unknown)?;
    let files = [RECORDS_FILE, AFTERWARDS_FILE];
    let mut tails = files.map(|file| Tail::at_start(lab.artifacts.join(file)));
    follow::write(&lab, arguments.follow, || {
        let mut lines = Vec::new();
        for tail in &mut tails {
            // A file longer than one read is read to its end.
            while let fresh @ [_, ..] = tail.lines().as_slice() {
                lines.extend(
                    fresh
                        .iter()
                        .map(|line| plain_json(&String::from_utf8_lossy(line))),
                );
            }
        }
        lines
    })
}
