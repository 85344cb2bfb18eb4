//! `lab up`: a scenario whose machines stay, and where everything of it is.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use images::catalog::ImageName;
use tokio::signal::unix::{SignalKind, signal};

use super::attach::Attachment;
use super::{end, registry, shown};
use crate::alive::{Alive, AliveNode, Realm, born_ticks, now};
use crate::cell::host::Stays;
use crate::cli::conduct::{Conduct, Done, Order, Refusal, check_host, image_of, refuse};
use crate::cli::{Folders, exit, remote};
use crate::fault::Injections;
use crate::runner::{Unit, UnitOutcome};
use crate::scenario::{self, DataCheck, Firmware, Machines, SelectError};

/// How often it is looked whether the lab is there still.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// `lab up`
#[derive(Debug, Args)]
pub(in crate::cli) struct UpArguments {
    /// The scenario
    #[arg(value_name = "SCENARIO")]
    scenario: String,
    /// Firmware of its machines [default: the first that the scenario has]
    #[arg(long, value_name = "FIRMWARE")]
    firmware: Option<Firmware>,
    /// Boot this image instead of the one that the scenario names, e.g. `flatcar:stable`
    #[arg(long, value_name = "IMAGE")]
    image: Option<ImageName>,
    /// Only the first N of its machines [default: all]
    #[arg(long, value_name = "N")]
    nodes: Option<NonZeroUsize>,
    /// Return when everything is up; `lab down` ends it
    #[arg(long, short)]
    detach: bool,
    /// Also put this network interface of the host on the lab's network, for a machine on the desk
    #[arg(long, value_name = "INTERFACE")]
    attach: Option<String>,
    /// Agree to what would be asked
    #[arg(long, short, requires = "attach")]
    yes: bool,
    #[command(flatten)]
    conduct: Conduct,
}

/// Brings the lab up; stays until Ctrl-C unless told to detach.
pub(super) async fn run(folders: &Folders, arguments: &UpArguments) -> Result<u8, Refusal> {
    let registry = registry(folders)?;
    let unit = unit(folders, arguments)?;
    if let Some(host) = arguments.conduct.remote()? {
        let units = std::slice::from_ref(&unit);
        let image = image_of(folders, arguments.image.as_ref(), units)?;
        let files = arguments.conduct.files();
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
        true => Stays::ByItself,
        false => Stays::WithUs,
    };
    let conduct = arguments.conduct.clone().staying(stays);
    let order = Order {
        units: vec![unit],
        image,
        run_id: folders.run_id(),
        is_fitted: true,
        assets: Vec::new(),
        shard: None,
        whole: None,
    };
    let held = registry
        .hold()
        .map_err(|error| refuse(exit::INTERNAL, error))?;
    let done = conduct.run(folders, order).await?;
    let code = done.conclude(folders, &conduct, None)?;
    let Some(mut lab) = done
        .outcomes
        .first()
        .and_then(|outcome| alive(&done, outcome, served, conduct.connect()))
        .map(|lab| Alive {
            lock: Some(held.lock().to_owned()),
            ..lab
        })
    else {
        return Err(refuse(
            if code == exit::OK {
                exit::INTERNAL
            } else {
                code
            },
            "nothing of it stayed up; the table says why",
        ));
    };
    let _held = registry
        .add(&lab)
        .and_then(|()| held.noted())
        .map_err(|error| refuse(exit::INTERNAL, error))?;
    print!("\n{}", shown(&lab));
    if let Some(attachment) = &attachment {
        lab.attached = Some(attachment.interface.clone());
        let attached = registry
            .add(&lab)
            .map_err(|error| refuse(exit::INTERNAL, error))
            .and_then(|()| attachment.attach(&lab));
        if let Err(refusal) = attached {
            // Nothing half-done stays.
            end(&registry, &lab).await?;
            return Err(refusal);
        }
    }
    print!("{}", hints(&lab, &origin(folders, &lab.data)));
    if arguments.detach {
        return Ok(code);
    }
    println!("\nCtrl-C ends it (--detach leaves it up).");
    tokio::select! {
        () = interrupted() => end(&registry, &lab).await?,
        // By `lab down`, from somewhere else.
        () = gone(&lab) => {}
    }
    println!("{} {} is down.", lab.run_id, lab.unit);
    Ok(code)
}

