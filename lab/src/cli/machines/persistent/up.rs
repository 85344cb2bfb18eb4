//! `lab up`: starts a persistent lab and prints how to use it.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use images::catalog::ImageName;
use lab_model::fault::Injections;
use lab_model::results::{Unit, UnitOutcome};
use lab_model::scenario::{self, DataCheck, Firmware, Machines, Replacements, SelectError};
use lab_report::exit_code::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

use super::attach::Attachment;
use super::{end, registry, shown};
use crate::cell::host::Lifetime;
use crate::cli::Folders;
use crate::cli::error::{CliError, refuse};
use crate::cli::machines::execution::{Done, RunOptions, RunRequest, check_host, image_of};
use crate::cli::machines::{named, remote};
use crate::persistent::{HostScope, PersistentLab, PersistentNode, born_ticks, now};

/// Polling interval for the end of the lab.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Arguments of `lab up`.
#[derive(Debug, Args)]
pub(in crate::cli) struct UpArguments {
    /// Name of the scenario, or its path if it contains a slash
    #[arg(value_name = "SCENARIO")]
    scenario: String,
    /// Firmware of the machines [default: the scenario's first]
    #[arg(long, value_name = "FIRMWARE")]
    firmware: Option<Firmware>,
    /// Boot this image instead of the scenario's own, e.g. `flatcar:stable`
    #[arg(long, value_name = "IMAGE")]
    image: Option<ImageName>,
    /// Start only the first N machines [default: all]
    #[arg(long, value_name = "N")]
    nodes: Option<NonZeroUsize>,
    /// Return once the lab is up; `lab down` stops it
    #[arg(long, short)]
    detach: bool,
    /// Move this network interface of the host to the lab's network, to boot a physical machine
    #[arg(long, value_name = "INTERFACE")]
    attach: Option<String>,
    /// Assume yes for all prompts
    #[arg(long, short, requires = "attach")]
    yes: bool,
    #[command(flatten)]
    options: RunOptions,
}

/// Reads a scenario with a slash as the path of its folder, as `lab run` does.
///
/// # Errors
/// Fails if the path does not lead to one scenario.
pub(super) fn locate(
    mut folders: Folders,
    mut arguments: UpArguments,
) -> Result<(Folders, UpArguments), CliError> {
    let named = arguments.scenario.clone();
    let selected = named::selected(std::slice::from_ref(&named));
    let selected = selected.map_err(|why| refuse(ExitCode::NothingSelected, why))?;
    if let Some(folder) = selected.folder {
        folders.scenarios = folder;
        arguments.scenario = selected.names.into_iter().next().ok_or_else(|| {
            let why = format!("not a scenario: {named} (no scenario.toml)");
            let help = format!("name one of those in it: `lab list --scenarios {named}`");
            refuse(ExitCode::NothingSelected, format!("{why}; {help}"))
        })?;
    }
    Ok((folders, arguments))
}

/// Starts the lab and waits for Ctrl-C, unless --detach is given.
pub(super) async fn run(folders: &Folders, arguments: &UpArguments) -> Result<ExitCode, CliError> {
    let registry = registry(folders)?;
    let unit = unit(folders, arguments)?;
    if let Some(host) = arguments.options.remote()? {
        let units = std::slice::from_ref(&unit);
        let image = image_of(folders, arguments.image.as_ref(), units)?;
        let files = arguments.options.files();
        let detach = arguments.detach;
        return remote::up(folders, &registry, &host, &unit, &image, &files, detach).await;
    }
    let attachment = match &arguments.attach {
        Some(interface) => Some(Attachment::agree(interface, arguments.yes)?),
        None => None,
    };
    check_host(std::slice::from_ref(&unit))?;
    let image = image_of(
        folders,
        arguments.image.as_ref(),
        std::slice::from_ref(&unit),
    )?;
    let served = image.folder.clone();
    let stays = match arguments.detach {
        true => Lifetime::UntilEnded,
        false => Lifetime::OfProcess,
    };
    let options = arguments.options.clone().staying(stays);
    let request = RunRequest {
        units: vec![unit],
        image,
        run_id: folders.run_id(),
        is_fitted: true,
        assets: Vec::new(),
        replacements: Replacements::default(),
        shard: None,
        whole: None,
    };
    let held = registry
        .hold()
        .map_err(|error| refuse(ExitCode::Internal, error))?;
    let done = options.run(folders, request).await?;
    let code = done.conclude(folders, &options, None)?;
    let Some(mut lab) = done
        .outcomes
        .first()
        .and_then(|outcome| alive(&done, outcome, served, options.connect()))
        .map(|lab| PersistentLab {
            lock: Some(held.lock().to_owned()),
            ..lab
        })
    else {
        return Err(refuse(
            if code == ExitCode::Ok {
                ExitCode::Internal
            } else {
                code
            },
            "no machine stayed up; see the table above",
        ));
    };
    let _held = registry
        .add(&lab)
        .and_then(|()| held.noted())
        .map_err(|error| refuse(ExitCode::Internal, error))?;
    print!("\n{}", shown(&lab));
    if let Some(attachment) = &attachment {
        lab.attached = Some(attachment.interface.clone());
        let attached = registry
            .add(&lab)
            .map_err(|error| refuse(ExitCode::Internal, error))
            .and_then(|()| attachment.attach(&lab));
        if let Err(refusal) = attached {
            // A partial lab is not left behind.
            end(&registry, &lab).await?;
            return Err(refusal);
        }
    }
    print!("{}", hints(&lab, &origin(folders, &lab.data)));
    if arguments.detach {
        return Ok(code);
    }
    println!("\nCtrl-C stops the lab (--detach keeps it running).");
    tokio::select! {
        () = interrupted() => end(&registry, &lab).await?,
        // Stopped by `lab down` in another process.
        () = gone(&lab) => {}
    }
    println!("{} {} is down.", lab.run_id, lab.unit);
    Ok(code)
}

