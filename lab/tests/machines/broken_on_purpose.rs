//! False passes are the enemy: each scenario here is broken in one place, boots real machines, and has to
//! fail at the right stage.
//!
//! All are run by one `lab run`, side by side.

use std::fs;
use std::process::Command;

use crate::support::{Scenarios, printed};

/// The machine's UUID in `scenarios/ipxe-chainload`.
const NODE1_UUID: &str = "1f6c0b52-64de-4c0a-8f1b-a2d35e7c4d11";

#[test]
fn every_fault_fails_at_its_own_stage() {
    let scenarios = Scenarios::new();
    let copy = |name: &str| scenarios.copy("ipxe-chainload", name).quick("node1");
    copy("intact");
    copy("other-uuid").replace(
        "data/config.yaml",
        NODE1_UUID,
        "00000000-0000-4000-8000-000000000001",
    );
    copy("no-kernel").replace(
        "data/specs/node1/spec.json",
        "coreos_production_pxe.vmlinuz",
        "gone.vmlinuz",
    );
    copy("no-cloud-config").remove("data/cloud/node1.yaml");
    copy("no-dhcp-server").edit_toml(|scenario| {
        scenario["services"]["dhcp"] = "none".into();
    });
    copy("others-cloud-config").replace(
        "data/specs/node1/spec.json",
        "/cloud?uuid=${uuid}&mac=${net0/mac:hexhyp}",
        "/cloud?mac=52-54-00-5c-02-02",
    );
    copy("other-mode").replace("data/cloud/node1.yaml", "\"0644\"", "\"0640\"");

    let output = scenarios
        .lab_run()
        .arg("--unchecked-data")
        .output()
        .unwrap();
    let all = printed(&output);
    assert_eq!(output.status.code(), Some(100), "{all}");

    let intact = scenarios.verdict("intact@bios");
    assert_eq!(intact["verdict"], "pass", "{intact:#}\n{all}");
    for (name, stage, word) in [
        ("other-uuid", "script", "default"),
        ("no-kernel", "kernel", "gone.vmlinuz"),
        ("no-cloud-config", "cloud-config", "node1.yaml"),
        ("no-dhcp-server", "dhcp", "DHCP"),
        ("others-cloud-config", "cloud-config", "node2"),
        ("other-mode", "checks", "0640"),
    ] {
        let verdict = scenarios.verdict(&format!("{name}@bios"));
        assert_eq!(verdict["verdict"], "fail", "{name}: {verdict:#}\n{all}");
        assert_eq!(verdict["stage"], stage, "{name}: {verdict:#}\n{all}");
        let why = verdict["why"].as_str().unwrap();
        assert!(
            why.contains(word),
            "{name} does not say `{word}`: {why}\n{all}"
        );
        is_explained_alike_elsewhere(&scenarios, &format!("{name}@bios"));
    }
}

/// The run's explanation of the machine is repeated from the attempt's folder alone, moved away from
/// the run it belongs to.
fn is_explained_alike_elsewhere(scenarios: &Scenarios, unit: &str) {
    let elsewhere = tempfile::tempdir().unwrap();
    let moved = elsewhere.path().join("from-another-machine");
    let attempt = scenarios
        .artifacts()
        .join("latest")
        .join(unit)
        .join("attempt-1");
    fs::rename(&attempt, &moved).unwrap();
    let written = fs::read_to_string(moved.join("nodes/node1/explain.txt")).unwrap();
    fs::remove_file(moved.join("nodes/node1/explain.txt")).unwrap();
    let output = Command::new(assert_cmd::cargo::cargo_bin!("lab"))
        .arg("explain")
        .arg(&moved)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), written, "{unit}");
    fs::rename(&moved, &attempt).unwrap();
}
