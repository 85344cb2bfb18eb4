//! `lab rehearse`: boots the twin of each machine of a site and checks its config.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use boot_server_catalog::problem::nearest;
use boot_server_catalog::snapshot::Snapshot;
use clap::Args;
use images::catalog::ImageName;
use lab_model::scenario::{DataCheck, FILE_NAME, Replacements, Scenario};
use lab_report::RehearsalSummary;
use lab_report::exit_code::ExitCode;
use rollout::inventory::Inventory;
use rollout::plan::{changed, plan_with_requests};
use uefi_variables::KeySet;

use super::execution::{Done, RunOptions, RunRequest, check_host, image_of};
use crate::cli::Folders;
use crate::cli::error::{CliError, refuse};
use crate::cli::inventory::read_or_tell;
use crate::cli::plan::{Before, Form, LayoutName, load, machines_of_groups};
use crate::rehearsal::environment::Environment;
use crate::rehearsal::{Rehearsal, RehearsalError, Request, time};

/// Arguments of `lab rehearse`.
#[derive(Debug, Args)]
pub(in crate::cli) struct RehearseArguments {
    /// Data directory in bootcfg or matchbox layout
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// List of machines: *.toml, *.yaml, *.json or *.csv [default: machines that groups select by UUID or MAC]
    #[arg(long, value_name = "FILE")]
    machines: Option<PathBuf>,
    /// Only these machines (may be repeated or separated by commas)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Only machines whose plan differs from this revision of DIR's git repository, or from another directory
    #[arg(long, value_name = "REV|DIR")]
    changed: Option<String>,
    /// Network of the site: that of a scenario, or one described by a dnsmasq.conf, kea-dhcp4.conf, dhcpd.conf or
    /// boot-server.toml
    #[arg(long, value_name = "NAME|FILE", default_value = "ipxe-chainload")]
    network: String,
    /// Folder of the site's kernels and initrds; files missing there are replaced by the stand-in's [default:
    /// DIR/assets, if it exists]
    #[arg(long, value_name = "DIR")]
    assets: Option<PathBuf>,
    /// Image that replaces missing kernels and initrds (see `lab images list`)
    #[arg(long, value_name = "IMAGE")]
    image: Option<ImageName>,
    /// Boot all twins with Secure Boot and these keys: `microsoft-2011`, `2011+2023` or `2023-only` [default: those of the
    /// list of machines]
    #[arg(long, value_name = "KEYS")]
    secure_boot: Option<KeySet>,
    /// Maximum memory of a twin, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(128..))]
    memory: u32,
    /// Layout of DIR, if it cannot be detected
    #[arg(long, value_name = "LAYOUT")]
    layout: Option<LayoutName>,
    #[command(flatten)]
    options: RunOptions,
}

/// Runs the rehearsal and returns the exit code.
pub(super) async fn run(folders: Folders, arguments: RehearseArguments) -> ExitCode {
    attempt(&folders, &arguments)
        .await
        .unwrap_or_else(CliError::tell)
}

