//! `lab plan` and `lab inventory`: exit codes, what goes to which output, and a directory of a git repository
//! against its own past. No machine is started.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::shown;
use crate::support::{printed, project_scenarios};

fn lab(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(arguments)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A git repository with a scenario's data directory `data` and a list of its machines.
fn repository() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let data = project_scenarios().join("pxe-dhcp/data");
    let copied = Command::new("cp")
        .arg("-r")
        .arg(data)
        .arg(folder.path())
        .status();
    assert!(copied.unwrap().success());
    let list = "name,mac,uuid\n\
                node1,52:54:00:a1:9c:ae,16e7d8a7-bfa9-428b-9117-363341bb330b\n\
                node2,52:54:00:b2:2f:86,\n\
                node3,52:54:00:c3:61:77,\n";
    fs::write(folder.path().join("machines.csv"), list).unwrap();
    for arguments in [
        &["init", "--quiet", "--initial-branch=main"][..],
        &["add", "."],
        &[
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.com",
            "commit",
            "--quiet",
            "-m",
            "first",
        ],
    ] {
        let git = Command::new("git")
            .args(arguments)
            .current_dir(folder.path())
            .status();
        assert!(git.unwrap().success());
    }
    folder
}

fn replace(folder: &Path, file: &str, from: &str, to: &str) {
    let path = folder.join(file);
    let before = fs::read_to_string(&path).unwrap();
    assert!(before.contains(from), "{file} has no {from}");
    fs::write(path, before.replace(from, to)).unwrap();
}

const PLAN: [&str; 4] = ["plan", "data", "--machines", "machines.csv"];

fn plan(folder: &Path, more: &[&str]) -> Output {
    lab(&[&PLAN[..], more].concat(), folder)
}

