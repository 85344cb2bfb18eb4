//! `lab up`: a scenario whose machines stay, and where everything of it is.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use images::catalog::ImageName;
use tokio::signal::unix::{SignalKind, signal};

use super::{registry, shown};
use crate::alive::{Alive, AliveNode, born_ticks};
use crate::cli::conduct::{Conduct, Done, Order, Refusal, check_host, image_of, refuse};
use crate::cli::{Folders, exit};
use crate::fault::Injections;
use crate::node::life::domain_name;
use crate::runner::{Unit, UnitOutcome};
use crate::scenario::{self, DataCheck, Firmware, Machines};

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
    /// Return when everything is up; `lab down` ends it
    #[arg(long, short)]
    detach: bool,
    #[command(flatten)]
    conduct: Conduct,
}

/// Brings the lab up; stays until Ctrl-C unless told to detach.
pub(super) async fn run(folders: &Folders, arguments: &UpArguments) -> Result<u8, Refusal> {
    let registry = registry(folders)?;
    let unit = unit(folders, arguments)?;
    let data = unit.scenario.data_dir();
    check_host(std::slice::from_ref(&unit))?;
    let image = image_of(
        folders,
        arguments.image.as_ref(),
        std::slice::from_ref(&unit),
    )?;
    let served = image.folder.clone();
    let conduct = arguments.conduct.clone().keeping_all();
    let order = Order {
        units: vec![unit],
        image,
        is_fitted: true,
        assets: Vec::new(),
        shard: None,
    };
    let done = conduct.run(order).await?;
    let code = done.conclude(folders, &conduct, None)?;
    let Some(lab) = done
        .outcomes
        .first()
        .and_then(|outcome| alive(&done, outcome, served))
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
    registry
        .add(&lab)
        .map_err(|error| refuse(exit::INTERNAL, error))?;
    print!("\n{}", shown(&lab));
    println!(
        "\n  lab console {node}              its serial console; Ctrl-] leaves\n\
         \x20 lab exec {node} -- COMMAND      a command in it\n\
         \x20 lab shell -- PROGRAM         a program in the lab's network; a shell without one\n\
         \x20 lab reboot {node}               after a change in {data}: it boots with what is served then\n\
         \x20 lab down {run}              ends it, with everything in it",
        node = lab.nodes.first().map_or("node1", |node| &node.name),
        data = data.display(),
        run = lab.run_id,
    );
    if arguments.detach {
        return Ok(code);
    }
    println!("\nCtrl-C ends it (--detach leaves it up).");
    interrupted().await;
    let ended = lab.end();
    registry.remove(&lab);
    ended.map_err(|error| refuse(exit::INTERNAL, format!("{}: {error}", lab.unit)))?;
    println!("{} {} is down.", lab.run_id, lab.unit);
    Ok(code)
}

/// The scenario on one firmware.
fn unit(folders: &Folders, arguments: &UpArguments) -> Result<Unit, Refusal> {
    let told = |code, error: miette::Report| Refusal {
        code,
        message: format!("{error:?}"),
    };
    let all = scenario::load_all(&folders.scenarios(), DataCheck::Strict)
        .map_err(|error| told(exit::INVALID_INPUT, error.into()))?;
    let selected = scenario::select(all, std::slice::from_ref(&arguments.scenario))
        .map_err(|error| told(exit::NOTHING_SELECTED, error.into()))?;
    let Some(scenario) = selected.into_iter().next() else {
        return Err(refuse(exit::NOTHING_SELECTED, "no scenario"));
    };
    if scenario.machines == Machines::Simulated {
        let why = "its machines are only simulated: there is nothing to bring up";
        return Err(refuse(
            exit::INVALID_INPUT,
            format!("{}: {why}", scenario.name),
        ));
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
fn alive(done: &Done, outcome: &UnitOutcome, image: PathBuf) -> Option<Alive> {
    let attempt = outcome.attempts.last()?;
    let kept = attempt.kept.clone()?;
    let scenario = &outcome.unit.scenario;
    let nodes = scenario.nodes.iter().zip(&attempt.results);
    Some(Alive {
        run_id: done.run.run_id.clone(),
        unit: outcome.unit.name(),
        since: jiff::Timestamp::now()
            .strftime("%Y-%m-%dT%H:%M:%SZ")
            .to_string(),
        born_ticks: born_ticks(kept.holder)?,
        kept,
        artifacts: attempt.artifacts.clone(),
        image,
        data: scenario.data_dir(),
        host: scenario.network.host(),
        http_port: scenario.network.http_port,
        nodes: nodes
            .map(|(node, result)| AliveNode {
                name: node.name.clone(),
                domain: domain_name(&done.run.run_id, node),
                mac: node.mac.to_string(),
                uuid: node.uuid.to_string(),
                address: attempt.attempt.wire.address_of(&node.mac.to_string()),
                verdict: result.verdict.word().to_owned(),
            })
            .collect(),
    })
}

async fn interrupted() {
    let signals = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    );
    if let (Ok(mut interrupt), Ok(mut terminate)) = signals {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}
