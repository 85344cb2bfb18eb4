//! Verified files: objects by their hash, and a folder for each image with links to them.
//!
//! ```text
//! store/sha256/<hex>                                   a file's bytes, once
//! store/images/<name>/<channel>/<arch>/<version>/      an image: image.json, links to objects, signatures
//! store/partial/                                       what is being fetched
//! store/lock                                           held by all who fetch, alone by who clears
//! store/images/…/<version>/ itself                     locked by the labs that serve it
//! ```
//!
//! The links are hard ones: a folder can be served from a mount of its own, and an object nobody links to
//! is known by its link count.

pub mod gc;
mod hold;
mod record;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::cache::Cache;
use crate::catalog::Wanted;
use crate::verify::digest;
use crate::{ImageError, Progress, family};
pub use hold::{Hold, is_held};
pub use record::{Record, SignedBy, StoredFile};

/// Name of the file that says what an image is.
const RECORD_FILE: &str = "image.json";
/// Name of the file whose modification time is the image's last use.
const USED_FILE: &str = ".used";

/// The cache of published images.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
}

/// An image in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The folder with all of its files, under their own names and CoreOS's.
    pub folder: PathBuf,
    /// Record of the image.
    pub record: Record,
}

/// A verified file that is to become part of an image.
#[derive(Debug, Clone)]
pub struct Verified {
    /// Entry of the file in the record.
    pub file: StoredFile,
    /// Detached signature, kept for a later check.
    pub signature: Option<Vec<u8>>,
}

/// Right to use the store while no process removes files.
#[derive(Debug)]
pub struct Use {
    _lock: File,
}

/// Reasons that the store could not be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// A file or folder could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// Path of the file.
        path: PathBuf,
        /// I/O error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// An image's folder could not be made.
    #[error(transparent)]
    Image(#[from] ImageError),
}

impl StoreError {
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| StoreError::File { path, source }
    }
}

impl Store {
    /// Returns the store in the cache folder `cache`, which is created on first use.
    #[must_use]
    pub fn new(cache: &Path) -> Store {
        Store {
            folder: cache.join("images/store"),
        }
    }

    /// Returns the folder of files that are being fetched.
    #[must_use]
    pub fn partial(&self) -> PathBuf {
        self.folder.join("partial")
    }

    /// Returns the object with this SHA-256.
    #[must_use]
    pub fn object(&self, sha256: &str) -> PathBuf {
        self.folder.join("sha256").join(sha256)
    }

