//! Bootable images: their names and files, download and verification, and the build of those that are made here.
//!
//! `catalog ← release ← (fetch, verify, store) ← acquire`: `catalog` has the images, `release` resolves what
//! is published of one (pure), `fetch` downloads bytes, `verify` judges them, `store` keeps verified files,
//! and `acquire` does all of it for one image. `family` translates boot options.
//!
//! `built` has the components of the images that are built here and decides when one must be rebuilt; `recipe` holds their
//! scripts and data, compiled in; `cache` keeps finished folders; `run` starts its programs. `package` fetches a package
//! of a Debian release, and `packages` has boot programs of these.

pub mod acquire;
pub mod built;
pub mod cache;
pub mod fetch;
mod package;
pub mod packages;
mod recipe;
pub mod release;
mod run;
pub mod store;
pub mod verify;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use built::BuiltImage;
pub use image_catalog as catalog;
pub use image_catalog::{INITRD_FILE, KERNEL_FILE, family};
pub use package::PackageError;

/// Name of the file that says what an image is.
pub const MANIFEST_FILE: &str = "manifest.json";

/// An image on this host, complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The folder with all of its files, to be served as `…/coreos/<version>/`.
    pub folder: PathBuf,
    /// Manifest of the image.
    pub manifest: Manifest,
}

impl Image {
    /// Returns the kernel.
    #[must_use]
    pub fn kernel(&self) -> PathBuf {
        self.folder.join(KERNEL_FILE)
    }

    /// Returns the initrd.
    #[must_use]
    pub fn initrd(&self) -> PathBuf {
        self.folder.join(INITRD_FILE)
    }

    /// Reads the image in `folder`; `None` when there is none or a file is not as its manifest
    /// says, so that a damaged image is made anew.
    fn open(folder: &Path) -> Option<Self> {
        let text = std::fs::read(folder.join(MANIFEST_FILE)).ok()?;
        let manifest: Manifest = serde_json::from_slice(&text).ok()?;
        let complete = [KERNEL_FILE, INITRD_FILE].iter().all(|name| {
            let size = std::fs::metadata(folder.join(name))
                .map(|meta| meta.len())
                .ok();
            size.is_some() && size == manifest.files.get(*name).map(|file| file.size_bytes)
        });
        complete.then(|| Image {
            folder: folder.to_owned(),
            manifest,
        })
    }
}

/// Returns the files of the built image in `folder` that differ from its manifest.
///
/// # Errors
/// [`ImageError::File`], [`ImageError::Manifest`].
pub fn damaged(folder: &Path) -> Result<Vec<String>, ImageError> {
    let path = folder.join(MANIFEST_FILE);
    let text = std::fs::read(&path).map_err(ImageError::file(&path))?;
    let manifest: Manifest = serde_json::from_slice(&text)?;
    let mut damaged = Vec::new();
    for (name, entry) in manifest.files {
        let path = folder.join(&name);
        let hashes = verify::digest::of_file(&path).map_err(ImageError::file(&path))?;
        if hashes.sha256 != entry.sha256 {
            damaged.push(name);
        }
    }
    Ok(damaged)
}

/// Returns all built images that are in `folder`, a folder each.
#[must_use]
pub fn built_in(folder: &Path) -> Vec<Image> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| Image::open(&entry.path()))
        .collect()
}

/// Origin of an image: reports name it, so that a stand-in is never taken for CoreOS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageKind {
    /// Built here from the distribution's packages; boots like CoreOS.
    StandIn,
    /// Built here from Debian's packages, with Debian's own cloud-init.
    DebianCloudInit,
}

/// Identity and components of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Origin of the image.
    pub kind: ImageKind,
    /// Version, as in the image's os-release.
    pub version: String,
    /// Hash of everything it was made from.
    pub key: String,
    /// The distribution release its packages are from, e.g. `debian bookworm`.
    pub release: String,
    /// Package versions by package name.
    pub packages: BTreeMap<String, String>,
    /// Files of the image by name.
    pub files: BTreeMap<String, FileEntry>,
}

/// File of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Length in bytes.
    pub size_bytes: u64,
    /// SHA-256 in hex.
    pub sha256: String,
}

/// Reasons that no image is available.
#[derive(Debug, Error)]
pub enum ImageError {
    /// A file or folder could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// Path of the file.
        path: PathBuf,
        /// I/O error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// The host's release is not one from which images can be built.
    #[error(
        "unsupported distribution {0:?} in /etc/os-release: images are built from Debian or Ubuntu packages"
    )]
    Host(String),
    /// The image is Debian's, and the host's packages are not.
    #[error(
        "unsupported distribution {distribution:?} in /etc/os-release: `{image}` is built from Debian packages"
    )]
    NotDebian {
        /// Name of the image.
        image: &'static str,
        /// Distribution of this host.
        distribution: String,
    },
    /// A program could not be started.
    #[error("cannot run {program}: {source}")]
    Program {
        /// Name of the program.
        program: String,
        /// I/O error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// A step of the recipe failed.
    #[error("cannot {step}: the script ended with {status}; last lines of {log}:\n{tail}")]
    Step {
        /// Build step that failed.
        step: String,
        /// Exit status of the step.
        status: std::process::ExitStatus,
        /// Last lines of the log.
        tail: String,
        /// Path of the complete log.
        log: PathBuf,
    },
    /// A package of Debian is not available.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// The manifest could not be written as JSON.
    #[error("cannot encode the manifest: {0}")]
    Manifest(#[from] serde_json::Error),
}

impl ImageError {
    fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| ImageError::File { path, source }
    }
}

/// Progress of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress<'a> {
    /// Another process is building in the same cache; this one waits for it.
    Waiting,
    /// A step begins.
    Step(&'a str),
    /// A line of a step's output.
    Line(&'a str),
}
