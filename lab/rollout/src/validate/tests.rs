//! Tests without a directory in `tests/`: the program of Ignition, and a missing directory.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;

fn rollout(name: &str) -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest
        .join("../../scenarios/rollout")
        .join(name)
        .join("data")
}

/// A folder with an `ignition-validate` that does this.
fn program(script: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ignition-validate");
    // Written by another process: a file that is open for writing while a sibling test forks is "text file busy".
    let mut child = std::process::Command::new("sh")
        .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
        .arg(&path)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, script.as_bytes()).unwrap();
    drop(input);
    assert!(child.wait().unwrap().success());
    assert!(fs::metadata(&path).unwrap().permissions().mode() & 0o100 != 0);
    folder
}

fn with_program(script: &str) -> Report {
    let folder = program(script);
    validate(&Request {
        root: rollout("uefi-http-boot"),
        program_path: Some(folder.path().as_os_str()),
        ..Request::default()
    })
}

#[test]
fn the_program_is_given_each_config_as_a_machine_gets_it_and_has_its_say() {
    let report = with_program(
        "#!/bin/sh\n[ \"$1\" = - ] || exit 3\ngrep -q compute3 || exit 0\necho 'error at $.x, line 9 col 3: \
         bad' >&2\nexit 1\n",
    );
    assert!(
        matches!(
            &report.ignition_validate,
            Program::Ran {
                configs: 2,
                left_out: 0,
                ..
            }
        ),
        "{:?}",
        report.ignition_validate
    );
    let told: Vec<_> = report
        .findings
        .iter()
        .filter(|f| f.rule.id == "ignition-validate")
        .collect();
    assert_eq!(told.len(), 1, "{}", report::text(&report));
    assert_eq!(
        (told[0].problem.line, told[0].problem.column),
        (Some(9), Some(3))
    );
    assert!(
        told[0].problem.message.contains("$.x"),
        "{}",
        told[0].problem
    );
    assert!(told[0].problem.path.ends_with("ignition/compute.json"));
}

#[test]
fn a_program_that_is_content_says_nothing_and_one_that_is_not_there_is_told() {
    let report = with_program("#!/bin/sh\nexec cat >/dev/null\n");
    assert_eq!(report.count(Level::Error), 0, "{}", report::text(&report));
    assert!(
        matches!(
            &report.ignition_validate,
            Program::Ran {
                configs: 2,
                left_out: 0,
                ..
            }
        ),
        "{:?}",
        report.ignition_validate
    );
    let request = |name| Request {
        root: rollout(name),
        program_path: Some(OsStr::new("/nonexistent")),
        ..Request::default()
    };
    // Debian's own place is looked at as well.
    let report = validate(&request("uefi-http-boot"));
    assert_ne!(report.ignition_validate, Program::NotNeeded);
    let without = validate(&request("single-node-etcd"));
    assert_eq!(without.ignition_validate, Program::NotNeeded);
}

#[test]
fn a_directory_that_is_not_there_is_one_finding() {
    let report = validate(&Request {
        root: "/nonexistent/data".into(),
        ..Request::default()
    });
    let told: Vec<&str> = report.findings.iter().map(|f| f.rule.id).collect();
    assert_eq!(told, ["unreadable"]);
}

#[test]
fn a_variable_under_a_condition_is_told_only_when_it_is_reached() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let report = validate(&Request {
        root: manifest.join("../../boot-server/tests/conformance/http/matchbox-rack"),
        ..Request::default()
    });
    let told: Vec<&str> = report
        .findings
        .iter()
        .filter(|f| f.rule.id == "template-missing-key" && f.problem.path.ends_with("gen.tmpl"))
        .map(|f| f.problem.message.as_str())
        .collect();
    assert_eq!(
        told,
        [
            "missing value of `domain_name` for group `region` and group `host`",
            "missing value of `region` for group `node 1` and group `host`",
        ]
    );
}

/// Profiles as the documentation of matchbox and Flatcar has them, with options of people's own.
#[test]
fn profiles_of_other_distributions_have_no_error_and_no_warning() {
    let folder = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let url = "http://matchbox.example:8080/ignition?uuid=${uuid}&mac=${mac:hexhyp}";
    for (id, boot) in [
        (
            "fedora-coreos",
            format!(
                r#"{{"kernel": "/assets/fedora-coreos/live-kernel-x86_64",
                "initrd": ["--name main /assets/fedora-coreos/live-initramfs.x86_64.img"],
                "args": ["initrd=main", "coreos.live.rootfs_url=http://matchbox.example:8080/assets/r.img",
                "ignition.firstboot", "ignition.platform.id=metal", "ignition.config.url={url}",
                "site.rack=7", "nfsroot=10.0.0.1:/srv", "BOOTIF=01-${{mac:hexhyp}}", "console=tty0"]}}"#
            ),
        ),
        (
            "fedora-coreos-install",
            format!(
                r#"{{"kernel": "/assets/fedora-coreos/live-kernel-${{buildarch}}",
                "initrd": ["--name main /assets/fedora-coreos/live-initramfs.${{buildarch}}.img"],
                "args": ["initrd=main", "coreos.inst.install_dev=/dev/sda", "console=ttyS0",
                "coreos.inst.ignition_url={url}"]}}"#
            ),
        ),
        (
            "flatcar",
            format!(
                r#"{{"kernel": "/assets/flatcar/current/flatcar_production_pxe.vmlinuz",
                "initrd": ["/assets/flatcar/current/flatcar_production_pxe_image.cpio.gz"],
                "args": ["initrd=flatcar_production_pxe_image.cpio.gz", "flatcar.first_boot=yes",
                "flatcar.config.url={url}", "console=ttyS0,115200n8", "rootflags=rw", "mount.usrflags=ro"]}}"#
            ),
        ),
    ] {
        let profile = format!(r#"{{"id": "{id}", "boot": {boot}, "ignition_id": "{id}.ign"}}"#);
        write(&format!("profiles/{id}.json"), &profile);
        write(
            &format!("ignition/{id}.ign"),
            r#"{"ignition": {"version": "3.4.0"}}"#,
        );
        let number = 10 + id.len();
        let group = format!(
            r#"{{"id": "{id}", "profile": "{id}", "selector": {{"mac": "52:54:00:00:00:{number}"}}}}"#
        );
        write(&format!("groups/{id}.json"), &group);
    }
    let report = validate(&Request {
        root: folder.path().to_owned(),
        ..Request::default()
    });
    let quiet = report.count(Level::Error) + report.count(Level::Warning) == 0;
    assert!(quiet && report.groups == 3, "{}", report::text(&report));
}
