//! Fetch of one image from its publisher into the cache: the release is resolved, its files are fetched side by
//! side, each is verified, and only then stored.

mod error;
mod one;
mod package;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::Progress;
use crate::catalog::Wanted;
use crate::catalog::model::{ExpiredKey, SigningKey, Source};
use crate::fetch::{Client, FetchError, Patience, Step};
use crate::release::{self, Plan, Release};
use crate::store::{Record, Store, Stored, StoredFile, Verified};
use crate::verify::signature;
pub use error::{AcquireError, NotGood};
use one::One;

/// No metadata are longer, in bytes; Fedora CoreOS's are below 100 KB.
const METADATA_LIMIT_BYTES: usize = 8 << 20;

/// Progress of an acquisition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// Another process fetches the same, or clears the cache.
    Waiting,
    /// The package that has the image is fetched.
    Package(&'a str),
    /// The version that will be fetched.
    Version(&'a str),
    /// A file is coming.
    Bytes {
        /// Name of the file.
        name: &'a str,
        /// Number of bytes received.
        have: u64,
        /// All of them, where that is known.
        total: Option<u64>,
    },
    /// An attempt failed, and there is another.
    Again {
        /// The file's name.
        name: &'a str,
        /// Reason for the refusal, in one sentence.
        why: &'a str,
        /// After this pause.
        pause: Duration,
    },
    /// A file is complete and verified.
    Good {
        /// Verified properties of the file.
        file: &'a StoredFile,
    },
}

/// Receiver of progress events; called from several threads.
pub type Tell<'t> = &'t (dyn Fn(Event<'_>) + Sync);

/// Fetches `wanted` into `store`, unless the store has it undamaged.
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
    if let Source::Package(source) = &wanted.entry.source {
        return package::acquire(wanted, source, store, now, tell);
    }
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
    let record = record(wanted, release.version, now, &files);
    Ok(store.install(&versions, &lock, record, &files)?)
}

fn record(wanted: &Wanted, version: String, now: SystemTime, files: &[Verified]) -> Record {
    Record {
        name: wanted.entry.name.clone(),
        label: wanted.label(),
        channel: wanted.channel.clone(),
        architecture: wanted.architecture,
        version,
        family: wanted.entry.family,
        kernel_options: wanted.entry.kernel_options.clone(),
        fetched_at: now
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs()),
        files: files.iter().map(|verified| verified.file.clone()).collect(),
    }
}

/// True if the stored files are the published ones: a user may change a file's hash and keep the version.
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

/// Fetches all files concurrently. The first failure ends the others.
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
