//! One package of a Debian release: fetched with a private configuration of apt, which checks Debian's signatures and
//! changes nothing on the host, and unpacked into a folder, not installed.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::catalog::DebianRelease;
use crate::{ImageError, Progress, run};

/// Script that fetches and unpacks a package.
const SCRIPT: &str = include_str!("packages.sh");

/// Argument of the script that stands for none.
const NONE: &str = "-";

/// Package to fetch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Package<'p> {
    pub(crate) release: DebianRelease,
    pub(crate) name: &'p str,
    /// Version [default: the newest].
    pub(crate) version: Option<&'p str>,
    /// Archive that replaces Debian's.
    pub(crate) mirror: Option<&'p str>,
    /// Versions that are not fetched.
    pub(crate) known: &'p [String],
}

/// Reasons that a package is not available.
#[derive(Debug, Error)]
pub enum PackageError {
    /// The host has no apt.
    #[error(
        "missing programs: apt-get, apt-cache, dpkg-deb (the image is in a Debian package; fetch it on Debian or Ubuntu)"
    )]
    NoApt,
    /// The host has no keys of the archive.
    #[error(
        "missing keys: /usr/share/keyrings/debian-archive-keyring.gpg (install the package debian-archive-keyring)"
    )]
    NoKeyring,
    /// The lists of packages cannot be fetched, or are not signed by Debian.
    #[error("cannot fetch the package lists of Debian {codename}: {reason} (log: {log})")]
    Lists {
        codename: &'static str,
        /// Message of apt.
        reason: String,
        log: PathBuf,
    },
    /// The release has no such package.
    #[error("package not found in Debian {codename}: {name}")]
    NotFound {
        codename: &'static str,
        name: String,
    },
    /// The release has another version.
    #[error("version not found in Debian {codename}: {version} of {name}")]
    NoVersion {
        codename: &'static str,
        name: String,
        version: String,
    },
    /// The package cannot be fetched.
    #[error("cannot fetch the package {name}: {reason} (log: {log})")]
    Download {
        name: String,
        /// Message of apt.
        reason: String,
        log: PathBuf,
    },
    /// The package cannot be unpacked.
    #[error("cannot unpack the package {name}: {reason} (log: {log})")]
    Unpack {
        name: String,
        /// Message of dpkg-deb.
        reason: String,
        log: PathBuf,
    },
    /// The package has no such file.
    #[error("file not found in the package {name}: {file}")]
    NoFile { name: String, file: PathBuf },
}

/// Fetches `package` and unpacks it into `folder`, which is empty; returns its version. Output goes to `log`.
///
/// # Errors
/// [`ImageError::Package`] if the package cannot be fetched; other errors concern files of this host.
pub(crate) fn fetch(
    package: Package<'_>,
    folder: &Path,
    log: &Path,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<String, ImageError> {
    let script = folder.join("packages.sh");
    std::fs::write(&script, SCRIPT).map_err(ImageError::file(&script))?;
    let mut arguments = vec![
        folder.as_os_str(),
        OsStr::new(package.release.codename()),
        OsStr::new(package.name),
        OsStr::new(package.version.unwrap_or(NONE)),
        OsStr::new(package.mirror.unwrap_or(NONE)),
    ];
    arguments.extend(package.known.iter().map(OsStr::new));
    run::script("fetch a package", &script, &arguments, log, progress)
        .map_err(|error| explained(error, package))?;
    let control = folder.join("control");
    let text = std::fs::read_to_string(&control).map_err(ImageError::file(&control))?;
    let version = text.lines().find_map(|line| line.strip_prefix("Version: "));
    let none = || std::io::Error::other("no version");
    let version = version.ok_or_else(|| ImageError::file(&control)(none()))?;
    Ok(version.to_owned())
}

/// Returns the error that an exit code of the script stands for.
fn explained(error: ImageError, package: Package<'_>) -> ImageError {
    let ImageError::Step {
        status, tail, log, ..
    } = &error
    else {
        return error;
    };
    let codename = package.release.codename();
    let (name, log, reason) = (package.name.to_owned(), log.clone(), reason(tail));
    ImageError::Package(match status.code() {
        Some(10) => PackageError::NoApt,
        Some(11) => PackageError::NoKeyring,
        Some(12) => PackageError::Lists {
            codename,
            reason,
            log,
        },
        Some(13) => PackageError::NotFound { codename, name },
        Some(14) => PackageError::NoVersion {
            codename,
            name,
            version: package.version.unwrap_or(NONE).to_owned(),
        },
        Some(15) => PackageError::Download { name, reason, log },
        Some(16) => PackageError::Unpack { name, reason, log },
        _ => return error,
    })
}

/// Returns the first error of apt in the last lines of its output, else the last line.
fn reason(tail: &str) -> String {
    let error = tail.lines().find_map(|line| line.strip_prefix("E: "));
    let last = || tail.lines().last().unwrap_or_default();
    error.unwrap_or_else(last).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetched(package: Package<'_>) -> Result<String, ImageError> {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let unpacked = folder.path().join("package");
        std::fs::create_dir(&unpacked).unwrap();
        fetch(package, &unpacked, &log, &mut |_| {})
    }

    #[test]
    fn fetch_without_a_network_names_the_archive_or_what_the_host_lacks() {
        // Nothing listens on port 1 (tcpmux).
        let package = Package {
            release: DebianRelease::Bookworm,
            name: "shim-signed",
            version: None,
            mirror: Some("http://127.0.0.1:1/debian"),
            known: &[],
        };
        let Err(ImageError::Package(error)) = fetched(package) else {
            panic!("fetched from port 1");
        };
        match error {
            PackageError::Lists { reason, .. } => {
                assert!(reason.contains("http://127.0.0.1:1/debian"), "{reason}");
            }
            PackageError::NoApt => assert!(!Path::new("/usr/bin/apt-get").exists()),
            PackageError::NoKeyring => {
                let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
                assert!(!Path::new(keyring).exists());
            }
            other => panic!("{other}"),
        }
    }

    #[test]
    fn explained_each_exit_code_has_its_error() {
        use std::os::unix::process::ExitStatusExt;
        let package = Package {
            release: DebianRelease::Trixie,
            name: "a",
            version: Some("1"),
            mirror: None,
            known: &[],
        };
        let said = |code: i32| {
            let step = ImageError::Step {
                step: "fetch a package".into(),
                status: std::process::ExitStatus::from_raw(code << 8),
                tail: "Err:1 x\nE: Failed to fetch x\nE: Some".into(),
                log: "/c/log".into(),
            };
            explained(step, package).to_string()
        };
        for (code, text) in [
            (
                12,
                "cannot fetch the package lists of Debian trixie: Failed to fetch x (log: /c/log)",
            ),
            (13, "package not found in Debian trixie: a"),
            (14, "version not found in Debian trixie: 1 of a"),
            (
                15,
                "cannot fetch the package a: Failed to fetch x (log: /c/log)",
            ),
        ] {
            assert_eq!(said(code), text);
        }
        for code in 10..=16 {
            assert!(SCRIPT.contains(&format!("exit {code}")), "{code}");
            assert!(!said(code).contains("fetch a package"), "{code}");
        }
        assert!(said(1).contains("fetch a package"));
    }
}