/// Returns the scenario's unit on the chosen firmware.
fn unit(folders: &Folders, arguments: &UpArguments) -> Result<Unit, CliError> {
    let told = |code, error: miette::Report| CliError {
        code,
        message: format!("{error:?}"),
    };
    let names = std::slice::from_ref(&arguments.scenario);
    let selected = scenario::load_named(&folders.scenarios(), DataCheck::Strict, names);
    let selected = selected.map_err(|error| match error {
        SelectError::Invalid(invalid) => told(ExitCode::InvalidInput, invalid.into()),
        SelectError::Unknown(unknown) => told(ExitCode::NothingSelected, unknown.into()),
    })?;
    let Some(mut scenario) = selected.into_iter().next() else {
        return Err(refuse(ExitCode::NothingSelected, "no scenario selected"));
    };
    if scenario.machines == Machines::Simulated {
        let why = "nothing to start: the scenario has only simulated machines";
        return Err(refuse(
            ExitCode::InvalidInput,
            format!("{}: {why}", scenario.name),
        ));
    }
    if let Some(wanted) = arguments.nodes {
        let there = scenario.nodes.len();
        if wanted.get() > there {
            let what = format!("too many --nodes: {} has {there} machines", scenario.name);
            let more = "`lab add-node` adds more";
            return Err(refuse(ExitCode::InvalidInput, format!("{what}; {more}")));
        }
        scenario.nodes.truncate(wanted.get());
    }
    let offered = scenario.firmware.clone();
    let firmware = match (arguments.firmware, offered.first()) {
        (Some(wanted), _) if offered.contains(&wanted) => wanted,
        (None, Some(first)) => *first,
        _ => {
            let names: Vec<&str> = offered.iter().map(|firmware| firmware.name()).collect();
            let what = format!(
                "unsupported firmware: {} runs on {}",
                scenario.name,
                names.join(", ")
            );
            return Err(refuse(ExitCode::NothingSelected, what));
        }
    };
    Ok(Unit {
        scenario: Arc::new(scenario),
        firmware,
        repetition: None,
        injections: Injections::default(),
    })
}

/// Returns the persistent lab of a unit, if it stayed up.
fn alive(
    done: &Done,
    outcome: &UnitOutcome,
    image: PathBuf,
    connect: Option<&str>,
) -> Option<PersistentLab> {
    let attempt = outcome.attempts.last()?;
    let kept = attempt.kept.clone()?;
    let scenario = &outcome.unit.scenario;
    let nodes = scenario.nodes.iter().zip(&attempt.nodes);
    Some(PersistentLab {
        run_id: done.run.run_id.clone(),
        unit: outcome.unit.name(),
        since: now(),
        born_ticks: born_ticks(kept.holder)?,
        realm: HostScope::own(),
        lock: None,
        attached: None,
        remote: None,
        connect: connect.map(str::to_owned),
        kept,
        artifacts: attempt.artifacts.clone(),
        image,
        data: scenario.data_dir(),
        host: scenario.network.host(),
        http_port: scenario.network.http_port,
        nodes: nodes
            .map(|(node, judged)| PersistentNode {
                address: attempt.attempt.wire.address_of(&node.mac.to_string()),
                verdict: judged.result.verdict.word().to_owned(),
                ..PersistentNode::of(&done.run.run_id, node)
            })
            .collect(),
    })
}

/// Returns the data directory that the user edits: a run on another host uses a copy.
fn origin(folders: &Folders, data: &Path) -> PathBuf {
    let copied = folders.visit().and_then(|visit| {
        let rest = data.strip_prefix(folders.scenarios()).ok()?;
        Some(visit.scenarios.join(rest))
    });
    copied.unwrap_or_else(|| data.to_owned())
}

/// Returns the commands to use with the lab.
fn hints(lab: &PersistentLab, data: &Path) -> String {
    let node = lab.nodes.first().map_or("node1", |node| &node.name);
    let hint = |command: &str, what: &str| format!("  {command:31} {what}\n");
    let change = format!("boots again, with your changes in {}", data.display());
    [
        "\n".into(),
        hint(
            &format!("lab console {node}"),
            "serial console; Ctrl-] detaches",
        ),
        hint(
            &format!("lab exec {node} -- COMMAND"),
            "run a command in the machine",
        ),
        hint(&format!("lab reboot {node}"), &change),
        hint("lab status -f", "boot stages; `lab logs -f` shows consoles"),
        hint("lab capture -f", "packets on the lab's network"),
        hint(
            "lab shell -- PROGRAM",
            "run a program in the lab's network [default: a shell]",
        ),
        hint(
            &format!("lab down {}", lab.run_id),
            "stop the lab and remove everything in it",
        ),
    ]
    .concat()
}

/// Returns on Ctrl-C, SIGTERM or SIGHUP (terminal closed).
async fn interrupted() {
    let signals = [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ];
    let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = signals.map(signal) else {
        return;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}

/// Returns once the lab is down.
async fn gone(lab: &PersistentLab) {
    while lab.is_there() {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
