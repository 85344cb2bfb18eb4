//! The example directories: each loads, is without a problem, and boots its machines.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use boot_server::catalog::Labels;
use boot_server::catalog::data_dir::{DataDir, Source};
use boot_server::catalog::snapshot::Folder;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

fn check(arguments: &[&str]) -> Output {
    let mut program = Command::cargo_bin("boot-server").unwrap();
    program.arg("check").args(arguments).output().unwrap()
}

#[test]
fn every_example_is_checked_clean_as_a_configuration_and_as_a_directory() {
    let mut seen = 0;
    for example in std::fs::read_dir(examples()).unwrap() {
        let folder = example.unwrap().path();
        let data = folder.join("data");
        // The assets of a configuration are not in the examples; a directory has none.
        let output = check(&[data.to_str().unwrap()]);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            (output.status.code(), told.as_str()),
            (Some(0), ""),
            "{}",
            data.display()
        );
        let output = check(&[
            "--config",
            folder.join("boot-server.toml").to_str().unwrap(),
        ]);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{told}");
        let other = told
            .lines()
            .find(|line| line.contains('⚠') && !line.contains("asset not found"));
        assert_eq!(other, None, "{told}");
        seen += 1;
    }
    assert_eq!(seen, 5);
}

fn served(example: &str, folder: Folder, query: &str) -> String {
    let root = examples().join(example).join("data");
    let (data_dir, problems) = DataDir::open(Source::of(root), None).unwrap();
    assert_eq!(problems, []);
    let snapshot = data_dir.snapshot();
    snapshot
        .config(folder, &Labels::from_query(query), query)
        .unwrap()
        .text
}

#[test]
fn each_machine_of_the_examples_gets_what_is_meant_for_it() {
    for (example, folder, query, text) in [
        (
            "libvirt-guide",
            Folder::Cloud,
            "uuid=5d5c2d2a-3f1b-4a3c-9c55-0a6a4f2f1002",
            "initial-cluster: node1=http://node1:2380,node2=http://node2:2380,node3=",
        ),
        (
            "libvirt-guide",
            Folder::Cloud,
            "mac=52-54-00-7a-10-04",
            "hostname: node4",
        ),
        (
            "libvirt-guide",
            Folder::Cloud,
            "uuid=new",
            "belongs to no group",
        ),
        (
            "etcd-ignition",
            Folder::Ignition,
            "mac=3c-ec-ef-10-00-02",
            r#"ETCD_NAME=etcd2\""#,
        ),
        (
            "matchbox-grub",
            Folder::Generic,
            "mac=3c-ec-ef-30-00-07",
            "DATA_DISK=/dev/sdb\n",
        ),
        (
            "matchbox-grub",
            Folder::Generic,
            "uuid=u",
            "ROLE=spare\nNTP_SERVER=10.30.0.2\n",
        ),
        ("flatcar", Folder::Ignition, "serial=7Q", "data:,worker-7Q"),
        (
            "fedora-coreos",
            Folder::Ignition,
            "mac=52-54-00-00-00-01",
            "\"core\"",
        ),
    ] {
        let got = served(example, folder, query);
        assert!(got.contains(text), "{example} {query}: {got}");
    }
}

#[test]
fn check_of_a_broken_directory_exits_2_with_file_line_and_column() {
    let dir = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| {
        let path = dir.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(
        "groups/a.json",
        "{\n \"id\": \"a\", \"profle\": \"p\", \"profile\": \"gone\"\n}\n",
    );
    write("groups/b.json", "{\n \"id\": 5\n}\n");
    write(
        "profiles/q.json",
        "{\"id\": \"q\", \"generic_id\": \"g\"}\n",
    );
    write("generic/g", "one\n{{ end }}\n");
    write("generic/forgotten", "");
    let output = check(&[dir.path().to_str().unwrap()]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{told}");
    for part in [
        "groups/a.json:2:13",
        "did you mean `profile`?",
        "profiles/gone.json",
        "groups/b.json:2:8",
        "generic/g:2:",
        "no profile refers to it",
        "no group refers to it",
    ] {
        assert!(told.contains(part), "`{part}` is not in:\n{told}");
    }
}
