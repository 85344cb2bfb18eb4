//! `lab images fetch`: downloads an image into the cache, with progress on standard error and the image's folder
//! on standard output.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write, stderr};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use images::PackageError;
use images::acquire::{AcquireError, Event, acquire};
use images::fetch::Patience;
use images::store::StoredFile;
use lab_report::exit_code::ExitCode;

use super::{Failure, FetchArguments, catalog, find, store};
use crate::cli::Folders;

/// Minimum interval between progress updates.
const REDRAW: Duration = Duration::from_millis(200);

pub(super) fn run(folders: &Folders, arguments: &FetchArguments) -> Result<(), Failure> {
    let mut catalog = catalog(folders)?;
    if let Some(mirror) = &arguments.mirror {
        catalog.set_mirror(&arguments.image.name, mirror);
    }
    let wanted = find(&catalog, &arguments.image)?;
    let show = Mutex::new(Show::new(stderr().is_terminal()));
    let tell = |event: Event<'_>| {
        // Errors of the display do not affect the download.
        if let Ok(mut show) = show.lock() {
            show.take(&event);
        }
    };
    let store = store(folders)?;
    let fetched = acquire(
        &wanted,
        &store,
        &Patience::default(),
        SystemTime::now(),
        &tell,
    );
    if let Ok(mut show) = show.lock() {
        show.end();
    }
    let stored = fetched.map_err(|error| Failure::new(code(&error), error))?;
    let (label, version) = (&stored.record.label, &stored.record.version);
    eprintln!("{label} {version} is already in the cache.");
    println!("{}", stored.folder.display());
    Ok(())
}

/// Returns the exit code: invalid request, bad publication and network failure differ.
fn code(error: &AcquireError) -> ExitCode {
    match error {
        AcquireError::Release(_) | AcquireError::NoSuchVersion { .. } => ExitCode::InvalidInput,
        AcquireError::NotGood { .. } | AcquireError::NoDigest { .. } => ExitCode::Failed,
        AcquireError::Fetch(_) => ExitCode::SetUpFailed,
        AcquireError::Package(error) => match error {
            PackageError::NoApt | PackageError::NoKeyring => ExitCode::HostUnsupported,
            PackageError::Lists { .. } | PackageError::Download { .. } => ExitCode::SetUpFailed,
            PackageError::NotFound { .. } | PackageError::NoVersion { .. } => {
                ExitCode::InvalidInput
            }
            PackageError::Unpack { .. } | PackageError::NoFile { .. } => ExitCode::Failed,
        },
        AcquireError::File { .. } | AcquireError::Store(_) | AcquireError::Image(_) => {
            ExitCode::Internal
        }
    }
}

/// Progress display: redrawn in place on a terminal, otherwise one line per finished file.
struct Show {
    in_place: bool,
    /// Bytes received and total size, by file.
    files: BTreeMap<String, (u64, Option<u64>)>,
    drawn: Option<Instant>,
}

impl Show {
    fn new(in_place: bool) -> Show {
        Show {
            in_place,
            files: BTreeMap::new(),
            drawn: None,
        }
    }

    fn take(&mut self, event: &Event<'_>) {
        match *event {
            Event::Waiting => self.say("Waiting: another process uses the image cache."),
            Event::Package(name) => self.say(&format!("Package {name}.")),
            Event::Version(version) => self.say(&format!("Version {version}.")),
            Event::Bytes { name, have, total } => {
                self.files.insert(name.to_owned(), (have, total));
                self.draw();
            }
            Event::Again { name, why, pause } => {
                self.say(&format!(
                    "{name}: {why}; retrying in {} s.",
                    pause.as_secs_f32()
                ));
            }
            Event::Good { file } => self.say(&good(file)),
        }
    }

    fn say(&mut self, line: &str) {
        self.end();
        eprintln!("{line}");
    }

    fn draw(&mut self) {
        let due = self.drawn.is_none_or(|drawn| drawn.elapsed() >= REDRAW);
        if self.in_place && due {
            eprint!("\r\x1b[K{}", sum(&self.files));
            let _ = stderr().flush();
            self.drawn = Some(Instant::now());
        }
    }

    /// Clears the line drawn in place.
    fn end(&mut self) {
        if self.drawn.take().is_some() {
            eprint!("\r\x1b[K");
        }
    }
}

fn sum(files: &BTreeMap<String, (u64, Option<u64>)>) -> String {
    let have: u64 = files.values().map(|(have, _)| have).sum();
    let total: Option<u64> = files.values().map(|(_, total)| *total).sum();
    let mib = |bytes: u64| bytes / (1 << 20);
    match total {
        Some(total) if total > 0 => format!(
            "{} of {} MiB, {} %",
            mib(have),
            mib(total),
            have.saturating_mul(100) / total
        ),
        _ => format!("{} MiB", mib(have)),
    }
}

/// Describes how a file was verified.
pub(super) fn good(file: &StoredFile) -> String {
    let mut by = Vec::new();
    if let Some(signed) = &file.signed_by {
        let expired = if signed.key_had_expired {
            ", with a key that has expired since"
        } else {
            ""
        };
        by.push(format!("signed by {}{expired}", signed.fingerprint));
    }
    if file.is_packaged {
        by.push("package verified by apt with Debian's keys".into());
    }
    if file.digest_checked {
        by.push("published hash matches".into());
    }
    format!("{}: {}", file.name, by.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_of_all_files_together() {
        let mib = 1 << 20;
        let mut files = BTreeMap::new();
        files.insert("kernel".into(), (10 * mib, Some(20 * mib)));
        files.insert("initrd".into(), (40 * mib, Some(80 * mib)));
        assert_eq!(sum(&files), "50 of 100 MiB, 50 %");
        files.insert("rootfs".into(), (mib, None));
        assert_eq!(sum(&files), "51 MiB");
    }
}
