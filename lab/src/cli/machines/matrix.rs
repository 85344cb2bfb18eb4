//! `lab matrix`: one selection on each combination of firmware and boot program.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use clap::Args;
use images::catalog::{FirmwarePackage, IpxePackage};
use lab_model::results::Unit;
use lab_model::scenario::Replacements;
use lab_report::RunSummary;
use lab_report::exit_code::ExitCode;
use lab_report::matrix::{Column, Matrix};

use super::execution::{RunOptions, RunRequest, check_host, image_of};
use super::named;
use super::select::{Selection, select};
use crate::cli::Folders;
use crate::cli::error::{CliError, refuse};

/// Arguments of `lab matrix`.
#[derive(Debug, Args)]
pub(in crate::cli) struct MatrixArguments {
    /// Scenarios to run [default: the four environments]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// UEFI firmware to run on, e.g. `ovmf:12,ovmf:13` [default: that of the host]
    #[arg(long, value_name = "PACKAGE", value_delimiter = ',')]
    firmware: Vec<FirmwarePackage>,
    /// iPXE to boot with, e.g. `ipxe:12,ipxe:13` [default: that of the host]
    #[arg(long, value_name = "PACKAGE", value_delimiter = ',')]
    nbp: Vec<IpxePackage>,
    /// Boot only the first machine of each scenario
    #[arg(long)]
    quick: bool,
    /// Write the grid as Markdown to this file, too
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    #[command(flatten)]
    options: RunOptions,
}

/// Runs the matrix and returns the exit code.
pub(super) async fn run(mut folders: Folders, mut arguments: MatrixArguments) -> ExitCode {
    if let Err(refused) = named::resolve(&mut folders, &mut arguments.names) {
        return refused.tell();
    }
    attempt(&folders, &arguments)
        .await
        .unwrap_or_else(CliError::tell)
}

async fn attempt(folders: &Folders, arguments: &MatrixArguments) -> Result<ExitCode, CliError> {
    if arguments.options.remote()?.is_some() {
        let why = "unsupported on a remote host: `lab matrix`; run it there, or use `lab run` once for each combination";
        return Err(refuse(ExitCode::InvalidInput, why));
    }
    let units = units(folders, arguments)?;
    check_host(&units)?;
    let now = jiff::Zoned::now();
    let folder = arguments.options.matrix_folder(&now, &folders.run_id())?;
    let mut matrix = Matrix {
        started: now.timestamp().to_string(),
        accelerator: String::new(),
        columns: Vec::new(),
    };
    let mut last: Option<RunSummary> = None;
    for replacements in combinations(arguments) {
        let part: Vec<Unit> = fitting(&units, replacements, arguments);
        if part.is_empty() {
            continue;
        }
        let name = name_of(replacements);
        eprintln!("\n== {name}");
        let options = arguments.options.clone().below(folder.join(&name));
        let request = RunRequest {
            image: image_of(folders, None, &part)?,
            units: part,
            run_id: folders.run_id(),
            is_fitted: true,
            assets: Vec::new(),
            replacements,
            shard: None,
            whole: None,
        };
        let done = options.run(folders, request).await?;
        let code = done.conclude(folders, &options, None)?;
        matrix.accelerator.clone_from(&done.run.accelerator);
        let run = done.run.folder.strip_prefix(&folder);
        matrix.columns.push(Column {
            firmware: replacements
                .firmware_package
                .map(|package| package.to_string()),
            nbp: replacements.nbp.map(|package| package.to_string()),
            run: run.unwrap_or(&done.run.folder).to_owned(),
            units: done.run.units.clone(),
        });
        last = Some(done.run);
        if code == ExitCode::Interrupted {
            break;
        }
    }
    let Some(last) = last else {
        return Err(refuse(
            ExitCode::NothingSelected,
            "no combination has a machine",
        ));
    };
    report(&matrix, arguments, &folder)?;
    Ok(matrix.whole(&last).exit_code())
}

