//! The agent against what coreos-cloudinit 1.14 did with the same user-data, as recorded in
//! `conformance/apply.jsonl`: outside calls in order, exit code, and every file changed with its
//! mode, owner and content.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod recorder;
mod root;

use std::fs;
use std::path::Path;

use root::{Case, Folders, compare};

fn cases() -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/apply.jsonl");
    fs::read_to_string(path)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The differences we mean, each with its reason. Everything else has to be the same.
fn argued(mut case: Case) -> Case {
    match case.case.as_str() {
        // The reference leaves its temporary file beside the target when chown fails. Nobody can
        // want that file; ours is taken away.
        "file-owner-unknown" => {
            case.changed
                .remove("/opt/cloudinit-temp<random>")
                .expect("recorded leftover");
        }
        // The same transient unit, asked for through systemd-run instead of D-Bus; the recorder
        // writes down unit and command line, which have to be the recorded ones.
        "script" => {
            let call = case.calls.first_mut().expect("a recorded call");
            let script = "/var/lib/coreos-cloudinit/scripts/<random>";
            assert!(
                call.contains(&format!("['/bin/bash', '{script}']")),
                "{call}"
            );
            *call = format!(
                "systemd1.StartTransientUnit [coreos-cloudinit-<random>.service /bin/bash {script}]"
            );
        }
        _ => {}
    }
    case
}

#[test]
fn every_recorded_case_has_the_same_calls_exit_code_and_files() {
    let cases = cases();
    assert_eq!(cases.len(), 60);
    let mut report = String::new();
    for case in cases.into_iter().map(argued) {
        let wrong = compare(&case, Folders::Compared);
        if !wrong.is_empty() {
            report.push_str(&format!("## {}\n{}\n", case.case, wrong.join("\n")));
        }
    }
    assert!(report.is_empty(), "{report}");
}

#[test]
fn folders_can_be_left_out_of_the_comparison() {
    let mut case = cases()
        .into_iter()
        .find(|case| case.case == "file-parents")
        .unwrap();
    case.changed
        .retain(|path, _| !path.ends_with("/er") && path != "/opt/deep");
    assert!(!compare(&case, Folders::Compared).is_empty());
    assert!(compare(&case, Folders::LeftOut).is_empty());
}

#[test]
fn a_case_with_another_mode_is_noticed() {
    let mut case = cases()
        .into_iter()
        .find(|case| case.case == "file-parents")
        .unwrap();
    case.changed.get_mut("/opt/deep/er/a").unwrap().mode = "0o640".to_owned();
    assert!(!compare(&case, Folders::Compared).is_empty());
}
