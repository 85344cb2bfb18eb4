//! Registry of persistent labs: one file per lab in the cache. Entries of dead labs are removed when they are
//! read.

use std::fs;
use std::path::{Path, PathBuf};

use images::store::{Hold, is_held};
use tempfile::TempPath;
use thiserror::Error;

use super::{HostScope, PersistentLab, PersistentNode};

/// Registry in a cache folder.
#[derive(Debug, Clone)]
pub struct Registry {
    folder: PathBuf,
}

/// Error of a look-up in the registry.
#[derive(Debug, Error)]
pub enum RegistryError {
    /// An entry cannot be read or written.
    #[error("{path}: {source}")]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// No lab is up.
    #[error("no lab is up; `lab up SCENARIO` starts one")]
    None,
    /// No lab has this name.
    #[error("unknown lab: `{name}` (labs: {known})")]
    Unknown {
        name: String,
        /// Known labs, joined by commas.
        known: String,
    },
    /// Several labs match.
    #[error("several labs are up; choose one with --lab (labs: {known})")]
    Several {
        /// Known labs, joined by commas.
        known: String,
    },
    /// No machine has this name.
    #[error("unknown machine: `{name}` (machines: {known})")]
    UnknownNode {
        name: String,
        /// Known machines, joined by commas.
        known: String,
    },
}

impl Registry {
    /// Opens the registry in this cache folder.
    #[must_use]
    pub fn new(cache: &Path) -> Registry {
        Registry {
            folder: cache.join("alive"),
        }
    }

    fn path(&self, alive: &PersistentLab) -> PathBuf {
        self.folder
            .join(format!("{}-{}.json", alive.run_id, alive.unit))
    }

    /// Locks an entry for a new lab; the lock lasts until the lab's last process has ended.
    ///
    /// # Errors
    /// [`RegistryError::File`].
    pub fn hold(&self) -> Result<Held, RegistryError> {
        let failed = |source| RegistryError::File {
            path: self.folder.clone(),
            source,
        };
        fs::create_dir_all(&self.folder).map_err(failed)?;
        let made = tempfile::Builder::new()
            .suffix(".lock")
            .tempfile_in(&self.folder)
            .map_err(failed)?;
        let hold = Hold::of(made.path()).map_err(|error| failed(std::io::Error::other(error)))?;
        Ok(Held {
            lock: made.into_temp_path(),
            hold,
        })
    }

    /// Adds a lab.
    ///
    /// # Errors
    /// [`RegistryError::File`].
    pub fn add(&self, alive: &PersistentLab) -> Result<(), RegistryError> {
        let path = self.path(alive);
        let failed = |source| RegistryError::File {
            path: path.clone(),
            source,
        };
        fs::create_dir_all(&self.folder).map_err(failed)?;
        let text = serde_json::to_string_pretty(alive).map_err(|error| failed(error.into()))?;
        // Written under a temporary name, so that an entry is never incomplete.
        let fresh = path.with_extension("fresh");
        fs::write(&fresh, text).map_err(failed)?;
        fs::rename(&fresh, &path).map_err(failed)
    }

    /// Removes a lab.
    pub fn remove(&self, alive: &PersistentLab) {
        // A file that cannot be removed is ignored later, because its lab is dead.
        let _ = fs::remove_file(self.path(alive));
        if let Some(lock) = &alive.lock {
            let _ = fs::remove_file(lock);
        }
    }

