//! Errors of fetching an image, each rendered as one line.

use std::path::Path;

use thiserror::Error;

use crate::fetch::FetchError;
use crate::release::ReleaseError;
use crate::store::StoreError;
use crate::verify::content::WrongContent;
use crate::verify::digest::WrongDigest;
use crate::verify::signature::SignatureError;
use crate::{ImageError, PackageError};

/// Reasons that an image was not fetched.
#[derive(Debug, Error)]
pub enum AcquireError {
    /// The published release cannot be resolved.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// The version or channel does not exist.
    #[error("version not found: {version} of {label} ({source})")]
    NoSuchVersion {
        /// Label of the image, e.g. `flatcar:stable`.
        label: String,
        /// Version as requested.
        version: String,
        /// Error of the fetch, such as the server's status.
        #[source]
        source: FetchError,
    },
    /// Something could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A file is not what it should be.
    #[error("refused: {from} ({why})")]
    NotGood {
        /// URL or path of the file.
        from: String,
        /// Failed check of the file.
        #[source]
        why: NotGood,
    },
    /// The file that is named has no hash that is published.
    #[error("missing hash: {url} has no SHA-256 or SHA-512 of {name}")]
    NoDigest {
        /// The list of hashes.
        url: String,
        /// File name expected in the folder.
        name: String,
    },
    /// A local file.
    #[error("{path}: {source}")]
    File {
        /// Path of the file.
        path: std::path::PathBuf,
        /// I/O error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// The cache could not be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The package with the image is not available.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// The cache's folder of the image.
    #[error(transparent)]
    Image(ImageError),
}

/// Reasons that a file fails verification.
#[derive(Debug, Error)]
pub enum NotGood {
    /// The hash does not match.
    #[error(transparent)]
    Digest(#[from] WrongDigest),
    /// The signature is missing or invalid.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The content is of another kind.
    #[error(transparent)]
    Content(#[from] WrongContent),
}

impl From<ImageError> for AcquireError {
    fn from(error: ImageError) -> AcquireError {
        match error {
            ImageError::Package(error) => AcquireError::Package(error),
            other => AcquireError::Image(other),
        }
    }
}

impl AcquireError {
    pub(super) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| AcquireError::File { path, source }
    }

    /// True if the error only repeats that another file's error ended this fetch.
    pub(super) fn is_echo(&self) -> bool {
        matches!(self, AcquireError::Fetch(FetchError::Stopped { .. }))
    }
}
