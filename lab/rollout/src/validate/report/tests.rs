//! Tests of the report formats of a validation.

use std::collections::BTreeSet;
use std::path::Path;

use boot_server_catalog::snapshot::Layout;

use super::*;
use crate::validate::finding::{Findings, Source};
use crate::validate::tree::At;
use crate::validate::{EfiProgram, EfiSignature, RULES, Report};

fn report() -> Report {
    let mut findings = Findings::default();
    let source = Source::new(Path::new("data/a b,c:d.yaml"), "x: é 1\ny: 2\n");
    let at = At { line: 1, column: 6 };
    findings.add(source.problem("unknown-key", at, "100% wrong\nin two lines", "help: it"));
    findings.add(source.problem("syntax", At::default(), "no place", "write it"));
    Report {
        findings: findings.sorted(),
        layout: Layout::Bootcfg,
        groups: 1,
        profiles: 2,
        machines: 0,
        ignition_validate: Program::NotInstalled,
        programs: vec![EfiProgram {
            file: "assets/shimx64.efi".into(),
            kind: "shim",
            architecture: "x86_64",
            sha256: "00ff".into(),
            signatures: vec![EfiSignature {
                signer: "UEFI CA 2023 signer".into(),
                authority: "UEFI CA 2023".into(),
                problem: None,
            }],
            sbat: vec!["shim,4".into()],
            vendors: vec!["Debian Secure Boot CA".into()],
            error: None,
        }],
    }
}

#[test]
fn commands_for_github_are_escaped() {
    assert_eq!(
        github(&report()),
        "::error file=data/a b%2Cc%3Ad.yaml,title=syntax::no place%0Awrite it\n\
         ::warning file=data/a b%2Cc%3Ad.yaml,line=1,col=6,title=unknown-key::100%25 wrong%0Ain two \
         lines%0Ahelp: it\n"
    );
}

#[test]
fn json_has_a_form_that_stays() {
    insta::assert_snapshot!(json(&report()).unwrap());
}

#[test]
fn people_see_the_line_itself_and_a_summary() {
    insta::assert_snapshot!(text(&report()));
}

#[test]
fn sarif_has_every_rule_and_each_result_its_rule_and_region() {
    let document = sarif(&report(), Some("https://example.org/rules.html")).unwrap();
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["version"], "2.1.0");
    let run = &document["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), RULES.len());
    for rule in rules {
        let id = rule["id"].as_str().unwrap();
        assert_eq!(
            rule["helpUri"],
            format!("https://example.org/rules.html#{id}")
        );
        assert!(
            rule["help"]["text"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{id}"
        );
    }
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "data/a%20b%2Cc%3Ad.yaml");
    }
    assert!(results[0]["locations"][0]["physicalLocation"]["region"].is_null());
    assert_eq!(
        results[1]["locations"][0]["physicalLocation"]["region"],
        serde_json::json!({"startLine": 1, "startColumn": 6, "snippet": {"text": "x: é 1"}})
    );
    let without = sarif(&report(), None).unwrap();
    assert!(!without.contains("helpUri"));
}

#[test]
fn every_rule_has_a_section_in_the_documentation_and_every_section_a_rule() {
    let sections: BTreeSet<&str> = documentation().into_keys().collect();
    let rules: BTreeSet<&str> = RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(sections, rules);
    for (id, text) in documentation() {
        let level = crate::validate::rule::of_id(id).map_or("", |rule| rule.level.name());
        let told = format!("*{level}*");
        assert!(
            text.starts_with(&told),
            "{id} is of level {level}, its section begins:\n{text}"
        );
    }
}
