//! `lab new`: creates a small scenario that boots.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use lab_model::scenario::new::{BadName, Identity, Kind, check_name};
use lab_model::scenario::{DataCheck, InvalidScenario, Scenario};
use lab_report::exit_code::ExitCode;
use uuid::Uuid;

use super::Folders;

/// Arguments of `lab new`.
#[derive(Debug, Args)]
pub(super) struct NewArguments {
    /// Name of the scenario, and of its folder below --scenarios
    #[arg(value_name = "NAME")]
    name: String,
    /// Template of the scenario
    #[arg(long, value_enum, value_name = "KIND", default_value_t)]
    from: Template,
}

/// Template of a new scenario, as named on the command line.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Template {
    /// DHCP server with boot options; iPXE, then everything by HTTP
    #[default]
    IpxeChainload,
    /// DHCP server with boot options; PXELINUX, everything by TFTP, BIOS only
    PxeDhcp,
    /// DHCP server without boot options, and a proxyDHCP server beside it
    ProxyDhcp,
    /// DHCP server without boot options, and Pixiecore, which asks the boot config service
    Pixiecore,
}

impl From<Template> for Kind {
    fn from(template: Template) -> Kind {
        match template {
            Template::IpxeChainload => Kind::IpxeChainload,
            Template::PxeDhcp => Kind::PxeDhcp,
            Template::ProxyDhcp => Kind::ProxyDhcp,
            Template::Pixiecore => Kind::Pixiecore,
        }
    }
}

/// Reason why no scenario was created.
#[derive(Debug, thiserror::Error)]
enum NewError {
    #[error(transparent)]
    Name(#[from] BadName),
    #[error("already exists: {0}; choose another name, or remove it")]
    Exists(PathBuf),
    #[error("{path}: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error("the new scenario is invalid: {0}")]
    Invalid(Box<InvalidScenario>),
}

impl NewError {
    fn code(&self) -> ExitCode {
        match self {
            NewError::Name(_) | NewError::Exists(_) => ExitCode::InvalidInput,
            NewError::Write { .. } | NewError::Invalid(_) => ExitCode::Internal,
        }
    }
}

/// Creates the scenario and prints the next steps.
pub(super) fn run(folders: &Folders, arguments: &NewArguments) -> ExitCode {
    let (name, kind) = (&arguments.name, arguments.from.into());
    match make(&folders.scenarios(), name, kind) {
        Ok(()) => {
            print!("{}", next(&folders.scenarios, name, kind));
            ExitCode::Ok
        }
        Err(error) => {
            eprintln!("lab: {error}");
            error.code()
        }
    }
}

/// Writes the scenario to a temporary folder and renames it, so that it appears complete or not at all.
fn make(scenarios: &Path, name: &str, kind: Kind) -> Result<(), NewError> {
    check_name(name)?;
    let folder = scenarios.join(name);
    // A dangling link counts as existing, too.
    if fs::symlink_metadata(&folder).is_ok() {
        return Err(NewError::Exists(folder));
    }
    fs::create_dir_all(scenarios).map_err(writing(scenarios))?;
    // A temporary folder is not taken for a scenario: its name begins with a dot, and scenario.toml is not at
    // its top level.
    let beside = tempfile::Builder::new()
        .prefix(".new-")
        .tempdir_in(scenarios)
        .map_err(writing(scenarios))?;
    let staged = beside.path().join(name);
    let nodes = Identity::pair([Uuid::new_v4(), Uuid::new_v4()]);
    for (path, text) in kind.files(name, &nodes) {
        let path = staged.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(writing(parent))?;
        }
        fs::write(&path, text).map_err(writing(&path))?;
    }
    Scenario::load_with(&staged, DataCheck::Strict)
        .map_err(|error| NewError::Invalid(Box::new(error)))?;
    fs::rename(&staged, &folder).map_err(|source| match source.kind() {
        // Another process created the scenario meanwhile.
        io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => {
            NewError::Exists(folder.clone())
        }
        _ => writing(&folder)(source),
    })
}

fn writing(path: &Path) -> impl FnOnce(io::Error) -> NewError + use<> {
    let path = path.to_owned();
    move |source| NewError::Write { path, source }
}

/// Returns the next steps.
fn next(scenarios: &Path, name: &str, kind: Kind) -> String {
    let folder = scenarios.join(name);
    let folder = folder.display();
    let network = match kind {
        Kind::Pixiecore => " --network pixiecore",
        _ => "",
    };
    format!(
        "Created {folder}: two machines and what is expected of them (scenario.toml), and the data that the boot \
         server serves (data/).\n\
         \n  lab run {name}{:pad$}  boots the machines and checks them\
         \n  lab up {name}{:pad$}   boots the machines and leaves them running (lab console node1, lab down)\
         \n  lab validate {folder}/data{network}  checks the data after each change\n",
        "",
        "",
        pad = 4
    )
}

#[cfg(test)]
#[path = "new_tests.rs"]
mod tests;
