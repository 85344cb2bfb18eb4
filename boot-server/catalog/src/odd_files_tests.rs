//! Files that Go reads otherwise than a strict reader of JSON or UTF-8 would.

use std::path::Path;

use super::Labels;
use super::load::{self, Source};
use super::problem::{Problem, Severity};
use super::raw_text;
use super::snapshot::{Folder, Snapshot};

/// A data directory of these files; a name that ends in `/` is a folder.
fn directory(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, contents) in files {
        let path = folder.path().join(name);
        if name.ends_with('/') {
            std::fs::create_dir_all(path).unwrap();
            continue;
        }
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, contents).unwrap();
    }
    folder
}

fn load(files: &[(&str, &[u8])]) -> (Snapshot, Vec<Problem>) {
    let folder = directory(files);
    Snapshot::load(&Source::of(folder.path()))
}

fn served(files: &[(&str, &[u8])]) -> Snapshot {
    let (snapshot, problems) = load(files);
    let errors: Vec<String> = problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .map(Problem::to_string)
        .collect();
    assert_eq!(errors, [""; 0]);
    snapshot
}

fn spec_of(snapshot: &Snapshot, query: &str) -> Option<String> {
    let selection = snapshot.select(&Labels::from_query(query));
    selection.ok().map(|selection| selection.spec_id)
}

const PROFILE: &[u8] = br#"{"id":"p","boot":{"kernel":"/assets/k"}}"#;