    /// Returns the labs that are up, oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<PersistentLab> {
        let own = HostScope::own();
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut all: Vec<PersistentLab> = entries
            .filter(|entry| entry.path().extension().is_some_and(|kind| kind == "json"))
            .filter_map(|entry| serde_json::from_slice(&fs::read(entry.path()).ok()?).ok())
            .filter(|alive: &PersistentLab| {
                let is_gone = match &alive.lock {
                    // Even a foreign entry is removed once its container, namespace or host boot is gone.
                    Some(lock) => !is_held(lock),
                    // Only the remote host knows the state of its lab.
                    None if alive.remote.is_some() => false,
                    None => alive.realm == own && !alive.is_there(),
                };
                if is_gone {
                    self.remove(alive);
                }
                // Processes in another container are out of reach.
                let is_in_reach = alive.remote.is_some() || alive.realm == own && alive.is_there();
                !is_gone && is_in_reach
            })
            .collect();
        all.sort_by(|one, other| (&one.since, &one.run_id).cmp(&(&other.since, &other.run_id)));
        all
    }

    /// Returns the lab with this run id or name, or the only lab.
    ///
    /// # Errors
    /// [`RegistryError`] if no lab or several labs match.
    pub fn find(&self, wanted: Option<&str>) -> Result<PersistentLab, RegistryError> {
        let all = self.all();
        if all.is_empty() {
            return Err(RegistryError::None);
        }
        let known = names(&all);
        let mut fitting: Vec<PersistentLab> = match wanted {
            None => all,
            Some(name) => all
                .into_iter()
                .filter(|alive| alive.is_called(name))
                .collect(),
        };
        match (fitting.len(), wanted) {
            (1, _) => Ok(fitting.remove(0)),
            (0, Some(name)) => Err(RegistryError::Unknown {
                name: name.to_owned(),
                known,
            }),
            _ => Err(RegistryError::Several { known }),
        }
    }

    /// Returns a machine by name, in the lab with this run id or name, or in any lab.
    ///
    /// # Errors
    /// [`RegistryError`] if no machine or several machines match.
    pub fn node(
        &self,
        lab: Option<&str>,
        name: &str,
    ) -> Result<(PersistentLab, PersistentNode), RegistryError> {
        let all = match lab {
            Some(_) => vec![self.find(lab)?],
            None => self.all(),
        };
        if all.is_empty() {
            return Err(RegistryError::None);
        }
        let mut fitting: Vec<(PersistentLab, PersistentNode)> = all
            .iter()
            .filter_map(|alive| Some((alive.clone(), alive.node(name)?.clone())))
            .collect();
        match fitting.len() {
            1 => Ok(fitting.remove(0)),
            0 => {
                let nodes = all.iter().flat_map(|alive| &alive.nodes);
                let known: Vec<&str> = nodes.map(|node| node.name.as_str()).collect();
                Err(RegistryError::UnknownNode {
                    name: name.to_owned(),
                    known: known.join(", "),
                })
            }
            _ => {
                let labs: Vec<PersistentLab> =
                    fitting.into_iter().map(|(alive, _)| alive).collect();
                Err(RegistryError::Several {
                    known: names(&labs),
                })
            }
        }
    }
}

/// Lock of a lab that is being created. Dropping it removes the lock file.
#[derive(Debug)]
pub struct Held {
    lock: TempPath,
    hold: Hold,
}

impl Held {
    /// Returns the path of the lock file.
    #[must_use]
    pub fn lock(&self) -> &Path {
        &self.lock
    }

    /// Ties the lock file to the lab's registry entry.
    ///
    /// # Errors
    /// [`RegistryError::File`].
    pub fn noted(self) -> Result<Hold, RegistryError> {
        let path = self.lock.to_path_buf();
        self.lock.keep().map_err(|error| RegistryError::File {
            path,
            source: error.error,
        })?;
        Ok(self.hold)
    }
}

impl PersistentLab {
    /// True if `name` is the lab's run id, unit or scenario.
    fn is_called(&self, name: &str) -> bool {
        let scenario = self.unit.split('@').next().unwrap_or_default();
        [self.run_id.as_str(), self.unit.as_str(), scenario].contains(&name)
    }
}

