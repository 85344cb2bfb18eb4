//! Directories put together as the examples of bootcfg and matchbox are: nothing is wrong with them but that
//! they have more than one set needs.

use std::fs;
use std::path::Path;

use rollout::validate::{Level, Network, Report, Request, validate};

fn write(root: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

fn validated(root: &Path) -> Report {
    validate(&Request {
        ignition: None,
        root: root.to_owned(),
        machines: None,
        assets: None,
        network: Network::Ipxe,
        program_path: None,
    })
}

/// The rules of warnings and errors.
fn rules(report: &Report) -> Vec<&'static str> {
    let bad = report
        .findings
        .iter()
        .filter(|finding| finding.level() > Level::Info);
    let mut rules: Vec<&str> = bad.map(|finding| finding.rule.id).collect();
    rules.dedup();
    rules
}

const INSTALL: &str = r#"{"id": "install-reboot", "name": "Install and reboot", "boot": {
    "kernel": "/assets/coreos/1.2.3/coreos_production_pxe.vmlinuz",
    "initrd": ["/assets/coreos/1.2.3/coreos_production_pxe_image.cpio.gz"],
    "args": ["coreos.config.url=http://matchbox.foo:8080/ignition?uuid=${uuid}&mac=${mac:hexhyp}",
             "coreos.first_boot=yes", "console=tty0", "console=ttyS0"]}, "ignition_id": "install.ign"}"#;
const IGNITION: &str = r#"{"ignition": {"version": "2.2.0"}, "systemd": {"units": [{"name": "i.service",
    "enable": true, "contents": "[Service]\nExecStart=/usr/bin/curl http://matchbox.foo:8080/ignition?mac=a&os=installed -o c.ign\n"}]}}"#;

#[test]
fn set_of_matchbox_with_files_of_other_sets_has_no_false_alarm() {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        (
            "groups/install.json",
            r#"{"id": "coreos-install", "name": "Install", "profile": "install-reboot"}"#,
        ),
        (
            "groups/node1.json",
            r#"{"id": "node1", "profile": "etcd", "selector": {"mac": "52:54:00:a1:9c:ae", "os": "installed"}}"#,
        ),
        ("profiles/install-reboot.json", INSTALL),
        (
            "profiles/etcd.json",
            r#"{"id": "etcd", "name": "etcd", "ignition_id": "install.ign"}"#,
        ),
        // Of another set, and of another id.
        (
            "profiles/other.json",
            r#"{"id": "something-else", "boot": {"kernel": "/assets/k"}}"#,
        ),
        ("ignition/install.ign", IGNITION),
        ("ignition/other/part.ign", IGNITION),
    ];
    write(folder.path(), &files);
    let report = validated(folder.path());
    assert_eq!(
        rules(&report),
        ["unused-config", "unused-profile"],
        "{:#?}",
        report.findings
    );
    let folders = report
        .findings
        .iter()
        .filter(|f| f.problem.path.ends_with("ignition/other"));
    for finding in folders {
        assert!(finding.problem.message.contains("folder"), "{finding:?}");
    }
}

#[test]
fn set_of_bootcfg_is_named_by_its_groups_file() {
    let folder = tempfile::tempdir().unwrap();
    let groups = "---\napi_version: v1alpha1\ngroups:\n  - name: node1\n    spec: etcd\n    require:\n      uuid: \
                  16e7d8a7-bfa9-428b-9117-363341bb330b\n    metadata:\n      name: node1\n  - name: default\n    \
                  spec: etcd\n    metadata:\n      name: other\n";
    let spec = r#"{"id": "etcd", "boot": {"kernel": "/images/coreos/835.9.0/coreos_production_pxe.vmlinuz",
        "initrd": ["/images/coreos/835.9.0/coreos_production_pxe_image.cpio.gz"],
        "cmdline": {"cloud-config-url": "http://bootcfg.foo:8080/cloud?uuid=${uuid}&mac=${net0/mac:hexhyp}",
                    "console": "ttyS0"}}, "cloud_id": "etcd.yaml"}"#;
    let files = [
        ("etcd-docker.yaml", groups),
        ("specs/etcd/spec.json", spec),
        ("cloud/etcd.yaml", "#cloud-config\nhostname: {{.name}}\n"),
    ];
    write(folder.path(), &files);
    let report = validated(&folder.path().join("etcd-docker.yaml"));
    assert_eq!(
        (rules(&report), report.groups),
        (Vec::new(), 2),
        "{:#?}",
        report.findings
    );
    let report = validated(folder.path());
    let help: Vec<&str> = report
        .findings
        .iter()
        .map(|f| f.problem.help.as_str())
        .collect();
    assert!(
        help.iter().any(|help| help.contains("etcd-docker.yaml")),
        "{help:?}"
    );
}

