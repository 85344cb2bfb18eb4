//! One image from its publisher into the cache: what is published is looked up, its files are fetched side
//! by side, each is verified, and only then does it get into the store.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use thiserror::Error;

use crate::catalog::Wanted;
use crate::catalog::model::{ExpiredKey, Location, SigningKey};
use crate::fetch::partial::Partial;
use crate::fetch::{Client, FetchError, Patience, Step};
use crate::release::{self, Plan, Release, ReleaseError, RemoteFile};
use crate::store::{Record, SignedBy, Store, StoreError, Stored, StoredFile, Verified};
use crate::verify::content::{self, WrongContent};
use crate::verify::digest::{self, WrongDigest};
use crate::verify::signature::{self, SignatureError};
use crate::{ImageError, Progress};

/// No metadata are longer, in bytes; Fedora CoreOS's are below 100 KB.
const METADATA_LIMIT_BYTES: usize = 8 << 20;
/// No detached signature is longer, in bytes.
const SIGNATURE_LIMIT_BYTES: usize = 64 << 10;
/// How much of a local file is copied at a time, in bytes.
const COPY_BYTES: usize = 1 << 20;

/// What is going on, for whoever waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// Another process fetches the same, or clears the cache.
    Waiting,
    /// The version that will be fetched.
    Version(&'a str),
    /// A file is coming.
    Bytes {
        /// Its name.
        name: &'a str,
        /// Bytes that are there.
        have: u64,
        /// All of them, where that is known.
        total: Option<u64>,
    },
    /// An attempt failed, and there is another.
    Again {
        /// The file's name.
        name: &'a str,
        /// Why.
        why: &'a str,
        /// After this pause.
        pause: Duration,
    },
    /// A file is there and good.
    Good {
        /// What is known of it.
        file: &'a StoredFile,
    },
}

/// Who hears of it; called from several threads.
pub type Tell<'t> = &'t (dyn Fn(Event<'_>) + Sync);

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
    fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| AcquireError::File { path, source }
    }

    /// Whether it only says that another file's error ended this one's.
    fn is_echo(&self) -> bool {
        matches!(self, AcquireError::Fetch(FetchError::Stopped { .. }))
    }
}

/// Fetches `wanted` into `store`, unless it is there and undamaged.
///
/// # Errors
/// [`AcquireError`]; then nothing is in the store that was not verified.
pub fn acquire(
    wanted: &Wanted,
    store: &Store,
    patience: &Patience,
    now: SystemTime,
    tell: Tell<'_>,
) -> Result<Stored, AcquireError> {
    let release = published(wanted, patience, tell)?;
    tell(Event::Version(&release.version));
    let mut waiting = |progress: Progress<'_>| {
        if progress == Progress::Waiting {
            tell(Event::Waiting);
        }
    };
    let _using = store.using(&mut waiting)?;
    let architecture = wanted.architecture.name();
    let versions = store.versions(&wanted.entry.name, &wanted.channel, architecture);
    let lock = versions.lock(&mut waiting)?;
    let exact = Wanted {
        version: release.version.clone(),
        ..wanted.clone()
    };
    if let Some(stored) = store.find(&exact)
        && is_of(&stored, &release)
        && stored.damaged()?.is_empty()
    {
        stored.touch()?;
        return Ok(stored);
    }
    let files = fetch_all(wanted, &release, store, patience, tell)?;
    let record = Record {
        name: wanted.entry.name.clone(),
        label: wanted.label(),
        channel: wanted.channel.clone(),
        architecture: wanted.architecture,
        version: release.version,
        family: wanted.entry.family,
        kernel_options: wanted.entry.kernel_options.clone(),
        fetched_at: now
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs()),
        files: files.iter().map(|verified| verified.file.clone()).collect(),
    };
    Ok(store.install(&versions, &lock, record, &files)?)
}

/// Whether what is stored is what is published: a user may change a file's hash and keep the version.
fn is_of(stored: &Stored, release: &Release) -> bool {
    release.files.iter().all(|file| {
        stored.record.files.iter().any(|there| {
            let hash = file.digests.sha256.as_ref();
            there.name == file.name
                && there.from == file.location.to_string()
                && hash.is_none_or(|hash| *hash == there.sha256)
        })
    })
}

