//! `lab events`: everything seen of a lab but packets, a JSON line each.

use clap::Args;

use super::{follow, unknown};
use crate::alive::Registry;
use crate::cli::conduct::Refusal;
use crate::evidence::saved::{AFTERWARDS_FILE, RECORDS_FILE};
use crate::evidence::tail::Tail;
use crate::untrusted::plain_json;

/// `lab events`
#[derive(Debug, Args)]
pub(in crate::cli) struct EventsArguments {
    /// Which lab: run id or scenario; not needed when only one is up
    #[arg(value_name = "LAB")]
    lab: Option<String>,
    /// Go on until the lab is down
    #[arg(long, short)]
    follow: bool,
}

/// Writes them.
pub(super) fn run(registry: &Registry, arguments: &EventsArguments) -> Result<u8, Refusal> {
    let lab = registry.find(arguments.lab.as_deref()).map_err(unknown)?;
    let files = [RECORDS_FILE, AFTERWARDS_FILE];
    let mut tails = files.map(|file| Tail::at_start(lab.artifacts.join(file)));
    follow::write(&lab, arguments.follow, || {
        let mut lines = Vec::new();
        for tail in &mut tails {
            // A file longer than one look is read to its end.
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
