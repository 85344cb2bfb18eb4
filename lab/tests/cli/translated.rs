//! Butane and Container Linux Configs: `lab butane`, and what `lab plan` and `lab validate` show of them.

use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use test_support::assert_line;

fn lab(arguments: &[&str], input: &str) -> Output {
    let mut program = Command::cargo_bin("lab").unwrap();
    program.args(arguments).write_stdin(input).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn set(name: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../boot-server/tests/examples");
    path.join(name).into_os_string().into_string().unwrap()
}

#[test]
fn butane_prints_the_ignition_config_of_both_languages() {
    let butane = "variant: fcos\nversion: 1.4.0\n";
    let clc = "passwd:\n  users:\n    - name: core\n";
    for (arguments, input, begins) in [
        (vec![], butane, "{\"ignition\":{\"version\":\"3.3.0\"}}\n"),
        (
            vec!["--pretty"],
            butane,
            "{\n  \"ignition\": {\n    \"version\": \"3.3.0\"\n",
        ),
        (
            vec!["--ignition", "as-0.11"],
            butane,
            "{\"ignition\":{\"config\":{\"replace\":",
        ),
        (vec![], clc, "{\"ignition\":{\"config\":{},"),
        (
            vec!["--pretty"],
            clc,
            "{\n  \"ignition\": {\n    \"config\": {},\n",
        ),
    ] {
        let output = lab(&[&["butane", "-"], arguments.as_slice()].concat(), input);
        let told = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert!(told.starts_with(begins), "{told}");
    }
}

#[test]
fn butane_refuses_with_line_and_column_and_exit_2() {
    let wrong = "variant: fcos\nversion: 1.4.0\nstorage:\n  files:\n    - path: a\n";
    let output = lab(&["butane", "-"], wrong);
    let told = text(&output.stderr);
    assert_eq!(
        (output.status.code(), output.stdout.len()),
        (Some(2), 0),
        "{told}"
    );
    insta::assert_snapshot!(told, @r"
    translation-refused

      × Butane config: path not absolute ($.storage.files.0.path)
       ╭─[-:5:13]
     4 │   files:
     5 │     - path: a
       ·             ▲
       ·             ╰── here
       ╰────
      help: correct the config
    ");
    let unused = "variant: fcos\nversion: 1.4.0\nspare: 1\n";
    assert_eq!(lab(&["butane", "-"], unused).status.code(), Some(0));
    let output = lab(&["butane", "-", "--strict"], unused);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    let output = lab(&["butane", "-"], "{\"ignition\": {\"version\": \"3.3.0\"}}");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn plan_shows_source_and_result_of_a_translated_config() {
    let set = set("matchbox-0.11");
    let table = lab(&["plan", &set], "");
    let told = text(&table.stdout);
    assert_line(&told, "…(Butane config → 3.4.0)…");
    let shown = lab(
        &["plan", &set, "--show", "flatcar", "--ignition", "as-butane"],
        "",
    );
    let told = text(&shown.stdout);
    for part in [
        "--- Butane config of ignition/flatcar.yaml, as rendered\n",
        "        inline: flatcar1\n",
        "--- Ignition config of ignition/flatcar.yaml\n",
        "\"ignition\":{\"version\":\"3.3.0\"}",
    ] {
        assert!(told.contains(part), "{part}\n{told}{}", text(&shown.stderr));
    }
}

#[test]
fn validate_reports_a_translators_findings_at_their_lines() {
    let output = lab(&["validate", &set("matchbox-0.9")], "");
    let told = text(&output.stdout);
    let unspecified =
        "mode unspecified for directory, defaulting to 0755 ($.storage.directories.0.mode)";
    assert_line(&told, "translation-warning");
    assert_line(
        &told,
        &format!("  ⚠ Container Linux Config: {unspecified} (for group `gateway`)"),
    );
    assert_line(&told, "    ╭─[…/ignition/gateway.yaml:30:7]");
    let output = lab(
        &["validate", &set("matchbox-0.9"), "--ignition", "as-0.11"],
        "",
    );
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(2));
    assert_line(&told, "translation-refused");
    assert_line(&told, "  × …: missing `variant`…");
}
