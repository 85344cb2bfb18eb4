//! `lab images`: lists, fetches, verifies, builds and clears images. One file per command.

mod chosen;
mod clear;
mod fetch;
mod list;
mod verify;

use std::fmt::Display;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use images::Progress;
use images::built::{BuiltImage, Release};
use images::catalog::model::Source;
use images::catalog::{Catalog, Entry, ImageName, Wanted};
use images::store::Store;
use lab_model::scenario::Image;
use lab_report::exit_code::ExitCode;

use super::programs::sibling;
use crate::cli::Folders;
pub(super) use chosen::{Chosen, choose};

/// Subcommands of `lab images`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ImagesCommand {
    /// List the images of the catalog and their cached versions
    List,
    /// Download an image from its publisher or a mirror, and verify it
    Fetch(FetchArguments),
    /// Verify cached images again: hashes and signatures
    Verify {
        /// Image to verify [default: all cached images]
        #[arg(value_name = "IMAGE")]
        image: Option<ImageName>,
    },
    /// Build an image from Debian packages, unless it is cached: the stand-in, or `debian-cloud-init`
    Build {
        /// Name of the image
        #[arg(value_name = "IMAGE", default_value = "stand-in")]
        image: ImageName,
    },
    /// Remove images from the cache by age or size, and files that no image uses
    Gc(clear::ClearArguments),
    /// Print the folder of an image; the stand-in and `debian-cloud-init` are built if missing
    Path {
        /// Name of the image
        #[arg(value_name = "IMAGE", default_value = "stand-in")]
        image: ImageName,
    },
}

/// Arguments of `lab images fetch`.
#[derive(Debug, Args)]
pub(in crate::cli) struct FetchArguments {
    /// Image to download, e.g. `flatcar:stable`, `fedora-coreos:next/arm64`, `coreos@835.9.0`
    #[arg(value_name = "IMAGE[:CHANNEL][/ARCH][@VERSION]")]
    image: ImageName,
    /// Mirror to download from: the folder that contains the version folders (CoreOS, Flatcar), or a replacement
    /// for https://builds.coreos.fedoraproject.org
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
}

/// Error of a command, with its exit code.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: ExitCode,
    pub(super) message: String,
}

impl Failure {
    fn new(code: ExitCode, message: impl Display) -> Failure {
        Failure {
            code,
            message: format!("lab: {message}"),
        }
    }
}

/// Runs the command and returns the exit code.
pub(super) fn run(folders: &Folders, command: &ImagesCommand) -> ExitCode {
    let done = match command {
        ImagesCommand::List => list::run(folders),
        ImagesCommand::Fetch(arguments) => fetch::run(folders, arguments),
        ImagesCommand::Verify { image } => verify::run(folders, image.as_ref()),
        ImagesCommand::Build { image } => build_named(folders, image),
        ImagesCommand::Gc(arguments) => clear::run(folders, arguments),
        ImagesCommand::Path { image } => choose(folders, image).map(|chosen| {
            println!("{}", chosen.folder.display());
        }),
    };
    match done {
        Ok(()) => ExitCode::Ok,
        Err(Failure { code, message }) => {
            eprintln!("{message}");
            code
        }
    }
}

/// Loads the project's catalog, with the user's additions.
fn catalog(folders: &Folders) -> Result<Catalog, Failure> {
    let catalog = match folders.catalog() {
        Some(path) => Catalog::with_file(&path),
        None => Catalog::own(),
    };
    catalog.map_err(|problem| Failure {
        code: ExitCode::InvalidInput,
        message: format!("{:?}", miette::Report::new_boxed(problem)),
    })
}

fn find(catalog: &Catalog, image: &ImageName) -> Result<Wanted, Failure> {
    let found = catalog.find(image);
    found.map_err(|unknown| Failure::new(ExitCode::InvalidInput, unknown))
}

fn store(folders: &Folders) -> Result<Store, Failure> {
    Ok(Store::new(&cache(folders)?))
}

fn cache(folders: &Folders) -> Result<PathBuf, Failure> {
    folders
        .cache()
        .map_err(|why| Failure::new(ExitCode::Internal, why))
}

/// Reports that another process uses the cache.
fn waiting(progress: Progress<'_>) {
    if progress == Progress::Waiting {
        eprintln!("Waiting: another process uses the image cache.");
    }
}

/// Builds the image called `name`, if it is one that is built here.
fn build_named(folders: &Folders, name: &ImageName) -> Result<(), Failure> {
    let wanted = find(&catalog(folders)?, name)?;
    let Some(image) = built_image(folders, &wanted.entry)? else {
        let message =
            format!("image not built here: `{name}` is published; run `lab images fetch {name}`");
        return Err(Failure::new(ExitCode::InvalidInput, message));
    };
    let folder = build(&image)?;
    eprintln!("Image {}: {}", image.name(), folder.display());
    Ok(())
}

/// Returns the image's folder; builds the image if it is missing.
fn build(image: &BuiltImage) -> Result<PathBuf, Failure> {
    let name = image.name();
    let built = image.build(&mut |progress| match progress {
        Progress::Waiting => {
            eprintln!("Waiting: another process is building the image {name}.");
        }
        Progress::Step(step) => eprintln!("Image: {step}"),
        Progress::Line(line) => tracing::info!("{line}"),
    });
    match built {
        Ok(built) => Ok(built.folder),
        Err(error) => Err(Failure::new(ExitCode::Internal, error)),
    }
}

/// Returns the stand-in's folder, if it is cached.
pub(super) fn built_stand_in(folders: &Folders) -> Option<PathBuf> {
    let image = stand_in(folders).ok()?.cached().ok()??;
    Some(image.folder)
}

/// Returns the image of an entry whose layout is `built`; none for others.
fn built_image(folders: &Folders, entry: &Entry) -> Result<Option<BuiltImage>, Failure> {
    match (&entry.source, entry.name.as_str()) {
        (Source::Built, Image::STAND_IN) => stand_in(folders).map(Some),
        (Source::Built, Image::DEBIAN_CLOUD_INIT) => debian_cloud_init(folders).map(Some),
        (Source::Built, other) => {
            let message = format!("missing recipe: nothing builds an image called `{other}`");
            Err(Failure::new(ExitCode::InvalidInput, message))
        }
        _ => Ok(None),
    }
}

/// Returns all images that can be built on this host.
fn built_images(folders: &Folders) -> Vec<BuiltImage> {
    let all = [stand_in(folders), debian_cloud_init(folders)];
    all.into_iter().flatten().collect()
}

fn stand_in(folders: &Folders) -> Result<BuiltImage, Failure> {
    let agent = sibling("guest-agent").map_err(|error| Failure::new(ExitCode::Internal, error))?;
    let release = release()?;
    Ok(BuiltImage::stand_in(&cache(folders)?, &agent, release))
}

fn debian_cloud_init(folders: &Folders) -> Result<BuiltImage, Failure> {
    Ok(BuiltImage::debian_cloud_init(&cache(folders)?, release()?))
}

fn release() -> Result<Release, Failure> {
    Release::of_this_host().map_err(|error| Failure::new(ExitCode::Internal, error))
}