#[test]
fn group_with_selector_in_another_case_matches_only_its_machine() {
    for key in ["Selector", "SELECTOR", "selectoR", "\u{17f}elector"] {
        let group = format!(r#"{{"Id":"a","PROFILE":"p","{key}":{{"mac":"52:54:00:EE:01:01"}}}}"#);
        let snapshot = served(&[
            ("groups/a.json", group.as_bytes()),
            ("profiles/p.json", PROFILE),
        ]);
        assert_eq!(
            spec_of(&snapshot, "mac=52-54-00-ee-01-01").as_deref(),
            Some("p"),
            "{key}"
        );
        assert_eq!(spec_of(&snapshot, "mac=52-54-00-ee-01-02"), None, "{key}");
    }
}

#[test]
fn group_whose_selector_is_misspelt_is_refused_in_both_layouts() {
    for key in ["selectors", "selecter", "selctor", "Selectors"] {
        let group = format!(r#"{{"id":"a","profile":"p","{key}":{{"mac":"52:54:00:ee:01:01"}}}}"#);
        let files: [(&str, &[u8]); 2] = [
            ("groups/a.json", group.as_bytes()),
            ("profiles/p.json", PROFILE),
        ];
        let (_, problems) = load(&files);
        let refused = problems.iter().any(|p| {
            p.rule == "unknown-key"
                && p.severity == Severity::Error
                && p.message
                    == format!(
                        "unknown key `{key}` (ignored), and so group `a` matches every machine"
                    )
        });
        assert!(refused, "{key}: {problems:?}");
    }
    for key in ["requires", "Require", "reqiure"] {
        let config =
            format!("api_version: v1alpha1\ngroups:\n  - spec: p\n    {key}: {{uuid: a}}\n");
        let files: [(&str, &[u8]); 2] = [
            ("config.yaml", config.as_bytes()),
            ("specs/p/spec.json", PROFILE),
        ];
        let (_, problems) = load(&files);
        let refused = problems
            .iter()
            .any(|p| p.rule == "unknown-key" && p.severity == Severity::Error);
        assert!(refused, "{key}: {problems:?}");
    }
    // A remark is no selector, and a group that selects is for nobody else.
    for group in [
        r#"{"id":"a","profile":"p","comment":"x"}"#,
        r#"{"id":"a","profile":"p","selector":{"a":"b"},"selectors":{}}"#,
    ] {
        let files: [(&str, &[u8]); 2] = [
            ("groups/a.json", group.as_bytes()),
            ("profiles/p.json", PROFILE),
        ];
        served(&files);
    }
}

#[test]
fn profile_and_spec_with_keys_in_another_case_boot_and_are_told_no_unknown_key() {
    let profile = br#"{"Id":"p","Boot":{"KERNEL":"k","Initrd":["i"],"aRGS":["a"]},"Cloud_ID":"c","IGNITION_ID":"i","Generic_Id":"g"}"#;
    let files: [(&str, &[u8]); 5] = [
        ("groups/a.json", br#"{"id":"a","profile":"p"}"#),
        ("profiles/p.json", profile),
        ("cloud/c", b"#cloud-config\n"),
        ("ignition/i", br#"{"Ignition":{"VERSION":"3.3.0"}}"#),
        ("generic/g", b"g"),
    ];
    let (snapshot, problems) = load(&files);
    assert_eq!(problems, []);
    let settings = snapshot.select(&Labels::default()).unwrap().boot.unwrap();
    assert_eq!(
        (settings.kernel.as_str(), settings.options.as_slice()),
        ("k", &["a".to_owned()][..])
    );
    for folder in Folder::ALL {
        snapshot.config(folder, &Labels::default(), "").unwrap();
    }
    let spec = br#"{"ID":"p","BOOT":{"Kernel":"k","cmdLine":{"a":"B"}},"Cloud_id":"c"}"#;
    let files: [(&str, &[u8]); 3] = [
        (
            "config.yaml",
            b"api_version: v1alpha1\ngroups:\n  - spec: p\n",
        ),
        ("specs/p/spec.json", spec),
        ("cloud/c", b"#cloud-config\n"),
    ];
    let (snapshot, problems) = load(&files);
    assert_eq!(problems, []);
    let settings = snapshot.select(&Labels::default()).unwrap().boot.unwrap();
    assert_eq!(settings.options, ["a=B"]);
}

#[test]
fn ignition_1_with_keys_in_another_case_is_read_and_yaml_names_are_not_jsons() {
    let ignition = br#"{"IgnitionVersion":1,"Systemd":{"UNITS":[{"Name":"a","Enable":true}]},"storage":{"disks":[{"device":"/dev/a","wipe_table":true,"WipeTable":false}]}}"#;
    let files: [(&str, &[u8]); 3] = [
        (
            "config.yaml",
            b"api_version: v1alpha1\ngroups:\n  - spec: p\n",
        ),
        ("specs/p/spec.json", br#"{"id":"p","ignition_id":"i.json"}"#),
        ("ignition/i.json", ignition),
    ];
    let config = served(&files)
        .config(Folder::Ignition, &Labels::default(), "")
        .unwrap();
    assert_eq!(
        config.text,
        r#"{"ignitionVersion":1,"storage":{"disks":[{"device":"/dev/a"}]},"systemd":{"units":[{"name":"a","enable":true}]},"networkd":{},"passwd":{}}"#
    );
}

#[test]
fn key_twice_and_half_a_character_and_latin_1_in_json_are_read_as_go_reads_them() {
    let group = b"{\"id\":\"a\",\"profile\":\"q\",\"profile\":\"p\",\"name\":\"M\xfcller\",\
                  \"metadata\":{\"odd\":\"x\\ud800y\"},\"metadata\":{\"n\":\"1\"}}";
    let profile = br#"{"id":"p","id":"p","generic_id":"no","generic_id":"g","boot":{"kernel":"k"},"boot":{"initrd":["i"]}}"#;
    let files: [(&str, &[u8]); 3] = [
        ("groups/a.json", group),
        ("profiles/p.json", profile),
        ("generic/g", b"{{.odd}} {{.n}}"),
    ];
    let snapshot = served(&files);
    let config = snapshot
        .config(Folder::Generic, &Labels::default(), "")
        .unwrap();
    assert_eq!(config.text, "x\u{fffd}y 1");
    let selection = snapshot.select(&Labels::default()).unwrap();
    assert_eq!(selection.group, "M\u{fffd}ller");
    assert_eq!(selection.boot.unwrap().kernel, "k");
}

#[test]
fn folder_with_the_name_of_a_json_file_is_skipped() {
    let files: [(&str, &[u8]); 4] = [
        ("groups/a.json", br#"{"id":"a","profile":"p"}"#),
        ("groups/b.json/", b""),
        ("profiles/p.json", PROFILE),
        ("profiles/x.json/", b""),
    ];
    let snapshot = served(&files);
    assert_eq!(spec_of(&snapshot, "").as_deref(), Some("p"));
    // One that a group names is missing, and so is a config.
    let files: [(&str, &[u8]); 5] = [
        (
            "groups/a.json",
            br#"{"id":"a","profile":"x","selector":{"a":"b"}}"#,
        ),
        ("groups/b.json", br#"{"id":"b","profile":"p"}"#),
        ("profiles/p.json", br#"{"id":"p","generic_id":"g"}"#),
        ("profiles/x.json/", b""),
        ("generic/g/", b""),
    ];
    let snapshot = served(&files);
    assert_eq!(spec_of(&snapshot, "a=b"), None);
    let refusal = snapshot
        .config(Folder::Generic, &Labels::default(), "")
        .unwrap_err();
    assert_eq!(
        refusal.reason,
        "group `b`: `generic/g` is a folder, not a file"
    );
}

#[test]
fn config_that_is_not_utf_8_is_served_as_its_bytes() {
    let latin: &[u8] = b"name=M\xfcller {{.n}}\x00\xff\n";
    let files: [(&str, &[u8]); 4] = [
        (
            "groups/a.json",
            br#"{"id":"a","profile":"p","metadata":{"n":"1"}}"#,
        ),
        (
            "profiles/p.json",
            br#"{"id":"p","generic_id":"g","cloud_id":"s"}"#,
        ),
        ("generic/g", latin),
        ("cloud/s", b"#!/bin/sh\necho \xe9\n"),
    ];
    let snapshot = served(&files);
    let bytes = |folder| {
        raw_text::to_bytes(
            snapshot
                .config(folder, &Labels::default(), "")
                .unwrap()
                .text,
        )
    };
    assert_eq!(bytes(Folder::Generic), b"name=M\xfcller 1\x00\xff\n");
    assert_eq!(bytes(Folder::Cloud), b"#!/bin/sh\necho \xe9\n");
}

#[test]
fn cloud_config_that_is_not_utf_8_or_empty_is_refused_and_the_others_served() {
    for cloud in [&b"#cloud-config\nhostname: \xe9\n"[..], b""] {
        let files: [(&str, &[u8]); 3] = [
            ("groups/a.json", br#"{"id":"a","profile":"p"}"#),
            (
                "profiles/p.json",
                br#"{"id":"p","cloud_id":"c","boot":{"kernel":"k"}}"#,
            ),
            ("cloud/c", cloud),
        ];
        let snapshot = served(&files);
        snapshot
            .config(Folder::Cloud, &Labels::default(), "")
            .unwrap_err();
        assert_eq!(spec_of(&snapshot, "").as_deref(), Some("p"));
    }
}

#[test]
fn data_directory_of_empty_folders_is_loaded_and_serves_nobody() {
    for folders in [&[][..], &["groups/"], &["profiles/"], &["assets/"]] {
        let files: Vec<(&str, &[u8])> = folders.iter().map(|name| (*name, &b""[..])).collect();
        let folder = directory(&files);
        let loaded = load::survey(&Source::of(folder.path()));
        assert_eq!(loaded.problems, [], "{folders:?}");
        assert_eq!(spec_of(&loaded.snapshot, ""), None, "{folders:?}");
    }
    let (_, problems) = load(&[("README", b"x")]);
    assert!(
        problems
            .iter()
            .any(|problem| problem.severity == Severity::Error)
    );
    let (_, problems) = Snapshot::load(&Source::of(Path::new("/nonexistent/data")));
    assert!(
        problems
            .iter()
            .any(|problem| problem.severity == Severity::Error)
    );
}
