//! Why an image was not fetched: one error, one line.

use std::path::Path;

use thiserror::Error;

use crate::ImageError;
use crate::fetch::FetchError;
use crate::release::ReleaseError;
use crate::store::StoreError;
use crate::verify::content::WrongContent;
use crate::verify::digest::WrongDigest;
use crate::verify::signature::SignatureError;

/// Why an image was not fetched.
#[derive(Debug, Error)]
pub enum AcquireError {
    /// It is not known what is published.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// There is no such version or channel.
    #[error("there is no version {version} of {label}: {source}")]
    NoSuchVersion {
        /// The image.
        label: String,
        /// As asked for.
        version: String,
        /// What the server says.
        #[source]
        source: FetchError,
    },
    /// Something could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A file is not what it should be.
    #[error("{from} is not taken: {why}")]
    NotGood {
        /// Where it is from.
        from: String,
        /// Why.
        #[source]
        why: NotGood,
    },
    /// The file that is named has no hash that is published.
    #[error("{url} has no SHA-256 or SHA-512 of {name}")]
    NoDigest {
        /// The list of hashes.
        url: String,
        /// What it should have.
        name: String,
    },
    /// A local file.
    #[error("{path}: {source}")]
    File {
        /// Which one.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The cache.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The cache's folder of the image.
    #[error(transparent)]
    Image(#[from] ImageError),
}

/// Why a file is not what it should be.
#[derive(Debug, Error)]
pub enum NotGood {
    /// Its hash.
    #[error(transparent)]
    Digest(#[from] WrongDigest),
    /// Its signature.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// What it is.
    #[error(transparent)]
    Content(#[from] WrongContent),
}

impl AcquireError {
    pub(super) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| AcquireError::File { path, source }
    }

    /// Whether it only says that another file's error ended this one's.
    pub(super) fn is_echo(&self) -> bool {
        matches!(self, AcquireError::Fetch(FetchError::Stopped { .. }))
    }
}