#[test]
fn a_good_directory_is_planned_and_exit_is_0() {
    let folder = repository();
    let output = plan(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let table = text(&output.stdout);
    for line in ["node1", "node2", "node3", "3 machines by 3 specs"] {
        assert!(table.contains(line), "{table}");
    }
    assert!(!table.contains('\u{1b}'), "{table}");
    let output = plan(folder.path(), &["--show", "node3"]);
    assert!(
        text(&output.stdout).contains("\n#!ipxe\nkernel "),
        "{}",
        printed(&output)
    );
}

#[test]
fn groups_file_by_name_is_planned_against_a_revision_and_another_file() {
    let folder = repository();
    let path = folder.path();
    let copy = |from: &str, to: &str| fs::copy(path.join(from), path.join(to)).unwrap();
    copy("data/config.yaml", "data/site.yaml");
    for arguments in [&["add", "."][..], &["commit", "--quiet", "-m", "second"]] {
        let own = ["-c", "user.name=t", "-c", "user.email=t@example.com"];
        let mut git = Command::new("git");
        let git = git.args(own).args(arguments).current_dir(path).status();
        assert!(git.unwrap().success());
    }
    copy("data/site.yaml", "data/before.yaml");
    replace(
        path,
        "data/site.yaml",
        "52:54:00:b2:2f:86",
        "52:54:00:b2:2f:87",
    );
    for (against, name) in [("main", "main ("), ("data/before.yaml", "data/before.yaml")] {
        let arguments = ["plan", "data/site.yaml", "--machines", "machines.csv"];
        let form = ["--against", against, "--format", "json"];
        let output = lab(&[&arguments[..], &form].concat(), path);
        assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
        let json = json(&output);
        let what = json["against"]["what"].as_str().unwrap();
        assert!(what.starts_with(name), "{what}");
        assert_eq!(json["against"]["changing"], json!(["node2"]));
        assert_eq!(json["machines"][1]["group"], "default", "{json:#}");
    }
}

#[test]
fn a_change_of_the_working_tree_is_planned_against_a_revision() {
    let folder = repository();
    replace(
        folder.path(),
        "data/config.yaml",
        "52:54:00:b2:2f:86",
        "52:54:00:b2:2f:87",
    );
    replace(
        folder.path(),
        "data/cloud/node1.yaml",
        "#cloud-config\n",
        "#cloud-config\n# new\n",
    );
    let output = plan(folder.path(), &["--against", "main"]);
    let told = text(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(0),
        "node2 falls to the default: {}",
        printed(&output)
    );
    assert!(told.starts_with("Against main ("), "{told}");
    assert!(told.contains("    +# new\n"), "{told}");
    let json = json(&plan(
        folder.path(),
        &["--against", "main", "--format", "json"],
    ));
    assert_eq!(json["against"]["changing"], json!(["node1", "node2"]));
    assert_eq!(json["against"]["unchanged"], 1);
    assert_eq!(json["machines"][1]["group"], "default", "{json:#}");
    let markdown = plan(
        folder.path(),
        &["--against", "main", "--format", "markdown"],
    );
    assert!(text(&markdown.stdout).starts_with("### Boot plan against main ("));
}

#[test]
fn machines_that_get_nothing_are_exit_100() {
    let folder = repository();
    let config = folder.path().join("data/config.yaml");
    let kept = fs::read_to_string(&config).unwrap();
    let (kept, _) = kept.split_once("  - name: default").unwrap();
    fs::write(&config, kept).unwrap();
    let output = plan(folder.path(), &["--against", "HEAD", "--format", "json"]);
    assert_eq!(output.status.code(), Some(100), "{}", printed(&output));
    assert_eq!(json(&output)["against"]["stopping"], json!(["node3"]));
    let without = lab(&["plan", "data", "--against", "HEAD"], folder.path());
    assert_eq!(
        without.status.code(),
        Some(0),
        "groups are machines: {}",
        printed(&without)
    );
}

#[test]
fn wrong_input_is_exit_2_with_all_that_is_wrong() {
    let folder = repository();
    fs::write(
        folder.path().join("bad.toml"),
        "[[machines]]\nnmae = 'a'\nmac = 'x'\n",
    )
    .unwrap();
    fs::create_dir(folder.path().join("main")).unwrap();
    let refused = |arguments: &[&str]| {
        let output = lab(arguments, folder.path());
        assert_eq!(output.status.code(), Some(2), "{}", printed(&output));
        assert!(output.stdout.is_empty(), "{}", printed(&output));
        format!("# {arguments:?}\n{}", shown(&output, folder.path()))
    };
    let mut listed = vec![
        refused(&["plan", "data", "--machines", "bad.toml"]),
        refused(&["inventory", "check", "bad.toml"]),
        refused(&[&PLAN[..], &["--against", "nowhere"]].concat()),
        refused(&[&PLAN[..], &["--against", "main"]].concat()),
        refused(&[&PLAN[..], &["--show", "node"]].concat()),
        refused(&["plan", "main"]),
        refused(&["inventory", "import", "nothing-there"]),
    ];
    replace(folder.path(), "data/config.yaml", "v1alpha1", "v9");
    listed.push(refused(&PLAN));
    insta::assert_snapshot!(listed.join("\n"));
}

#[test]
fn an_imported_list_is_read_and_what_is_left_out_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let hosts = "dhcp-host=52:54:00:a1:9c:ae,node1,10.0.0.1\ndhcp-host=52:54:00:a1:9c:af,ignore\n";
    fs::write(folder.path().join("dnsmasq.conf"), hosts).unwrap();
    for arguments in [
        &["inventory", "import", "dnsmasq", "dnsmasq.conf"][..],
        &["inventory", "import", "dnsmasq.conf"],
    ] {
        let output = lab(arguments, folder.path());
        assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
        let told = text(&output.stderr);
        assert_eq!(
            told,
            "left out: dnsmasq.conf:2: dnsmasq ignores this host\nleft out: IP addresses (1 time)\n"
        );
        fs::write(folder.path().join("machines.toml"), &output.stdout).unwrap();
        let checked = lab(&["inventory", "check", "machines.toml"], folder.path());
        assert_eq!(text(&checked.stdout), "machines.toml: 1 machine\n");
    }
}