/// The scenario on one firmware.
fn unit(folders: &Folders, arguments: &UpArguments) -> Result<Unit, Refusal> {
    let told = |code, error: miette::Report| Refusal {
        code,
        message: format!("{error:?}"),
    };
    let names = std::slice::from_ref(&arguments.scenario);
    let selected = scenario::load_named(&folders.scenarios(), DataCheck::Strict, names);
    let selected = selected.map_err(|error| match error {
        SelectError::Invalid(invalid) => told(exit::INVALID_INPUT, invalid.into()),
        SelectError::Unknown(unknown) => told(exit::NOTHING_SELECTED, unknown.into()),
    })?;
    let Some(mut scenario) = selected.into_iter().next() else {
        return Err(refuse(exit::NOTHING_SELECTED, "no scenario"));
    };
    if scenario.machines == Machines::Simulated {
        let why = "its machines are only simulated: there is nothing to bring up";
        return Err(refuse(
            exit::INVALID_INPUT,
            format!("{}: {why}", scenario.name),
        ));
    }
    if let Some(wanted) = arguments.nodes {
        let there = scenario.nodes.len();
        if wanted.get() > there {
            let what = format!("{} has {there} machines", scenario.name);
            let more = "`lab add-node` puts further ones on its network";
            return Err(refuse(exit::INVALID_INPUT, format!("{what}; {more}")));
        }
        scenario.nodes.truncate(wanted.get());
    }
    let offered = scenario.firmware.clone();
    let firmware = match (arguments.firmware, offered.first()) {
        (Some(wanted), _) if offered.contains(&wanted) => wanted,
        (None, Some(first)) => *first,
        _ => {
            let names: Vec<&str> = offered.iter().map(|firmware| firmware.name()).collect();
            let what = format!("{} is run on {}", scenario.name, names.join(", "));
            return Err(refuse(exit::NOTHING_SELECTED, what));
        }
    };
    Ok(Unit {
        scenario: Arc::new(scenario),
        firmware,
        repetition: None,
        injections: Injections::default(),
    })
}

/// What stayed of a unit, if anything did.
fn alive(
    done: &Done,
    outcome: &UnitOutcome,
    image: PathBuf,
    connect: Option<&str>,
) -> Option<Alive> {
    let attempt = outcome.attempts.last()?;
    let kept = attempt.kept.clone()?;
    let scenario = &outcome.unit.scenario;
    let nodes = scenario.nodes.iter().zip(&attempt.nodes);
    Some(Alive {
        run_id: done.run.run_id.clone(),
        unit: outcome.unit.name(),
        since: now(),
        born_ticks: born_ticks(kept.holder)?,
        realm: Realm::own(),
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
            .map(|(node, judged)| AliveNode {
                address: attempt.attempt.wire.address_of(&node.mac.to_string()),
                verdict: judged.result.verdict.word().to_owned(),
                ..AliveNode::of(&done.run.run_id, node)
            })
            .collect(),
    })
}

/// Where the data directory is that whoever brought the lab up changes: a run from another host has a copy.
fn origin(folders: &Folders, data: &Path) -> PathBuf {
    let copied = folders.visit.as_ref().and_then(|visit| {
        let rest = data.strip_prefix(folders.scenarios()).ok()?;
        Some(visit.scenarios.join(rest))
    });
    copied.unwrap_or_else(|| data.to_owned())
}

/// What can be done with it.
fn hints(lab: &Alive, data: &Path) -> String {
    let node = lab.nodes.first().map_or("node1", |node| &node.name);
    let hint = |command: &str, what: &str| format!("  {command:31} {what}\n");
    let change = format!(
        "after a change in {}: it boots with what is served then",
        data.display()
    );
    [
        "\n".into(),
        hint(
            &format!("lab console {node}"),
            "its serial console; Ctrl-] leaves",
        ),
        hint(&format!("lab exec {node} -- COMMAND"), "a command in it"),
        hint(&format!("lab reboot {node}"), &change),
        hint(
            "lab status -f",
            "how far each machine is; `lab logs -f` what they say",
        ),
        hint("lab capture -f", "the packets on its network"),
        hint(
            "lab shell -- PROGRAM",
            "a program in its network; a shell without one",
        ),
        hint(
            &format!("lab down {}", lab.run_id),
            "ends it, with everything in it",
        ),
    ]
    .concat()
}

/// Returns when it is to end; the terminal is closed, for one.
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

/// Returns when it is down.
async fn gone(lab: &Alive) {
    while lab.is_there() {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
