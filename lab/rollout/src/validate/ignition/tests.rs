//! Tests of the rules about Ignition configs.

use super::*;

fn found_in(text: &str, language: Language) -> Vec<String> {
    let mut findings = Findings::default();
    let source = Source::new(std::path::Path::new("c"), text);
    check(&source, text, language, &|at| at, "", &mut findings);
    let told = findings.sorted().into_iter();
    told.map(|f| {
        format!(
            "{} {}: {}",
            f.problem.line.unwrap_or(0),
            f.rule.id,
            f.problem.message
        )
    })
    .collect()
}

fn found(text: &str) -> Vec<String> {
    found_in(text, Language::Json)
}

#[test]
fn a_config_of_every_version_as_it_should_be_has_no_finding() {
    for text in [
        r#"{"ignitionVersion": 1, "systemd": {"units": [{"name": "a.service", "enable": true}]}}"#,
        r#"{"ignition": {"version": "2.1.0"}, "storage": {"files": [{"filesystem": "root",
            "path": "/a", "contents": {"source": "data:,x"}, "mode": 420}]}}"#,
        r#"{"ignition": {"version": "3.3.0"}, "kernelArguments": {"shouldExist": ["quiet"]},
            "storage": {"files": [{"path": "/a", "mode": 420, "contents": {"source": null}}]}}"#,
    ] {
        assert_eq!(found(text), [""; 0]);
    }
    let yaml = "ignition_version: 1\nstorage:\n  disks:\n    - device: /dev/sda\n      wipe_table: \
                true\n      partitions:\n        - {label: A, number: 1, size: 1GiB, start: 0}\n";
    assert_eq!(found_in(yaml, Language::Yaml), [""; 0]);
}

#[test]
fn keys_are_held_against_the_version_that_the_config_names() {
    let text =
        "{\"ignition\": {\"version\": \"3.0.0\"},\n \"kernelArguments\": {},\n \"storge\": {}}";
    assert_eq!(
        found(text),
        [
            "2 ignition-unknown-key: unknown key `kernelArguments` in version 3.0",
            "3 ignition-unknown-key: unknown key `storge` in the config",
        ]
    );
}

#[test]
fn kinds_required_keys_and_values_are_told_with_their_lines() {
    let text = "{\"ignition\": {\"version\": \"3.3.0\"},\n\"storage\": {\"files\": [\n{\"path\": \"a\"},\n\
                {\"mode\": 420},\n{\"path\": \"/b\", \"mode\": \"0644\"},\n{\"path\": \"/c\", \"mode\": \
                644},\n{\"path\": \"/c\", \"contents\": {\"source\": \"htp://x\"}}]}}";
    assert_eq!(
        found(text),
        [
            "3 ignition-value: `path`: invalid path `a`: not absolute",
            "4 ignition-missing-key: missing `path` in an entry of `files`",
            "5 ignition-type: `mode` is a text, not a whole number",
            "6 decimal-mode: `mode`: mode 644 is decimal, and means 1204",
            "7 ignition-duplicate: duplicate `/c`",
            "7 ignition-value: `source`: unsupported URL `htp://x`",
        ]
    );
}

#[test]
fn what_is_no_config_or_of_no_known_version_is_told_once() {
    for (text, expected) in [
        ("{", "1 ignition-syntax"),
        (
            "variant: fcos\nversion: 1.4.0\n",
            "1 ignition-syntax: unsupported language: a Butane",
        ),
        ("{}", "1 ignition-version"),
        (
            "{\"ignition\": {\"version\": \"3.9.0\"}}",
            "1 ignition-version",
        ),
        (
            "{\"ignition\":\n{\"version\": \"4.0.0\"}}",
            "2 ignition-version",
        ),
        ("{\"ignitionVersion\": 2}", "1 ignition-version"),
    ] {
        let told = found(text);
        assert!(
            told.len() == 1 && told[0].starts_with(expected),
            "{text}: {told:?}"
        );
    }
}

#[test]
fn version_1_in_yaml_wants_units_of_size_and_octal_modes() {
    let yaml = "ignition_version: 1\nstorage:\n  filesystems:\n    - device: /dev/sda\n      format: \
                ext4\n      files:\n        - {path: /a, mode: 0644}\n        - {path: /b, mode: 644}\n  \
                disks:\n    - device: /dev/sda\n      partitions:\n        - {number: 1, size: 5}\n";
    let told = found_in(yaml, Language::Yaml);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("8 decimal-mode"), "{told:?}");
    assert!(told[1].starts_with("12 ignition-type"), "{told:?}");
}

#[test]
fn the_place_that_the_program_names_is_read() {
    let said = "error at $.storage.files.0.path, line 7 col 13: path not absolute";
    assert_eq!(program::place(said), Some((7, 13)));
    assert_eq!(program::place("nothing"), None);
}