async fn attempt(folders: &Folders, arguments: &RehearseArguments) -> Result<ExitCode, CliError> {
    // Problems in files are reported by the readers.
    let told = |code| CliError {
        code,
        message: String::new(),
    };
    let environment = environment(folders, &arguments.network)?;
    let form = Form {
        layout: arguments.layout,
        ignition: environment.ignition,
    };
    let snapshot = load(&arguments.directory, form, None).map_err(told)?;
    let before = match &arguments.changed {
        Some(against) => Some(Before::load(against, &arguments.directory, form).map_err(told)?),
        None => None,
    };
    let inventory = match &arguments.machines {
        Some(list) => read_or_tell(list).map_err(told)?,
        None => machines_of_groups(&snapshot, before.as_ref()).map_err(told)?,
    };
    let wanted = wanted(
        arguments,
        &snapshot,
        before.as_ref(),
        &inventory,
        &environment,
    )?;
    if wanted.is_empty() {
        println!("Nothing to rehearse: no machine's plan has changed.");
        return Ok(ExitCode::NothingSelected);
    }
    let beside = arguments.directory.join("assets");
    let assets = arguments
        .assets
        .clone()
        .or_else(|| beside.is_dir().then_some(beside));
    if let Some(given) = assets.as_ref().filter(|given| !given.is_dir()) {
        let what = format!("assets folder not found: {}", given.display());
        return Err(refuse(ExitCode::InvalidInput, what));
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
        secure_boot: arguments.secure_boot,
    })
    .map_err(unfit)?;
    if !arguments.options.quiet() {
        tell(&rehearsal);
    }
    check_host(&rehearsal.units)?;
    let request = RunRequest {
        units: rehearsal.units.clone(),
        image,
        run_id: folders.run_id(),
        // The operator's directory is used as it is.
        is_fitted: false,
        assets: rehearsal.assets.clone(),
        replacements: Replacements::default(),
        shard: None,
        whole: None,
    };
    let mut done = arguments.options.run(folders, request).await?;
    sum_up(&mut done, &rehearsal, arguments, &name);
    let code = done.conclude(folders, &arguments.options, None)?;
    done.tell_kept();
    Ok(code)
}

/// Adds the plan's findings and the durations of the phases to the results.
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

/// Prints the twins that will be booted.
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

fn unfit(error: RehearsalError) -> CliError {
    let code = match &error {
        RehearsalError::File { .. } => ExitCode::Internal,
        _ => ExitCode::InvalidInput,
    };
    let told = error.to_string();
    match error {
        RehearsalError::Scenario(invalid) => CliError {
            code,
            message: format!("lab: {told}\n{:?}", miette::Report::new(invalid)),
        },
        _ => refuse(code, told),
    }
}

/// Returns the site's name: its directory's, or the parent's if the directory is named `data`.
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

/// Returns the network of a scenario or of a configuration file.
fn environment(folders: &Folders, network: &str) -> Result<Environment, CliError> {
    let root = folders.scenarios();
    let mut folders = [root.join(network), PathBuf::from(network)].into_iter();
    if let Some(folder) = folders.find(|folder| folder.join(FILE_NAME).is_file()) {
        let scenario = Scenario::load_with(&folder, DataCheck::Skip).map_err(|error| CliError {
            code: ExitCode::InvalidInput,
            message: format!("{:?}", miette::Report::new(error)),
        })?;
        return Environment::of_scenario(&scenario)
            .map_err(|why| refuse(ExitCode::InvalidInput, why));
    }
    let file = Path::new(network);
    if file.is_file() {
        let made = match file.extension().is_some_and(|kind| kind == "toml") {
            true => Environment::of_boot_server(file),
            false => Environment::of_dhcp_file(file),
        };
        return made.map_err(|why| refuse(ExitCode::InvalidInput, why));
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
        ExitCode::InvalidInput,
        format!(
            "unknown network: `{network}` is neither a scenario nor a file (scenarios: {})",
            names.join(", ")
        ),
    ))
}

/// Returns the selected machines, by name.
fn wanted(
    arguments: &RehearseArguments,
    snapshot: &Snapshot,
    before: Option<&Before>,
    inventory: &Inventory,
    environment: &Environment,
) -> Result<BTreeSet<String>, CliError> {
    let known: Vec<&str> = inventory
        .machines
        .iter()
        .map(|machine| machine.name.as_str())
        .collect();
    for name in &arguments.only {
        if !known.contains(&name.as_str()) {
            let help = match nearest(name, &known) {
                Some(near) => format!("; did you mean `{near}`?"),
                None => format!(" (machines: {})", known.join(", ")),
            };
            let what = format!("unknown machine: `{name}`{help}");
            return Err(refuse(ExitCode::InvalidInput, what));
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
            "Machines whose plan differs from {}: {} of {}.",
            before.name,
            changed.len(),
            known.len()
        );
        wanted.retain(|name| changed.contains(name));
    }
    Ok(wanted)
}
