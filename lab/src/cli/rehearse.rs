//! `lab rehearse`: boots the twin of each machine of a site, and proves what each one gets.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use boot_server::catalog::data_dir::Snapshot;
use boot_server::catalog::problem::nearest;
use clap::Args;
use images::catalog::ImageName;
use rollout::inventory::Inventory;
use rollout::plan::{changed, plan_with_requests};

use super::conduct::{Conduct, Done, Order, Refusal, check_host, image_of, refuse};
use super::inventory::read_or_tell;
use super::plan::{Before, LayoutName, load, machines_of_groups};
use super::{Folders, exit};
use crate::rehearsal::environment::Environment;
use crate::rehearsal::{Rehearsal, RehearsalError, Request, time};
use crate::report::RehearsalSummary;
use crate::scenario::{DataCheck, FILE_NAME, Scenario};

/// `lab rehearse`
#[derive(Debug, Args)]
pub(super) struct RehearseArguments {
    /// The data directory, in bootcfg's or matchbox's layout
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// The machines: *.toml, *.yaml, *.json or *.csv [default: those that groups select by UUID or MAC]
    #[arg(long, value_name = "FILE")]
    machines: Option<PathBuf>,
    /// Only these machines (may be repeated, or separated by commas)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Only machines that get something else than by this revision of DIR's git repository, or by another
    /// directory
    #[arg(long, value_name = "REV|DIR")]
    changed: Option<String>,
    /// The site's network: that of a scenario, or what a dnsmasq.conf or boot-server.toml makes
    #[arg(long, value_name = "NAME|FILE", default_value = "ipxe-chainload")]
    network: String,
    /// The site's own kernels and initrds; where it has none, the stand-in is served under their names
    /// [default: DIR/assets, where it is there]
    #[arg(long, value_name = "DIR")]
    assets: Option<PathBuf>,
    /// The image in the place of kernels and initrds that the site has not (lab images list)
    #[arg(long, value_name = "IMAGE")]
    image: Option<ImageName>,
    /// No twin has more memory than this, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(128..))]
    memory: u32,
    /// Layout of DIR, where it cannot be told by what is there
    #[arg(long, value_name = "LAYOUT")]
    layout: Option<LayoutName>,
    #[command(flatten)]
    conduct: Conduct,
}

/// Runs and returns the exit code.
pub(super) async fn run(folders: Folders, arguments: RehearseArguments) -> u8 {
    attempt(&folders, &arguments)
        .await
        .unwrap_or_else(Refusal::tell)
}

async fn attempt(folders: &Folders, arguments: &RehearseArguments) -> Result<u8, Refusal> {
    // What is wrong with files is told where it is found.
    let told = |code| Refusal {
        code,
        message: String::new(),
    };
    let snapshot = load(&arguments.directory, arguments.layout, None).map_err(told)?;
    let before = match &arguments.changed {
        Some(against) => {
            Some(Before::load(against, &arguments.directory, arguments.layout).map_err(told)?)
        }
        None => None,
    };
    let inventory = match &arguments.machines {
        Some(list) => read_or_tell(list).map_err(told)?,
        None => machines_of_groups(&snapshot, before.as_ref()).map_err(told)?,
    };
    let environment = environment(folders, &arguments.network)?;
    let wanted = wanted(
        arguments,
        &snapshot,
        before.as_ref(),
        &inventory,
        &environment,
    )?;
    if wanted.is_empty() {
        println!("No machine gets anything else than before: there is nothing to rehearse.");
        return Ok(exit::NOTHING_SELECTED);
    }
    let beside = arguments.directory.join("assets");
    let assets = arguments
        .assets
        .clone()
        .or_else(|| beside.is_dir().then_some(beside));
    if let Some(given) = assets.as_ref().filter(|given| !given.is_dir()) {
        let what = format!("{} is no folder of assets", given.display());
        return Err(refuse(exit::INVALID_INPUT, what));
    }
    check_host(&[])?;
    let image = image_of(folders, arguments.image.as_ref(), &[])?;
    let name = site_name(&arguments.directory);
    let rehearsal = Rehearsal::prepare(&Request {
        data: &arguments.directory,
        name: name.clone(),
        snapshot: &snapshot,
        inventory: &inventory,
        wanted,
        environment,
        assets: assets.as_deref(),
        image: &image.folder,
        image_name: image.fit.image.clone(),
        memory_mib: arguments.memory,
    })
    .map_err(unfit)?;
    if !arguments.conduct.quiet() {
        tell(&rehearsal);
    }
    check_host(&rehearsal.units)?;
    let order = Order {
        units: rehearsal.units.clone(),
        image,
        run_id: folders.run_id(),
        // The operator's directory is rehearsed as it is.
        is_fitted: false,
        assets: rehearsal.assets.clone(),
        shard: None,
        whole: None,
    };
    let mut done = arguments.conduct.run(folders, order).await?;
    sum_up(&mut done, &rehearsal, arguments, &name);
    let code = done.conclude(folders, &arguments.conduct, None)?;
    done.tell_kept();
    Ok(code)
}

