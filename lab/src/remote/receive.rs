//! Artifacts from another host: unpacked into a temporary folder, checked, then renamed into place.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use lab_model::untrusted::tree::{Limits, Tree};
use lab_model::untrusted::{Folder, Kind, Refused};
use rustix::process::getpid;
use tempfile::TempDir;
use thiserror::Error;

/// Link to the newest run.
const LATEST: &str = "latest";

/// Reason why artifacts are rejected.
#[derive(Debug, Error)]
#[error("{path}: {source}")]
pub struct ReceiveError {
    /// File or folder at fault.
    pub path: String,
    #[source]
    pub source: io::Error,
}

/// Temporary folder of artifacts in transfer.
#[derive(Debug)]
pub struct Received {
    fresh: TempDir,
}

impl Received {
    /// Creates a temporary folder next to the runs in `artifacts`, which is created as well.
    ///
    /// # Errors
    /// Fails if a folder cannot be created.
    pub fn beside(artifacts: &Path) -> Result<Received, ReceiveError> {
        fs::create_dir_all(artifacts).map_err(at(artifacts))?;
        let fresh = tempfile::Builder::new()
            .prefix(".fetched-")
            .tempdir_in(artifacts)
            .map_err(at(artifacts))?;
        Ok(Received { fresh })
    }

    /// Returns the command that unpacks a compressed tar archive there, without owners and set-uid bits.
    #[must_use]
    pub fn tar(&self) -> Command {
        let mut tar = Command::new("tar");
        tar.args(["--extract", "--gzip", "--no-same-owner"])
            .args(["--no-same-permissions", "--file=-", "--directory"])
            .arg(self.fresh.path());
        tar
    }

    /// Moves each run into `artifacts`; a run of the same name is replaced.
    ///
    /// # Errors
    /// Rejects links, special files and oversized contents before any run is moved.
    pub fn name(self, artifacts: &Path) -> Result<(), ReceiveError> {
        let folder = Folder::open(self.fresh.path()).map_err(at(self.fresh.path()))?;
        let entries = folder.entries().map_err(at(folder.path()))?;
        let is_latest = |kind, name: &std::ffi::OsStr| kind == Kind::Link && name == LATEST;
        let mut runs = Vec::new();
        let mut left = Limits::ARTIFACTS;
        for entry in &entries {
            let path = self.fresh.path().join(&entry.name);
            match entry.kind {
                Kind::Folder => {
                    let tree = Tree::survey(&path, left, |_| false);
                    let tree = tree.map_err(|error| at(&error.path)(error.source))?;
                    left.count = left.count.saturating_sub(tree.found.len());
                    runs.push(&entry.name);
                }
                Kind::File => {}
                kind if is_latest(kind, &entry.name) => {}
                Kind::Link => return Err(at(&path)(Refused::Link.into())),
                Kind::Special(kind) => return Err(at(&path)(Refused::Special(kind).into())),
            }
        }
        for run in &runs {
            let (from, to) = (self.fresh.path().join(run), artifacts.join(run));
            if fs::symlink_metadata(&to).is_ok_and(|there| there.is_dir()) {
                fs::remove_dir_all(&to).map_err(at(&to))?;
            }
            fs::rename(&from, &to).map_err(at(&to))?;
        }
        // Names of runs begin with their time.
        let Some(last) = runs.last() else {
            return Ok(());
        };
        let fresh = artifacts.join(format!(".{LATEST}-{}", getpid().as_raw_nonzero()));
        let latest = artifacts.join(LATEST);
        std::os::unix::fs::symlink(last, &fresh)
            .and_then(|()| fs::rename(&fresh, &latest))
            .map_err(at(&latest))
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> ReceiveError {
    let path = path.display().to_string();
    move |source| ReceiveError {
        path: path.clone(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::process::Stdio;

    use super::*;

    /// Receives what is in `theirs`, as a tape archive.
    fn receive(theirs: &Path, artifacts: &Path) -> Result<(), ReceiveError> {
        let received = Received::beside(artifacts).unwrap();
        let mut packed = Command::new("tar");
        packed.args(["-czpf", "-", "-C"]).arg(theirs).arg(".");
        let mut packed = packed.stdout(Stdio::piped()).spawn().unwrap();
        let pipe = packed.stdout.take().unwrap();
        assert!(received.tar().stdin(pipe).status().unwrap().success());
        assert!(packed.wait().unwrap().success());
        received.name(artifacts)
    }

    fn run(theirs: &Path) -> std::path::PathBuf {
        let attempt = theirs.join("20260101-120000-4f2a11/a@bios/attempt-1");
        fs::create_dir_all(&attempt).unwrap();
        fs::write(attempt.join("verdict.json"), "{}").unwrap();
        attempt
    }

    #[test]
    fn received_run_has_its_name_and_no_set_uid_bits() {
        let dir = tempfile::tempdir().unwrap();
        let (theirs, artifacts) = (dir.path().join("theirs"), dir.path().join("runs"));
        let verdict = run(&theirs).join("verdict.json");
        fs::set_permissions(&verdict, fs::Permissions::from_mode(0o6755)).unwrap();
        symlink("20260101-120000-4f2a11", theirs.join("latest")).unwrap();
        receive(&theirs, &artifacts).unwrap();
        let file = artifacts.join("latest/a@bios/attempt-1/verdict.json");
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o7000,
            0
        );
        assert_eq!(fs::read_dir(&artifacts).unwrap().count(), 2);
    }

    #[test]
    fn received_links_and_special_files_are_refused_and_nothing_is_named() {
        for broken in ["link", "run link", "fifo"] {
            let dir = tempfile::tempdir().unwrap();
            let (theirs, artifacts) = (dir.path().join("theirs"), dir.path().join("runs"));
            let attempt = run(&theirs);
            match broken {
                "link" => symlink("/etc/passwd", attempt.join("x")).unwrap(),
                "run link" => symlink("/etc", theirs.join("20260102-120000-4f2a12")).unwrap(),
                _ => rustix::fs::mknodat(
                    rustix::fs::CWD,
                    attempt.join("x"),
                    rustix::fs::FileType::Fifo,
                    rustix::fs::Mode::RUSR,
                    0,
                )
                .unwrap(),
            }
            let error = receive(&theirs, &artifacts).unwrap_err().to_string();
            assert!(error.contains("refused"), "{broken}: {error}");
            assert_eq!(fs::read_dir(&artifacts).unwrap().count(), 0, "{broken}");
        }
    }
}
