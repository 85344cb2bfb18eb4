//! A site, and `lab rehearse` on it.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::{copy_all, project_scenarios};

/// A copy of `scenarios/rollout/single-node-etcd`.
pub(crate) fn site() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let from = project_scenarios().join("rollout/single-node-etcd");
    copy_all(&from, folder.path());
    folder
}

/// `lab rehearse data --machines machines.toml` in the folder.
pub(crate) fn rehearse(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(["rehearse", "data", "--machines", "machines.toml"])
        .args(arguments)
        .arg("--scenarios")
        .arg(project_scenarios())
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .output()
        .unwrap()
}