/// Returns the units of the selection, of all combinations.
fn units(folders: &Folders, arguments: &MatrixArguments) -> Result<Vec<Unit>, CliError> {
    let selection = Selection {
        names: &arguments.names,
        firmware: &[],
        is_quick: false,
        repeat: NonZeroU32::MIN,
        is_data_unchecked: false,
    };
    let mut units = select(folders, &selection)?;
    if arguments.names.is_empty() {
        units.retain(|unit| unit.scenario.runs_first);
    }
    if arguments.quick {
        for unit in &mut units {
            let mut scenario = (*unit.scenario).clone();
            scenario.nodes.truncate(1);
            unit.scenario = scenario.into();
        }
    }
    Ok(units)
}

/// Returns all combinations: with the host's firmware for BIOS, then with each UEFI firmware.
fn combinations(arguments: &MatrixArguments) -> Vec<Replacements> {
    let firmware = arguments.firmware.iter().copied().map(Some);
    let firmware: Vec<Option<FirmwarePackage>> = std::iter::once(None).chain(firmware).collect();
    let nbps: Vec<Option<IpxePackage>> = match arguments.nbp.as_slice() {
        [] => vec![None],
        nbps => nbps.iter().copied().map(Some).collect(),
    };
    let with_nbps = |firmware_package| {
        let nbps = nbps.iter();
        nbps.map(move |nbp| Replacements {
            firmware_package,
            nbp: *nbp,
        })
    };
    firmware.into_iter().flat_map(with_nbps).collect()
}

/// Returns the units of a combination: BIOS machines have no UEFI firmware, and UEFI machines those that are named.
fn fitting(units: &[Unit], one: Replacements, arguments: &MatrixArguments) -> Vec<Unit> {
    let is_fitting = |unit: &&Unit| match (unit.firmware.is_uefi(), one.firmware_package) {
        (true, Some(_)) | (false, None) => true,
        (true, None) => arguments.firmware.is_empty(),
        (false, Some(_)) => false,
    };
    units.iter().filter(is_fitting).cloned().collect()
}

/// Returns the name of a combination's folder.
fn name_of(one: Replacements) -> String {
    let firmware = one.firmware_package.map(|package| package.to_string());
    let nbp = one.nbp.map(|package| package.to_string());
    let parts: Vec<String> = [firmware, nbp].into_iter().flatten().collect();
    match parts.is_empty() {
        true => "host".into(),
        false => parts.join("+").replace(':', "-"),
    }
}

fn report(matrix: &Matrix, arguments: &MatrixArguments, folder: &Path) -> Result<(), CliError> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |error: std::io::Error| refuse(ExitCode::Internal, format!("{path}: {error}"))
    };
    print!("\n{}", matrix.render(arguments.options.colour()));
    println!("Matrix: {}", folder.join("matrix.html").display());
    matrix.write(folder).map_err(failed(folder))?;
    if let Some(path) = &arguments.markdown {
        std::fs::write(path, matrix.markdown()).map_err(failed(path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        matrix: MatrixArguments,
    }

    fn names(words: &[&str]) -> Vec<String> {
        let line = Line::try_parse_from([&["lab"], words].concat()).unwrap();
        combinations(&line.matrix)
            .into_iter()
            .map(name_of)
            .collect()
    }

    #[test]
    fn combinations_are_the_product_with_bios_first() {
        assert_eq!(names(&[]), ["host"]);
        assert_eq!(
            names(&["--firmware", "ovmf:12,ovmf:13", "--nbp", "ipxe:12,ipxe:13"]),
            [
                "ipxe-12",
                "ipxe-13",
                "ovmf-12+ipxe-12",
                "ovmf-12+ipxe-13",
                "ovmf-13+ipxe-12",
                "ovmf-13+ipxe-13"
            ]
        );
        let wrong = Line::try_parse_from(["lab", "--firmware", "uefi"]).unwrap_err();
        let told = wrong.to_string();
        let line = "error: invalid value 'uefi' for '--firmware <PACKAGE>': unknown firmware package: `uefi` (use \
                    `ovmf:12` or `ovmf:13`)";
        assert_eq!(told.lines().next(), Some(line));
    }
}
