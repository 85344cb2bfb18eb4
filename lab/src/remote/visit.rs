//! A run on another host: where its files are there, and what the `lab` there is told of it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use images::catalog::Architecture;
use images::store::{Hold, StoreError, is_held};
use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};

use super::Host;
use crate::scenario::Fit;

/// Name of the file that a [`Visit`] is in.
const FILE: &str = "visit.json";

/// How long a visit may be on its way before it is taken for one that broke.
const ON_ITS_WAY: Duration = Duration::from_secs(3600);

/// What the `lab` there is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// The run's id, which is also the visit's.
    pub run_id: String,
    /// What its machines boot.
    pub image: GivenImage,
    /// Where its scenarios are on the host that it comes from.
    pub scenarios: PathBuf,
    /// It is interrupted when its input ends: nobody is there any more who would interrupt it.
    pub until_input_ends: bool,
    /// The file that it was read from.
    #[serde(skip)]
    pub file: PathBuf,
}

/// An image that was chosen on the other host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenImage {
    /// The folder with its files.
    pub folder: PathBuf,
    /// The processor it is for.
    pub architecture: Architecture,
    /// How a scenario has to be fitted to it.
    pub fit: Fit,
}

/// A lab that is up on another host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteLab {
    /// Which.
    pub host: Host,
    /// Where it is there.
    pub place: Place,
    /// Where its scenario is here.
    pub scenarios: PathBuf,
    /// Where its artifacts go here.
    pub artifacts: PathBuf,
}

/// Where a visit's files are, on the host that is visited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The folder of everything that was brought.
    pub base: String,
    /// Digest of the programs.
    pub programs: String,
    /// The visit's id.
    pub id: String,
}

impl Place {
    /// A shell's word for the folder of everything that is brought to a host.
    pub const BASE: &str = "\"${XDG_CACHE_HOME:-$HOME/.cache}/bootlab/remote\"";

    /// Below the base: what is brought once and stays.
    #[must_use]
    pub fn kept(kind: &str, digest: &str) -> String {
        format!("{kind}/{digest}")
    }

    /// The visit's folder.
    #[must_use]
    pub fn visit(&self) -> String {
        format!("{}/visits/{}", self.base, self.id)
    }

    /// `lab`.
    #[must_use]
    pub fn lab(&self) -> String {
        let programs = Place::kept("programs", &self.programs);
        format!("{}/{programs}/lab", self.base)
    }

    /// The file that says of the visit what it is.
    #[must_use]
    pub fn file(&self) -> String {
        format!("{}/{FILE}", self.visit())
    }
}

impl Visit {
    /// Reads what a `lab` was told, on the host that is visited.
    ///
    /// # Errors
    /// When there is no such file, or something else is in it.
    pub fn read(path: &Path) -> io::Result<Visit> {
        let visit: Visit = serde_json::from_slice(&fs::read(path)?)?;
        Ok(Visit {
            file: path.to_owned(),
            ..visit
        })
    }

    /// Says that somebody is there, as long as this process is or a cell that it starts; to be called before threads
    /// that start programs are.
    ///
    /// # Errors
    /// When the file is gone.
    pub fn begin(&self) -> Result<(), StoreError> {
        // Held until the kernel gives it back.
        std::mem::forget(Hold::of(&self.file)?);
        if self.until_input_ends {
            std::thread::spawn(|| {
                // Nothing is ever said; a broken input has ended as well.
                let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
                let _ = kill_process(getpid(), Signal::INT);
            });
        }
        Ok(())
    }
}

/// Removes visits that ended without being fetched, on the host that was visited, and what was brought once if nobody
/// is there. Returned is what there was.
///
/// # Errors
/// When something can't be removed.
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
