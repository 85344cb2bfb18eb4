//! `lab doctor` on this host, which runs the other tests and so can run the lab.

use std::process::{Command, Output};

use serde_json::Value;

use crate::support::{printed, project_scenarios};

fn doctor(arguments: &[&str]) -> Output {
    Command::new(assert_cmd::cargo::cargo_bin!("lab"))
        .arg("doctor")
        .args(arguments)
        .env("LAB_SCENARIOS", project_scenarios())
        .env("CLICOLOR_FORCE", "0")
        .output()
        .unwrap()
}

#[test]
fn this_host_can_run_the_lab_and_says_on_what() {
    let output = doctor(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let verdict = text.lines().last().unwrap();
    assert!(
        verdict.starts_with("This host can run the lab, with "),
        "{text}"
    );
    assert!(
        !text.contains('\u{1b}'),
        "no colours where there is no terminal: {text}"
    );
    assert!(!text.contains('✗'), "{text}");
    assert!(text.contains("✓ QEMU "), "{text}");
}

#[test]
fn for_programs_the_same_is_told_as_json() {
    let output = doctor(&["--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["version"], 1);
    assert_eq!(report["ready"], true);
    assert!(
        matches!(report["accelerator"].as_str(), Some("kvm" | "tcg")),
        "{report}"
    );
    let findings = report["findings"].as_array().unwrap();
    assert!(findings.len() > 30, "{report}");
    for finding in findings {
        let has_remedy = finding["remedy"].is_string();
        assert_eq!(has_remedy, finding["state"] != "ok", "{finding}");
        for key in ["id", "group", "title", "what"] {
            assert!(finding[key].is_string(), "{key}: {finding}");
        }
    }
}

#[test]
fn a_disk_without_room_is_exit_code_69() {
    // /proc has no room at all.
    let output = doctor(&["--artifacts", "/proc/runs"]);
    assert_eq!(output.status.code(), Some(69), "{}", printed(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("✗ room for runs"), "{text}");
    assert!(
        text.ends_with("This host cannot run the lab: one requirement is missing.\n"),
        "{text}"
    );
}
