//! Tests of the elements of the JUnit report that CI services read.

use std::process::Command;

use quick_junit::Report;
use quick_junit::{NonSuccessKind, TestCaseStatus};

use super::{Consoles, render};
use crate::sample_run::run;

/// Jenkins' own schema, xunit-plugin at ae25da5.
const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/junit/jenkins.xsd");

fn rendered() -> String {
    let folder = tempfile::tempdir().unwrap();
    render(&run(folder.path()), Consoles::All).unwrap()
}

#[test]
fn the_report_keeps_to_the_schema_of_jenkins() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("junit.xml");
    // The root's count of skipped cases is of JUnit 5; Jenkins passes over what it does not know there.
    let (root, suites) = rendered()
        .split_once("<testsuite ")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let xml = root.replace(" skipped=\"2\"", "") + "<testsuite " + &suites;
    std::fs::write(&path, xml).unwrap();
    let checked = Command::new("xmllint")
        .args(["--nonet", "--noout", "--schema", SCHEMA])
        .arg(&path)
        .output();
    match checked {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{said}");
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            test_support::skip("no xmllint (package libxml2-utils)");
        }
        Err(error) => panic!("xmllint: {error}"),
    }
}

#[test]
fn every_verdict_has_the_status_that_services_show() {
    let report = Report::deserialize_from_str(&rendered()).unwrap();
    assert_eq!(
        (report.tests, report.failures, report.errors, report.skipped),
        (7, 1, 2, 2)
    );
    let bios = &report.test_suites[0];
    assert_eq!(bios.name.as_str(), "pxe-dhcp@bios");
    let property = |wanted: &str| {
        let found = bios
            .properties
            .iter()
            .find(|one| one.name.as_str() == wanted);
        found.map(|one| one.value.as_str().to_owned())
    };
    assert_eq!(property("run").as_deref(), Some("3f9a2c"));
    assert_eq!(property("image").as_deref(), Some("stand-in"));
    assert_eq!(
        property("accelerator").as_deref(),
        Some("TCG: there is no /dev/kvm")
    );

    let TestCaseStatus::Success { flaky_runs } = &bios.test_cases[2].status else {
        panic!("a pass that came on a retry is a success");
    };
    assert_eq!(flaky_runs.len(), 1);
    assert_eq!(flaky_runs[0].ty.as_ref().unwrap().as_str(), "cloud-config");

    let TestCaseStatus::NonSuccess {
        kind,
        ty,
        description,
        reruns,
        ..
    } = &bios.test_cases[1].status
    else {
        panic!("node2 failed");
    };
    assert_eq!((*kind, reruns.runs.len()), (NonSuccessKind::Failure, 1));
    assert_eq!(ty.as_ref().unwrap().as_str(), "cloud-config");
    let description = description.as_ref().unwrap().as_str();
    assert!(
        description.starts_with("explained: </testcase>]]> <script>"),
        "{description}"
    );
}

#[test]
fn console_of_a_pass_is_quoted_on_request_only() {
    let folder = tempfile::tempdir().unwrap();
    let run = run(folder.path());
    let quoted = |consoles| {
        let xml = render(&run, consoles).unwrap();
        let report = Report::deserialize_from_str(&xml).unwrap();
        let cases = &report.test_suites[0].test_cases;
        [0, 1].map(|case| cases[case].system_out.is_some())
    };
    // The first passed, the second failed.
    assert_eq!(quoted(Consoles::Failures), [false, true]);
    assert_eq!(quoted(Consoles::All), [true, true]);
}

#[test]
fn the_end_of_the_console_is_quoted_and_bounded() {
    let report = Report::deserialize_from_str(&rendered()).unwrap();
    let case = &report.test_suites[0].test_cases[0];
    let out = case.system_out.as_ref().unwrap().as_str();
    assert!(
        out.starts_with("… (the beginning is in console.log)\n"),
        "{out}"
    );
    assert!(out.trim_end().ends_with("next, line: 2%"), "{out}");
    assert!((8_000..17_000).contains(&out.len()), "{}", out.len());
    assert!(!out.contains('\x1b'));
}