/// Adds to what was seen what was known before, and how long which part of it took.
fn sum_up(done: &mut Done, rehearsal: &Rehearsal, arguments: &RehearseArguments, name: &str) {
    done.run.units.extend(rehearsal.failures(name));
    let boot_seconds = time::boot_seconds(&done.outcomes);
    done.run.rehearsal = Some(RehearsalSummary {
        data: arguments.directory.clone(),
        network: arguments.network.clone(),
        images: rehearsal.images.clone(),
        unproven: rehearsal.unproven.clone(),
        boot_seconds,
        harness_seconds: (done.run.seconds - boot_seconds).max(0.0),
    });
}

/// Says what is about to be done.
fn tell(rehearsal: &Rehearsal) {
    let machines: usize = rehearsal
        .units
        .iter()
        .map(|unit| unit.scenario.nodes.len())
        .sum();
    eprintln!("Twins to boot: {machines}.");
    for sentence in &rehearsal.images {
        eprintln!("{sentence}.");
    }
    for hopeless in &rehearsal.hopeless {
        eprintln!("Not booted: {}: {}.", hopeless.machine, hopeless.why);
    }
}

fn unfit(error: RehearsalError) -> Refusal {
    let code = match &error {
        RehearsalError::File { .. } => exit::INTERNAL,
        _ => exit::INVALID_INPUT,
    };
    let told = error.to_string();
    match error {
        RehearsalError::Scenario(invalid) => Refusal {
            code,
            message: format!("lab: {told}\n{:?}", miette::Report::new(invalid)),
        },
        _ => refuse(code, told),
    }
}

/// What a site is called: its directory, or what that is in where it is only the `data` of something.
fn site_name(directory: &Path) -> String {
    let directory = std::fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
    let name = |path: &Path| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    match name(&directory).as_deref() {
        Some("data") => directory.parent().and_then(name),
        found => found.map(str::to_owned),
    }
    .unwrap_or_else(|| "site".into())
}

/// The network that is named: a scenario's, or a file's.
fn environment(folders: &Folders, network: &str) -> Result<Environment, Refusal> {
    let root = folders.scenarios();
    let folder = root.join(network);
    let is_name = !network.contains(['/', '.']);
    if is_name && folder.join(FILE_NAME).is_file() {
        return Scenario::load_with(&folder, DataCheck::Skip)
            .map(|scenario| Environment::of_scenario(&scenario))
            .map_err(|error| Refusal {
                code: exit::INVALID_INPUT,
                message: format!("{:?}", miette::Report::new(error)),
            });
    }
    let file = Path::new(network);
    if file.is_file() {
        let made = match file.extension().is_some_and(|kind| kind == "toml") {
            true => Environment::of_boot_server(file),
            false => Environment::of_dnsmasq(file),
        };
        return made.map_err(|why| refuse(exit::INVALID_INPUT, why));
    }
    let mut names: Vec<String> = std::fs::read_dir(&root)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join(FILE_NAME).is_file())
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    Err(refuse(
        exit::INVALID_INPUT,
        format!(
            "there is neither a scenario nor a file `{network}` to take the network from; scenarios are {}",
            names.join(", ")
        ),
    ))
}

/// The machines that are rehearsed, by name.
fn wanted(
    arguments: &RehearseArguments,
    snapshot: &Snapshot,
    before: Option<&Before>,
    inventory: &Inventory,
    environment: &Environment,
) -> Result<BTreeSet<String>, Refusal> {
    let known: Vec<&str> = inventory
        .machines
        .iter()
        .map(|machine| machine.name.as_str())
        .collect();
    for name in &arguments.only {
        if !known.contains(&name.as_str()) {
            let help = match nearest(name, &known) {
                Some(near) => format!("; did you mean `{near}`?"),
                None => format!("; there are {}", known.join(", ")),
            };
            let what = format!("there is no machine `{name}`{help}");
            return Err(refuse(exit::INVALID_INPUT, what));
        }
    }
    let mut wanted: BTreeSet<String> = match arguments.only.is_empty() {
        true => known.iter().map(|name| (*name).to_owned()).collect(),
        false => arguments.only.iter().cloned().collect(),
    };
    if let Some(before) = before {
        let requests = environment.client_requests();
        let old = plan_with_requests(&before.snapshot, inventory, &requests);
        let new = plan_with_requests(snapshot, inventory, &requests);
        let changed: BTreeSet<String> = changed(&old, &new).into_iter().collect();
        eprintln!(
            "Machines that get something else than by {}: {} of {}.",
            before.name,
            changed.len(),
            known.len()
        );
        wanted.retain(|name| changed.contains(name));
    }
    Ok(wanted)
}
