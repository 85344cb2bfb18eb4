//! Completions and manual pages, and the output of `lab` without arguments.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::printed;

fn lab(arguments: &[&str]) -> Output {
    Command::new(assert_cmd::cargo::cargo_bin!("lab"))
        .args(arguments)
        .output()
        .unwrap()
}

/// The commands that `--help` lists behind these words.
fn commands_of(words: &[&str]) -> Vec<String> {
    let output = lab(&[words, &["--help"]].concat());
    let help = String::from_utf8(output.stdout).unwrap();
    let Some((_, list)) = help.split_once("Commands:\n") else {
        return Vec::new();
    };
    let lines = list.lines().take_while(|line| !line.is_empty());
    // Descriptions that are broken into lines are indented further.
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn each_command_that_is_listed_has_a_page_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man/man1");
    let output = lab(&["man", pages.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let mut expected = BTreeSet::from(["lab.1".to_owned()]);
    for command in commands_of(&[]) {
        expected.insert(format!("lab-{command}.1"));
        for below in commands_of(&[&command]) {
            expected.insert(format!("lab-{command}-{below}.1"));
        }
    }
    assert!(expected.len() > 20, "{expected:?}");
    let entries = fs::read_dir(&pages).unwrap();
    let written: BTreeSet<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(written, expected);
    for page in &written {
        let text = fs::read_to_string(pages.join(page)).unwrap();
        for part in [".TH lab", ".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION"] {
            assert!(text.contains(part), "{page} has no {part}:\n{text}");
        }
    }
}

#[test]
fn the_script_for_bash_is_one() {
    let script = lab(&["completions", "bash"]).stdout;
    let text = String::from_utf8(script.clone()).unwrap();
    for word in ["doctor", "rehearse", "--firmware", "ipxe-chainload"] {
        assert!(text.contains(word), "no {word}");
    }
    let mut bash = Command::new("bash")
        .arg("-n")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    bash.stdin.take().unwrap().write_all(&script).unwrap();
    let output = bash.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", printed(&output));
    assert!(output.stderr.is_empty(), "{}", printed(&output));
}

#[test]
fn other_shells_have_scripts_too() {
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        let output = lab(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("doctor"), "{shell}");
    }
}

#[test]
fn without_arguments_it_says_what_it_is_for() {
    let output = lab(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    assert!(output.stderr.is_empty(), "{}", printed(&output));
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap());
}

#[test]
fn schemas_are_listed_and_each_is_printed_as_published() {
    let listed = String::from_utf8(lab(&["schema"]).stdout).unwrap();
    let names = listed
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schemas");
    let mut printed_schemas = 0;
    for name in names {
        let output = lab(&["schema", name]);
        assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
        let published = std::fs::read(folder.join(format!("{name}.schema.json"))).unwrap();
        assert!(output.stdout == published, "{name}");
        printed_schemas += 1;
    }
    assert_eq!(printed_schemas, 9);
    assert_eq!(lab(&["schema", "unheard-of"]).status.code(), Some(2));
}
