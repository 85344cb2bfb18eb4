//! `lab run`: selects units, boots their machines, judges and reports them.

use lab_model::fault::Collection;
use lab_report::exit_code::ExitCode;
use lab_report::whole::{Kind, Whole};

use super::arguments::RunArguments;
use super::execution::{RunRequest, check_host, image_of, image_of_empty_part};
use super::faults::Faults;
use super::select::{of_shard, select};
use super::{faults, named, remote};
use crate::cli::Folders;
use crate::cli::error::{CliError, refuse};

/// Runs the units and returns the exit code.
pub(super) async fn run(mut folders: Folders, mut arguments: RunArguments) -> ExitCode {
    if let Err(refused) = named::resolve(&mut folders, &mut arguments.names) {
        return refused.tell();
    }
    attempt(&folders, &arguments)
        .await
        .unwrap_or_else(CliError::tell)
}

async fn attempt(folders: &Folders, arguments: &RunArguments) -> Result<ExitCode, CliError> {
    let faults = faults::select(folders, arguments)?;
    let all = match &faults {
        Some(faults) => faults.units(),
        None => select(folders, &arguments.selection())?,
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
        replacements: arguments.replacements.into(),
        shard: arguments.shard.map(|shard| shard.to_string()),
        whole: Some(whole),
    };
    let done = options.run(folders, request).await?;
    let results = faults.map(|faults| faults.results(&done.outcomes, &done.run.folder));
    let code = done.conclude(folders, options, results.as_ref())?;
    done.tell_kept();
    Ok(code)
}
