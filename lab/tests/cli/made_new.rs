//! `lab new` makes a scenario that loads, or nothing.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use lab_model::scenario::{DataCheck, Scenario};

use crate::support::printed;

fn lab(scenarios: &Path, arguments: &[&str]) -> Output {
    Command::new(assert_cmd::cargo::cargo_bin!("lab"))
        .args(arguments)
        .arg("--scenarios")
        .arg(scenarios)
        .env("NO_COLOR", "1")
        .output()
        .unwrap()
}

/// Names of what is in a folder, those that are hidden too.
fn entries(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_new_scenario_of_each_kind_loads_and_is_listed_and_valid() {
    let root = tempfile::tempdir().unwrap();
    // Made with the first scenario.
    let scenarios = root.path().join("scenarios");
    for kind in ["ipxe-chainload", "pxe-dhcp", "proxy-dhcp", "pixiecore"] {
        let name = format!("my-{kind}");
        let output = lab(&scenarios, &["new", &name, "--from", kind]);
        assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
        let said = String::from_utf8(output.stdout).unwrap();
        for next in ["lab run ", "lab up ", "lab validate "] {
            assert!(said.contains(next), "{said}");
        }
        let folder = scenarios.join(&name);
        Scenario::load_with(&folder, DataCheck::Strict)
            .map_err(miette::Report::new)
            .unwrap();
        // The very command that it names.
        let line = said
            .lines()
            .find(|line| line.contains("lab validate"))
            .unwrap();
        let words = line.split("  ").nth(1).unwrap().split(' ').skip(1);
        let output = lab(&scenarios, &words.collect::<Vec<_>>());
        assert_eq!(
            output.status.code(),
            Some(0),
            "{line}: {}",
            printed(&output)
        );
    }
    let listed = lab(&scenarios, &["list"]);
    assert_eq!(String::from_utf8(listed.stdout).unwrap().lines().count(), 4);
    assert_eq!(entries(&scenarios).len(), 4, "nothing else stays");
}

#[test]
fn what_is_there_is_left_alone_and_bad_names_are_refused() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("taken")).unwrap();
    fs::write(root.path().join("taken/mine"), "mine").unwrap();
    fs::create_dir(root.path().join("empty")).unwrap();
    for (name, says) in [
        ("empty", "already exists"),
        ("taken", "already exists"),
        ("../out", "invalid scenario name"),
        ("Upper", "invalid scenario name"),
        ("", "invalid scenario name"),
    ] {
        let output = lab(root.path(), &["new", name]);
        assert_eq!(output.status.code(), Some(2), "{}", printed(&output));
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains(says), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
    assert_eq!(entries(root.path()), ["empty", "taken"]);
    assert!(entries(&root.path().join("empty")).is_empty());
    assert_eq!(entries(&root.path().join("taken")), ["mine"]);
}
