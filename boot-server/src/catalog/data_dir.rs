//! An open data directory: which group, spec and configs a machine gets.
//!
//! Specs and configs are read for each request, as the reference reads them, so that an edit counts
//! at once. The groups file is read again when it changed; while it is broken, the last good groups
//! stay in force.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::bootcfg::groups_file;
use super::bootcfg::spec::{self, Spec};
use super::check;
use super::ignition::{self, Language};
use super::matching::{Group, Groups};
use super::problem::{Problem, Severity};
use super::template::{self, Metadata};
use super::{BootCatalog, Labels, Selection, cloud_config};
use crate::event::{BootEvent, EventSink};

/// A data directory that is served.
#[derive(Debug)]
pub struct DataDir {
    root: PathBuf,
    groups_path: PathBuf,
    events: Option<EventSink>,
    groups: Mutex<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    stamp: Option<Stamp>,
    groups: Arc<Groups>,
}

/// What tells that a file changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
}

/// Why a machine gets nothing: a sentence for events and error bodies.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// The group that matched, if one did.
    pub group: Option<String>,
    /// The reason.
    pub reason: String,
}

/// A config that is served to a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedConfig {
    /// The group that matched.
    pub group: String,
    /// Name of the file, as the spec has it.
    pub file: String,
    /// Its rendered text.
    pub text: String,
}

impl DataDir {
    /// Opens a data directory in the bootcfg layout. `groups_path` is `<root>/config.yaml` when
    /// absent. Also returns the warnings that [`check`](check::check) has of it.
    ///
    /// # Errors
    /// All problems of the directory, when at least one is an error.
    pub fn open(
        root: &Path,
        groups_path: Option<&Path>,
        events: Option<EventSink>,
    ) -> Result<(DataDir, Vec<Problem>), Vec<Problem>> {
        let groups_path = groups_path.map_or_else(|| root.join("config.yaml"), Path::to_owned);
        let stamp = Stamp::of(&groups_path);
        let (groups, problems) = check::load(root, &groups_path, None);
        if problems.iter().any(|p| p.severity == Severity::Error) {
            return Err(problems);
        }
        let data_dir = DataDir {
            root: root.to_owned(),
            groups_path,
            events,
            groups: Mutex::new(Loaded {
                stamp,
                groups: Arc::new(groups),
            }),
        };
        Ok((data_dir, problems))
    }

    /// The groups in force; reads the groups file again when it changed.
    pub fn groups(&self) -> Arc<Groups> {
        let stamp = Stamp::of(&self.groups_path);
        let mut loaded = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if stamp != loaded.stamp {
            loaded.stamp = stamp;
            self.reload(&mut loaded);
        }
        loaded.groups.clone()
    }

    fn reload(&self, loaded: &mut Loaded) {
        let result = read_groups(&self.groups_path).map(|groups| {
            loaded.groups = Arc::new(groups);
            format!(
                "{} groups from {}",
                loaded.groups.len(),
                self.groups_path.display()
            )
        });
        match &result {
            Ok(what) => tracing::info!("{what}"),
            Err(why) => tracing::error!("the last good groups stay in force: {why}"),
        }
        if let Some(events) = &self.events {
            events.emit(BootEvent::Reloaded { result });
        }
    }

    /// The best matching group.
    ///
    /// # Errors
    /// No group matches; the reason names the closest ones.
    pub fn group(&self, labels: &Labels) -> Result<Arc<Group>, Refusal> {
        let groups = self.groups();
        groups.select(labels).cloned().ok_or_else(|| Refusal {
            group: None,
            reason: groups.why_none(labels),
        })
    }

    /// A spec by its id.
    ///
    /// # Errors
    /// A sentence: it is missing or broken.
    pub fn spec(&self, id: &str) -> Result<Spec, String> {
        let file = format!("specs/{id}/spec.json");
        let text = read_inside(&self.root, &file).map_err(|e| format!("spec `{id}`: {e}"))?;
        spec::parse(&text).map_err(|error| format!("spec `{id}`: {file}: {error}"))
    }

    fn group_and_spec(&self, labels: &Labels) -> Result<(Arc<Group>, Spec), Refusal> {
        let group = self.group(labels)?;
        let spec = self
            .spec(&group.spec_id)
            .map_err(|reason| group.refuse(reason))?;
        Ok((group, spec))
    }

