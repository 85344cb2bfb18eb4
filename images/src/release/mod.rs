//! Published releases of an image: from a channel to a version, and from a version to files, signatures and
//! hashes. Pure: it returns the URL to request, and reads the answer.

mod directory;
mod stream;

use thiserror::Error;

use crate::catalog::Wanted;
use crate::catalog::model::{Digests, Location, Role, Source};

/// The newest version of a channel; `current-2024` is that of an LTS stream.
pub const CURRENT: &str = "current";

/// A version and its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Version of the release.
    pub version: String,
    /// Files of the release.
    pub files: Vec<RemoteFile>,
}

/// File to fetch, with the data for its verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFile {
    /// Purpose of the file.
    pub role: Role,
    /// File name in the cache.
    pub name: String,
    /// URL or path of the file.
    pub location: Location,
    /// Location of the detached signature.
    pub signature: Option<Location>,
    /// Hashes that are known already.
    pub digests: Digests,
    /// URL of a list of hashes; it counts where there is one, beside the signature.
    pub digests_url: Option<String>,
}

/// Requests needed to resolve a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// No request: the release is known.
    Known(Release),
    /// The text at this URL has to be read.
    Ask(String),
}

pub use stream::InvalidMetadata;

/// Reasons that a release cannot be resolved.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReleaseError {
    /// The publisher's hosts are gone.
    #[error(
        "the publisher's hosts of `{0}` no longer exist: name a mirror with --mirror URL, or `mirror = \"…\"` in [override.{0}] (docs/images.md); the mirror is the folder that holds one folder per version"
    )]
    NeedsMirror(String),
    /// The image is built, not published.
    #[error("`{0}` is not published; build it with `lab images build {0}`")]
    NotPublished(String),
    /// The image is in a package, whose versions apt resolves.
    #[error("`{0}` is in a Debian package; its releases are the channels")]
    Packaged(String),
    /// Only the catalog's version exists.
    #[error("version not found: {asked} of `{name}` (only {known} exists)")]
    OneVersion {
        /// Name of the image.
        name: String,
        /// The one it has.
        known: String,
        /// Version as requested.
        asked: String,
    },
    /// `version.txt` without a version.
    #[error("malformed version file {url}: no line `{key}=VERSION` (starts with {begins:?})")]
    VersionFile {
        /// URL of the metadata.
        url: String,
        /// Key missing from the metadata.
        key: String,
        /// Beginning of the unexpected text.
        begins: String,
    },
    /// Stream metadata that are not as they should be.
    #[error("the stream metadata at {url}: {what}")]
    Metadata {
        /// URL of the metadata.
        url: String,
        /// Mistake in the metadata.
        what: InvalidMetadata,
    },
}

/// Plans the requests that resolve the files of `wanted`.
///
/// # Errors
/// [`ReleaseError`].
pub fn plan(wanted: &Wanted) -> Result<Plan, ReleaseError> {
    let entry = &wanted.entry;
    match &entry.source {
        Source::Directory(source) => directory::plan(wanted, source),
        Source::Stream(source) => Ok(Plan::Ask(stream::url(wanted, source))),
        Source::Files(_) if wanted.version != entry.version => Err(ReleaseError::OneVersion {
            name: entry.name.clone(),
            known: entry.version.clone(),
            asked: wanted.version.clone(),
        }),
        Source::Files(files) => Ok(Plan::Known(Release {
            version: entry.version.clone(),
            files: files
                .iter()
                .map(|file| RemoteFile {
                    role: file.role,
                    name: file.name.clone(),
                    location: file.location.clone(),
                    signature: file.signature.clone(),
                    digests: file.digests.clone(),
                    digests_url: None,
                })
                .collect(),
        })),
        Source::Package(_) => Err(ReleaseError::Packaged(entry.name.clone())),
        Source::Built => Err(ReleaseError::NotPublished(entry.name.clone())),
    }
}

/// Returns the files of `wanted`, from the `text` that [`plan`] asked for at `url`.
///
/// # Errors
/// [`ReleaseError`].
pub fn read(wanted: &Wanted, url: &str, text: &str) -> Result<Release, ReleaseError> {
    match &wanted.entry.source {
        Source::Directory(source) => directory::read(wanted, source, url, text),
        Source::Stream(source) => stream::read(wanted, source, url, text),
        Source::Package(_) => Err(ReleaseError::Packaged(wanted.entry.name.clone())),
        Source::Files(_) | Source::Built => {
            Err(ReleaseError::NotPublished(wanted.entry.name.clone()))
        }
    }
}

/// True if a version stands for the newest of a channel.
fn is_current(version: &str) -> bool {
    version == CURRENT || version.starts_with("current-")
}

/// Puts what was asked for into a URL's places.
fn fill(template: &str, wanted: &Wanted, version: &str, file: &str) -> String {
    template
        .replace("{channel}", &wanted.channel)
        .replace("{arch}", wanted.architecture.name())
        .replace("{version}", version)
        .replace("{file}", file)
}

#[cfg(test)]
mod tests;
