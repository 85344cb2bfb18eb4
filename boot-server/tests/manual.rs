//! Tests of shell completions and manual pages.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output};

fn boot_server(arguments: &[&str]) -> Output {
    Command::new(assert_cmd::cargo::cargo_bin!("boot-server"))
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn each_command_has_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let output = boot_server(&["man", folder.path().to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    let entries = fs::read_dir(folder.path()).unwrap();
    let pages: BTreeSet<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for name in [
        "",
        "-check",
        "-leases",
        "-pixiecore",
        "-pixiecore-api",
        "-man",
    ] {
        let page = format!("boot-server{name}.1");
        assert!(pages.contains(&page), "no {page} in {pages:?}");
        let text = fs::read_to_string(folder.path().join(page)).unwrap();
        assert!(text.contains(".SH SYNOPSIS"), "{text}");
    }
}

#[test]
fn the_script_for_bash_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("boot-server.bash");
    let output = boot_server(&["completions", "bash"]);
    fs::write(&script, &output.stdout).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("--data-path") && text.contains("pixiecore"));
    let checked = Command::new("bash")
        .arg("-n")
        .arg(&script)
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
}
