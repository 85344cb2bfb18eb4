//! `lab images`: build the stand-in, say where it is.

use std::path::PathBuf;

use clap::Subcommand;

use images::Progress;
use images::stand_in::{Release, StandIn};

use super::conduct::sibling;
use super::{Folders, exit};

/// `lab images …`
#[derive(Debug, Subcommand)]
pub(super) enum ImagesCommand {
    /// Build the stand-in image from Debian packages, unless the cache has it
    Build,
    /// Print the folder of the stand-in image; build it first where needed
    Path,
}

/// Runs and returns the exit code.
pub(super) fn run(folders: &Folders, command: &ImagesCommand) -> u8 {
    match stand_in(folders) {
        Ok(folder) => {
            match command {
                ImagesCommand::Build => eprintln!("The stand-in image is in {}", folder.display()),
                ImagesCommand::Path => println!("{}", folder.display()),
            }
            exit::OK
        }
        Err(why) => {
            eprintln!("lab: {why}");
            exit::INTERNAL
        }
    }
}

/// The stand-in's folder, from the cache or built now.
pub(super) fn stand_in(folders: &Folders) -> Result<PathBuf, String> {
    let agent = sibling("guest-agent")?;
    let release = Release::of_this_host().map_err(|error| error.to_string())?;
    let image = StandIn::new(&folders.cache()?, &agent, release)
        .build(&mut |progress| match progress {
            Progress::Waiting => {
                eprintln!("Another process is building the stand-in image; waiting for it.");
            }
            Progress::Step(step) => eprintln!("Stand-in image: {step}"),
            Progress::Line(line) => tracing::info!("{line}"),
        })
        .map_err(|error| error.to_string())?;
    Ok(image.folder)
}
