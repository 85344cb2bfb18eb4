//! `lab run --adversarial` from outside: a case that comes out otherwise than it says, or whose attack left no trace,
//! turns the run red; without its attack, every simulated case passes.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Scenarios, printed};

fn edit(scenarios: &Scenarios, case: &str, from: &str, to: &str) {
    let path = scenarios.folder().join("adversarial").join(case);
    let path = path.join("case.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{case} has no `{from}`:\n{text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

fn read_json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn adversarial_case_that_comes_out_otherwise_or_shows_no_attack_turns_the_run_red() {
    let scenarios = Scenarios::new();
    scenarios.copy("ipxe-chainload", "ipxe-chainload");
    for case in ["stranger-beside", "relay-changes-script", "wrong-hash"] {
        scenarios.copy(
            &format!("adversarial/{case}"),
            &format!("adversarial/{case}"),
        );
    }
    // An attack that never takes place, and one that the lab would have to overlook.
    edit(
        &scenarios,
        "stranger-beside",
        "asked by 192.168.92.200",
        "asked by 192.168.92.222",
    );
    edit(
        &scenarios,
        "relay-changes-script",
        "replace = \"lab.spec=node1\"\nwith = \"lab.spec=node9\"",
        "replace = \"nowhere\"\nwith = \"NOWHERE\"",
    );
    let output = scenarios.lab_run().arg("--adversarial").output().unwrap();
    let all = printed(&output);
    assert_eq!(output.status.code(), Some(100), "{all}");
    let latest = scenarios.artifacts().join("latest");
    let results = read_json(&latest.join("adversarial.json"));
    let not_shown = |name: &str| {
        let mut all = results.as_array().unwrap().iter();
        all.find(|result| result["name"] == name).unwrap()["not_shown"].clone()
    };
    assert_eq!(
        not_shown("stranger-beside"),
        json!(["asked by 192.168.92.222 in node1's name"]),
        "{all}"
    );
    let right: Vec<&str> = results
        .as_array()
        .unwrap()
        .iter()
        .filter(|result| result["ok"] == true)
        .map(|result| result["name"].as_str().unwrap())
        .collect();
    assert_eq!(right, ["wrong-hash"], "{all}");
    assert_eq!(
        read_json(&latest.join("run.json"))["whole"]["kind"],
        "adversarial"
    );
    let junit = fs::read_to_string(latest.join("junit.xml")).unwrap();
    assert_eq!(junit.matches("<failure").count(), 2, "{junit}");
}

#[test]
fn adversarial_every_simulated_case_passes_without_its_attack() {
    let scenarios = Scenarios::new();
    for name in ["ipxe-chainload", "adversarial"] {
        scenarios.copy(name, name);
    }
    let output = scenarios
        .lab_run()
        .args([
            "--adversarial",
            "--machines",
            "simulated",
            "--without-injection",
        ])
        .output()
        .unwrap();
    let all = printed(&output);
    assert_eq!(output.status.code(), Some(0), "{all}");
    let results = read_json(&scenarios.artifacts().join("latest/adversarial.json"));
    let results = results.as_array().unwrap();
    assert!(results.len() >= 18, "{}", results.len());
    for result in results {
        assert_eq!(result["found"]["found"], "pass", "{result:#}\n{all}");
    }
}
