//! The agent against coreos-cloudinit's source, where no run of it is recorded: `cases/cases.toml`.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod recorder;
mod root;

use std::collections::HashSet;

use root::{Case, Folders, compare};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Cases {
    case: Vec<Case>,
}

fn cases() -> Vec<Case> {
    toml::from_str::<Cases>(include_str!("cases/cases.toml"))
        .unwrap()
        .case
}

#[test]
fn every_case_has_the_calls_exit_code_and_files_that_the_source_says() {
    let mut report = String::new();
    for case in cases() {
        let wrong = compare(&case, Folders::LeftOut);
        if !wrong.is_empty() {
            report.push_str(&format!("## {}\n{}\n", case.case, wrong.join("\n")));
        }
    }
    assert!(report.is_empty(), "{report}");
}

#[test]
fn every_case_has_a_name_of_its_own() {
    let cases = cases();
    let names: HashSet<&str> = cases.iter().map(|case| case.case.as_str()).collect();
    assert_eq!(names.len(), cases.len());
}

#[test]
fn a_case_with_anything_else_expected_is_noticed() {
    let broken = |change: fn(&mut Case)| {
        let mut case = cases()
            .into_iter()
            .find(|case| case.case == "update-best-effort")
            .unwrap();
        assert!(compare(&case, Folders::LeftOut).is_empty());
        change(&mut case);
        compare(&case, Folders::LeftOut)
    };
    assert!(!broken(|case| case.exit = 1).is_empty());
    assert!(!broken(|case| case.calls.reverse()).is_empty());
    assert!(!broken(|case| case.changed.clear()).is_empty());
    assert!(!broken(|case| case.changed.values_mut().for_each(|one| one.mode.clear())).is_empty());
    let with_folders = cases()
        .into_iter()
        .find(|case| case.case == "services-all-at-once");
    assert!(!compare(&with_folders.unwrap(), Folders::Compared).is_empty());
    assert!(!broken(|case| case.says = Some("what nobody says".to_owned())).is_empty());
}
