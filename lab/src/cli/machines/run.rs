//! `lab run`: selects units, boots their machines, judges and reports them.

use std::num::NonZeroU32;

use clap::Args;
use images::catalog::ImageName;
use lab_model::fault::Collection;
use lab_model::results::shard::Shard;
use lab_model::scenario::Firmware;
use lab_report::exit_code::ExitCode;
use lab_report::whole::{Kind, Whole};

use super::execution::{RunOptions, RunRequest, check_host, image_of, image_of_empty_part};
use super::faults::Faults;
use super::select::{of_shard, select};
use super::{faults, named, remote};
use crate::cli::Folders;
use crate::cli::error::{CliError, refuse};

/// Arguments of `lab run`.
#[derive(Debug, Args)]
pub(in crate::cli) struct RunArguments {
    #[command(flatten)]
    pub(super) faults: faults::FaultArguments,
    /// Scenarios to run, or cases with --faults or --adversarial [default: all]. A name with a slash is a path: of a
    /// scenario, or of a folder of scenarios
    #[arg(value_name = "NAME")]
    pub(super) names: Vec<String>,
    /// Run only on this firmware (may be repeated)
    #[arg(long, value_name = "FIRMWARE")]
    pub(super) firmware: Vec<Firmware>,
    /// Boot this image instead of the scenarios' own, e.g. `flatcar:stable` (see `lab images list`)
    #[arg(long, value_name = "IMAGE", conflicts_with = "cases")]
    image: Option<ImageName>,
    /// Boot only the first machine of each scenario, on the first firmware
    #[arg(long, conflicts_with = "cases")]
    pub(super) quick: bool,
    /// Run part M of N, split by scenario name, to share a run among several computers
    #[arg(long, value_name = "M/N")]
    pub(super) shard: Option<Shard>,
    /// Number of times to run each scenario
    #[arg(long, value_name = "N", default_value = "1", value_parser = times)]
    pub(super) repeat: NonZeroU32,
    /// Skip validation of the data directories
    #[arg(long)]
    pub(super) unchecked_data: bool,
    #[command(flatten)]
    options: RunOptions,
}

/// Text that is not a number of repetitions.
#[derive(Debug, thiserror::Error)]
#[error("invalid number of repetitions: `{0}` (must be at least 1)")]
struct InvalidRepeat(String);

fn times(text: &str) -> Result<NonZeroU32, InvalidRepeat> {
    text.parse().map_err(|_| InvalidRepeat(text.to_owned()))
}

/// Runs the units and returns the exit code.
pub(super) async fn run(mut folders: Folders, mut arguments: RunArguments) -> ExitCode {
    match named::selected(&arguments.names) {
        Ok(selected) => {
            folders.scenarios = selected.folder.unwrap_or(folders.scenarios);
            arguments.names = selected.names;
        }
        Err(why) => return refuse(ExitCode::NothingSelected, why).tell(),
    }
    attempt(&folders, &arguments)
        .await
        .unwrap_or_else(CliError::tell)
}

async fn attempt(folders: &Folders, arguments: &RunArguments) -> Result<ExitCode, CliError> {
    let faults = faults::select(folders, arguments)?;
    let all = match &faults {
        Some(faults) => faults.units(),
        None => select(folders, arguments)?,
    };
    let units = of_shard(&all, arguments.shard);
    if let (Some(shard), true) = (arguments.shard, units.is_empty()) {
        eprintln!("Nothing to do: shard {shard} has none of the selected scenarios.");
    }
    let options = &arguments.options;
    let host = options.remote()?;
    if host.is_none() {
        check_host(&units)?;
    }
    let asked = arguments.image.as_ref();
    let image = match (units.is_empty(), &host) {
        (true, None) => image_of_empty_part(folders, asked, &all)?,
        (true, Some(_)) => image_of(folders, asked, &all)?,
        (false, _) => image_of(folders, asked, &units)?,
    };
    if let Some(host) = host {
        return remote::run(folders, &host, &image, &options.files()).await;
    }
    let kind = match faults.as_ref().map(Faults::collection) {
        Some(Collection::Faults) => Kind::Faults,
        Some(Collection::Adversarial) => Kind::Adversarial,
        None => Kind::Scenarios,
    };
    let whole = Whole::of(kind, &all, &image.fit.image).map_err(|error| {
        let what = format!("cannot read a scenario's folder: {error}");
        refuse(ExitCode::InvalidInput, what)
    })?;
    let request = RunRequest {
        units,
        image,
        run_id: folders.run_id(),
        is_fitted: true,
        assets: Vec::new(),
        shard: arguments.shard.map(|shard| shard.to_string()),
        whole: Some(whole),
    };
    let done = options.run(folders, request).await?;
    let results = faults.map(|faults| faults.results(&done.outcomes, &done.run.folder));
    let code = done.conclude(folders, options, results.as_ref())?;
    done.tell_kept();
    Ok(code)
}
