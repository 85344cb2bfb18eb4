//! False passes are the enemy: each scenario here is broken in one place, boots real machines, and has to
//! fail at the right stage.
//!
//! All are run by one `lab run`, side by side.

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
    }
}
