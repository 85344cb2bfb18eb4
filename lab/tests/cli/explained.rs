//! `lab explain` from outside: the same words wherever the artifacts lie, and one clear message for what is
//! no run and no capture.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use lab_model::diagnosis::explain;
use lab_model::evidence::beside::{Beside, keep_data};
use lab_model::evidence::packet::Wire;
use lab_model::evidence::saved::{Attempt, RecordFile, save};
use lab_model::evidence::{Observation, Record};
use lab_model::scenario::{DataCheck, Firmware, Scenario};

use crate::support::{printed, project_scenarios};

fn lab_explain(arguments: &[&str]) -> Output {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("lab"));
    command.arg("explain").args(arguments).output().unwrap()
}

/// An attempt in which node1 said nothing and the others never began.
pub(crate) fn save_attempt(folder: &Path) -> Attempt {
    let dir = project_scenarios().join("ipxe-chainload");
    let scenario = Scenario::load_with(&dir, DataCheck::Skip).unwrap();
    let seen = |at_us, seen| Record {
        at_us,
        node: Some("node1".into()),
        seen,
    };
    let line = "BdsDxe: failed to load Boot0002 from PciRoot(0x0)/MAC(525400123456,0x1): Not Found";
    let attempt = Attempt {
        firmware: Firmware::Uefi,
        records: vec![
            seen(1_000_000, Observation::PowerOn),
            seen(3_000_000, Observation::Console { line: line.into() }),
            seen(
                93_000_000,
                Observation::GaveUp {
                    reason: "no progress".into(),
                },
            ),
        ],
        wire: Wire::default(),
        ports: BTreeMap::new(),
        node_seconds: BTreeMap::from([("node1".to_owned(), 92.0)]),
        broken: None,
        interrupted: true,
        beside: Beside::default(),
        scenario,
    };
    fs::create_dir_all(folder).unwrap();
    save(folder, &attempt).unwrap();
    keep_data(&attempt.scenario.data_dir(), folder).unwrap();
    let mut records = RecordFile::create(folder).unwrap();
    for record in &attempt.records {
        records.add(record).unwrap();
    }
    attempt
}

#[test]
fn a_run_is_explained_from_its_folder_alone_and_the_same_after_it_was_moved() {
    let here = tempfile::tempdir().unwrap();
    let unit = Path::new("20260101-120000-4f2a11/ipxe-chainload@uefi");
    let attempt = save_attempt(&here.path().join(unit).join("attempt-1"));
    let runs = here.path().to_str().unwrap();
    let output = lab_explain(&["4f2a11/ipxe-chainload/node1", "--artifacts", runs]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let told = String::from_utf8(output.stdout.clone()).unwrap();
    let node = attempt.scenario.node("node1").unwrap();
    assert_eq!(told, explain(&attempt, node).text);
    assert!(
        told.contains("stale-nvram") && told.contains("525400123456"),
        "{told}"
    );

    let elsewhere = tempfile::tempdir().unwrap();
    let moved = elsewhere.path().join("evidence");
    fs::rename(here.path().join(unit), &moved).unwrap();
    let output = lab_explain(&[&format!("{}/attempt-1/node1", moved.display())]);
    assert_eq!(
        String::from_utf8(output.stdout.clone()).unwrap(),
        told,
        "{}",
        printed(&output)
    );

    let output = lab_explain(&[moved.to_str().unwrap(), "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json[0]["node"], "node1", "{json:#}");
    assert_eq!(json[0]["findings"][0]["cause"], "stale-nvram", "{json:#}");
}

#[test]
fn what_is_no_run_and_no_capture_is_refused_with_exit_2() {
    let dir = tempfile::tempdir().unwrap();
    let runs = dir.path().to_str().unwrap();
    let text = dir.path().join("notes.txt");
    fs::write(&text, "this is no capture").unwrap();
    let text = text.to_str().unwrap();
    for (arguments, words) in [
        (vec!["--artifacts", runs], "unknown run"),
        (vec!["gone", "--artifacts", runs], "unknown run"),
        (vec![runs], "not a run"),
        (vec![text], "notes.txt"),
        (vec![runs, "--console", text], "--console"),
    ] {
        let output = lab_explain(&arguments);
        let all = printed(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {all}");
        assert!(output.stdout.is_empty(), "{arguments:?}: {all}");
        assert!(
            String::from_utf8_lossy(&output.stderr).contains(words),
            "{arguments:?}: {all}"
        );
    }
}
