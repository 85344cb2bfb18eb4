//! `lab screenshot`: saves a screenshot of a machine's display.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use lab_report::exit_code::ExitCode;

use super::{NodeArguments, ask};
use crate::cell::control::{ControlRequest, ControlResponse};
use crate::cli::error::{CliError, refuse};
use crate::persistent::Registry;

/// Arguments of `lab screenshot`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ScreenshotArguments {
    #[command(flatten)]
    node: NodeArguments,
    /// PNG file to write; `-` is standard output [default: NODE.png]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Saves the screenshot.
pub(super) fn run(
    registry: &Registry,
    arguments: &ScreenshotArguments,
) -> Result<ExitCode, CliError> {
    let (lab, node) = arguments.node.find(registry)?;
    let request = ControlRequest::Screenshot {
        node: node.name.clone(),
    };
    let ControlResponse::Picture { base64 } = ask(&lab, &request)? else {
        return Err(refuse(ExitCode::Internal, "the lab returned no screenshot"));
    };
    let usual = || PathBuf::from(format!("{}.png", node.name));
    let file = arguments.file.clone().unwrap_or_else(usual);
    let is_output = file.as_os_str() == "-";
    STANDARD
        .decode(base64)
        .map_err(io::Error::other)
        .and_then(|png| match is_output {
            true => io::stdout().lock().write_all(&png),
            false => fs::write(&file, png),
        })
        .map_err(|error| refuse(ExitCode::Internal, format!("{}: {error}", file.display())))?;
    if is_output {
        return Ok(ExitCode::Ok);
    }
    println!("{}", file.display());
    Ok(ExitCode::Ok)
}
