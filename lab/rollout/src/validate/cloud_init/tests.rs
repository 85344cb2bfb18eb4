//! Tests of what is told about the user-data of a seed.

use std::path::Path;

use super::*;

/// Returns rule, line, column, message and help of each finding about a text.
fn found(text: &str) -> Vec<(&'static str, usize, usize, String, String)> {
    let source = Source::new(Path::new("cloud/a.yaml"), text);
    let mut findings = Findings::default();
    check(&source, text, &|at| at, &mut findings);
    let findings = findings.sorted().into_iter();
    findings
        .map(|finding| {
            let problem = finding.problem;
            let place = (problem.line.unwrap_or(0), problem.column.unwrap_or(0));
            (
                finding.rule.id,
                place.0,
                place.1,
                problem.message,
                problem.help,
            )
        })
        .collect()
}

#[test]
fn each_kind_of_mistake_is_told_with_its_place_and_remedy() {
    let told = found(
        "#cloud-config\nhostnam: a\ntimezone: 7\nwrite_files:\n- content: x\n  permissions: 0644\n\
         power_state: {mode: restart}\napt_update: true\nlocale: a\nlocale: b\n",
    );
    let told: Vec<String> = told
        .into_iter()
        .map(|(rule, line, column, message, help)| {
            format!("{line}:{column} {rule}: {message}\n  {help}")
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn text_that_cloud_init_would_not_apply_is_told() {
    let rules = |text: &str| -> Vec<(&'static str, usize)> {
        let found = found(text).into_iter();
        found.map(|(rule, line, ..)| (rule, line)).collect()
    };
    assert_eq!(rules("hostname: a\n"), [("cloud-config-header", 1)]);
    assert_eq!(rules("#cloud-config\n- a\n"), [("cloud-config-syntax", 1)]);
    assert_eq!(rules("#cloud-config\na: [\n").len(), 1);
    assert_eq!(rules("#!/bin/sh\nhostnam: a\n"), []);
    assert_eq!(
        rules("## template: jinja\n#cloud-config\nhostnam: {{ v1.x }}\n"),
        [("cloud-init-unchecked", 1)]
    );
}