fn published(
    wanted: &Wanted,
    patience: &Patience,
    tell: Tell<'_>,
) -> Result<Release, AcquireError> {
    let url = match release::plan(wanted)? {
        Plan::Known(release) => return Ok(release),
        Plan::Ask(url) => url,
    };
    let client = Client::new(patience.clone())?;
    let text = client
        .short(&url, METADATA_LIMIT_BYTES, &mut |step| {
            pass_on(&url, &step, tell)
        })
        .map_err(|error| no_such_version(wanted, &wanted.version, error))?;
    Ok(release::read(
        wanted,
        &url,
        &String::from_utf8_lossy(&text),
    )?)
}

fn pass_on(name: &str, step: &Step<'_>, tell: Tell<'_>) {
    tell(match *step {
        Step::Bytes { have, total } => Event::Bytes { name, have, total },
        Step::Again { why, pause } => Event::Again { name, why, pause },
    });
}

fn no_such_version(wanted: &Wanted, version: &str, error: FetchError) -> AcquireError {
    if !error.is_not_found() {
        return AcquireError::Fetch(error);
    }
    AcquireError::NoSuchVersion {
        label: wanted.label(),
        version: version.to_owned(),
        source: error,
    }
}

/// All files, side by side. The first that fails ends the others.
fn fetch_all(
    wanted: &Wanted,
    release: &Release,
    store: &Store,
    patience: &Patience,
    tell: Tell<'_>,
) -> Result<Vec<Verified>, AcquireError> {
    let stop = AtomicBool::new(false);
    let results: Vec<Result<Verified, AcquireError>> = std::thread::scope(|scope| {
        let threads: Vec<_> = release
            .files
            .iter()
            .map(|file| {
                let one = One {
                    wanted,
                    release,
                    file,
                    store,
                    tell,
                    stop: &stop,
                };
                scope.spawn(move || {
                    let result = Client::new(patience.clone())
                        .map_err(AcquireError::from)
                        .and_then(|client| one.fetch(&client));
                    if result.is_err() {
                        one.stop.store(true, Ordering::Relaxed);
                    }
                    result
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| match thread.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    });
    let (good, mut errors): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    errors.sort_by_key(|error| error.as_ref().err().is_some_and(AcquireError::is_echo));
    match errors.into_iter().next() {
        Some(Err(error)) => Err(error),
        _ => good.into_iter().collect(),
    }
}

/// One file on its way.
struct One<'o> {
    wanted: &'o Wanted,
    release: &'o Release,
    file: &'o RemoteFile,
    store: &'o Store,
    tell: Tell<'o>,
    stop: &'o AtomicBool,
}

impl One<'_> {
    fn fetch(&self, client: &Client) -> Result<Verified, AcquireError> {
        // What is short comes first: without it the rest would be for nothing.
        let signature = self.signature(client)?;
        let listed = self.listed_digests(client)?;
        let from = self.file.location.to_string();
        if let Some(file) = self.reuse(&from, signature.as_deref(), &listed) {
            (self.tell)(Event::Good { file: &file });
            return Ok(Verified { file, signature });
        }
        let mut partial = Partial::open(&self.store.partial(), &from)?;
        match &self.file.location {
            Location::Url(url) => client
                .download(url, &mut partial, &mut |step| self.hear(&step))
                .map_err(|error| no_such_version(self.wanted, &self.release.version, error))?,
            Location::Path(path) => self.copy(path, &mut partial)?,
        }
        partial.sync()?;
        match self.verify(partial.path(), &from, signature.as_deref(), &listed) {
            Ok(file) => {
                self.store.insert(partial.path(), &file.sha256)?;
                partial.moved();
                (self.tell)(Event::Good { file: &file });
                Ok(Verified { file, signature })
            }
            Err(error) => {
                partial.discard();
                Err(error)
            }
        }
    }

    /// The file, if its hash is known and the store has it already, for another image or from a fetch that
    /// another file ended. It is verified all the same.
    fn reuse(
        &self,
        from: &str,
        signature: Option<&[u8]>,
        listed: &Option<digest::Listed>,
    ) -> Option<StoredFile> {
        let object = self.store.object(self.file.digests.sha256.as_deref()?);
        self.verify(&object, from, signature, listed).ok()
    }

    fn hear(&self, step: &Step<'_>) -> bool {
        pass_on(&self.file.name, step, self.tell);
        !self.stop.load(Ordering::Relaxed)
    }

    fn signature(&self, client: &Client) -> Result<Option<Vec<u8>>, AcquireError> {
        Ok(match &self.file.signature {
            None => None,
            Some(Location::Url(url)) => Some(
                client
                    .short(url, SIGNATURE_LIMIT_BYTES, &mut |step| {
                        self.hear(&step);
                    })
                    .map_err(|error| no_such_version(self.wanted, &self.release.version, error))?,
            ),
            Some(Location::Path(path)) => {
                Some(std::fs::read(path).map_err(AcquireError::file(path))?)
            }
        })
    }

    /// The hashes in the publisher's list, where there is one. It is no more than a help against damage: what
    /// makes the file trustworthy is its signature, which therefore has to be there.
    fn listed_digests(&self, client: &Client) -> Result<Option<digest::Listed>, AcquireError> {
        let Some(url) = &self.file.digests_url else {
            return Ok(None);
        };
        let Some(text) = client.short_if_there(url, METADATA_LIMIT_BYTES, &mut |step| {
            self.hear(&step);
        })?
        else {
            return Ok(None);
        };
        let digests = digest::parse_digests(&String::from_utf8_lossy(&text), &self.file.name);
        if digests.is_empty() {
            return Err(AcquireError::NoDigest {
                url: url.clone(),
                name: self.file.name.clone(),
            });
        }
        Ok(Some(digest::Listed {
            url: url.clone(),
            digests,
        }))
    }

    fn copy(&self, path: &Path, partial: &mut Partial) -> Result<(), AcquireError> {
        use std::io::Read;
        let error = || AcquireError::file(path);
        let mut file = std::fs::File::open(path).map_err(error())?;
        partial.restart(None)?;
        let mut buffer = vec![0; COPY_BYTES];
        loop {
            let read = file.read(&mut buffer).map_err(error())?;
            match buffer.get(..read) {
                Some(chunk) if !chunk.is_empty() => partial.append(chunk)?,
                _ => return Ok(()),
            }
        }
    }

    fn verify(
        &self,
        path: &Path,
        from: &str,
        signature: Option<&[u8]>,
        listed: &Option<digest::Listed>,
    ) -> Result<StoredFile, AcquireError> {
        let not_good = |why: NotGood| AcquireError::NotGood {
            from: from.to_owned(),
            why,
        };
        let hashes = digest::of_file(path).map_err(AcquireError::file(path))?;
        let known = &self.file.digests;
        digest::compare(&hashes, known, "what is published of it")
            .map_err(|why| not_good(why.into()))?;
        if let Some(listed) = listed {
            digest::compare(&hashes, &listed.digests, &listed.url)
                .map_err(|why| not_good(why.into()))?;
        }
        let signed_by = match (signature, &self.wanted.entry.key) {
            (Some(signature), Some(key)) => {
                let signed =
                    signature::check(path, signature, key).map_err(|why| not_good(why.into()))?;
                Some(SignedBy {
                    fingerprint: signed.fingerprint,
                    made_at: signed.made_at,
                    key_had_expired: signed.key_has_expired,
                })
            }
            // The catalog lets no file through that has neither.
            _ if !known.is_empty() => None,
            _ => {
                let none = SignatureError::Refused(signature::Refusal::None);
                return Err(not_good(none.into()));
            }
        };
        content::check(path, self.file.role)
            .map_err(AcquireError::file(path))?
            .map_err(|why| not_good(why.into()))?;
        Ok(StoredFile {
            role: self.file.role,
            name: self.file.name.clone(),
            size_bytes: hashes.size_bytes,
            sha256: hashes.sha256,
            from: from.to_owned(),
            digest_checked: !known.is_empty() || listed.is_some(),
            signed_by,
        })
    }
}

/// Verifies an image in the cache again: hashes, and signatures where `key` is known. A key that has expired
/// since then still counts for what it signed before.
///
/// # Errors
/// [`AcquireError`], the first file that is not good.
pub fn verify(stored: &Stored, key: Option<&SigningKey>) -> Result<(), AcquireError> {
    if let Some((name, why)) = stored.damaged()?.into_iter().next() {
        let path = stored.folder.join(name);
        let source = std::io::Error::new(std::io::ErrorKind::InvalidData, why);
        return Err(AcquireError::File { path, source });
    }
    for file in &stored.record.files {
        let (Some(signature), Some(key)) = (stored.signature(&file.name), key) else {
            continue;
        };
        let key = SigningKey {
            expired: ExpiredKey::IfSignedBefore,
            ..key.clone()
        };
        let path = stored.folder.join(&file.name);
        signature::check(&path, &signature, &key).map_err(|why| AcquireError::NotGood {
            from: path.display().to_string(),
            why: why.into(),
        })?;
    }
    Ok(())
}
