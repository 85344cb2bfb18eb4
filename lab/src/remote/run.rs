//! Remote runs: their files on the other host, and the parameters passed to the `lab` there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use images::catalog::Architecture;
use images::store::{Hold, StoreError, is_held};
use lab_model::scenario::Fit;
use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};

use super::Host;

/// Name of the file that stores a [`RemoteRun`].
const FILE: &str = "visit.json";

/// Age after which an unstarted remote run counts as abandoned.
const ON_ITS_WAY: Duration = Duration::from_secs(3600);

/// Parameters of a remote run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteRun {
    /// Run id, which is also the name of its folder.
    pub run_id: String,
    /// Image to boot.
    pub image: GivenImage,
    /// Folder of the scenarios on the originating host.
    pub scenarios: PathBuf,
    /// True to interrupt the run when its standard input ends, as when the connection is lost.
    pub until_input_ends: bool,
    /// File that the parameters were read from.
    #[serde(skip)]
    pub file: PathBuf,
}

/// Image chosen on the originating host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenImage {
    /// Folder of the image's files.
    pub folder: PathBuf,
    pub architecture: Architecture,
    /// Changes that a scenario needs for the image.
    pub fit: Fit,
}

/// Persistent lab on another host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteLab {
    pub host: Host,
    /// Location of its files there.
    pub place: Place,
    /// Local folder of the scenario.
    pub scenarios: PathBuf,
    /// Local folder for the artifacts.
    pub artifacts: PathBuf,
}

/// Location of a remote run's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Base folder of all uploads.
    pub base: String,
    /// Digest of the programs.
    pub programs: String,
    /// Run id, which is also the name of its folder.
    pub id: String,
}

impl Place {
    /// Shell expression of the base folder of all uploads.
    pub const BASE: &str = "\"${XDG_CACHE_HOME:-$HOME/.cache}/bootlab/remote\"";

    /// Returns the path, below the base, of a bundle that is kept.
    #[must_use]
    pub fn kept(kind: &str, digest: &str) -> String {
        format!("{kind}/{digest}")
    }

    /// Returns the folder of the run.
    #[must_use]
    pub fn visit(&self) -> String {
        format!("{}/visits/{}", self.base, self.id)
    }

    /// Returns the path of `lab`.
    #[must_use]
    pub fn lab(&self) -> String {
        let programs = Place::kept("programs", &self.programs);
        format!("{}/{programs}/lab", self.base)
    }

    /// Returns the path of the parameters' file.
    #[must_use]
    pub fn file(&self) -> String {
        format!("{}/{FILE}", self.visit())
    }
}

impl RemoteRun {
    /// Reads the parameters on the remote host.
    ///
    /// # Errors
    /// Fails if the file is missing or invalid.
    pub fn read(path: &Path) -> io::Result<RemoteRun> {
        let visit: RemoteRun = serde_json::from_slice(&fs::read(path)?)?;
        Ok(RemoteRun {
            file: path.to_owned(),
            ..visit
        })
    }

    /// Marks the run as in use while this process or one of its cells lives. Must be called before threads that
    /// start programs.
    ///
    /// Fails if the file is missing.
    pub fn begin(&self) -> Result<(), StoreError> {
        // Held until the process ends.
        std::mem::forget(Hold::of(&self.file)?);
        if self.until_input_ends {
            std::thread::spawn(|| {
                // The input carries no data; a read error counts as its end.
                let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
                let _ = kill_process(getpid(), Signal::INT);
            });
        }
        Ok(())
    }
}

/// Removes runs that ended without being fetched, and all uploads if no run is in use. Returns the removed
/// paths.
///
/// Fails if a file cannot be removed.
pub fn remove_dead(cache: &Path) -> io::Result<Vec<String>> {
    let base = cache.join("remote");
    let mut removed = Vec::new();
    let mut is_visited = false;
    for entry in fs::read_dir(base.join("visits")).into_iter().flatten() {
        let visit = entry?.path();
        let file = visit.join(FILE);
        let is_there = match file.exists() {
            true => is_held(&file),
            false => is_young(&visit),
        };
        if is_there {
            is_visited = true;
            continue;
        }
        fs::remove_dir_all(&visit)?;
        removed.push(format!("visit {}", visit.display()));
    }
    if !is_visited && base.exists() {
        fs::remove_dir_all(&base)?;
        removed.push(format!("folder {}", base.display()));
    }
    Ok(removed)
}

fn is_young(path: &Path) -> bool {
    let age = fs::metadata(path)
        .and_then(|meta| meta.modified())
        .map(|made| SystemTime::now().duration_since(made).unwrap_or_default());
    age.is_ok_and(|age| age < ON_ITS_WAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visit_that_nobody_holds_is_removed_and_with_the_last_one_what_it_needed() {
        let cache = tempfile::tempdir().unwrap();
        assert_eq!(remove_dead(cache.path()).unwrap(), Vec::<String>::new());
        let base = cache.path().join("remote");
        let visit = |id: &str| base.join("visits").join(id);
        for folder in [
            "programs/x",
            "visits/aaaaaa",
            "visits/bbbbbb",
            "visits/cccccc",
        ] {
            fs::create_dir_all(base.join(folder)).unwrap();
        }
        for id in ["aaaaaa", "bbbbbb"] {
            fs::write(visit(id).join(FILE), "{}").unwrap();
        }
        let held = Hold::of(&visit("aaaaaa").join(FILE)).unwrap();
        // The third one is on its way.
        let removed = remove_dead(cache.path()).unwrap();
        assert_eq!(removed, [format!("visit {}", visit("bbbbbb").display())]);
        assert!(
            visit("aaaaaa").exists()
                && visit("cccccc").exists()
                && base.join("programs/x").exists()
        );
        drop(held);
        fs::remove_dir(visit("cccccc")).unwrap();
        let removed = remove_dead(cache.path()).unwrap();
        assert_eq!(removed.len(), 2, "{removed:?}");
        assert!(!base.exists());
    }
}
