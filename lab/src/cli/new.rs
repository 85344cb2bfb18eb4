//! `lab new`: a small scenario that boots, to be changed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use uuid::Uuid;

use super::{Folders, exit};
use crate::scenario::new::{BadName, Identity, Kind, check_name};
use crate::scenario::{DataCheck, InvalidScenario, Scenario};

/// `lab new`
#[derive(Debug, Args)]
pub(super) struct NewArguments {
    /// The scenario's name: its folder below --scenarios
    #[arg(value_name = "NAME")]
    name: String,
    /// What it begins as
    #[arg(long, value_enum, value_name = "KIND", default_value_t)]
    from: Kind,
}

/// Why there is no new scenario.
#[derive(Debug, thiserror::Error)]
enum NewError {
    #[error(transparent)]
    Name(#[from] BadName),
    #[error("{0} is there already; take another name, or remove it")]
    Exists(PathBuf),
    #[error("{path}: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error("what was made does not load: {0}")]
    Invalid(Box<InvalidScenario>),
}

impl NewError {
    fn code(&self) -> u8 {
        match self {
            NewError::Name(_) | NewError::Exists(_) => exit::INVALID_INPUT,
            NewError::Write { .. } | NewError::Invalid(_) => exit::INTERNAL,
        }
    }
}

/// Makes it, and says what to do next.
pub(super) fn run(folders: &Folders, arguments: &NewArguments) -> u8 {
    let NewArguments { name, from } = arguments;
    match make(&folders.scenarios(), name, *from) {
        Ok(()) => {
            print!("{}", next(&folders.scenarios, name, *from));
            exit::OK
        }
        Err(error) => {
            eprintln!("lab: {error}");
            error.code()
        }
    }
}

/// Writes the scenario beside its place and renames it there: it is there whole, or not at all.
fn make(scenarios: &Path, name: &str, kind: Kind) -> Result<(), NewError> {
    check_name(name)?;
    let folder = scenarios.join(name);
    // A link to nowhere is in the way too.
    if fs::symlink_metadata(&folder).is_ok() {
        return Err(NewError::Exists(folder));
    }
    fs::create_dir_all(scenarios).map_err(writing(scenarios))?;
    // No scenario is looked for in a folder whose name begins with a dot: it has no scenario.toml at its top.
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
        // Somebody else was quicker.
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

/// What to do next.
fn next(scenarios: &Path, name: &str, kind: Kind) -> String {
    let folder = scenarios.join(name);
    let folder = folder.display();
    let network = match kind {
        Kind::Pixiecore => " --network pixiecore",
        _ => "",
    };
    format!(
        "{folder} is there: two machines, what they are served (data/) and what they have to come up as \
         (scenario.toml).\n\
         \n  lab run {name}{:pad$}  boots it and judges\
         \n  lab up {name}{:pad$}   leaves it up, to be touched: lab console node1, lab down\
         \n  lab validate {folder}/data{network}  after each change\n",
        "",
        "",
        pad = 4
    )
}
