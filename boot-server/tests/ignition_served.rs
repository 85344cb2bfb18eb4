//! Container Linux Configs and Butane configs in a data directory, served as matchbox 0.9.0 and 0.11.0 served them.
//!
//! The recorded configs are those of `ignition/tests/`, which compares findings too. Here each one is a file of a
//! group's profile, as it was when it was recorded.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;

use boot_server::catalog::Labels;
use boot_server::catalog::data_dir::{DataDir, Source};
use boot_server::catalog::ignition::IgnitionMode;
use boot_server::catalog::problem::{Problem, Severity};
use boot_server::catalog::snapshot::Folder;
use serde_json::{Value, json};

/// Configs that are answered otherwise on purpose, with the reason.
const DIFFERENT: [(&str, &str); 2] = [
    (
        "clc-0409",
        "an Ignition config in JSON is passed on as it is",
    ),
    (
        "butane-configs-0868",
        "a MachineConfig is served as Ignition, not as an empty config",
    ),
];

fn vectors(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("ignition/tests")
        .join(file);
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Writes a data directory with a group for each recorded config.
fn directory(vectors: &[&Value]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["groups", "profiles", "ignition"] {
        std::fs::create_dir(dir.path().join(folder)).unwrap();
    }
    for vector in vectors {
        let id = vector["id"].as_str().unwrap();
        let metadata = vector.get("metadata").cloned().unwrap_or(json!({}));
        let group =
            json!({"id": id, "profile": id, "selector": {"serial": id}, "metadata": metadata});
        let profile = json!({"id": id, "ignition_id": format!("{id}.yaml")});
        let write = |file: String, text: &str| std::fs::write(dir.path().join(file), text).unwrap();
        write(format!("groups/{id}.json"), &group.to_string());
        write(format!("profiles/{id}.json"), &profile.to_string());
        write(
            format!("ignition/{id}.yaml"),
            vector["config"].as_str().unwrap(),
        );
    }
    dir
}

fn open(dir: &tempfile::TempDir, mode: IgnitionMode) -> Result<DataDir, Vec<Problem>> {
    let source = Source {
        ignition: Some(mode),
        ..Source::of(dir.path())
    };
    DataDir::open(source, None).map(|(data_dir, _)| data_dir)
}

/// Compares the answers for all configs that were answered 200 in the recording.
fn compare(
    vectors: &[Value],
    recorded: &str,
    mode: IgnitionMode,
    skipped: impl Fn(&str) -> bool,
) -> usize {
    let accepted: Vec<&Value> = vectors
        .iter()
        .filter(|vector| vector[recorded]["status"] == 200)
        .filter(|vector| !skipped(vector[recorded]["body"].as_str().unwrap()))
        .collect();
    let snapshot = open(&directory(&accepted), mode).unwrap().snapshot();
    let mut different = Vec::new();
    for vector in &accepted {
        let id = vector["id"].as_str().unwrap();
        let query = format!("serial={id}");
        let config = snapshot.config(Folder::Ignition, &Labels::from_query(&query), &query);
        let body = config.map_or_else(|refusal| refusal.reason, |config| config.text);
        if body != vector[recorded]["body"].as_str().unwrap() {
            different.push(id);
        }
    }
    different.retain(|id| !DIFFERENT.iter().any(|(other, _)| other == id));
    assert_eq!(different, [""; 0]);
    accepted.len()
}

#[test]
fn container_linux_configs_are_served_as_by_matchbox_0_9() {
    let vectors = vectors("clc/configs.jsonl");
    let compared = compare(&vectors, "served", IgnitionMode::AsMatchbox09, |_| false);
    assert!(compared > 150, "{compared}");
}

#[test]
fn butane_configs_are_served_as_by_matchbox_0_11() {
    // An empty config without a version stands for one that is too new, and compressed contents depend on the
    // compressor; `ignition/tests/butane.rs` looks into both.
    let skipped = |body: &str| body.contains(r#""version":"""#) || body.contains("base64,H4sI");
    let mut compared = 0;
    for file in ["butane/configs.jsonl", "butane/version-matrix.jsonl"] {
        let recorded = "matchbox-0.11.0";
        let mode = IgnitionMode::AsMatchbox011;
        compared += compare(&vectors(file), recorded, mode, skipped);
    }
    assert!(compared > 50, "{compared}");
}

#[test]
fn refused_container_linux_config_is_an_error_of_the_directory_with_its_line() {
    let vectors = vectors("clc/configs.jsonl");
    let refused = |vector: &&Value| {
        let class = vector["class"].as_str().unwrap();
        class == "refused-parse" || class == "refused-convert"
    };
    let mut seen = 0;
    for vector in vectors.iter().filter(refused) {
        let problems = open(&directory(&[vector]), IgnitionMode::AsMatchbox09).unwrap_err();
        let is_told = |problem: &Problem| {
            let is_error = problem.severity == Severity::Error && problem.line.is_some();
            is_error && problem.rule == "translation-refused"
        };
        assert!(
            problems.iter().any(is_told),
            "{}: {problems:?}",
            vector["id"]
        );
        seen += 1;
    }
    assert!(seen > 50, "{seen}");
}

#[test]
fn refused_config_of_a_reload_leaves_the_last_state_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| {
        let path = dir.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("groups/a.json", r#"{"id":"a","profile":"p"}"#);
    write("profiles/p.json", r#"{"id":"p","ignition_id":"c.yaml"}"#);
    write("ignition/c.yaml", "variant: fcos\nversion: 1.5.0\n");
    let (data_dir, problems) = DataDir::open(Source::of(dir.path()), None).unwrap();
    assert_eq!(problems, []);
    write(
        "ignition/c.yaml",
        "variant: fcos\nversion: 1.5.0\nstorage: {files: [{path: a}]}\n",
    );
    let problems = data_dir.reload().unwrap_err();
    assert!(
        problems[0].to_string().contains("c.yaml:3:"),
        "{}",
        problems[0]
    );
    let snapshot = data_dir.snapshot();
    let config = snapshot
        .config(Folder::Ignition, &Labels::default(), "")
        .unwrap();
    assert!(
        config.text.contains(r#""version":"3.4.0""#),
        "{}",
        config.text
    );
}
