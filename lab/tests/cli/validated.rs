//! `lab validate` from outside: exit codes, forms, and wrong input.

use std::fs;
use std::process::{Command, Output};

use serde_json::Value;

use super::support::project_scenarios;

fn lab_validate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lab"))
        .arg("validate")
        .args(arguments)
        .output()
        .unwrap()
}

fn rollout(name: &str) -> String {
    let folder = project_scenarios().join("rollout").join(name);
    folder.to_string_lossy().into_owned()
}

#[test]
fn a_good_directory_with_its_machines_is_exit_0_even_when_strict() {
    let folder = rollout("mixed-rack");
    let data = format!("{folder}/data");
    let machines = format!("{folder}/machines.json");
    let output = lab_validate(&[&data, "--machines", &machines, "--strict"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("7 groups, 4 specs, 7 machines: 0 errors"),
        "{said}"
    );
}

#[test]
fn a_warning_is_exit_2_only_when_strict_and_an_error_always() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    fs::create_dir_all(data.join("specs/a")).unwrap();
    let groups = "api_version: v1alpha1\ngroups:\n  - {name: a, spec: a, priority: 1}\n";
    fs::write(data.join("config.yaml"), groups).unwrap();
    let spec = r#"{"id": "a", "boot": {"kernel": "http://h/k", "cmdline": {"console": "ttyS0"}}}"#;
    fs::write(data.join("specs/a/spec.json"), spec).unwrap();
    let path = data.to_string_lossy().into_owned();
    assert_eq!(lab_validate(&[&path]).status.code(), Some(0));
    assert_eq!(lab_validate(&[&path, "--strict"]).status.code(), Some(2));

    fs::write(
        data.join("config.yaml"),
        groups.replace("spec: a", "spec: b"),
    )
    .unwrap();
    let json = lab_validate(&[&path, "--format", "json"]);
    assert_eq!(json.status.code(), Some(2));
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    let rules: Vec<&str> = json["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["rule"].as_str().unwrap())
        .collect();
    assert_eq!(rules, ["missing-profile", "unknown-key"]);
    assert_eq!(json["findings"][0]["line"], 3);
    assert!(
        json["findings"][0]["text"]
            .as_str()
            .unwrap()
            .contains("spec: b")
    );

    let github = lab_validate(&[&path, "--format", "github"]);
    let said = String::from_utf8_lossy(&github.stdout).into_owned();
    assert!(said.lines().all(|line| line.starts_with("::")), "{said}");
    assert!(
        said.contains("line=3,col=21,title=missing-profile::"),
        "{said}"
    );

    let sarif = lab_validate(&[
        &path,
        "--format",
        "sarif",
        "--docs-url",
        "https://d.example/r",
    ]);
    let sarif: Value = serde_json::from_slice(&sarif.stdout).unwrap();
    assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "missing-profile");
}

#[test]
fn wrong_input_is_exit_2_with_what_would_be_right() {
    for (arguments, words) in [
        (vec!["/nonexistent"], "name the data directory"),
        (
            vec!["/", "--machines", "/nonexistent.toml"],
            "name a list of machines",
        ),
        (vec!["/", "--assets", "/nonexistent"], "folder not found"),
        (vec!["/", "--format", "xml"], "possible values"),
    ] {
        let output = lab_validate(&arguments);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
}