    /// The group and spec a machine boots by.
    ///
    /// # Errors
    /// No group, no readable spec, or one without `boot`.
    pub fn bootable(&self, labels: &Labels) -> Result<(Arc<Group>, Spec), Refusal> {
        let (group, spec) = self.group_and_spec(labels)?;
        match spec.boot {
            Some(_) => Ok((group, spec)),
            None => Err(group.refuse(format!("spec `{}` has no `boot`", group.spec_id))),
        }
    }

    /// The machine's cloud-config or script, rendered and checked.
    ///
    /// # Errors
    /// The first thing that stands in the way, from the group to the YAML of the rendered text.
    pub fn cloud_config(&self, labels: &Labels) -> Result<ServedConfig, Refusal> {
        let (group, spec) = self.group_and_spec(labels)?;
        let file = spec.cloud_id;
        if file.is_empty() {
            let reason = format!("spec `{}` has no `cloud_id`", group.spec_id);
            return Err(group.refuse(reason));
        }
        let text = self
            .render("cloud", &file, &group.metadata)
            .map_err(|reason| group.refuse(reason))?;
        cloud_config::check(&text)
            .map_err(|error| group.refuse(format!("cloud/{file}, rendered: {error}")))?;
        Ok(group.serve(file, text))
    }

    /// The machine's Ignition config as JSON. The template also sees the raw query, as `.query`.
    ///
    /// # Errors
    /// The first thing that stands in the way, from the group to the rendered text.
    pub fn ignition(&self, labels: &Labels, query: &str) -> Result<ServedConfig, Refusal> {
        let (group, spec) = self.group_and_spec(labels)?;
        let file = spec.ignition_id;
        if file.is_empty() {
            let reason = format!("spec `{}` has no `ignition_id`", group.spec_id);
            return Err(group.refuse(reason));
        }
        let metadata = ignition_metadata(&group.metadata, query);
        let json = self.render("ignition", &file, &metadata).and_then(|text| {
            ignition::to_json(&text, Language::of_file(&file))
                .map_err(|error| format!("ignition/{file}, rendered: {error}"))
        });
        match json {
            Ok(json) => Ok(group.serve(file, json)),
            Err(reason) => Err(group.refuse(reason)),
        }
    }

    fn render(&self, folder: &str, file: &str, metadata: &Metadata) -> Result<String, String> {
        let path = format!("{folder}/{file}");
        let text = read_inside(&self.root, &path)?;
        template::render(&text, metadata).map_err(|error| format!("{path}: {error}"))
    }
}

/// What an Ignition template sees: the metadata, and the raw query over a key of that name.
pub(super) fn ignition_metadata(metadata: &Metadata, query: &str) -> Metadata {
    let mut metadata = metadata.clone();
    metadata.insert("query".into(), gotmpl::Value::String(query.into()));
    metadata
}

impl Group {
    fn refuse(&self, reason: String) -> Refusal {
        Refusal {
            group: Some(self.name.clone()),
            reason: format!("group `{}`: {reason}", self.name),
        }
    }

    fn serve(&self, file: String, text: String) -> ServedConfig {
        ServedConfig {
            group: self.name.clone(),
            file,
            text,
        }
    }
}

impl BootCatalog for DataDir {
    fn select(&self, labels: &Labels) -> Result<Selection, String> {
        let (group, spec) = self
            .group_and_spec(labels)
            .map_err(|refusal| refusal.reason)?;
        Ok(Selection {
            group: group.name.clone(),
            require: group.require.clone(),
            spec_id: group.spec_id.clone(),
            boot: spec.boot.map(|boot| boot.settings()),
        })
    }
}

impl Stamp {
    fn of(path: &Path) -> Option<Stamp> {
        let metadata = fs::metadata(path).ok()?;
        Some(Stamp {
            modified: metadata.modified().ok(),
            length: metadata.len(),
        })
    }
}

fn read_groups(path: &Path) -> Result<Groups, String> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let file = groups_file::parse(path, &text);
    let errors: Vec<String> = file
        .problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .map(ToString::to_string)
        .collect();
    match errors.is_empty() {
        true => Ok(file.groups),
        false => Err(errors.join("; ")),
    }
}

/// Reads a text file below `root`; names that would lead out of it are refused.
///
/// # Errors
/// A sentence that names the file.
pub(super) fn read_inside(root: &Path, file: &str) -> Result<String, String> {
    let relative = Path::new(file);
    let stays = relative
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !stays {
        return Err(format!("`{file}` leads out of the data directory"));
    }
    fs::read_to_string(root.join(relative)).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!("there is no file `{file}`"),
        _ => format!("cannot read `{file}`: {error}"),
    })
}

#[cfg(test)]
#[path = "data_dir_tests.rs"]
mod tests;
