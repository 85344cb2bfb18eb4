//! `lab run --faults` from outside: it is red when a fault comes out otherwise than it says, and every
//! simulated fault passes once nothing is broken, so that each is the cause of its own failure.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{Scenarios, printed};

/// Changes a fault's `fault.toml`; the text has to be there.
fn edit(scenarios: &Scenarios, fault: &str, from: &str, to: &str) {
    let path = scenarios
        .folder()
        .join("faults")
        .join(fault)
        .join("fault.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{fault} has no `{from}`:\n{text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

/// The results in `faults.json`.
fn results(artifacts: &Path) -> Vec<Value> {
    let path = artifacts.join("latest/faults.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn a_fault_that_comes_out_otherwise_than_it_says_turns_the_run_red() {
    let scenarios = Scenarios::new();
    scenarios.copy("ipxe-chainload", "ipxe-chainload");
    for fault in [
        "kernel-not-found",
        "initrd-not-found",
        "no-group-matches",
        "duplicates",
        "reordered",
    ] {
        scenarios.copy(&format!("faults/{fault}"), &format!("faults/{fault}"));
    }
    // Another cause, another stage, a pass where none is to be, a failure where none is to be.
    edit(
        &scenarios,
        "initrd-not-found",
        "cause = \"initrd-not-found\"",
        "cause = \"kernel-not-found\"",
    );
    edit(
        &scenarios,
        "no-group-matches",
        "stage = \"script\"",
        "stage = \"kernel\"",
    );
    edit(
        &scenarios,
        "duplicates",
        "verdict = \"pass\"",
        "verdict = \"fail\"\nstage = \"nbp\"\ncause = \"packet-loss\"",
    );
    edit(
        &scenarios,
        "reordered",
        "[link]",
        "[server]\nwithout = [\"tftp\"]\n\n[link]",
    );

    let output = scenarios.lab_run().arg("--faults").output().unwrap();
    let all = printed(&output);
    assert_eq!(output.status.code(), Some(100), "{all}");
    let results = results(&scenarios.artifacts());
    let right: Vec<&str> = results
        .iter()
        .filter(|result| result["ok"] == true)
        .map(|result| result["name"].as_str().unwrap())
        .collect();
    assert_eq!(right, ["kernel-not-found"], "{all}");
    assert_eq!(results.len(), 5, "{all}");
    let junit = fs::read_to_string(scenarios.artifacts().join("latest/junit.xml")).unwrap();
    assert_eq!(junit.matches("<failure").count(), 4, "{junit}");

    let output = scenarios
        .lab_run()
        .args(["--faults", "kernel-not-found"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
}

#[test]
fn every_simulated_fault_passes_once_nothing_is_broken() {
    let scenarios = Scenarios::new();
    for name in ["ipxe-chainload", "proxy-dhcp", "topologies", "faults"] {
        scenarios.copy(name, name);
    }
    let output = scenarios
        .lab_run()
        .args(["--faults", "--machines", "simulated", "--without-injection"])
        .output()
        .unwrap();
    let all = printed(&output);
    assert_eq!(output.status.code(), Some(0), "{all}");
    let results = results(&scenarios.artifacts());
    assert!(results.len() >= 25, "{}", results.len());
    for result in results {
        assert_eq!(result["found"]["found"], "pass", "{result:#}\n{all}");
    }
}
