//! `lab status`: shows the boot stage of each machine of a lab.

use clap::Args;
use lab_report::exit_code::ExitCode;

use super::{follow, unknown};
use crate::cli::error::{CliError, refuse};
use crate::persistent::status::{NodeStatus, status};
use crate::persistent::{PersistentLab, Registry};

/// Arguments of `lab status`.
#[derive(Debug, Args)]
pub(in crate::cli) struct StatusArguments {
    /// Run id or scenario of the lab [default: all labs]
    #[arg(value_name = "LAB")]
    lab: Option<String>,
    /// Print a line whenever a machine reaches another stage, until the lab is down
    #[arg(long, short)]
    follow: bool,
}

/// Prints the stages.
pub(super) fn run(registry: &Registry, arguments: &StatusArguments) -> Result<ExitCode, CliError> {
    if arguments.follow {
        let lab = registry.find(arguments.lab.as_deref()).map_err(unknown)?;
        let mut known: Vec<String> = Vec::new();
        return follow::write(&lab, true, || {
            // Machines added meanwhile are in the registry entry.
            let noted = registry
                .find(Some(&lab.run_id))
                .unwrap_or_else(|_| lab.clone());
            let now = lines(&noted, &status(&noted).unwrap_or_default());
            let fresh = now.iter().filter(|line| !known.contains(line));
            let fresh = fresh.cloned().collect();
            known = now;
            fresh
        });
    }
    let labs = match &arguments.lab {
        Some(lab) => vec![registry.find(Some(lab)).map_err(unknown)?],
        None => registry.all(),
    };
    if labs.is_empty() {
        follow::say(&["No lab is up.".into()])?;
    }
    for lab in labs {
        if let Some(remote) = &lab.remote {
            let host = remote.host.destination();
            let hint = format!("on {host}: `lab status {}`", lab.run_id);
            follow::say(&[format!("{}  {}  {hint}", lab.run_id, lab.unit)])?;
            continue;
        }
        let nodes = status(&lab).map_err(|error| refuse(ExitCode::Internal, error))?;
        follow::say(&[format!("{}  {}", lab.run_id, lab.unit)])?;
        follow::say(&lines(&lab, &nodes))?;
    }
    Ok(ExitCode::Ok)
}

/// Formats one line per machine.
fn lines(lab: &PersistentLab, nodes: &[NodeStatus]) -> Vec<String> {
    let width = nodes.iter().map(|node| node.name.len()).max();
    let width = width.unwrap_or_default();
    nodes
        .iter()
        .filter(|node| lab.node(&node.name).is_some())
        .map(|node| {
            let power = if node.is_on { "on " } else { "off" };
            let reached = match (node.is_on, node.reached) {
                (true, Some((stage, at_us))) => {
                    let since_us = node.on_since_us.unwrap_or(at_us);
                    let seconds = at_us.saturating_sub(since_us) / 1_000_000;
                    format!("{:14} after {seconds} s", stage.name())
                }
                _ => "-".into(),
            };
            let trouble = match (&node.trouble, node.is_on) {
                (Some(line), true) => format!("  ! {line}"),
                _ => String::new(),
            };
            format!("  {:width$}  {power}  {reached}{trouble}", node.name)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persistent::tests::alive;
    use lab_model::timeline::StageName;

    #[test]
    fn a_machine_is_shown_with_the_last_stage_that_is_through() {
        let node = |name: &str, is_on, reached| NodeStatus {
            name: name.into(),
            is_on,
            reached,
            on_since_us: Some(1_000_000),
            trouble: None,
        };
        let nodes = [
            node("node1", true, Some((StageName::UserlandUp, 31_500_000))),
            node("worker", false, Some((StageName::Kernel, 9_000_000))),
            NodeStatus {
                trouble: Some("Kernel panic - not syncing".into()),
                ..node("node3", true, Some((StageName::Initrd, 9_000_000)))
            },
        ];
        let lab = alive("4f2a11", &["node1", "worker", "node3"]);
        insta::assert_snapshot!(lines(&lab, &nodes).join("\n"), @r"
          node1   on   userland-up    after 30 s
          worker  off  -
          node3   on   initrd         after 8 s  ! Kernel panic - not syncing
        ");
    }
}
