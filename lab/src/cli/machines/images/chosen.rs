//! Image of a run: taken from the cache; one that is made here is built if missing. Nothing published is downloaded, so
//! that a run never waits for a publisher.

use std::path::{Path, PathBuf};

use images::catalog::{Architecture, Entry, Family, ImageName, Role};
use images::store::{Hold, StoreError, Stored, Use};
use lab_model::scenario::{Fit, Image};
use lab_report::exit_code::ExitCode;

use super::{Failure, build, built_image, cache, catalog, find, store, waiting};
use crate::cli::Folders;
use crate::remote::GivenImage;

/// Image on this host.
#[derive(Debug)]
pub(in crate::cli) struct Chosen {
    /// Folder of the image's files, also under CoreOS's names.
    pub(in crate::cli) folder: PathBuf,
    pub(in crate::cli) architecture: Architecture,
    /// Changes that a scenario needs for the image.
    pub(in crate::cli) fit: Fit,
    /// Guard against clearing the cache while this value lives.
    _using: Option<Use>,
    /// Guard against clearing the cache while a cell started meanwhile lives.
    _hold: Option<Hold>,
}

impl Chosen {
    /// Returns the stand-in without building it, for a run that boots no machine.
    pub(in crate::cli) fn unbuilt_stand_in() -> Chosen {
        Chosen {
            folder: PathBuf::new(),
            architecture: Architecture::Amd64,
            fit: stand_in_fit(),
            _using: None,
            _hold: None,
        }
    }
}

fn stand_in_fit() -> Fit {
    Fit {
        image: Image::STAND_IN.into(),
        family: Family::StandIn,
        kernel_options: Vec::new(),
        memory_mib: 0,
        rootfs: None,
    }
}

/// Changes that a scenario needs for an image that is built here.
fn built_fit(entry: &Entry) -> Fit {
    Fit {
        image: entry.name.clone(),
        family: entry.family,
        kernel_options: entry.kernel_options.clone(),
        memory_mib: entry.memory_mib,
        rootfs: None,
    }
}

/// Returns the image called `name`; a run from another host uses the image that was copied from there.
pub(in crate::cli) fn choose(folders: &Folders, name: &ImageName) -> Result<Chosen, Failure> {
    let internal = |error: StoreError| Failure::new(ExitCode::Internal, error);
    if let Some(visit) = folders.visit() {
        let GivenImage {
            folder,
            architecture,
            fit,
        } = visit.image.clone();
        return Ok(Chosen {
            _hold: Some(Hold::of(&folder).map_err(internal)?),
            folder,
            architecture,
            fit,
            _using: None,
        });
    }
    let wanted = find(&catalog(folders)?, name)?;
    let store = store(folders)?;
    let using = store.using(&mut waiting).map_err(internal)?;
    if let Some(image) = built_image(folders, &wanted.entry)? {
        let folder = build(&image)?;
        return Ok(Chosen {
            _hold: Some(Hold::of(&folder).map_err(internal)?),
            folder,
            architecture: wanted.architecture,
            fit: built_fit(&wanted.entry),
            _using: Some(using),
        });
    }
    let stored = store
        .find(&wanted)
        .ok_or_else(|| Failure::new(ExitCode::InvalidInput, not_here(name)))?;
    stored.touch().map_err(internal)?;
    let is_stand_in =
        stored.record.family == Family::StandIn || is_built_here(&cache(folders)?, &stored);
    Ok(Chosen {
        _hold: Some(Hold::of(&stored.folder).map_err(internal)?),
        architecture: wanted.architecture,
        fit: Fit {
            image: called(&stored, is_stand_in),
            family: stored.record.family,
            kernel_options: stored.record.kernel_options.clone(),
            memory_mib: wanted.entry.memory_mib,
            rootfs: stored
                .record
                .file(Role::Rootfs)
                .map(|file| file.name.clone()),
        },
        folder: stored.folder,
        _using: Some(using),
    })
}

/// Returns the image's name in reports: with its version; stand-ins are recognisable under any name.
fn called(stored: &Stored, is_stand_in: bool) -> String {
    let record = &stored.record;
    if is_stand_in {
        format!("{}:{}", Image::STAND_IN, record.name)
    } else {
        format!("{}@{}", record.label, record.version)
    }
}

/// True if the image's initrd is that of a stand-in built here, whatever the image is called.
fn is_built_here(cache: &Path, stored: &Stored) -> bool {
    let initrd = stored.record.file(Role::Initrd).map(|file| &file.sha256);
    images::built_in(&cache.join("images/stand-in"))
        .iter()
        .any(|image| {
            let own = image.manifest.files.get(images::INITRD_FILE);
            own.is_some_and(|own| Some(&own.sha256) == initrd)
        })
}

pub(super) fn not_here(name: &ImageName) -> String {
    format!("image not in the cache: `{name}`; run `lab images fetch {name}`")
}