#[test]
fn directory_that_serves_nobody_is_never_passed_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(rules(&validated(folder.path())), ["no-group"]);
    write(
        folder.path(),
        &[
            (
                "groups/etcd/node1.json",
                r#"{"id": "node1", "profile": "p"}"#,
            ),
            (
                "profiles/p.json",
                r#"{"id": "p", "boot": {"kernel": "/assets/k"}}"#,
            ),
        ],
    );
    let report = validated(folder.path());
    assert!(
        rules(&report).contains(&"no-group"),
        "{:#?}",
        report.findings
    );
    let nobody = report
        .findings
        .iter()
        .find(|f| f.rule.id == "no-group")
        .unwrap();
    assert!(nobody.problem.help.contains("groups/etcd"), "{nobody:?}");
}

#[test]
fn keys_in_another_case_are_validated_as_they_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        (
            "groups/a.json",
            r#"{"ID": "a", "Profile": "p", "SELECTOR": {"MAC": "52:54:00:00:00:01"}}"#,
        ),
        (
            "profiles/p.json",
            r#"{"id": "p", "Boot": {"Kernel": "/assets/k", "Initrd": ["/assets/i"], "Args": ["initrd=nothing"]}}"#,
        ),
    ];
    write(folder.path(), &files);
    let found = rules(&validated(folder.path()));
    assert!(
        found.contains(&"unmatchable-selector") && found.contains(&"initrd-name"),
        "{found:?}"
    );
    assert!(!found.contains(&"unknown-key"), "{found:?}");
}

