//! Record of an image in the cache: `image.json`.

use serde::{Deserialize, Serialize};

use crate::catalog::{Architecture, Family, Role};

/// An image in the cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Name in the catalog.
    pub name: String,
    /// Label in reports, e.g. `flatcar:stable`.
    pub label: String,
    /// Channel of the release.
    pub channel: String,
    /// Processor architecture of the image.
    pub architecture: Architecture,
    /// Version of the release.
    pub version: String,
    /// Family, which decides the spelling of boot options.
    pub family: Family,
    /// Kernel options that it needs besides those of a scenario.
    pub kernel_options: Vec<String>,
    /// Time of the fetch, in seconds since 1970.
    pub fetched_at: u64,
    /// Files of the image.
    pub files: Vec<StoredFile>,
}

impl Record {
    /// Returns the file with this role.
    #[must_use]
    pub fn file(&self, role: Role) -> Option<&StoredFile> {
        self.files.iter().find(|file| file.role == role)
    }

    /// Returns the bytes of all files.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }
}

/// A file of an image, and by what it was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFile {
    /// Purpose of the file.
    pub role: Role,
    /// File name in the image's folder.
    pub name: String,
    /// Length in bytes.
    pub size_bytes: u64,
    /// SHA-256 in hex.
    pub sha256: String,
    /// URL or path of the source.
    pub from: String,
    /// True if the hash was compared with a published or catalogued one.
    pub digest_checked: bool,
    /// Signer of the file, if signed.
    pub signed_by: Option<SignedBy>,
    /// True if the file is from a package that apt verified with Debian's keys.
    #[serde(default)]
    pub is_packaged: bool,
}

/// A signature that counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedBy {
    /// Fingerprint of the primary key.
    pub fingerprint: String,
    /// Time of the signature, in seconds since 1970.
    pub made_at: u64,
    /// True if the key had expired when the signature was checked.
    pub key_had_expired: bool,
}