fn names(labs: &[PersistentLab]) -> String {
    let names: Vec<String> = labs
        .iter()
        .map(|alive| format!("{} ({})", alive.run_id, alive.unit))
        .collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::tests::alive;
    use super::*;

    fn registry(labs: &[PersistentLab]) -> (tempfile::TempDir, Registry) {
        let cache = tempfile::tempdir().unwrap();
        let registry = Registry::new(cache.path());
        for lab in labs {
            registry.add(lab).unwrap();
        }
        (cache, registry)
    }

    #[test]
    fn the_only_lab_need_not_be_named() {
        let one = alive("4f2a11", &["node1", "node2"]);
        let (_cache, registry) = registry(std::slice::from_ref(&one));
        for name in [
            None,
            Some("4f2a11"),
            Some("ipxe-chainload"),
            Some("ipxe-chainload@bios"),
        ] {
            assert_eq!(registry.find(name).unwrap(), one, "{name:?}");
        }
        assert_eq!(registry.node(None, "node2").unwrap().1.name, "node2");
    }

    #[test]
    fn of_several_one_has_to_be_named() {
        let (_cache, registry) = registry(&[
            alive("aaaaaa", &["node1"]),
            alive("bbbbbb", &["node1", "node9"]),
        ]);
        let said = |error: RegistryError| error.to_string();
        assert!(said(registry.find(None).unwrap_err()).contains("aaaaaa"));
        assert!(said(registry.node(None, "node1").unwrap_err()).contains("--lab"));
        assert_eq!(
            registry.node(Some("bbbbbb"), "node1").unwrap().0.run_id,
            "bbbbbb"
        );
        assert_eq!(registry.node(None, "node9").unwrap().0.run_id, "bbbbbb");
        let unknown = said(registry.node(Some("aaaaaa"), "node9").unwrap_err());
        assert!(
            unknown.contains("`node9`") && unknown.contains("node1"),
            "{unknown}"
        );
        assert!(said(registry.find(Some("x")).unwrap_err()).contains("bbbbbb"));
    }

    #[test]
    fn a_lab_of_another_container_is_left_alone() {
        let own = alive("dddddd", &["node1"]);
        let text = serde_json::to_string(&HostScope::own()).unwrap();
        let other: HostScope = serde_json::from_str(&text.replace("pid:[", "pid:[9")).unwrap();
        let elsewhere = PersistentLab {
            realm: other,
            // Nobody here was born then.
            born_ticks: 0,
            ..own
        };
        let (_cache, registry) = registry(std::slice::from_ref(&elsewhere));
        assert!(registry.all().is_empty());
        assert!(registry.path(&elsewhere).exists());
    }

    #[test]
    fn what_ended_with_its_namespace_or_its_host_is_forgotten_wherever_one_looks_from() {
        let cache = tempfile::tempdir().unwrap();
        let registry = Registry::new(cache.path());
        let held = registry.hold().unwrap();
        let text = serde_json::to_string(&HostScope::own()).unwrap();
        let elsewhere = PersistentLab {
            realm: serde_json::from_str(&text.replace("boot\":\"", "boot\":\"before-")).unwrap(),
            lock: Some(held.lock().to_owned()),
            ..alive("eeeeee", &["node1"])
        };
        registry.add(&elsewhere).unwrap();
        let held = held.noted().unwrap();
        assert!(registry.all().is_empty());
        assert!(registry.path(&elsewhere).exists() && elsewhere.lock.as_ref().unwrap().exists());
        // A process that was started meanwhile holds it, as a cell does.
        let mut cell = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        drop(held);
        assert!(registry.all().is_empty());
        assert!(registry.path(&elsewhere).exists());
        cell.kill().unwrap();
        cell.wait().unwrap();
        assert!(registry.all().is_empty());
        assert_eq!(fs::read_dir(cache.path().join("alive")).unwrap().count(), 0);
    }

    #[test]
    fn a_lab_that_is_gone_is_forgotten() {
        let gone = PersistentLab {
            born_ticks: 0,
            ..alive("cccccc", &["node1"])
        };
        let (_cache, registry) = registry(std::slice::from_ref(&gone));
        assert!(registry.path(&gone).exists());
        assert!(registry.all().is_empty());
        assert!(!registry.path(&gone).exists());
        assert!(matches!(registry.find(None), Err(RegistryError::None)));
    }
}