fn of_ignition(config: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        ("groups/a.json", r#"{"id": "a", "profile": "p"}"#),
        ("profiles/p.json", r#"{"id": "p", "ignition_id": "i.ign"}"#),
        ("ignition/i.ign", config),
    ];
    write(folder.path(), &files);
    let findings = validated(folder.path()).findings.into_iter();
    let found = findings.filter(|f| f.level() > Level::Info);
    found
        .map(|f| format!("{} {}", f.rule.id, f.problem.message))
        .collect()
}

#[test]
fn storage_that_ignition_cannot_make_is_told() {
    let v2 =
        |storage: &str| format!(r#"{{"ignition": {{"version": "2.2.0"}}, "storage": {storage}}}"#);
    let v3 =
        |storage: &str| format!(r#"{{"ignition": {{"version": "3.3.0"}}, "storage": {storage}}}"#);
    let gzip = "data:;base64,H4sIAAAAAAACA0tUyMnMS+UCAAov+xcHAAAA";
    for (config, says) in [
        (
            v2(r#"{"files": [{"filesystem": "data", "path": "/a", "mode": 420}]}"#),
            "`data` is not defined",
        ),
        (
            v2(r#"{"directories": [{"filesystem": "rooot", "path": "/a"}]}"#),
            "`rooot` is not defined",
        ),
        (
            v3(r#"{"files": [{"path": "/etc/a"}, {"path": "/etc/a/b"}]}"#),
            "`/etc/a` is a file",
        ),
        (
            v3(
                r#"{"files": [{"path": "/etc/a"}], "links": [{"path": "/etc/a/b/c", "target": "/x"}]}"#,
            ),
            "`/etc/a` is a file",
        ),
        (
            v2(
                r#"{"files": [{"filesystem": "root", "path": "/o", "mode": 420}], "directories": [{"filesystem": "root", "path": "/o/p"}]}"#,
            ),
            "`/o` is a file",
        ),
        (v3(r#"{"files": [{"path": "/usr/bin/x"}]}"#), "below /usr"),
        (
            v3(
                r#"{"files": [{"path": "/a", "contents": {"source": "data:,plain", "compression": "gzip"}}]}"#,
            ),
            "not gzip",
        ),
        (
            v3(
                r#"{"files": [{"path": "/a", "contents": {"source": "data:;base64,H4sIAAAA", "compression": "gzip"}}]}"#,
            ),
            "not gzip",
        ),
    ] {
        let told = of_ignition(&config);
        assert!(
            told.len() == 1 && told[0].starts_with("ignition-value") && told[0].contains(says),
            "{config}: {told:?}"
        );
    }
    for config in [
        v2(
            r#"{"filesystems": [{"name": "data", "mount": {"device": "/dev/sda1", "format": "ext4"}}],
              "files": [{"filesystem": "data", "path": "/usr/x", "mode": 420}, {"filesystem": "root", "path": "/a", "mode": 420},
                        {"filesystem": "data", "path": "/a/b", "mode": 420}]}"#,
        ),
        v3(
            r#"{"files": [{"path": "/etc/a"}, {"path": "/etc/ab/c"}, {"path": "/usr/local/bin/x"}]}"#,
        ),
        v3(&format!(
            r#"{{"files": [{{"path": "/a", "contents": {{"source": "{gzip}", "compression": "gzip"}}}}]}}"#
        )),
    ] {
        assert_eq!(of_ignition(&config), [""; 0], "{config}");
    }
    let bom = of_ignition("\u{feff}{\"ignition\": {\"version\": \"3.3.0\"}}");
    let message = "ignition-syntax the file begins with a byte order mark (U+FEFF), which JSON does not allow: save \
                   the file as UTF-8 without BOM";
    assert_eq!(bom, [message]);
}

#[test]
fn cloud_config_that_coreos_cloudinit_refuses_is_an_error_and_binary_is_not() {
    let told = |cloud: &str| -> Vec<&'static str> {
        let folder = tempfile::tempdir().unwrap();
        let files = [
            ("groups/a.json", r#"{"id": "a", "profile": "p"}"#),
            (
                "profiles/p.json",
                r#"{"id": "p", "boot": {"kernel": "/assets/k", "args": ["console=ttyS0", "cloud-config-url=http://10.0.0.1:8080/cloud"]}, "cloud_id": "c"}"#,
            ),
            ("cloud/c", cloud),
        ];
        write(folder.path(), &files);
        rules(&validated(folder.path()))
    };
    for refused in [
        "#cloud-config\nhostname: a\n\tb: 2\n",
        "#cloud-config\nhostname: a\n\t\n",
        "#cloud-config\nhostname: a\n\t# c\n",
        "#cloud-config\nhostname: a\n...\nmore: text\n",
    ] {
        assert!(
            told(refused).contains(&"cloud-config-syntax"),
            "{refused:?}"
        );
    }
    let binary = "#cloud-config\nwrite_files:\n  - path: /etc/one\n    permissions: \"0644\"\n    encoding: gzip\n    \
                  content: !!binary |\n      H4sIAAAAAAACA0tUyMnMS+UCAAov+xcHAAAA\n  - path: /etc/two\n    encoding: \
                  gzip+base64\n    content: |\n      H4sIAAAAAAACA0tUyMnMS+UCAAov+xcHAAAA\n  - path: /etc/four\n    \
                  content: !!binary aGVsbG8K\n";
    assert_eq!(told(binary), [""; 0]);
}