    /// Keeps the store from being cleared while the result lives.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn using(&self, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Use, StoreError> {
        let (path, lock) = self.lock_file()?;
        if lock.try_lock_shared().is_err() {
            progress(Progress::Waiting);
            lock.lock_shared().map_err(StoreError::file(&path))?;
        }
        Ok(Use { _lock: lock })
    }

    fn lock_file(&self) -> Result<(PathBuf, File), StoreError> {
        std::fs::create_dir_all(&self.folder).map_err(StoreError::file(&self.folder))?;
        let path = self.folder.join("lock");
        let file = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(StoreError::file(&path))?;
        Ok((path, file))
    }

    /// Takes the file at `path`, which has been verified and has this SHA-256, into the store.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn insert(&self, path: &Path, sha256: &str) -> Result<(), StoreError> {
        let object = self.object(sha256);
        let folder = self.folder.join("sha256");
        std::fs::create_dir_all(&folder).map_err(StoreError::file(&folder))?;
        // Other images link to the existing object: it is kept, unless it has been damaged since.
        if digest::of_file(&object).is_ok_and(|there| there.sha256 == sha256) {
            return std::fs::remove_file(path).map_err(StoreError::file(path));
        }
        // Readable by servers of other users, writable by none.
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o444))
            .map_err(StoreError::file(path))?;
        std::fs::rename(path, &object).map_err(StoreError::file(&object))
    }

    /// Returns the versions of an image, to be built one at a time.
    pub(crate) fn versions(&self, name: &str, channel: &str, architecture: &str) -> Cache {
        let folder = self.folder.join("images").join(name).join(channel);
        Cache::new(folder.join(architecture))
    }

    /// Makes the image's folder; its files have to be in the store already.
    ///
    /// # Errors
    /// [`StoreError`]; then no image was added.
    pub(crate) fn install(
        &self,
        versions: &Cache,
        lock: &crate::cache::Lock,
        record: Record,
        files: &[Verified],
    ) -> Result<Stored, StoreError> {
        let folder = versions.make(lock, &record.version, |folder| {
            for verified in files {
                let (name, object) = (&verified.file.name, self.object(&verified.file.sha256));
                let assets = family::assets([(verified.file.role, name.as_str())]);
                for (served, _) in assets {
                    let path = folder.join(served);
                    std::fs::hard_link(&object, &path).map_err(ImageError::file(&path))?;
                }
                if let Some(signature) = &verified.signature {
                    let path = folder.join(format!("{name}.sig"));
                    std::fs::write(&path, signature).map_err(ImageError::file(&path))?;
                }
            }
            let path = folder.join(RECORD_FILE);
            std::fs::write(&path, serde_json::to_vec_pretty(&record)?)
                .map_err(ImageError::file(&path))?;
            let path = folder.join(USED_FILE);
            std::fs::write(&path, "").map_err(ImageError::file(&path))
        })?;
        Ok(Stored { folder, record })
    }

    /// Returns the image for `wanted`, if it is cached: that version, or for `current` the one fetched last.
    #[must_use]
    pub fn find(&self, wanted: &Wanted) -> Option<Stored> {
        let of_channel = self.list().into_iter().filter(|stored| {
            let record = &stored.record;
            record.name == wanted.entry.name
                && record.channel == wanted.channel
                && record.architecture == wanted.architecture
        });
        if wanted.version.starts_with(crate::release::CURRENT) {
            of_channel.max_by_key(|stored| stored.record.fetched_at)
        } else {
            of_channel
                .into_iter()
                .find(|stored| stored.record.version == wanted.version)
        }
    }

    /// Returns all complete images in the store.
    #[must_use]
    pub fn list(&self) -> Vec<Stored> {
        let mut found = Vec::new();
        let mut level = vec![self.folder.join("images")];
        // name / channel / architecture / version
        for _ in 0..4 {
            level = level.iter().flat_map(|folder| folders_in(folder)).collect();
        }
        level.sort();
        for folder in level {
            found.extend(Stored::open(&folder));
        }
        found
    }
}

impl Stored {
    fn open(folder: &Path) -> Option<Stored> {
        let text = std::fs::read(folder.join(RECORD_FILE)).ok()?;
        let record: Record = serde_json::from_slice(&text).ok()?;
        let complete = record.files.iter().all(|file| {
            std::fs::metadata(folder.join(&file.name))
                .is_ok_and(|there| there.len() == file.size_bytes)
        });
        complete.then(|| Stored {
            folder: folder.to_owned(),
            record,
        })
    }

    /// Notes that the image is used now.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn touch(&self) -> Result<(), StoreError> {
        let path = self.folder.join(USED_FILE);
        std::fs::write(&path, "").map_err(StoreError::file(&path))
    }

    /// Returns the files that differ from the record, with the reason: the disk may have failed, or another
    /// program wrote into the cache.
    ///
    /// # Errors
    /// [`StoreError::File`] when a file cannot be read.
    pub fn damaged(&self) -> Result<Vec<(String, String)>, StoreError> {
        let mut damaged = Vec::new();
        for file in &self.record.files {
            let path = self.folder.join(&file.name);
            let hashes = digest::of_file(&path).map_err(StoreError::file(&path))?;
            if hashes.sha256 != file.sha256 {
                let why = format!(
                    "SHA-256 mismatch: {} instead of {}",
                    hashes.sha256, file.sha256
                );
                damaged.push((file.name.clone(), why));
            }
        }
        Ok(damaged)
    }

    /// Returns the detached signature that the file `name` came with.
    #[must_use]
    pub fn signature(&self, name: &str) -> Option<Vec<u8>> {
        std::fs::read(self.folder.join(format!("{name}.sig"))).ok()
    }
}

fn folders_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default();
            !name.to_string_lossy().starts_with('.')
        })
        .collect()
}
