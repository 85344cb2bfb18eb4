//! User-data applied to a root in a temporary folder, held against what should have come of it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use guest_agent::apply::{Machine, apply_user_data};
use guest_agent::config::Substitutions;
use serde::Deserialize;

use crate::recorder::Recorder;

/// User-data, and what should come of it.
#[derive(Debug, Deserialize)]
pub(crate) struct Case {
    pub(crate) case: String,
    pub(crate) user_data: String,
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) exit: i32,
    #[serde(default)]
    pub(crate) calls: Vec<String>,
    #[serde(default)]
    pub(crate) changed: BTreeMap<String, Changed>,
    /// Stands in something that is said.
    pub(crate) says: Option<String>,
}

/// Change of a path.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Changed {
    #[serde(default = "Changed::usual_mode")]
    pub(crate) mode: String,
    #[serde(default)]
    uid: u32,
    #[serde(default)]
    gid: u32,
    content: Option<String>,
    link: Option<String>,
    #[serde(default)]
    dir: bool,
}

impl Changed {
    fn usual_mode() -> String {
        "0o644".to_owned()
    }
}

/// Inclusion of folders in the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Folders {
    Compared,
    LeftOut,
}

/// The root that the reference was run on, as far as the cases meet it.
fn lay_out(root: &Path) {
    for folder in [
        "etc/coreos",
        "etc/systemd/system",
        "opt",
        "run",
        "var/lib",
        "usr/share/coreos",
    ] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::write(
        root.join("usr/share/coreos/update.conf"),
        "GROUP=stable\nSERVER=http://default/\n",
    )
    .unwrap();
    fs::write(root.join("etc/existing"), "old").unwrap();
    fs::set_permissions(root.join("etc/existing"), fs::Permissions::from_mode(0o600)).unwrap();
}

/// Everything under `root`, with owners as the recorder knows them.
fn walk(root: &Path, recorder: &Recorder) -> BTreeMap<String, Changed> {
    fn inner(
        root: &Path,
        folder: &Path,
        recorder: &Recorder,
        found: &mut BTreeMap<String, Changed>,
    ) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let (uid, gid) = recorder
                .owners
                .borrow()
                .get(&meta.ino())
                .copied()
                .unwrap_or((0, 0));
            let link = meta.is_symlink().then(|| fs::read_link(&path).unwrap());
            found.insert(
                format!("/{}", path.strip_prefix(root).unwrap().display()),
                Changed {
                    mode: format!("0o{:o}", meta.mode() & 0o7777),
                    uid,
                    gid,
                    content: meta.is_file().then(|| fs::read_to_string(&path).unwrap()),
                    link: link.map(|link| link.display().to_string()),
                    dir: meta.is_dir(),
                },
            );
            if meta.is_dir() {
                inner(root, &path, recorder, found);
            }
        }
    }
    let mut found = BTreeMap::new();
    inner(root, root, recorder, &mut found);
    found
}

/// Compares the agent's effects in this case with the recording; empty when they are equal.
pub(crate) fn compare(case: &Case, folders: Folders) -> Vec<String> {
    let root = tempfile::tempdir().unwrap();
    lay_out(root.path());
    let recorder = Recorder::default();
    let before = walk(root.path(), &recorder);
    let mut said = Vec::new();
    let outcome = apply_user_data(
        &case.user_data,
        &mut Machine {
            root: root.path(),
            substitutions: Substitutions::from_lookup(|key| case.env.get(key).cloned()),
            system: &recorder,
            say: &mut |line| said.push(line.to_owned()),
        },
    );
    let mut changed = walk(root.path(), &recorder);
    changed.retain(|path, now| before.get(path) != Some(now));
    if folders == Folders::LeftOut {
        changed.retain(|_, now| !now.dir);
    }

    let mut wrong = Vec::new();
    if i32::from(outcome.is_err()) != case.exit {
        wrong.push(format!("exit code: {outcome:?} instead of {}", case.exit));
    }
    if recorder.calls() != case.calls {
        wrong.push(format!(
            "calls:\n  {:?}\ninstead of\n  {:?}",
            recorder.calls(),
            case.calls
        ));
    }
    if changed != case.changed {
        wrong.push(format!(
            "files:\n  {changed:?}\ninstead of\n  {:?}",
            case.changed
        ));
    }
    said.extend(outcome.as_ref().err().map(ToString::to_string));
    said.extend(outcome.as_ref().ok().map(ToString::to_string));
    if let Some(says) = &case.says
        && !said.iter().any(|line| line.contains(says.as_str()))
    {
        wrong.push(format!("nothing says {says:?}"));
    }
    if !wrong.is_empty() {
        wrong.push(format!("said: {said:#?}"));
    }
    wrong
}
