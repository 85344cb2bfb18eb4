//! What the cache knows of an image: `image.json`.

use serde::{Deserialize, Serialize};

use crate::catalog::{Architecture, Family, Role};

/// An image in the cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its name in the catalog.
    pub name: String,
    /// How reports call it, e.g. `flatcar:stable`.
    pub label: String,
    /// Its channel.
    pub channel: String,
    /// Its processor.
    pub architecture: Architecture,
    /// Its version.
    pub version: String,
    /// How its boot options are spelled.
    pub family: Family,
    /// Kernel options that it needs besides those of a scenario.
    pub kernel_options: Vec<String>,
    /// When it was fetched, in seconds since 1970.
    pub fetched_at: u64,
    /// Its files.
    pub files: Vec<StoredFile>,
}

impl Record {
    /// The file with this role.
    #[must_use]
    pub fn file(&self, role: Role) -> Option<&StoredFile> {
        self.files.iter().find(|file| file.role == role)
    }

    /// Bytes of all files.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }
}

/// A file of an image, and by what it was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFile {
    /// What it is for.
    pub role: Role,
    /// Its name.
    pub name: String,
    /// Length in bytes.
    pub size_bytes: u64,
    /// SHA-256 in hex.
    pub sha256: String,
    /// Where it is from.
    pub from: String,
    /// Whether its hash was published or written in the catalog, and was right.
    pub digest_checked: bool,
    /// Whose signature it has.
    pub signed_by: Option<SignedBy>,
}

/// A signature that counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedBy {
    /// Fingerprint of the primary key.
    pub fingerprint: String,
    /// When it was made, in seconds since 1970.
    pub made_at: u64,
    /// Its key had expired when it was checked.
    pub key_had_expired: bool,
}
