//! Shared code of the tests of the `lab` program: copies of the project's scenarios, made smaller or broken
//! on purpose, and runs on them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The project's scenarios.
pub(crate) fn project_scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")
}

/// A folder of scenarios that a test may break, and a folder for artifacts.
pub(crate) struct Scenarios {
    dir: tempfile::TempDir,
}

impl Scenarios {
    /// No scenario yet.
    pub(crate) fn new() -> Scenarios {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("scenarios")).unwrap();
        Scenarios { dir }
    }

    /// Folder of the scenarios.
    pub(crate) fn folder(&self) -> PathBuf {
        self.dir.path().join("scenarios")
    }

    /// Folder of the artifacts.
    pub(crate) fn artifacts(&self) -> PathBuf {
        self.dir.path().join("runs")
    }

    /// Copies the project's scenario `from` under a new name.
    pub(crate) fn copy(&self, from: &str, name: &str) -> ScenarioCopy {
        let folder = self.folder().join(name);
        copy_all(&project_scenarios().join(from), &folder);
        ScenarioCopy { folder }
    }

    /// `lab run` on these scenarios.
    pub(crate) fn lab_run(&self) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("lab"));
        command
            .arg("run")
            .arg("--scenarios")
            .arg(self.folder())
            .arg("--artifacts")
            .arg(self.artifacts());
        command
    }
}

/// One copied scenario.
pub(crate) struct ScenarioCopy {
    folder: PathBuf,
}

impl ScenarioCopy {
    /// Its `scenario.toml`.
    pub(crate) fn toml(&self) -> PathBuf {
        self.folder.join("scenario.toml")
    }

    /// Keeps one node and one firmware, and lets iPXE ROMs go to HTTP directly: the quickest boot there is.
    pub(crate) fn quick(self, node: &str) -> ScenarioCopy {
        self.quick_nodes().edit_toml(|scenario| {
            let nodes = scenario["node"].as_array_mut().unwrap();
            nodes.retain(|one| one["name"].as_str() == Some(node));
            assert_eq!(nodes.len(), 1, "no node {node}");
        })
    }

    /// Keeps one firmware, and lets iPXE ROMs go to HTTP directly.
    pub(crate) fn quick_nodes(self) -> ScenarioCopy {
        self.edit_toml(|scenario| {
            scenario.insert("firmware".into(), vec!["bios"].into());
            let boot = scenario.entry("boot").or_insert(toml::Table::new().into());
            boot.as_table_mut()
                .unwrap()
                .insert("chainload_ipxe".into(), false.into());
        })
    }

    /// Changes `scenario.toml`.
    pub(crate) fn edit_toml(self, change: impl FnOnce(&mut toml::Table)) -> ScenarioCopy {
        let mut scenario = fs::read_to_string(self.toml()).unwrap().parse().unwrap();
        change(&mut scenario);
        fs::write(self.toml(), toml::to_string(&scenario).unwrap()).unwrap();
        self
    }

    /// Replaces text in a file; it has to be there, or the test would break nothing.
    pub(crate) fn replace(self, file: &str, from: &str, to: &str) -> ScenarioCopy {
        let path = self.folder.join(file);
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(
            text.contains(from),
            "{} has no `{from}`:\n{text}",
            path.display()
        );
        fs::write(path, text.replace(from, to)).unwrap();
        self
    }

    /// Removes a file.
    pub(crate) fn remove(self, file: &str) -> ScenarioCopy {
        fs::remove_file(self.folder.join(file)).unwrap();
        self
    }
}

pub(crate) fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        // A scenario may have its data from another.
        if entry.path().is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Returns the output of a program, for a failure's message.
pub(crate) fn printed(output: &Output) -> String {
    format!(
        "{}\n--- stdout\n{}\n--- stderr\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
