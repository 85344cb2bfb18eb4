//! Tests of the findings about a seed's user-data.

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

#[test]
fn parts_of_a_message_are_checked_where_they_stand() {
    let message = |of: &str, text: &str| {
        format!(
            "Content-Type: multipart/mixed; boundary=b\nMIME-Version: 1.0\n\n--b\nContent-Type: {of}\n\n{text}\n--b--\n"
        )
    };
    let first = |text: String| {
        let mut found = found(&text).into_iter();
        let first = found
            .next()
            .map(|(rule, line, column, ..)| (rule, line, column));
        (first, found.next())
    };
    let of = |rule, line, column| (Some((rule, line, column)), None);
    assert_eq!(
        first(message("text/cloud-config", "#cloud-config\ntimezone: 7")),
        of("cloud-init-type", 8, 11)
    );
    // The type is enough.
    assert_eq!(
        first(message("text/cloud-config", "timezone: UTC")),
        (None, None)
    );
    assert_eq!(
        first(message("text/cloud-config", "a: ["))
            .0
            .map(|(rule, ..)| rule),
        Some("cloud-config-syntax")
    );
    assert_eq!(
        first(message("text/plain", "hello")),
        of("cloud-init-part", 7, 1)
    );
    assert_eq!(
        first(message("text/x-own", "hello")),
        of("cloud-init-part", 7, 1)
    );
    assert_eq!(
        first(message("text/jinja2", "## template: jinja")),
        of("cloud-init-unchecked", 7, 1)
    );
    let handled = message(
        "text/part-handler",
        "def list_types(): …\n--b\nContent-Type: text/x-own\n\nhello",
    );
    assert_eq!(first(handled), (None, None));
    let encoded = "Content-Transfer-Encoding: base64\n\nI2Nsb3VkLWNvbmZpZwp0aW1lem9uZTogNwo=";
    let encoded =
        message("text/plain", encoded).replacen("\n\nContent-Transfer", "\nContent-Transfer", 1);
    assert_eq!(first(encoded), of("cloud-init-type", 8, 1));
}
