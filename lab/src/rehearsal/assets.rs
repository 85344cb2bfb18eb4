//! Choice between the operator's own kernels and initrds and those of a replacement image.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use lab_model::scenario::Image;
use rollout::plan::Booted;
use rollout::site::{NotAnAsset, asset};

use super::RehearsalError;
use crate::cell::message::Asset;

/// Origin of a machine's kernel and initrds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The operator's assets.
    Own,
    /// Image that replaces missing assets.
    InPlace,
}

/// Reasons that a machine's files cannot be served.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoSource {
    #[error(transparent)]
    NotAnAsset(#[from] NotAnAsset),
    #[error("missing in {dir}: {files}")]
    Missing { dir: PathBuf, files: String },
    #[error("no initrd: the stand-in's kernel needs one")]
    NoInitrd,
    #[error(
        "{0} initrds: the stand-in replaces exactly one; pass the site's own files with --assets"
    )]
    Initrds(usize),
    #[error("conflicting use of /assets/{0}: kernel of one spec, initrd of another")]
    Conflict(String),
}

/// Files that machines load, mapped to the files to serve.
#[derive(Debug)]
pub(super) struct Sources<'a> {
    own: Option<&'a Path>,
    in_place: &'a Path,
    in_place_name: &'a str,
    /// Replacement files, by path below `/assets/`.
    placed: BTreeMap<String, PathBuf>,
    /// Folders that machines boot from, with the number of machines.
    booted: BTreeMap<(String, bool), usize>,
}

impl<'a> Sources<'a> {
    /// Creates the mapping from the operator's assets, if any, and the image for the rest.
    pub(super) fn new(
        own: Option<&'a Path>,
        in_place: &'a Path,
        in_place_name: &'a str,
    ) -> Sources<'a> {
        Sources {
            own,
            in_place,
            in_place_name,
            placed: BTreeMap::new(),
            booted: BTreeMap::new(),
        }
    }

    /// Returns the image name and the origin of a machine's files.
    ///
    /// The operator's files are used only if all of them exist; a kernel without its initrd is an error.
    pub(super) fn of(&mut self, booted: &Booted) -> Result<(String, Source), NoSource> {
        let kernel = asset(&booted.kernel)?;
        let initrds = booted.initrd.iter().map(|file| asset(file));
        let initrds = initrds.collect::<Result<Vec<_>, _>>()?;
        let folder = kernel.rsplit_once('/').map_or("", |(folder, _)| folder);
        let own = |path: &String| self.own.is_some_and(|own| own.join(path).is_file());
        let all: Vec<&String> = std::iter::once(&kernel).chain(&initrds).collect();
        let missing: Vec<&str> = all
            .iter()
            .filter(|path| !own(path))
            .map(|path| path.as_str())
            .collect();
        let source = if missing.is_empty() {
            Source::Own
        } else if missing.len() < all.len() {
            return Err(NoSource::Missing {
                dir: self.own.unwrap_or(Path::new("")).to_owned(),
                files: missing.join(", "),
            });
        } else {
            self.place(&kernel, &initrds)?;
            Source::InPlace
        };
        let key = (folder.to_owned(), source == Source::Own);
        *self.booted.entry(key).or_default() += 1;
        let image = match source {
            Source::Own => super::write::word(folder),
            Source::InPlace => self.in_place_name.to_owned(),
        };
        Ok((image, source))
    }

    fn place(&mut self, kernel: &str, initrds: &[String]) -> Result<(), NoSource> {
        let [initrd] = initrds else {
            return Err(match initrds.len() {
                0 => NoSource::NoInitrd,
                more => NoSource::Initrds(more),
            });
        };
        let mut place = |path: &str, file: &str| {
            let file = self.in_place.join(file);
            match self.placed.insert(path.to_owned(), file.clone()) {
                Some(other) if other != file => Err(NoSource::Conflict(path.to_owned())),
                _ => Ok(()),
            }
        };
        place(kernel, Image::KERNEL)?;
        place(initrd, Image::INITRD)
    }

    /// Returns one sentence for each folder that machines boot from.
    pub(super) fn sentences(&self) -> Vec<String> {
        let machines = |count: usize| match count {
            1 => "1 machine".to_owned(),
            more => format!("{more} machines"),
        };
        self.booted
            .iter()
            .map(|((folder, is_own), count)| {
                let who = machines(*count);
                match is_own {
                    true => format!("/assets/{folder}: the site's own files ({who})"),
                    false if Image::names_stand_in(self.in_place_name) => format!(
                        "/assets/{folder}: the stand-in under these names, not CoreOS itself ({who})"
                    ),
                    false => {
                        format!("/assets/{folder}: {} under these names ({who})", self.in_place_name)
                    }
                }
            })
            .collect()
    }

    /// Returns the files below `/assets/`: the operator's, completed by the image's.
    ///
    /// Complete folders are served as they are; other folders entry by entry.
    pub(super) fn layout(&self) -> Result<Vec<Asset>, RehearsalError> {
        let mut layout = Vec::new();
        if let Some(own) = self.own {
            let own = fs::canonicalize(own).map_err(RehearsalError::file(own))?;
            self.of_folder(&own, Path::new(""), &mut layout)?;
        }
        layout.extend(self.placed.iter().map(|(path, file)| Asset {
            at: path.into(),
            from: file.clone(),
        }));
        Ok(layout)
    }

    fn of_folder(
        &self,
        own: &Path,
        below: &Path,
        layout: &mut Vec<Asset>,
    ) -> Result<(), RehearsalError> {
        let folder = own.join(below);
        for entry in fs::read_dir(&folder).map_err(RehearsalError::file(&folder))? {
            let name = entry.map_err(RehearsalError::file(&folder))?.file_name();
            let at = below.join(name);
            let from = own.join(&at);
            let gets_more = self
                .placed
                .keys()
                .any(|path| Path::new(path).starts_with(&at));
            if gets_more && from.is_dir() {
                self.of_folder(own, &at, layout)?;
            } else if from.exists() {
                layout.push(Asset { at, from });
            }
        }
        Ok(())
    }
}
