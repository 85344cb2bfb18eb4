//! The recorded verdicts of coreos-cloudinit 1.14.

use super::*;

#[derive(serde::Deserialize)]
struct Case {
    case: String,
    user_data: String,
    exit: i32,
    report: Vec<String>,
}

fn cases() -> Vec<Case> {
    let manifest = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = manifest.join("../../images/guest/tests/conformance/validate.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn every_recorded_verdict_is_ours_to_the_byte() {
    let cases = cases();
    assert_eq!(cases.len(), 49);
    let mut differing = Vec::new();
    for case in &cases {
        let report = lint(&case.user_data).report();
        if report != case.report || report.is_empty() != (case.exit == 0) {
            differing.push(format!(
                "{}:\n  ours   {report:#?}\n  theirs {:#?}",
                case.case, case.report
            ));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

fn found(text: &str) -> Vec<String> {
    let mut findings = Findings::default();
    let source = Source::new(std::path::Path::new("c"), text);
    check(&source, text, &|at| at, "", &mut findings);
    let told = findings.sorted().into_iter();
    told.map(|f| format!("{} {}", f.problem.line.unwrap_or(0), f.rule.id))
        .collect()
}

#[test]
fn a_mistake_of_syntax_points_at_its_own_line_and_is_told_once() {
    assert_eq!(
        found("#cloud-config\ncoreos:\n\tetcd2:\n"),
        ["3 cloud-config-syntax"]
    );
}

#[test]
fn permissions_without_quotes_and_keys_given_twice_are_told() {
    let text = "#cloud-config\nhostname: a\nhostname: b\nwrite_files:\n  - path: /a\n    \
                permissions: 0644\n  - path: /b\n    permissions: \"0644\"\n";
    assert_eq!(found(text), ["3 duplicate-key", "6 unquoted-permissions"]);
}

#[test]
fn a_variable_without_metadata_is_told_unless_it_is_escaped_or_a_comment() {
    let text = "#cloud-config\n# $private_ipv4\nhostname: a-$private_ipv4\nmanage_etc_hosts: \
                \\$public_ipv4\n";
    assert_eq!(found(text), ["3 cloud-config-variable"]);
}

#[test]
fn an_ignition_config_is_no_cloud_config_here() {
    let text = "{\"ignition\": {\"version\": \"3.3.0\"}}";
    assert_eq!(found(text), ["1 cloud-config-header"]);
}
