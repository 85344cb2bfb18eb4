//! A run whose artifacts do not fit on their disk, and one that may open hardly any file: an error with its reason,
//! never a hang, and nothing left. Simulated machines suffice.

use std::fs;
use std::process::{Command, Output, Stdio};

use test_support::{assert_line, ends, eventually, has_line, is};

use crate::support::{DEADLINE, Scenarios, printed};

fn simulated() -> Scenarios {
    let scenarios = Scenarios::new();
    scenarios
        .copy("ipxe-chainload", "full")
        .quick("node1")
        .edit_toml(|scenario| {
            scenario.insert("machines".into(), "simulated".into());
        });
    scenarios
}

/// The output of a program that has to end by itself.
fn ended(command: &mut Command) -> Output {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    ends(child, DEADLINE)
}

/// `lab run` with its artifacts on a file system of that size, which only it and its children see.
fn run_on_a_disk_of(scenarios: &Scenarios, size: &str) -> Output {
    fs::create_dir_all(scenarios.artifacts()).unwrap();
    let script = "mount -t tmpfs -o size=\"$0\" tmpfs \"$1\" && shift && exec \"$@\"";
    let mut lab = Command::new("unshare");
    lab.args(["--mount", "sh", "-c", script, size])
        .arg(scenarios.artifacts());
    let run = scenarios.lab_run();
    lab.arg(run.get_program()).args(run.get_args());
    ended(&mut lab)
}

fn nothing_is_left(scenarios: &Scenarios) {
    let word = scenarios.artifacts().display().to_string();
    eventually(DEADLINE, || {
        let left: Vec<String> = fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
            .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
            .filter(|line| line.contains(&word))
            .collect();
        is(left.is_empty(), format!("still running: {left:#?}"))
    });
}

/// V16, V29.
#[test]
fn run_on_a_full_disk_ends_with_the_path_and_a_table() {
    // The first is full while a cell is set up, the second before the reports.
    for size in ["60k", "84k"] {
        let scenarios = simulated();
        let output = run_on_a_disk_of(&scenarios, size);
        let text = printed(&output);
        assert_ne!(output.status.code(), Some(0), "{size}: {text}");
        let artifacts = scenarios.artifacts();
        let lost = format!("…{}/…: No space left on device…", artifacts.display());
        assert_line(&text, &lost);
        assert!(!has_line(&text, "thread … panicked at …"), "{size}: {text}");
        if output.status.code() != Some(1) || has_line(&text, "lab: cannot write artifacts:") {
            assert_line(&text, "full@bios …");
        }
        nothing_is_left(&scenarios);
    }
}

/// V29.
#[test]
fn run_that_may_open_few_files_is_refused_with_the_limit() {
    let scenarios = simulated();
    let run = scenarios.lab_run();
    let mut lab = Command::new("sh");
    lab.args(["-c", "ulimit -n 24 && exec \"$@\"", "sh"])
        .arg(run.get_program())
        .args(run.get_args());
    let output = ended(&mut lab);
    let text = printed(&output);
    assert_eq!(output.status.code(), Some(69), "{text}");
    assert_line(&text, "…file descriptors: 24 (a run needs …)…");
    assert_line(
        &text,
        "…ulimit -n 1024, after raising the hard limit (limits.conf, LimitNOFILE=)",
    );
}
